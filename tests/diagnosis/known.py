"""Sets whose truth is known: a model's probabilities are made, and labels are drawn from them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image

import attnlib
from attnlib.diagnosis import Examined

NAMES = ("ant", "bee", "cow", "dog", "elk", "fox", "gnu", "hen")


@cache
def tiny() -> attnlib.Vit:
    """A ViT of one layer over 4 x 4 patches with the classes above."""
    torch.manual_seed(0)
    module = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=1, num_classes=len(NAMES)
    )
    return attnlib.load(
        module.eval(), class_names=NAMES, device="cpu", preprocessing={"mean": 0.5, "std": 0.5}
    )


def sure(
    count: int, seed: int, spread: float = 4.0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities ``(n, C)`` of a calibrated model, and labels ``(n,)`` drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (count, len(NAMES)))
    logits[np.arange(count), rng.integers(0, len(NAMES), count)] += spread
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(len(NAMES), p=share) for share in shares])
    return shares, labels


def examined(
    shares: NDArray[np.float64], labels: NDArray[np.int64], vit: attnlib.Vit | None = None
) -> Examined:
    """A set of black images of which the model says ``shares``."""
    vit = vit or tiny()
    image = Image.new("RGB", (32, 32))
    record = vit.inspect(image, rollout=False)
    records = tuple(
        replace(
            record,
            probabilities=share.astype(np.float32),
            logits=np.log(share).astype(np.float32),
        )
        for share in shares
    )
    names = tuple(f"{place:03d}" for place in range(len(labels)))
    return Examined(vit, names, (image,) * len(names), records, labels, {})
