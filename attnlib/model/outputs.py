"""What kind of outputs a module has, and what says so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import nn

from attnlib.capture.outputs import KINDS, Kind, Outputs
from attnlib.errors import ModelError

# transformers' words in a configuration's problem_type, and what others write for a task.
_TASKS: dict[str, Kind] = {
    "single_label_classification": "classes",
    "multiclass": "classes",
    "multi_label_classification": "labels",
    "multilabel": "labels",
    "multi_label": "labels",
    "binary": "binary",
    "regression": "regression",
}
# How configurations name a class: Hydra, Lightning's command line, others.
_NAMES_OF = ("_target_", "class_path", "name", "type", "kind")
# A training's own word for the task, for its loss, and switches that say it.
_TASK_KEYS = ("problem_type", "task", "task_type", "objective")
_LOSS_KEYS = ("loss", "loss_fn", "loss_function", "loss_func", "criterion", "loss_name")
_SWITCHES: dict[str, Kind] = {
    "multilabel": "labels",
    "multi_label": "labels",
    "is_multilabel": "labels",
    "regression": "regression",
    "is_regression": "regression",
}
# Parts of the names of losses, once only letters are left of them. Asymmetric loss is ASL of
# multi-label classification (Ridnik et al. 2021).
_LOSSES: tuple[tuple[str, Kind], ...] = (
    ("bcewithlogits", "labels"),
    ("binarycrossentropy", "labels"),
    ("multilabel", "labels"),
    ("asymmetricloss", "labels"),
    ("bceloss", "labels"),
    ("crossentropy", "classes"),
    ("nllloss", "classes"),
    ("labelsmoothing", "classes"),
    ("smoothl1", "regression"),
    ("huber", "regression"),
    ("mseloss", "regression"),
    ("l1loss", "regression"),
)
_LOSS_WORDS: dict[str, Kind] = {
    "bce": "labels",
    "asl": "labels",
    "ce": "classes",
    "nll": "classes",
    "mse": "regression",
    "mae": "regression",
    "l1": "regression",
    "l2": "regression",
    "rmse": "regression",
}


def outputs_of(
    module: nn.Module,
    arguments: Mapping[str, Any],
    count: int,
    said: Kind | None,
    exclusive: str = "",
    embeds: bool = False,
    *,
    normalised: bool = False,
) -> Outputs:
    """The output kind: said, else read from configuration or loss, else from the outputs.

    Args:
        arguments: what the training said about itself in the checkpoint.
        count: L, how many logits there are.
        exclusive: what is known to make them exclusive classes, if nothing else is said.
        embeds: whether they are known to be an embedding of the image.
        normalised: as :func:`attnlib.capture.ending.ends_normalised` says of them.

    Raises:
        ModelError: the kind is unknown, or does not fit the number of logits.
    """
    if said is not None:
        if said not in KINDS:
            raise ModelError(f"outputs must be one of {', '.join(KINDS)}, not {said!r}.")
        _check(said, count)
        return Outputs(said, "said by you")
    if _headless(module):
        return Outputs("features", "the model has no classifier")
    for kind, source in _told(module, arguments):
        kind = "binary" if kind in ("labels", "classes") and count == 1 else kind
        if kind == "binary" and count == 2:
            kind = "classes"
        if kind != "binary" or count == 1:
            return Outputs(kind, source, _doubt(arguments))
    if embeds or _projects(module):
        return Outputs("features", "the last layer is CLIP's projection, not a classifier")
    if normalised:
        return Outputs("features", "the outputs come from a normalisation, not from a classifier")
    if count == 1:
        return Outputs(
            "binary",
            "there is one output",
            "One output may also be a regression: choose that if it is.",
        )
    return Outputs(
        "classes",
        exclusive or f"there are {count} outputs, and nothing says that they are anything else",
        _doubt(arguments),
    )


def _check(kind: Kind, count: int) -> None:
    if kind == "binary" and count != 1:
        raise ModelError(
            f"The model has {count} outputs: “binary” means a single one whose sigmoid is the "
            "probability of the second of two classes. Say “classes” or “labels”."
        )
    if kind == "classes" and count == 1:
        raise ModelError(
            "The model has one output: a softmax over it is always 100 %. Say “binary” for its "
            "sigmoid, or “regression”."
        )


def _headless(module: nn.Module) -> bool:
    """Whether a module says of itself that it ends in no classifier."""
    config = getattr(module, "config", None)
    return getattr(module, "num_classes", None) == 0 or getattr(config, "num_labels", None) == 0


def _projects(module: nn.Module) -> bool:
    """Whether a ready module ends as CLIP's image towers do, of open_clip or transformers."""
    own = dict(module.named_parameters(recurse=False))
    return {"class_embedding", "proj"} <= own.keys() or hasattr(module, "visual_projection")


def _told(module: nn.Module, arguments: Mapping[str, Any]) -> list[tuple[Kind, str]]:
    """What the model's configuration and the training's own words say, most certain first."""
    found: list[tuple[Kind, str]] = []
    config = getattr(module, "config", None)
    word = getattr(config, "problem_type", None)
    if str(word) in _TASKS:
        source = f"problem_type in the model's configuration is {word!r}"
        found.append((_TASKS[str(word)], source))
    for key, word in arguments.items():
        kind = _of_task(word) if _about(key, _TASK_KEYS) else None
        if kind is not None:
            found.append((kind, f"{key} in the checkpoint is {word!r}"))
    for key, kind in _SWITCHES.items():
        if arguments.get(key) is True:
            found.append((kind, f"{key} in the checkpoint is True"))
    for key, word in arguments.items():
        kind = _of_loss(word) if _about(key, _LOSS_KEYS) else None
        if kind is not None:
            found.append((kind, f"{key} in the checkpoint is {str(word)[:60]!r}"))
    return found


def _about(key: str, subjects: tuple[str, ...]) -> bool:
    """Whether a setting's name, or a name and what configurations put behind it, is a subject."""
    *before, last = key.split(".")
    return last in subjects or (last in _NAMES_OF and before[-1:] != [] and before[-1] in subjects)


def _of_task(word: object) -> Kind | None:
    """What a task is called, whatever else stands in the word."""
    plain = _plain(word) if isinstance(word, str) else ""
    return next((kind for part, kind in _TASKS.items() if part in plain), None)


def _of_loss(loss: object) -> Kind | None:
    """What a loss, by its name or as whatever stands for it, is used for."""
    if loss is None or isinstance(loss, bool | int | float):
        return None
    text = loss if isinstance(loss, str) else getattr(loss, "name", type(loss).__name__)
    letters = re.sub(r"[^a-z0-9]", "", str(text).lower())
    for part, kind in _LOSSES:
        if part in letters:
            return kind
    return _LOSS_WORDS.get(letters.removesuffix("loss"))


def _plain(word: str) -> str:
    return re.sub(r"[\s-]+", "_", word.strip().lower())


def _doubt(arguments: Mapping[str, Any]) -> str:
    """timm trains exclusive classes with a binary loss too, which so tells nothing."""
    if arguments.get("bce_loss") is True:
        return (
            "It was trained with bce_loss, which timm uses for exclusive classes too: choose "
            "“independent labels” if an image may have several."
        )
    return ""
