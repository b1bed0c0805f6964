"""Ready modules, in the wrappers that people put around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from benchmarks.checkpoints.kind import SHORT, TINY, Made, filled, kind, tiny

TRANSFORM = torchvision.transforms.Compose(
    [
        torchvision.transforms.Resize((64, 64)),
        torchvision.transforms.ToTensor(),
        torchvision.transforms.Normalize([0.5] * 3, [0.5] * 3),
    ]
)
GIVEN: dict[str, Any] = {"transform": TRANSFORM}


class Wrapped(nn.Module):
    """A backbone in a class of one's own."""

    def __init__(self, mean: bool = False, **options: Any) -> None:
        super().__init__()
        self.backbone: Any = timm.create_model(TINY, **SHORT, num_classes=0, **options)
        self.fc: Any = nn.Linear(192, 3)
        self.mean = mean

    def forward(self, x: Tensor) -> Any:
        if self.mean:
            return self.fc(self.backbone.forward_features(x)[:, 1:].mean(1))
        return self.fc(self.backbone(x))


class Scratch(nn.Module):
    """A ViT as tutorials write it, with a token called ``cls``."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 48, 16, 16)
        self.cls = nn.Parameter(torch.zeros(1, 1, 48))
        self.pos = nn.Parameter(torch.zeros(1, 17, 48))
        layer = nn.TransformerEncoderLayer(48, 4, 96, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(48, 3)

    def forward(self, x: Tensor) -> Any:
        x = self.patches(x).flatten(2).mT
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
        return self.head(self.encoder(x)[:, 0])


def _enter(title: str, make: Any, readout: str, logits: Any = None) -> None:
    @kind(f"ready module: {title}")
    def entered(folder: Path) -> Made:
        module = filled(make())
        return Made(
            module, GIVEN, module, logits and (lambda x: logits(module, x)), readout=readout
        )


def _vit_pytorch(**options: Any) -> Any:
    from vit_pytorch import ViT

    made: nn.Module = ViT(
        image_size=64, patch_size=16, num_classes=3, dim=48, depth=2, heads=4, mlp_dim=96, **options
    )
    return made


def _simple_vit() -> Any:
    from vit_pytorch import SimpleViT

    made: nn.Module = SimpleViT(
        image_size=64, patch_size=16, num_classes=3, dim=48, depth=2, heads=4, mlp_dim=96
    )
    return made


def _deepvit() -> Any:
    from vit_pytorch.deepvit import DeepViT

    made: nn.Module = DeepViT(
        image_size=64, patch_size=16, num_classes=3, dim=48, depth=2, heads=4, mlp_dim=96
    )
    return made


def _monai() -> Any:
    from monai.networks.nets import ViT

    made: nn.Module = ViT(
        in_channels=3, img_size=(64, 64), patch_size=16, hidden_size=48, mlp_dim=96, num_layers=2,
        num_heads=4, classification=True, num_classes=3, spatial_dims=2, post_activation=None,
    )  # fmt: skip
    return made


def _torchvision() -> Any:
    return torchvision.models.VisionTransformer(
        image_size=64, patch_size=16, num_layers=2, num_heads=4, hidden_dim=48, mlp_dim=96,
        num_classes=3,
    )  # fmt: skip


CLS, MEAN = "CLS token", "average over patches"
_enter("timm", tiny, CLS)
_enter("nn.DataParallel", lambda: nn.DataParallel(tiny(global_pool="avg")), MEAN)
# Compared with what is inside: to run what is compiled takes a C++ compiler.
_enter("torch.compile", lambda: torch.compile(tiny()), CLS, lambda module, x: module._orig_mod(x))
_enter("a backbone in a class", Wrapped, CLS)
_enter("a backbone in a class that averages", lambda: Wrapped(global_pool="avg"), MEAN)
_enter("a class with its own mean", lambda: Wrapped(mean=True), MEAN)
_enter("a backbone with registers in a class", lambda: Wrapped(reg_tokens=4), CLS)
_enter("from a tutorial, its token called cls", Scratch, "")
_enter("torchvision", _torchvision, CLS)
_enter("vit-pytorch", _vit_pytorch, CLS)
_enter("vit-pytorch, pool='mean'", lambda: _vit_pytorch(pool="mean"), "")
_enter("vit-pytorch SimpleViT", _simple_vit, MEAN)
_enter("vit-pytorch DeepViT (re-attention)", _deepvit, "")
_enter("MONAI ViT (einsum)", _monai, CLS, lambda module, x: module(x)[0])
