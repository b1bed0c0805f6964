"""CP-LRP: relevance that passes attention by its values alone.

So it is conserved: all that goes in comes out, in the pixels and in what the model adds itself.
AttnLRP's is not: half of what reaches attention goes on through its weights, and the softmax, whose
derivative it takes, hands on another amount than it gets.
"""

from __future__ import annotations

from torch import Tensor

from attnlib.methods.base import Method
from attnlib.methods.lrp import PATENT, relevances
from attnlib.methods.subject import Subject


def cplrp(subject: Subject, target: int | None) -> Tensor:
    """Relevance to the target's logit, ``(N,)``, negative where a patch speaks against it.

    With attention weights and deviations as constants the model is a linear map, of pixels and
    of what it adds itself: biases, position embeddings, prefix tokens. The logit is the sum of
    what all of these give; what is shown here is the part of the pixels.
    """
    return relevances(subject, target, None, through_weights=False)


CPLRP = Method(
    name="cplrp",
    title="CP-LRP",
    abbreviation="CP",
    compared=False,
    description=(
        "As AttnLRP, with attention's weights as constants: what the patches contain counts, "
        f"not what makes them be looked at. {PATENT}"
    ),
    source="Ali et al., ICML 2022, section 4",
    unit="share of the class's logit",
    compute=cplrp,
    class_specific=True,
    signed=True,
    needs="nothing",
    patented=True,
    passes="1 + 1 back",
)
