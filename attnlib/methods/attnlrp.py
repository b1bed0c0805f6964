"""AttnLRP: relevance that passes the values and the weights of attention.

The half that goes through the softmax is not conserved: its derivative hands on another amount than
it gets, so the parts do not sum to the logit. CP-LRP leaves that half out, and is.
"""

from __future__ import annotations

from torch import Tensor

from attnlib.methods.base import Method
from attnlib.methods.contrast import AGAINST, two
from attnlib.methods.lrp import PATENT, relevances
from attnlib.methods.subject import Subject


def attnlrp(subject: Subject, target: int | None) -> Tensor:
    """Relevance to the target's logit, ``(N,)``, negative where a patch speaks against it."""
    return relevances(subject, target, None, through_weights=True)


def attnlrp_contrast(subject: Subject, target: int | None, *, against: int | None = None) -> Tensor:
    """Relevance to the margin z_target − z_against, ``(N,)``, signed.

    Raises:
        AttnlibError: the classes are not two.
    """
    return relevances(subject, *two(target, against), through_weights=True)


SOURCE = "Achtibat et al., ICML 2024, section 3"

ATTNLRP = Method(
    name="attnlrp",
    title="AttnLRP",
    abbreviation="LRP",
    description=(
        "The class's logit shared out among the pixels, operation by operation, by the rules of "
        "layer-wise relevance propagation (LRP). Negative patches speak against it. The parts do "
        "not sum to the logit, since what goes through the softmax of attention is not conserved. "
        f"{PATENT}"
    ),
    source=SOURCE,
    unit="share of the class's logit",
    compute=attnlrp,
    class_specific=True,
    signed=True,
    needs="nothing",
    patented=True,
    passes="1 + 1 back",
)

ATTNLRP_CONTRAST = Method(
    name="attnlrp_contrast",
    title="Contrast by AttnLRP",
    compared=False,
    description=(
        "The margin between the target class's logit and the other one's, shared out among the "
        "pixels by layer-wise relevance propagation (LRP). Negative patches speak for the other "
        f"class. {PATENT}"
    ),
    source=f"{SOURCE}, for the margin of two logits",
    unit="share of the margin",
    compute=attnlrp_contrast,
    class_specific=True,
    signed=True,
    needs="nothing",
    options={"against": AGAINST},
    patented=True,
    passes="1 + 1 back",
)
