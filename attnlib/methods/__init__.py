"""Attribution methods, one per file, and their registry.

To add one: write ``compute(subject, target, **options) -> (N,)`` in a file of its own, describe
it as a :class:`Method`, and put it in ``METHODS``; the library, the pages and the tests pick it
up from there.
"""

from __future__ import annotations

from attnlib.methods.attnlrp import ATTNLRP, ATTNLRP_CONTRAST
from attnlib.methods.base import Method, Option, Registry
from attnlib.methods.baselines import CENTRE, RANDOM, UNIFORM
from attnlib.methods.contrast import CONTRAST
from attnlib.methods.cplrp import CPLRP
from attnlib.methods.daam import DAAM
from attnlib.methods.flow import FLOW
from attnlib.methods.gradcam import GRADCAM
from attnlib.methods.heat import Heat
from attnlib.methods.integrated import INTEGRATED, INTEGRATED_CONTRAST
from attnlib.methods.integrated_relevance import (
    INTEGRATED_RELEVANCE,
    INTEGRATED_RELEVANCE_CONTRAST,
)
from attnlib.methods.legrad import LEGRAD
from attnlib.methods.object_map import OBJECT_MAP
from attnlib.methods.occlusion import OCCLUSION
from attnlib.methods.raw import RAW
from attnlib.methods.relevance import RELEVANCE
from attnlib.methods.residual import RESIDUAL
from attnlib.methods.rise import RISE
from attnlib.methods.rollout import ROLLOUT
from attnlib.methods.subject import Subject

METHODS = Registry(
    [
        RAW,
        ROLLOUT,
        RESIDUAL,
        FLOW,
        RELEVANCE,
        CONTRAST,
        INTEGRATED_RELEVANCE,
        INTEGRATED_RELEVANCE_CONTRAST,
        GRADCAM,
        ATTNLRP,
        ATTNLRP_CONTRAST,
        CPLRP,
        LEGRAD,
        DAAM,
        INTEGRATED,
        INTEGRATED_CONTRAST,
        OCCLUSION,
        RISE,
        OBJECT_MAP,
        CENTRE,
        RANDOM,
        UNIFORM,
    ]
)

__all__ = ["METHODS", "Heat", "Method", "Option", "Subject"]
