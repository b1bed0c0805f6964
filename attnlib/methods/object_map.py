"""Object map: patches whose tokens are like those that the last layer's readout looks at."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.trace import Trace, carry
from attnlib.errors import CaptureError
from attnlib.methods.base import Method, patches_of
from attnlib.methods.subject import Subject


def object_map(subject: Subject, target: int | None) -> Tensor:
    """max(0, cos(x_n, p)) per patch n, ``(N,)``, from 0 to 1: where the object is.

    x are the patch tokens that the last layer reads, less their mean. The prototype p is the sum
    of the x weighted by the readout's attention in that layer, then once more by the likeness
    that this gives: what is bright by chance is so left, and what is like the rest is taken in.

    Raises:
        CaptureError: the model normalises nothing before its last attention layer.
    """
    tokens, weights = _last_layer(subject)
    tokens = tokens - tokens.mean(dim=0)
    for _ in range(2):
        prototype = weights @ tokens
        weights = F.cosine_similarity(tokens, prototype[None], dim=1).clamp(min=0)
    return weights


def _last_layer(subject: Subject) -> tuple[Tensor, Tensor]:
    """The patch tokens that the last layer reads ``(N, D)``, and the attention on them ``(N,)``."""
    vit, layout = subject.vit, subject.layout
    read: list[Tensor | None] = []
    layers: list[AttentionCall] = []
    pools: list[AttentionCall] = []
    roles = iter(vit.support.roles)

    def observe(call: AttentionCall) -> None:
        role = next(roles, "refused")
        if role == "layer":
            read[:], layers[:] = [call.normed], [call.compact()]
        elif role == "pool":
            pools[:] = [call.compact()]

    with torch.no_grad():
        passes.forward(vit.module, subject.pixels, observe, precision=vit.precision)
    if not read or read[0] is None:
        raise CaptureError(
            "This model makes no normalisation before its last attention layer, where the object "
            "map reads the tokens. Raw attention and rollout need none."
        )
    trace = Trace(layout, tuple(layers), pools[0] if pools else None)
    attention = carry(layers[0], trace.readout()[None])[:, 0].mean(dim=0)
    tokens = read[0][0, read[0].shape[1] - layout.patches :]
    return tokens.to(attention.dtype), patches_of(attention, layout)


OBJECT_MAP = Method(
    name="object_map",
    title="Object map",
    compared=False,
    description=(
        "Where the object is: patches that the model's last layer describes as it describes those "
        "that the prediction is read from. It is the same for every class."
    ),
    source=(
        "ours: a prototype of the attended tokens, as in LOST (Siméoni et al., BMVC 2021), "
        "weighted by attention"
    ),
    unit="likeness to the object (cosine)",
    compute=object_map,
    caution=(
        "It says where the object is, not why the model answers so: no class enters it, and a "
        "model that looks at the background has the same map."
    ),
)
