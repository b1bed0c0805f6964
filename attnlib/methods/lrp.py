"""Layer-wise relevance propagation: the logit shared out among the pixels by LRP's rules."""

from __future__ import annotations

import torch
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.gradients import slopes
from attnlib.methods.base import asked
from attnlib.methods.lrp_rules import Rules
from attnlib.methods.perturbation import per_patch
from attnlib.methods.subject import Subject

# What lxt, the authors' own code, says of the family.
PATENT = "LRP is under patent: free for personal and scientific use only."


def relevances(
    subject: Subject, target: int | None, against: int | None, *, through_weights: bool
) -> Tensor:
    """The relevance of every patch to a logit, or to a margin of two, ``(N,)``, signed.

    Pixel by pixel the value of the model's input times its gradient under the rules of
    :mod:`attnlib.methods.lrp_rules`, summed over a patch. One pass forward and one back.

    Args:
        target: class that is explained.
        against: with it, z_target − z_against is. As the rules are linear in what is handed
            back, this is the difference of the two classes' relevances.
        through_weights: as in :class:`attnlib.methods.lrp_rules.Rules`.

    Raises:
        AttnlibError: there is no target.
        CaptureError: the model makes an operation without a rule, or its logits do not depend
            on the image.
    """
    target = asked(target)
    vit = subject.vit
    pixels = subject.pixels.detach().clone().requires_grad_()
    with torch.enable_grad():
        with Rules(through_weights=through_weights):
            logits, _ = passes.forward(vit.module, pixels, precision=vit.precision)
        scores = vit.outputs.scores(logits)[0]
        explained = scores[target] if against is None else scores[target] - scores[against]
    (gradient,) = slopes(explained, [pixels], "the image")
    return per_patch(subject.layout, (pixels.detach() * gradient).sum(dim=1))
