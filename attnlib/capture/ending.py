"""Whether a model's outputs come from a classifier or from a normalisation, by their graph."""

from __future__ import annotations

import re

from torch import Tensor

# Steps that hand on what they get, in the names of autograd's nodes.
_HANDS_ON = re.compile(
    r"(View|UnsafeView|Select|Slice|Squeeze|Unsqueeze|Mean|T|Transpose|Permute|Clone|Alias"
    r"|ToCopy|Expand|Index|AsStrided|Reshape)Backward"
)


def ends_normalised(logits: Tensor) -> bool:
    """Whether the outputs are, but for pooling, what a normalisation gave.

    Args:
        logits: ``(B, L)`` with their graph; without one the answer is no.
    """
    node = logits.grad_fn
    while node is not None:
        name = type(node).__name__
        if "LayerNorm" in name or "RmsNorm" in name or "BatchNorm" in name:
            return True
        if not _HANDS_ON.match(name):
            return False
        node = node.next_functions[0][0] if node.next_functions else None
    return False
