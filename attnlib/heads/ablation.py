"""What a head does to a prediction: take it away or exchange it, and predict again."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnlib.capture.call import AttentionCall, wide_dtype
from attnlib.capture.replay import Tape
from attnlib.errors import AttnlibError, CaptureError, OutOfMemory
from attnlib.heads import intervention
from attnlib.heads.decision import Decision
from attnlib.model.vit import Vit

Array = NDArray[np.float32]
Head = tuple[int, int]

# Memory for the tokens that replays start from, over all layers.
_TAPE_BYTES = 512 * 2**20


@dataclass(frozen=True)
class HeadEffects:
    """One image with each head taken away, or replaced, in turn.

    Attributes:
        predicted: the class that the whole model predicts; about an independent label it is
            ``decision.ABSENT`` or ``PRESENT``, as are ``against`` and ``now``.
        against: the class that the margin is measured against: the true one of a wrong
            prediction, else the runner-up.
        margin: logit of ``predicted`` minus logit of ``against`` of the whole model, >= 0.
        change: ``(L, H)``, how much the margin changes without the head: negative where the
            head speaks for ``predicted``.
        now: ``(L, H)``, the class predicted without the head.
    """

    predicted: int
    against: int
    margin: float
    change: Array
    now: NDArray[np.int64]

    @property
    def repairs(self) -> list[Head]:
        """(layer, head) whose removal turns the prediction into ``against``, largest first."""
        found = np.argwhere(self.now == self.against)
        order = np.argsort(self.change[tuple(found.T)], kind="stable")
        return [(int(layer), int(head)) for layer, head in found[order]]


def head_effects(
    vit: Vit,
    pixels: Tensor,
    label: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    decision: Decision | None = None,
    donor: Tensor | None = None,
) -> HeadEffects:
    """Zero every head in turn, ``L·H`` predictions of ``pixels`` ``(1, 3, h, w)``.

    The heads of a layer go through the model as one batch, and what lies below the layer is not
    computed again (:class:`attnlib.capture.replay.Tape`): about half of the work of as many passes.

    Args:
        label: the true class, if it is known.
        progress: told (layers done, layers) after each layer.
        decision: what is decided, instead of ``label``: about one of independent labels.
        donor: another image of the same size ``(1, 3, h, w)``: instead of nothing, what the same
            head gives on that image stands in each head's place.

    Raises:
        CaptureError: the model has no layers of attention between all tokens, or no classes.
        AttnlibError: the donor is of another size.
    """
    vit = vit.fitting(pixels)
    decided = decision or Decision(label)
    heads = _heads(vit)
    layers = len(vit.support.calls("layer"))
    batch = heads
    gifts = None if donor is None else _gifts(vit, pixels, donor)
    while True:
        try:
            plain, logits = _without_each(vit, pixels, layers, heads, batch, progress, gifts)
            break
        except OutOfMemory:
            if batch == 1:
                raise
            batch = math.ceil(batch / 2)
    plain, logits = (decided.margins(vit.outputs, z) for z in (plain, logits))
    predicted, true = int(plain.argmax()), decided.true
    against = true if true is not None and true != predicted else int(_runner_up(plain))
    margins = logits[..., predicted] - logits[..., against]
    margin = float(plain[predicted] - plain[against])
    return HeadEffects(
        predicted=predicted,
        against=against,
        margin=margin,
        change=(margins - margin).float().cpu().numpy(),
        now=logits.argmax(dim=-1).cpu().numpy(),
    )


def without_heads(vit: Vit, pixels: Tensor, removed: Collection[Head]) -> Tensor:
    """Logits ``(B, C)`` of ``pixels`` ``(B, 3, h, w)`` with a set of (layer, head) zeroed.

    Raises:
        CaptureError: as :func:`head_effects`.
        AttnlibError: there is no such head.
    """
    vit = vit.fitting(pixels)
    heads, layers = _heads(vit), len(vit.support.calls("layer"))
    keep = torch.ones(layers, heads, device=vit.device)
    for layer, head in removed:
        if not (0 <= layer < layers and 0 <= head < heads):
            raise AttnlibError(
                f"There is no head {head} in layer {layer}: this model has {layers} layers of "
                f"{heads} heads."
            )
        keep[layer, head] = 0
    with torch.no_grad():
        batch = pixels.shape[0]
        return intervention.forward(
            vit, pixels, lambda layer, call: _kept(call, keep[layer].expand(batch, -1))
        )


def mean_effects(found: Iterable[HeadEffects]) -> tuple[Array, Array, int]:
    """Mean change of the margin ``(L, H)``, share of images that each head's removal repairs
    ``(L, H)``, and the number of images.

    Raises:
        AttnlibError: there are no images.
    """
    change: NDArray[np.float64] | None = None
    repaired: NDArray[np.float64] | None = None
    count = 0
    for effects in found:
        fixed = (effects.now == effects.against).astype(np.float64)
        moved = effects.change.astype(np.float64)
        change = moved if change is None else change + moved
        repaired = fixed if repaired is None else repaired + fixed
        count += 1
    if change is None or repaired is None:
        raise AttnlibError("There are no images to average over.")
    return (change / count).astype(np.float32), (repaired / count).astype(np.float32), count


def _without_each(
    vit: Vit,
    pixels: Tensor,
    layers: int,
    heads: int,
    batch: int,
    progress: Callable[[int, int], None] | None,
    gifts: list[Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Logits of the whole model ``(C,)`` and without each head ``(L, H, C)``.

    Args:
        gifts: what stands in the place of a head, ``(1, H, T, dv)`` for each layer.
    """
    tokens = vit.layout.tokens * vit.width * pixels.element_size()
    batch = max(1, min(batch, heads, _TAPE_BYTES // (2 * layers * tokens)))
    batch = math.ceil(heads / math.ceil(heads / batch))
    images = pixels.expand(batch, -1, -1, -1)
    whole = torch.ones(batch, heads, device=pixels.device)
    with torch.no_grad():
        made = Tape(alike=batch)
        tape: Tape | None = made
        try:
            plain = _recorded(vit, images, made, whole)
        except CaptureError:
            # Then every pass starts at the bottom: slower, and as right.
            tape = None
            plain = intervention.forward(vit, images, lambda layer, call: _kept(call, whole))
        result: list[Tensor] = []
        for layer in range(layers):
            parts = []
            for start in range(0, heads, batch):
                keep = whole.clone()
                for place, head in enumerate(range(start, min(start + batch, heads))):
                    keep[place, head] = 0
                gift = None if gifts is None else gifts[layer]
                parts.append(_from_layer(vit, images, tape, layer, keep, gift))
            result.append(torch.cat(parts)[:heads])
            if progress is not None:
                progress(layer + 1, layers)
    wide = wide_dtype(plain.dtype)
    return plain[0].to(wide), torch.stack(result).to(wide)


def _recorded(vit: Vit, images: Tensor, tape: Tape, whole: Tensor) -> Tensor:
    """Logits ``(B, C)`` of a pass that is put on tape, with a mark at each layer's attention.

    Raises:
        CaptureError: the tape is not the model's own pass, or passes cannot start from it; a
            plain pass and the last layer were tried.
    """

    def note(layer: int, call: AttentionCall) -> Tensor:
        tape.mark()
        return _kept(call, whole)

    with tape:
        logits = intervention.forward(vit, images, note)
    tape.finish()
    plain = intervention.forward(vit, images[:1], lambda layer, call: None)
    if not _alike(logits, plain):
        raise CaptureError("The images of one batch have an effect on each other in this model.")
    last = len(vit.support.calls("layer")) - 1
    again = _from_layer(vit, images, tape, last, whole)
    if not _alike(again, logits):
        raise CaptureError("A replay of this model differs from the pass it starts from.")
    return logits


def _alike(left: Tensor, right: Tensor) -> bool:
    """But for rounding, which depends on how many images go through a product at a time."""
    size = float(right.abs().amax())
    return bool((left - right).abs().amax() <= 100 * torch.finfo(left.dtype).eps * max(1.0, size))


def _from_layer(
    vit: Vit,
    images: Tensor,
    tape: Tape | None,
    layer: int,
    keep: Tensor,
    gift: Tensor | None = None,
) -> Tensor:
    """Logits ``(B, C)`` where image b goes on without the heads that ``keep[b]`` has zero for."""

    def note(now: int, call: AttentionCall) -> Tensor | None:
        if tape is not None and now < layer:
            # What the recording did here comes off the tape, operation by operation.
            return _kept(call, keep)
        return _kept(call, keep, gift) if now == layer else None

    if tape is None:
        return intervention.forward(vit, images, note)
    with tape.after(layer):
        return intervention.forward(vit, images, note)


def _kept(call: AttentionCall, keep: Tensor, gift: Tensor | None = None) -> Tensor:
    """``A V`` ``(B, H, T, dv)`` times 1 or 0 for each image and head ``(B, H)``.

    Args:
        gift: ``(1, H, T, dv)``, what stands where the factor is 0; nothing if None.
    """
    factor = keep[:, :, None, None]
    kept = _given(call) * factor
    return kept if gift is None else kept + gift * (1 - factor)


def _given(call: AttentionCall) -> Tensor:
    """What the heads give, ``A V`` ``(B, H, T, dv)``."""
    if call.finish is None:
        assert call.output is not None
        return call.output
    # Here the operator's output is behind its projection, where heads are mixed.
    return call.product()


def _gifts(vit: Vit, pixels: Tensor, donor: Tensor) -> list[Tensor]:
    """What the heads of each layer give on another image, ``(1, H, T, dv)``."""
    if donor.shape != pixels.shape:
        raise AttnlibError(
            f"The other image is seen as {tuple(donor.shape)} and this one as "
            f"{tuple(pixels.shape)}: heads are exchanged between images of one size."
        )
    found: list[Tensor] = []

    def note(layer: int, call: AttentionCall) -> None:
        found.append(_given(call).detach().clone())

    with torch.no_grad():
        intervention.forward(vit, donor, note)
    return found


def _heads(vit: Vit) -> int:
    places = vit.support.calls("layer")
    counts = {vit.support.shapes[i][1] for i in places}
    if len(counts) != 1:
        raise CaptureError(
            f"Heads of {vit.name} cannot be taken away one by one: {vit.support.reason}."
        )
    return counts.pop()


def _runner_up(logits: Tensor) -> Tensor:
    return logits.topk(2).indices[1]
