"""How models among windows and stages pool, against the gradient that a hook sees."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import attnlib
from tests.capture.plain_vit import Block, prepare

Pool = Callable[[nn.Module, Tensor], Tensor]


class Staged(nn.Module):
    """Two stages, the second on a coarser grid; ``pool`` is what the author made of its tokens."""

    def __init__(self, pool: Pool, normalised: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.down = nn.Conv2d(3, 32, 8, 8), nn.Conv2d(32, 32, 2, 2)
        self.first, self.second = (Block(32, 4, F.scaled_dot_product_attention) for _ in range(2))
        self.norm, self.score = nn.LayerNorm(32), nn.Linear(32, 1)
        self.place = nn.Parameter(torch.rand(1, 16, 1))
        self.fc = nn.Identity() if normalised else nn.Linear(32, 5)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.embed(x).flatten(2).mT)
        x = self.down(x.mT.reshape(len(x), 32, 8, 8)).flatten(2).mT
        return self.fc(self.pool(self, self.norm(self.second(x))))  # type: ignore[no-any-return]


def mean(model: nn.Module, x: Tensor) -> Tensor:
    return x.mean(1)


def of_a_map(model: nn.Module, x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x.mT.reshape(len(x), 32, 4, 4), 1).flatten(1)


def by_content(model: nn.Module, x: Tensor) -> Tensor:
    """Sequence pooling, as in CCT."""
    return torch.einsum("bn,bnd->bd", model.score(x)[..., 0].softmax(1), x)  # type: ignore[operator]


def by_place(model: nn.Module, x: Tensor) -> Tensor:
    return (x * model.place).sum(1)


def largest(model: nn.Module, x: Tensor) -> Tensor:
    return x.amax(1)


def leading(model: nn.Module, x: Tensor) -> Tensor:
    return x[:, 0]


def evenly(model: Staged) -> bool:
    """Whether the last tokens have one gradient each, as a hook on the normalisation sees them."""
    kept: list[Tensor] = []
    hook = model.norm.register_forward_hook(lambda m, i, out: kept.append(out))
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    logits = model.double()(image.double())
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[0, 1], kept[0])
    model.float()
    return bool(torch.allclose(gradient[0], gradient[0, :1], rtol=1e-9))


@pytest.mark.parametrize("pool", [mean, of_a_map, by_content, by_place, largest, leading])
def test_the_gradient_decides(pool: Pool) -> None:
    model = Staged(pool)
    vit = attnlib.load(model, transform=prepare, img_size=64)
    assert "local" in vit.support.roles and "layer" not in vit.support.roles
    assert evenly(model) == (pool in (mean, of_a_map))
    if evenly(model):
        assert vit.layout.query == "average over patches" and vit.notes == ()
    else:
        assert vit.layout.readout == "none"
        (note,) = vit.notes
        how = "on the first token of the last layer alone" if pool is leading else "not evenly"
        assert how in note


def test_a_fresh_head_of_zeros_hides_nothing() -> None:
    model = Staged(mean)
    nn.init.zeros_(model.fc.weight)
    assert attnlib.load(model, transform=prepare, img_size=64).layout.readout == "average"


class Cut(Staged):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).detach()


def test_what_cannot_be_measured_is_said() -> None:
    vit = attnlib.load(Cut(by_content), transform=prepare, img_size=64)
    (note,) = vit.notes
    assert "could not be measured" in note and "cuts its tokens off" in note


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "pit_ti_224", "nest_tiny"])
def test_models_that_say_it_themselves(name: str) -> None:
    torch.manual_seed(0)
    vit = attnlib.load(timm.create_model(name))
    said = "CLS token" if name.startswith("pit") else "average over patches"
    assert vit.layout.query == said and vit.notes == ()


@pytest.mark.parametrize("normalised", [True, False])
def test_the_same_pass_tells_whether_a_classifier_ends_it(normalised: bool) -> None:
    model, passes = Staged(mean, normalised), list[int]()
    model.register_forward_pre_hook(lambda *_: passes.append(1))
    vit = attnlib.load(model, transform=prepare, img_size=64)
    assert vit.outputs.kind == ("features" if normalised else "classes")
    assert len(passes) == 2, "one to see its attention, one for the gradient"
