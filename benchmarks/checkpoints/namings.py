"""State dicts under the names of torchvision, open_clip and MONAI."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torchvision
from timm.data.constants import IMAGENET_DEFAULT_MEAN, OPENAI_CLIP_MEAN
from torch import nn

from benchmarks.checkpoints.kind import TINY, Made, file, filled, kind


@kind("torchvision vit_b_16, its own names")
def _torchvision(folder: Path) -> Made:
    module = torchvision.models.VisionTransformer(
        image_size=64, patch_size=16, num_layers=2, num_heads=3, hidden_dim=192, mlp_dim=768,
        num_classes=3,
    )  # fmt: skip
    filled(module)
    path = file(folder, "tv.pth", {"model": module.state_dict()})
    return Made(TINY, {"checkpoint": path, "img_size": 64, "model_args": {"depth": 2}}, module,
                upload=path, mean=IMAGENET_DEFAULT_MEAN)  # fmt: skip


@kind("open_clip: a whole CLIP, its image tower with the projection")
def _open_clip(folder: Path) -> Made:
    import open_clip

    model: Any = filled(open_clip.create_model("ViT-B-32"))
    path = file(folder, "open_clip.pt", {"epoch": 3, "state_dict": model.state_dict()})
    return Made(
        "vit_base_patch32_clip_224",
        {"checkpoint": path},
        model.visual,
        upload=path,
        outputs="features",
        mean=OPENAI_CLIP_MEAN,
    )


@kind("open_clip: the image tower alone, with a classifier of one's own")
def _open_clip_tuned(folder: Path) -> Made:
    import open_clip

    visual = open_clip.create_model("ViT-B-32").visual
    visual.proj = None
    module = filled(nn.Sequential(OrderedDict([("tower", visual), ("fc", nn.Linear(768, 3))])))
    path = file(folder, "tuned.pt", module.state_dict())
    return Made(
        "vit_base_patch32_clip_224",
        {"checkpoint": path},
        module,
        upload=path,
        outputs="classes",
        mean=OPENAI_CLIP_MEAN,
    )


@kind("MONAI ViT, its own names")
def _monai(folder: Path) -> Made:
    from monai.networks.nets import ViT

    module = ViT(
        in_channels=3, img_size=(64, 64), patch_size=16, hidden_size=192, mlp_dim=768,
        num_layers=2, num_heads=3, classification=True, num_classes=3, spatial_dims=2,
        post_activation=None,
    )  # fmt: skip
    filled(module)
    path = file(folder, "monai.pt", module.state_dict())
    return Made(
        TINY,
        {"checkpoint": path, "img_size": 64, "model_args": {"depth": 2}},
        module,
        lambda x: module(x)[0],
        upload=path,
        mean=(0.0,) * 3,
    )
