"""An architecture and a checkpoint to a module with exactly these weights."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnlib.errors import ModelError, brief
from attnlib.model import memory
from attnlib.model.asked import refuse_deep
from attnlib.model.checkpoint import Weights, fit
from attnlib.model.checkpoint.align import Alignment, align
from attnlib.model.checkpoint.heads import advice
from attnlib.model.checkpoint.misfits import misfits, some
from attnlib.model.checkpoint.options import classifier, revealed, unrevealed
from attnlib.model.preparation import own_config

# Each pass may uncover an option that an earlier one hid: a patch size, then an image size.
_PASSES = 4
# Who says one of these means to have positions interpolated for it.
_SIZES = {"img_size", "patch_size", "window_size"}


@dataclass(frozen=True)
class Plan:
    """How an architecture must be built for the weights of a checkpoint to fit.

    Attributes:
        name: of the architecture, in timm.
        options: all of them, for ``timm.create_model``.
        found: those that the shapes revealed.
        misfits: why the weights do not fit all the same; empty if they do.
        skeleton: the architecture on the meta device.
        aligned: the weights under its names.
    """

    name: str
    options: Mapping[str, Any]
    found: Mapping[str, Any]
    misfits: tuple[str, ...]
    skeleton: nn.Module
    aligned: Alignment


def plan(name: str, weights: Weights, said: Mapping[str, Any]) -> Plan:
    """Build an architecture without memory until its shapes are those of the weights.

    Args:
        said: options that a person or the checkpoint's arguments gave; they are kept.

    Raises:
        ModelError: timm cannot build it with what was said.
    """
    _refuse_deeper(said, weights)
    refuse_deep(said)
    found: dict[str, Any] = {}
    tried: set[str] = set()
    made = skeleton(name, said)
    aligned = align(made, weights)
    for _ in range(_PASSES):
        new = revealed(made, aligned.before, aligned.state)
        if aligned.naming is not None:
            new |= aligned.naming.options
        new = {k: v for k, v in new.items() if k not in said and k not in tried}
        if not new:
            break
        tried |= new.keys()
        # An architecture may lack one of these options; its shapes then stay as they are.
        for options in (new, {k: v for k, v in new.items() if k == "num_classes"}):
            with suppress(ModelError):
                made = skeleton(name, {**said, **found, **options})
                found |= options
                break
        aligned = align(made, weights)
    told = misfits(made, aligned.state)
    other = aligned.interpolated
    if other and not said.keys() & _SIZES:
        told.append(
            f"{len(other)} are of another input size or window ({some(other)}); say img_size to "
            "have them interpolated"
        )
    return Plan(name, {**said, **found}, found, tuple(told), made, aligned)


def _refuse_deeper(said: Mapping[str, Any], weights: Weights) -> None:
    """Refuse more layers than the file has tensors: even without memory each takes its time.

    Raises:
        ModelError: there are more.
    """
    for name, value in said.items():
        counts = value if isinstance(value, list | tuple) else [value]
        layers = sum(n for n in counts if isinstance(n, int)) if "depth" in name else 0
        if layers > len(weights.tensors):
            raise ModelError(
                f"{name}={value!r:.60} asks for more layers than {weights.file} has tensors "
                f"({len(weights.tensors)})."
            )


def restore(made: Plan, weights: Weights, said: Mapping[str, Any]) -> tuple[nn.Module, list[str]]:
    """The module of a plan with its weights, and what a person should know about it.

    Args:
        said: options that a person gave or the checkpoint's arguments name.

    Raises:
        ModelError: the weights do not fit, or are not finite; or the model is too large.
    """
    # First against the skeleton: what does not fit costs no memory.
    state, notes = fit(made.skeleton, weights, made.aligned)
    memory.check(made.name, need(made.skeleton, made.options))
    try:
        module = timm.create_model(made.name, pretrained=False, **made.options)
    except MemoryError as error:
        raise ModelError(f"{made.name} does not fit into memory.") from error
    module.load_state_dict(state, strict=False)
    told = list(notes)
    if made.found:
        found = ", ".join(f"{key}={_shown(value)}" for key, value in made.found.items())
        told.append(f"Told by the shapes of the weights: {found}.")
    if "num_classes" not in said and getattr(module, "num_classes", None) == 0:
        bare = f"{weights.file} holds no classifier: the outputs are features."
        told.append(f"{bare} {advice(made.aligned.heads)}".strip())
    if made.aligned.embeds and getattr(module, "num_classes", 0) != 0:
        told.append(
            f"The classifier “{classifier(module)}” is CLIP's projection: the outputs are an "
            "embedding of the image, not classes."
        )
    open_questions = unrevealed(module, {**said, **made.found})
    if open_questions:
        told.append(open_questions)
    return module, told


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " × ".join(str(part) for part in value)
    # A function of timm, such as a norm with its epsilon.
    if callable(value):
        return f"{value.func.__name__}({value.keywords})" if hasattr(value, "func") else "…"
    return str(value)


class _Uninitialised(TorchFunctionMode):
    """Random numbers for weights without memory are drawn for nothing, and slowly."""

    _DRAWS = frozenset(
        getattr(Tensor, f"{name}_")
        for name in ("uniform", "normal", "erfinv", "clamp", "mul", "add", "fill", "zero")
    )

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in self._DRAWS and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


def skeleton(name: str, options: Mapping[str, Any]) -> nn.Module:
    """An architecture of timm without memory.

    Raises:
        ModelError: timm cannot build it so, or its weights alone would take too much memory.
    """
    try:
        with torch.device("meta"), _Uninitialised():
            module = timm.create_model(name, pretrained=False, **options)
    except Exception as error:
        raise not_built(name, error) from error
    # Before anything is computed for its shapes, such as positions of another size.
    memory.check(name, memory.Need(memory.weights_of(module), 0))
    return module


def need(module: nn.Module, options: Mapping[str, Any]) -> memory.Need:
    """What an architecture takes at the size that it is built for.

    Args:
        module: on the meta device.
        options: those it was built with.
    """
    size = options.get("img_size") or own_config(module).get("input_size", (3, 224, 224))[-2:]
    height, width = (size, size) if isinstance(size, int) else size
    return memory.needed(module, int(options.get("in_chans", 3)), (int(height), int(width)))


def not_built(name: str, error: Exception) -> ModelError:
    """Why timm could not build an architecture, in words."""
    if isinstance(error, TypeError) and "img_size" in str(error):
        return ModelError(f"{name} does not take another input size (img_size).")
    return ModelError(f"{name} could not be built: {brief(error)}")
