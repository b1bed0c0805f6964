"""Whether two models have the same weights, told by their content."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def fingerprint(module: nn.Module) -> str:
    """SHA-256 of all parameters and buffers, by name, type, shape and value.

    The device does not matter, the precision does.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):
            continue
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name}\n{plain.dtype}\n{tuple(plain.shape)}\n".encode())
        # NumPy has no bfloat16: bytes are bytes.
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
