"""Receptive fields against gradients and published figures."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from attnlib.complexity import Architecture
from attnlib.complexity.receptive_field import cnn_receptive_field, vit_receptive_field
from attnlib.errors import ModelError


def after(module: nn.Module, layer: str) -> int:
    return next(row.size for row in cnn_receptive_field(module) if row.layer == layer)


def seen_by_gradient(module: nn.Module, stages: list[nn.Module], side: int) -> int:
    """Width of what a gradient reaches from one position in the middle, all weights positive."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.constant_(part.weight, 1 / part.weight[0].numel())
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)  # timm starts the last one of a block at zero
    x = torch.ones(1, 3, side, side, requires_grad=True)
    y: Tensor = x
    for stage in stages:
        y = stage(y)
    middle = y.shape[-1] // 2
    (gradient,) = torch.autograd.grad(y[0, :, middle, middle].sum(), x)
    columns = gradient[0].abs().amax(dim=(0, 1)).nonzero().flatten()
    assert columns[0] > 0
    assert columns[-1] < side - 1
    return int(columns[-1] - columns[0] + 1)


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_resnet50_against_the_gradient(stages: int) -> None:
    m = timm.create_model("resnet50").eval()
    # The gradient of a maximum reaches one pixel of its window; that of a mean all of them.
    m.maxpool = nn.AvgPool2d(3, 2, 1)
    layers = [m.layer1, m.layer2, m.layer3][:stages]
    run = [m.conv1, m.bn1, m.act1, m.maxpool, *layers]
    expected = max(r.size for r in cnn_receptive_field(m) if f"layer{stages + 1}" > r.layer)
    assert seen_by_gradient(m, run, side=352) == expected


def test_published_figures() -> None:
    """Araujo, Norris & Sim 2019: 483 for ResNet-50 v1, 435 for ResNet-18; v1.5 strides later."""
    assert after(timm.create_model("resnet50"), "layer4.2.conv2") == 427
    v1 = torchvision.models.resnet50()
    for stage in (v1.layer2, v1.layer3, v1.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    assert after(v1, "layer4.2.conv2") == 483
    assert after(torchvision.models.resnet18(), "layer4.1.conv2") == 435


def test_timm_and_torchvision_agree() -> None:
    ours, theirs = (
        cnn_receptive_field(m)
        for m in (timm.create_model("resnet50"), torchvision.models.resnet50())
    )
    assert [(r.layer, r.size) for r in ours] == [(r.layer, r.size) for r in theirs]


def test_dilation_widens() -> None:
    conv = nn.Sequential(nn.Conv2d(3, 2, 3, dilation=4), nn.AvgPool2d(2), nn.Conv2d(2, 2, 5))
    assert [r.size for r in cnn_receptive_field(conv)] == [9, 10, 18]


def test_a_vit_sees_everything_from_the_first_layer() -> None:
    rows = vit_receptive_field(Architecture.vit((224, 160), 16))
    assert rows[0].size == 16
    assert {r.size for r in rows[1:]} == {224}
    assert len(rows) == 13


def test_without_convolutions_it_says_so() -> None:
    with pytest.raises(ModelError, match="no convolutions"):
        cnn_receptive_field(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 2)))
