"""What is read off a model and one pass through it: all that tells which maps it has."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.geometry import (
    cuts_patches,
    input_channels,
    patch_grid,
    prefix_tokens,
    settle,
)
from attnlib.capture.mode import Observer
from attnlib.errors import CaptureError, ModelError


@dataclass(frozen=True)
class Seen:
    """One attention call of a pass over one image: where, by what, ``(B, H, Tq, Tk)``, how.

    ``mixed`` says that heads were mixed between the softmax and the values, ``read`` how many
    tokens the last normalisation ahead of it gave, 0 without one.
    """

    module: str
    kind: str
    shape: tuple[int, int, int, int]
    spelling: str
    mixed: bool = False
    read: int = 0


@dataclass(frozen=True)
class Facts:
    """What is read off a model and one pass through it; all that classification rests on.

    Attributes:
        model: class name.
        calls: in the order in which the model makes them.
        kinds: class names of its modules.
        scripted: whether it is traced or scripted (``torch.jit``).
        grid, patch: as :func:`patch_grid` says; None without a patch embedding.
        prefix: names of the tokens before the patches.
        pooling: how the model says that it pools: ``"token"``, ``"avg"``, ...; None if it does
            not say.
        pool_prefix: whether an average includes the prefix tokens.
        joins: whether there is a CLS token (that may join after the layers).
        both: how the prediction uses a second vector: ``"dist"`` (a second head for the
            distillation token), ``"average"`` (CLS and mean, concatenated) or nothing.
        problem: why the pass's result is of no use, if so.
        channels: C, how many the input has.
        logits: how many the model gives; 0 where there is a problem.
    """

    model: str
    calls: tuple[Seen, ...]
    kinds: frozenset[str]
    scripted: bool
    grid: tuple[int, int] | None
    patch: tuple[int, int] | None
    prefix: tuple[str, ...]
    pooling: str | None
    pool_prefix: bool
    joins: bool
    both: str = ""
    problem: str = ""
    channels: int = 3
    logits: int = 0


def observe(module: nn.Module, size: tuple[int, int]) -> Facts:
    """The facts of one pass over one image of noise ``(height, width)``; on meta devices too.

    Raises:
        ModelError: the model does not run on images of this size, or gives no logits and shows
            no attention either.
    """
    calls: list[Seen] = []

    def note(call: AttentionCall) -> None:
        mixed = call.applied is not None
        read = 0 if call.normed is None else call.normed.shape[1]
        calls.append(Seen(call.module, call.kind, call.shape, call.spelling, mixed, read))

    channels, logits, problem = _watched(module, size, note, calls)
    try:
        found = patch_grid(module, size)
    except CaptureError:
        found = None
    shapes = [call.shape for call in calls]
    grid, patch, prefix = settle(
        shapes, size, found, prefix_tokens(module), plain=cuts_patches(module)
    )
    return Facts(
        model=type(module).__name__,
        calls=tuple(calls),
        kinds=frozenset(type(child).__name__ for child in module.modules()),
        scripted=any(isinstance(child, torch.jit.ScriptModule) for child in module.modules()),
        grid=grid,
        patch=patch,
        prefix=prefix,
        pooling=_pooling(module),
        pool_prefix=bool(getattr(module, "pool_include_prefix", False)),
        joins=any("cls_token" in name for name, _ in module.named_parameters()),
        both=_second_vector(module),
        problem=problem,
        channels=channels,
        logits=logits,
    )


def noise(module: nn.Module, channels: int, size: tuple[int, int]) -> Tensor:
    """An image ``(1, channels, height, width)`` that is blank nowhere, the same each time."""
    device, dtype = passes.place_of(module)
    if device.type == "meta":
        return torch.zeros(1, channels, *size, dtype=dtype, device=device)
    drawn = torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(0))
    return drawn.to(device, dtype)


def _watched(
    module: nn.Module, size: tuple[int, int], note: Observer, calls: list[Seen]
) -> tuple[int, int, str]:
    """One pass with the channels that the model takes: their number, that of logits, a problem."""
    first: ModelError | None = None
    for channels in dict.fromkeys((input_channels(module) or 3, 3, 1, 4)):
        try:
            # Not in inference mode: what a model caches in its first pass serves gradients too.
            with torch.no_grad(), passes.admitted():
                logits, _ = passes.forward(module, noise(module, channels, size), note)
            return channels, int(logits.shape[1]), ""
        except ModelError as error:
            if calls:
                return channels, 0, str(error)
            first = first or error
    assert first is not None
    raise first


def _pooling(module: nn.Module) -> str | None:
    """How the model says that it pools: timm's ``global_pool``, transformers' configuration."""
    if getattr(getattr(module, "config", None), "use_mean_pooling", False):
        return "avg"
    pooling = getattr(module, "global_pool", None)
    return pooling if isinstance(pooling, str) else None


def _second_vector(module: nn.Module) -> str:
    """What the prediction rests on besides the CLS token: see :class:`Facts`."""
    if hasattr(module, "head_dist") or hasattr(module, "distillation_classifier"):
        return "dist"
    width = getattr(getattr(module, "config", None), "hidden_size", None)
    classifier = getattr(module, "classifier", None)
    if isinstance(classifier, nn.Linear) and classifier.in_features == 2 * (width or 0):
        return "average"
    return ""
