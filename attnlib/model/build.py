"""From a name, files or a ready module to a module with weights, and what is known about it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from torch import nn

from attnlib.errors import ModelError
from attnlib.model import asked, embedded, huggingface, memory, network
from attnlib.model import checkpoint as checkpoints
from attnlib.model.architectures import candidates, likeliest, named
from attnlib.model.built import Built
from attnlib.model.checkpoint import Weights
from attnlib.model.classes import imagenet_reason
from attnlib.model.preparation import own_config
from attnlib.model.restore import Plan, need, not_built, plan, restore, skeleton
from attnlib.model.settings import Settings, settings

# Instead of a name: the architecture is found by the weights.
AUTO = "auto"
HUB = huggingface.PREFIXES


def build(
    source: str | nn.Module,
    *,
    checkpoint: str | Path | bytes | Mapping[str, Any] | Weights | None,
    weights: str | None,
    num_classes: int | None,
    img_size: int | tuple[int, int] | None,
    pretrained: bool | None,
    model_args: Mapping[str, Any] | None,
    class_count: int | None,
) -> Built:
    """The module of :func:`attnlib.load`'s arguments, which see.

    Args:
        class_count: how many class names were given, if any.

    Raises:
        ModelError: it cannot be had, or the weights do not fit.
    """
    asked.refuse_idle(
        source,
        checkpoint=checkpoint,
        weights=weights,
        num_classes=num_classes,
        pretrained=pretrained,
        model_args=model_args,
    )
    if isinstance(source, nn.Module):
        return Built(type(source).__name__, source, own_config(source), "timm's configuration")
    if source in embedded.NAMES:
        return embedded.built(source)
    repository = huggingface.repository(source) if checkpoint is None else None
    if repository is not None and not repository.of_timm:
        asked.refuse_for_folder(
            repository.place, num_classes=num_classes, pretrained=pretrained, model_args=model_args
        )
        return huggingface.built(repository)
    if repository is not None:
        asked.refuse_deep(repository.config)
        source = f"{'local-dir' if repository.local else 'hf-hub'}:{_place(repository)}"
    if checkpoint is None:
        if weights is not None:
            raise ModelError("weights says which weights of a checkpoint to take: give one.")
        if source == AUTO:
            raise ModelError(f"{AUTO!r} finds the architecture of a checkpoint: give one.")
        options = asked.options(model_args, num_classes or class_count, img_size)
        wanted = pretrained is not False
        module = _create(source, wanted, options)
        imagenet = imagenet_reason(source, module) if wanted else ""
        return Built(source, module, own_config(module), "timm's configuration", imagenet=imagenet)
    _refuse_unknown(source)
    options = asked.options(model_args, num_classes, img_size)
    return _restored(source, checkpoints.read(checkpoint, weights), options)


def _restored(source: str, weights: Weights, given: Mapping[str, Any]) -> Built:
    """The architecture with the weights of a checkpoint, and what its arguments say.

    Args:
        given: options that a person gave, for ``timm.create_model``.
    """
    told = settings(weights.arguments)
    name = _found(weights, told, given) if source == AUTO else source
    said = {**told.options, **given}
    made = _best_plan(name, weights, said, given)
    if made.misfits:
        raise ModelError(_wrong(name, made, weights, given))
    module, notes = restore(made, weights, said)
    if source == AUTO:
        by = "by the weights" if told.architecture is None else "in the checkpoint's arguments"
        notes.insert(0, f"The architecture was found {by}: {name}.")
    used = {key: told.options[key] for key in told.options if _holds(made, key, told.options[key])}
    used = {key: value for key, value in used.items() if key not in given} | dict(told.data)
    if used:
        words = ", ".join(f"{key}={value}" for key, value in used.items())
        notes.append(f"Taken from the checkpoint's arguments: {words}.")
    names = weights.class_names
    count = getattr(module, "num_classes", None)
    if names is not None and count not in (len(names), 1 if len(names) == 2 else None):
        notes.append(
            f"The checkpoint's “{weights.names_entry}” has {len(names)} names for {count} outputs, "
            "so it was not taken for names of classes."
        )
        names = None
    naming = made.aligned.naming
    library = naming if naming is not None and naming.data else None
    return Built(
        name,
        module,
        {**own_config(module), **(library.data if library else {}), **told.data},
        library.data_source if library else "timm's configuration",
        embeds=made.aligned.embeds,
        arguments=weights.arguments,
        class_names=names,
        names_source="" if names is None else f"the checkpoint's “{weights.names_entry}”",
        notes=tuple(notes),
    )


def _holds(made: Plan, key: str, value: Any) -> bool:
    return key in made.options and made.options[key] == value


def _best_plan(
    name: str, weights: Weights, said: Mapping[str, Any], given: Mapping[str, Any]
) -> Plan:
    """The plan that fits: what weights show counts more than what the arguments say."""
    try:
        first = plan(name, weights, said)
    except ModelError:
        # An option of the arguments that the architecture does not have.
        return plan(name, weights, given)
    if dict(said) == dict(given) or not (first.misfits or first.aligned.interpolated):
        return first
    second = plan(name, weights, given)
    return min(first, second, key=lambda p: (bool(p.misfits), len(p.aligned.interpolated)))


def _found(weights: Weights, told: Settings, given: Mapping[str, Any]) -> str:
    """The architecture that the checkpoint's arguments name, or the only one that fits."""
    if told.architecture is not None:
        return told.architecture
    found = candidates(weights, given)
    fitting = likeliest(found)
    if len(fitting) == 1:
        return fitting[0].name
    if fitting:
        raise ModelError(
            f"The weights fit {len(fitting)} architectures, which compute different things: "
            f"{named(found)}. Say which the training used."
        )
    nearest = f" The nearest is {found[0].name}: {found[0].differs}." if found else ""
    raise ModelError(
        f"No architecture of timm fits the weights in {weights.file}.{nearest} Name the "
        "architecture and its options (model_args)."
    )


def _wrong(name: str, made: Plan, weights: Weights, given: Mapping[str, Any]) -> str:
    """Why the weights are not those of the architecture, and which would fit."""
    fitting = named(candidates(weights, given, most=8))
    if fitting:
        out = f"They fit {fitting}"
    else:
        out = (
            "Choose the architecture that it was trained with, and the options it was built with "
            "(model_args)"
        )
    return f"The checkpoint does not belong to {name}: {'; '.join(made.misfits)}. {out}."


def _place(repository: huggingface.Repository) -> str:
    return repository.place + (f"@{repository.revision}" if repository.revision else "")


def similar(name: str) -> str:
    """timm's names that one may have meant, as a question; "" if none is near."""
    close = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
    return f"Did you mean {', '.join(close)}?" if close else ""


def _refuse_unknown(name: str) -> None:
    if not name.startswith(HUB) and name != AUTO and not timm.is_model(name):
        raise ModelError(f"timm has no model {name[:80]!r}. {similar(name[:80])}".strip())
    if name.startswith(HUB[:2]) and not (network.cached(name) or network.online()):
        raise network.unreachable(name)


def _create(name: str, pretrained: bool, options: Mapping[str, Any]) -> nn.Module:
    _refuse_unknown(name)
    if pretrained and not (network.cached(name) or network.online()):
        raise network.unreachable(name)
    asked.refuse_deep(options)
    if not name.startswith(HUB[:2]):
        memory.check(name, need(skeleton(name, options), options))
    try:
        return timm.create_model(name, pretrained=pretrained, **options)
    except Exception as error:
        # Whatever a hub client raises (there are dozens of kinds) is one situation to the user.
        if isinstance(error, TypeError) or (not pretrained and not name.startswith(HUB)):
            raise not_built(name, error) from error
        raise ModelError(
            f"The weights of {name} could not be fetched ({type(error).__name__}). "
            f"{network.OFFLINE_HINT}"
        ) from error
