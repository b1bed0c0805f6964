"""Grad-CAM of models whose layers share no relevance, and whose class token reads in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from timm.models.mvitv2 import MultiScaleVit, MultiScaleVitCfg
from torch import Tensor, nn

import attnlib
from attnlib.errors import CaptureError

CLASSES = 5


def timms(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, num_classes=CLASSES, **options)


def mvit() -> nn.Module:
    cfg = MultiScaleVitCfg(depths=(1, 1, 1, 2), embed_dim=24, num_heads=1, use_cls_token=True)
    return MultiScaleVit(cfg, img_size=64, global_pool="token", num_classes=CLASSES)


@dataclass(frozen=True)
class Kind:
    """A tiny model of one kind.

    Attributes:
        size: height and width of its input.
        last: the normalisation ahead of its last attention, after which the class token reads.
        places: of what that gives, behind the class token.
        patches: the grid that maps have.
    """

    make: Callable[[], nn.Module]
    size: tuple[int, int]
    last: Callable[[Any], nn.Module]
    places: tuple[int, int]
    patches: tuple[int, int]


KINDS = {
    "mvit": Kind(mvit, (64, 64), lambda m: m.stages[-1].blocks[-1].norm1, (2, 2), (16, 16)),
    "pit": Kind(
        timms("pit_ti_224", img_size=96, depth=(1, 1, 2), base_dims=(8, 8, 8)),
        (96, 96),
        lambda m: m.transformers[-1].blocks[-1].norm1,
        (3, 3),
        (6, 6),
    ),
    "convit": Kind(
        timms("convit_tiny", img_size=64, depth=3, local_up_to_layer=1, embed_dim=12),
        (64, 64),
        lambda m: m.blocks[-1].norm1,
        (4, 4),
        (4, 4),
    ),
    "cait": Kind(
        timms("cait_xxs24_224", img_size=64, depth=2, embed_dim=24, num_heads=2),
        (64, 64),
        lambda m: m.blocks_token_only[-1].norm1,
        (4, 4),
        (4, 4),
    ),
    "xcit": Kind(
        timms("xcit_nano_12_p16_224", depth=2, embed_dim=32),
        (64, 96),
        lambda m: m.cls_attn_blocks[-1].norm1,
        (4, 6),
        (4, 6),
    ),
}


def picture(size: tuple[int, int]) -> Image.Image:
    rng = np.random.default_rng(6)
    return Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))


def load(module: nn.Module, size: tuple[int, int]) -> attnlib.Vit:
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "head" in name and parameter.ndim == 2:
                parameter.normal_()
            elif "gamma" in name:
                # Scales of layers, which are all but zero before training.
                parameter.fill_(1.0)
    return attnlib.load(
        module.eval(), device="cpu", img_size=size, preprocessing={"mean": 0.5, "std": 0.5}
    )


@pytest.mark.parametrize("key", KINDS)
def test_is_that_of_pytorch_grad_cam(key: str) -> None:
    kind = KINDS[key]
    torch.manual_seed(0)
    vit = load(kind.make(), kind.size)
    image = picture(kind.size)
    (rows, cols), patches = kind.places, kind.patches

    def to_grid(tokens: Tensor) -> Tensor:
        return tokens[:, 1:].unflatten(1, (rows, cols)).movedim(3, 1)

    reference = GradCAM(vit.module, [kind.last(vit.module)], reshape_transform=to_grid)
    # Without this theirs is enlarged to the input, which changes ranks.
    reference.get_target_width_height = lambda pixels: (cols, rows)
    differing = 0
    for target in range(CLASSES):
        heat = vit.attribute(image, "gradcam", target)
        theirs = reference(vit.pixels(image), [ClassifierOutputTarget(target)])[0]
        large = np.kron(
            theirs, np.ones([p // n for p, n in zip(patches, kind.places, strict=True)])
        )
        found = heat.values - heat.values.min()
        np.testing.assert_allclose(found / found.max().clip(1e-7), large, atol=1e-3)
        differing += len(np.unique(heat.values)) > 1
    assert differing >= 2


@pytest.mark.parametrize("name", ["crossvit_tiny_240", "pit_ti_distilled_224"])
def test_more_than_one_token_of_more_than_one_place_is_refused_with_the_way_out(name: str) -> None:
    options = {"depth": ((1, 1, 0),)} if "crossvit" in name else {"depth": (1, 1, 1)}
    torch.manual_seed(0)
    size = (int(name[-3:]),) * 2
    vit = load(timm.create_model(name, num_classes=CLASSES, **options), size)
    with pytest.raises(CaptureError, match="Occlusion, RISE and integrated gradients"):
        vit.attribute(picture(size), "gradcam", 0)


def test_places_that_stand_elsewhere_are_refused() -> None:
    """The picture column by column: a map of the places would be turned."""

    class Turned(nn.Module):
        def __init__(self, turn: bool) -> None:
            super().__init__()
            self.inner, self.turn = mvit(), turn
            self.patch_embed = self.inner.patch_embed

        def forward(self, pixels: Tensor) -> Tensor:
            return self.inner(pixels.mT if self.turn else pixels)

    image = picture((64, 64))
    torch.manual_seed(0)
    straight = load(Turned(False), (64, 64))
    assert straight.attribute(image, "gradcam", 1).values.shape == (16, 16)
    with pytest.raises(CaptureError, match="could be misplaced"):
        load(Turned(True), (64, 64)).attribute(image, "gradcam", 1)
