"""What a person says of a model besides its name: taken, or refused where it means nothing."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

import timm
from timm.models import build_model_with_cfg
from torch import nn

from attnlib.data.name_lists import MAX_NAMES
from attnlib.errors import ModelError
from attnlib.model import embedded

# timm's own parameters: they name files and addresses to read from, or switch what all models
# of the process share.
_NOT_OPTIONS: Final = frozenset(
    name
    for function in (timm.create_model, build_model_with_cfg)
    for name, parameter in inspect.signature(function).parameters.items()
    if parameter.kind is not inspect.Parameter.VAR_KEYWORD
) | {"features_only", "out_indices"}

# By a word of a setting's name, the most that is built; timm's deepest model has 200 layers.
_BOUNDS: Final = (
    (("depth", "layers", "blocks"), 1024),
    (("num_classes", "num_labels", "id2label", "label2id"), MAX_NAMES),
)


def options(
    model_args: Mapping[str, Any] | None,
    num_classes: int | None,
    img_size: int | tuple[int, int] | None,
) -> dict[str, Any]:
    """Options for ``timm.create_model`` out of what a person said; what was not said is left out.

    Raises:
        ModelError: one of them is no option of an architecture, but a place to read from or a
            switch of timm's own.
    """
    foreign = sorted(_NOT_OPTIONS & (model_args or {}).keys())
    if foreign:
        raise ModelError(
            f"{', '.join(foreign)} is no option of an architecture: options say how it is built "
            "(global_pool, num_heads). Weights are given as a checkpoint, preparation as "
            "preprocessing."
        )
    said = {**(model_args or {}), "num_classes": num_classes, "img_size": img_size}
    return {key: value for key, value in said.items() if value is not None}


def refuse_deep(said: Mapping[str, Any]) -> None:
    """Refuse settings that ask for more layers than any model has, or for more classes.

    Even without memory each takes its time.

    Args:
        said: settings by name, those of parts of the model within them.

    Raises:
        ModelError: which one it is.
    """
    waiting: list[tuple[str, Any]] = list(said.items())
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            if name in ("id2label", "label2id"):
                value = len(value)
            else:
                waiting.extend((str(key), inner) for key, inner in value.items())
                continue
        most = next((most for words, most in _BOUNDS if any(word in name for word in words)), None)
        counts = value if isinstance(value, list | tuple) else [value]
        numbers = [n for n in counts if isinstance(n, int | float)]
        if most is not None and not all(n <= most for n in numbers):
            raise ModelError(
                f"{name[:60]} asks for more than {most:,}, which no model has: correct the "
                "configuration."
            )


def refuse_idle(source: str | nn.Module, **given: object) -> None:
    """Refuse what only says how an architecture is built where none is built.

    Raises:
        ModelError: one of them is given for a ready module or the demo.
    """
    ready = isinstance(source, nn.Module)
    idle = [name for name, value in given.items() if value is not None]
    if idle and (ready or source in embedded.NAMES):
        what = "A ready module" if ready else "The demo model"
        out = (
            "load its weights into it before, with module.load_state_dict(...)"
            if ready
            else "give the name of an architecture instead"
        )
        raise ModelError(
            f"{what} is used as it is, so {' and '.join(idle)} would change nothing: leave "
            f"{'it' if len(idle) == 1 else 'them'} out, or {out}."
        )


def refuse_for_folder(place: str, **given: object) -> None:
    """Refuse what a folder of transformers says by itself.

    Raises:
        ModelError: one of them is given.
    """
    idle = [name for name, value in given.items() if value is not None]
    if idle:
        raise ModelError(
            f"The configuration of {place} says what model it is, so {' and '.join(idle)} would "
            "change nothing: leave it out."
        )
