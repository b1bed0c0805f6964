"""One pass of a loaded model, what is kept of it, and whether its tokens are those counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.errors import CaptureError, ModelError
from attnlib.model.arrays import array

if TYPE_CHECKING:
    from attnlib.model.vit import Vit

# Gets each call with its role in the model, and returns what to keep of it.
Note = Callable[[AttentionCall, str], AttentionCall | None]
Kept = list[tuple[AttentionCall, str]]


def run(
    vit: Vit, pixels: Tensor, note: Note, classifier: Tensor | None, *, graph: bool
) -> tuple[Tensor, Tensor | None, Kept]:
    """One pass of ``(B, C, h, w)`` at the size of ``vit``: as :meth:`attnlib.Vit.run`.

    Raises:
        ModelError: a layer holds another number of tokens than the layout has.
    """
    kept: Kept = []
    roles, tokens = iter(vit.support.roles), vit.layout.tokens

    def observe(call: AttentionCall) -> None:
        role = next(roles, "refused")
        if role == "layer" and call.shape[2:] != (tokens, tokens):
            raise ModelError(
                f"{call.module or call.kind} attends between {call.shape[2]} and "
                f"{call.shape[3]} tokens, where {tokens} were counted on an image of this size: "
                "its tokens have no sure place. A model that drops or merges tokens by their "
                "content gives no maps."
            )
        keep = note(call, role)
        if keep is not None:
            kept.append((keep, role))

    logits, embedding = passes.forward(
        vit.module, pixels, observe, precision=vit.precision, classifier=classifier, graph=graph
    )
    return logits, embedding, kept


def matrix(vit: Vit, pixels: Tensor, layer: int) -> NDArray[np.float32]:
    """The attention of one layer on one image ``(1, C, h, w)``: as :meth:`attnlib.Vit.attention`.

    Raises:
        CaptureError: no such layer.
    """
    windowed = "layer" not in vit.support.roles
    places = vit.support.calls("local" if windowed else "layer")
    if not places:
        raise CaptureError(
            f"{vit.name} has no layer of attention between all tokens: {vit.support.reason}."
        )
    if not -len(places) <= layer < len(places):
        raise CaptureError(
            f"layer must be from 0 to {len(places) - 1}; this model has {len(places)} layers "
            "of token attention."
        )
    wanted = places[layer]
    found: list[Tensor] = []
    position = -1

    def observe(call: AttentionCall) -> None:
        nonlocal position
        position += 1
        if position == wanted:
            found.append(call.rows())

    with passes.admitted(), torch.inference_mode():
        passes.forward(vit.module, pixels, observe, precision=vit.precision)
    if not found:
        raise CaptureError(
            f"{vit.name} made fewer layers of attention on this image than when it was loaded."
        )
    return array(found[0] if windowed else found[0][0])


def logits(vit: Vit, images: Sequence[Tensor]) -> Tensor:
    """Logits ``(B, L)`` in float64 of images ``(1, C, h, w)`` of any sizes, in their order.

    Raises:
        ModelError: the model does not run on one of them.
    """
    found: dict[int, Tensor] = {}
    for places, pixels in by_size(images):
        with passes.admitted(), torch.inference_mode():
            given, _ = passes.forward(vit.module, pixels, precision=vit.precision)
        found |= zip(places, given.double().cpu(), strict=True)
    return torch.stack([found[place] for place in range(len(images))])


def by_size(images: Sequence[Tensor]) -> Iterator[tuple[list[int], Tensor]]:
    """Images ``(1, C, h, w)`` in batches of one size each, with their places in the sequence."""
    places: dict[torch.Size, list[int]] = {}
    for place, image in enumerate(images):
        places.setdefault(image.shape, []).append(place)
    for group in places.values():
        yield group, torch.cat([images[place] for place in group])
