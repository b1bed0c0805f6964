"""The door from tensors on the model's device to arrays on the host."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def array(tensor: Tensor) -> NDArray[np.float32]:
    """The tensor's values as a float32 array of the same shape, contiguous, on the host."""
    # To the host first: not every accelerator knows every type that a tensor may have.
    return np.ascontiguousarray(tensor.cpu().float().numpy())
