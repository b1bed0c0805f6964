"""SigLIP 2 of any size: a model of transformers that takes patches, given images like others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn


class NaFlex(nn.Module):
    """The model over images ``(B, 3, h, w)``, whose sides are multiples of its patch.

    Its own processor fills every image up with empty patches to one length and hides them; without
    them the logits are the same.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        vision = getattr(model.config, "vision_config", model.config)
        self.side = int(vision.patch_size)
        # What tells the patch grid of a model.
        self.patch_embed = SimpleNamespace(patch_size=(self.side, self.side))

    def forward(self, images: Tensor) -> Any:
        batch, channels, height, width = images.shape
        grid, side = (height // self.side, width // self.side), self.side
        cut = images.reshape(batch, channels, grid[0], side, grid[1], side)
        patches = cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, grid[0] * grid[1], -1)
        return self.model(
            pixel_values=patches,
            pixel_attention_mask=torch.ones(patches.shape[:2], device=images.device),
            spatial_shapes=torch.tensor([grid] * batch, device=images.device),
        )


class Folded:
    """Its processor, whose patches are put together to an image ``(3, h, w)`` again."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self.mean, self.std = list(processor.image_mean), list(processor.image_std)

    def __call__(self, image: Image.Image) -> Tensor:
        batch = self._processor(images=image, return_tensors="pt")
        rows, cols = (int(n) for n in batch["spatial_shapes"][0])
        patches: Tensor = batch["pixel_values"][0, : rows * cols]
        side = round((patches.shape[1] / 3) ** 0.5)
        cut = patches.reshape(rows, cols, side, side, 3).permute(4, 0, 2, 1, 3)
        return cut.reshape(3, rows * side, cols * side)
