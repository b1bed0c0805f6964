"""Which map stands on a card: the best that the model has without being asked."""

from __future__ import annotations

from attnlib.capture.support import Support
from attnlib.methods import METHODS, Method

# Those of a class, then those of none; the last is defined for every model and takes 12 passes.
KNOWN = ("relevance", "gradcam", "rollout", "raw", "integrated")
# What speaks for the mistake: the one that has the cause on top most often, and one that is
# defined for every model that has relevance, and takes less memory.
CONTRASTS = ("integrated_relevance_contrast", "contrast")
# Within a sentence.
WORDS = {"relevance": "relevance", "gradcam": "Grad-CAM", "integrated": "integrated gradients"}


def method(support: Support) -> Method:
    """The method of the maps on cards.

    Gradient-weighted relevance where it is defined; of models of windows or a pyramid Grad-CAM;
    else the attention that is the same for every class; integrated gradients where there is none.
    """
    return METHODS[next(one for one in KNOWN if support.defines(METHODS[one].needs))]


def word(method: Method) -> str:
    """What it is called within a sentence."""
    return WORDS.get(method.name, method.short)
