"""The hash of a model's weights: which numbers they are, wherever they came from."""

from __future__ import annotations

import hashlib
from weakref import WeakKeyDictionary

import torch
from torch import nn

from attnlib.model.vit import Vit

_known: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()


def sha256_of(vit: Vit) -> str:
    """SHA-256 over the names, types, shapes and bytes of all weights, in the order of names."""
    found = _known.get(vit.module)
    if found is None:
        found = _known[vit.module] = _digest(vit.module)
    return found


def _digest(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(data.numpy().data)
    return digest.hexdigest()
