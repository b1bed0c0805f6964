"""LeGrad: where raising the attention would raise the class's logit, layer by layer."""

from __future__ import annotations

import torch
from torch import Tensor

from attnlib.capture.call import AttentionCall
from attnlib.capture.gradients import slopes
from attnlib.capture.lens import lens
from attnlib.errors import AttnlibError, CaptureError
from attnlib.methods.base import Method, Option, asked, patches_of
from attnlib.methods.subject import Subject


def legrad(subject: Subject, target: int | None, *, start_layer: int = 0) -> Tensor:
    """Σ_l mean over heads and queries of max(0, ∂z_l / ∂A_l) per patch, ``(N,)``, not negative.

    z_l is the target's logit as the model's last steps make it of the tokens after layer l
    (:mod:`attnlib.capture.lens`).  The code of the paper takes the mean over all tokens before
    CLIP's projection for it; here a model's own readout is taken.

    Raises:
        AttnlibError: there is no target, or no such layer.
        CaptureError: the model has no logits after each layer, or no gradient.
    """
    target = asked(target)
    vit = subject.vit
    found = lens(vit, subject.pixels, graph=True)
    count = len(found.layers)
    if not 0 <= start_layer < count:
        raise AttnlibError(f"start_layer must be from 0 to {count - 1}, not {start_layer}.")
    scores = vit.outputs.scores(found.logits)[:, target]
    total = torch.zeros(vit.layout.tokens, device=scores.device)
    for layer in range(start_layer, count):
        total = total + _slopes(found.layers[layer], scores[layer])
    return patches_of(total, subject.layout)


def _slopes(call: AttentionCall, score: Tensor) -> Tensor:
    """The mean over heads and queries of max(0, ∂ score / ∂A), ``(T,)``."""
    if call.node is None or call.value is None or not call.node.requires_grad:
        raise CaptureError("This model takes its attention out of the graph, so it has no slope.")
    (gradient,) = slopes(score, [call.node], "its attention", again=True)
    gradient = (call.pull(gradient) if call.pull else gradient)[0]
    values = call.value[0].detach().to(gradient.dtype)
    # Queries that the score does not depend on (all but a CLS token's in its last layer).
    asked = gradient.abs().sum(dim=(0, 2)) > 0
    heads, queries, _ = gradient.shape
    total = values.new_zeros(values.shape[1])
    for head in range(heads):
        slope = gradient[head, asked] @ values[head].T
        total += slope.clamp_(min=0).sum(dim=0)
    return total.float() / (heads * queries)


LEGRAD = Method(
    name="legrad",
    title="LeGrad",
    compared=False,
    description=(
        "Where more attention would raise the class's logit, read off after every layer and "
        "summed over the layers. How much attention there is does not count, only what more of "
        "it would do."
    ),
    source="Bousselham et al., ICCV 2025, eq. 5 to 9",
    unit="slope of the class's logit",
    compute=legrad,
    class_specific=True,
    needs="relevance",
    options={"start_layer": Option(0, "First layer that takes part, counted from 0.", low=0)},
    passes="2 + 1 back",
)
