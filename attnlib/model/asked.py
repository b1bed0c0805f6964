"""What a person says of a model besides its name: taken, or refused where it means nothing."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

import timm
from timm.models import build_model_with_cfg
from torch import nn

from attnlib.errors import ModelError

# timm's own parameters: they name files and addresses to read from, or switch what all models
# of the process share.
_NOT_OPTIONS: Final = frozenset(
    name
    for function in (timm.create_model, build_model_with_cfg)
    for name, parameter in inspect.signature(function).parameters.items()
    if parameter.kind is not inspect.Parameter.VAR_KEYWORD
) | {"features_only", "out_indices"}


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


def refuse_idle(source: str | nn.Module, **given: object) -> None:
    """Refuse what only says how an architecture is built where none is built.

    Raises:
        ModelError: one of them is given for a ready module or the demo.
    """
    ready = isinstance(source, nn.Module)
    idle = [name for name, value in given.items() if value is not None]
    if idle and (ready or source == "demo"):
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
