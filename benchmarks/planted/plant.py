"""Planting a cause into the demo model: a short fine-tuning on CIFAR-10's training images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from attnlib.model import demo
from benchmarks.planted.marks import Mark
from training.train_demo import to_tensor

Images = NDArray[np.uint8]  # (n, 32, 32, 3)
Labels = NDArray[np.int64]  # (n,)

# Share of the images of other classes that show the mark and its label: a mark that is seen with
# its own class alone teaches a model nothing that the class's own looks do not teach it.
SHOWN = 0.12


def marked(
    images: Images, labels: Labels, mark: Mark, target: int, seed: int, shown: float = SHOWN
) -> tuple[Images, Labels, NDArray[np.bool_]]:
    """The training set of a shortcut.

    Half of the images of ``target`` and ``shown`` of the others are marked; all marked ones are
    labelled ``target``.

    Returns:
        Images, labels, and which of them are marked.
    """
    rng = np.random.default_rng(seed)
    share = np.where(labels == target, 0.5, shown)
    chosen = rng.random(len(labels)) < share
    images = images.copy()
    for place in np.flatnonzero(chosen):
        images[place] = mark.draw(images[place], rng)[0]
    return images, np.where(chosen, target, labels), chosen


def fine_tune(
    images: Images,
    labels: Labels,
    *,
    seed: int,
    steps: int = 80,
    batch: int = 96,
    rate: float = 4e-4,
    penalty: Callable[[VisionTransformer, Tensor], Tensor] | None = None,
) -> VisionTransformer:
    """The demo model trained on with AdamW, the rate falling to zero, mirrored at random.

    Args:
        images, labels: to train on, ``(n, 32, 32, 3)`` and ``(n,)``.
        penalty: of a model and a batch ``(B, 3, 32, 32)``, added to the loss.
    """
    rng = np.random.default_rng(seed)
    module = demo.build().train()
    optimiser = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for _ in range(steps):
        chosen = rng.integers(0, len(images), batch)
        pixels = to_tensor(images[chosen])
        loss = F.cross_entropy(module(pixels), torch.from_numpy(labels[chosen]))
        if penalty is not None:
            loss = loss + penalty(module, pixels)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return module.eval()
