"""Models of windows or a pyramid have maps of a class: against pytorch-grad-cam and by hand."""

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
from torch import Tensor, nn

import attnlib
from attnlib.capture.places import last_places
from attnlib.errors import CaptureError
from attnlib.methods import METHODS

CLASSES = 5


@dataclass(frozen=True)
class Kind:
    """A tiny model of one kind.

    Attributes:
        size: height and width of its input.
        options: for timm.
        last: the module whose result is averaged in the end.
        places: of that result.
        channels: the dimension that holds its channels; None where places come in a row.
        patches: the grid that maps have.
    """

    name: str
    size: tuple[int, int]
    options: dict[str, Any]
    last: Callable[[Any], nn.Module]
    places: tuple[int, int]
    patches: tuple[int, int]
    channels: int | None = None


KINDS = {
    "swin": Kind(
        "swin_tiny_patch4_window7_224",
        (64, 96),
        {
            "img_size": (64, 96),
            "window_size": 4,
            "embed_dim": 24,
            "depths": (1, 2, 1),
            "num_heads": (1, 2, 3),
        },
        lambda module: module.norm,
        (4, 6),
        (16, 24),
        3,
    ),
    "mvit": Kind("mvitv2_tiny", (64, 64), {"img_size": 64}, lambda m: m.norm, (2, 2), (16, 16)),
    "hiera": Kind(
        "hiera_tiny_224",
        (64, 96),
        {"img_size": (64, 96), "embed_dim": 24, "stages": (1, 1, 2, 1), "num_heads": 1},
        lambda module: module.blocks[-1],
        (2, 3),
        (16, 24),
    ),
    "pvt": Kind(
        "pvt_v2_b0", (64, 96), {"depths": (1, 1, 1, 1)}, lambda m: m.stages[-1], (2, 3), (16, 24), 1
    ),
    "maxvit": Kind(
        "maxvit_tiny_tf_224",
        (64, 64),
        {"img_size": 64, "depths": (1, 1, 1, 1), "embed_dim": (32, 32, 64, 64)},
        lambda module: module.stages[-1],
        (2, 2),
        (32, 32),
        1,
    ),
}


def picture() -> Image.Image:
    rng = np.random.default_rng(6)
    return Image.fromarray(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8))


def make(kind: Kind) -> Any:
    torch.manual_seed(0)
    module: Any = timm.create_model(kind.name, num_classes=CLASSES, **kind.options).eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "head" in name:
                parameter.normal_()
    return module


def load(module: nn.Module, size: tuple[int, int]) -> attnlib.Vit:
    return attnlib.load(
        module, device="cpu", img_size=size, preprocessing={"mean": 0.5, "std": 0.5}
    )


@pytest.fixture(scope="module")
def loaded() -> Callable[[str], attnlib.Vit]:
    made: dict[str, attnlib.Vit] = {}

    def get(key: str) -> attnlib.Vit:
        if key not in made:
            kind = KINDS[key]
            made[key] = attnlib.load(
                make(kind),
                device="cpu",
                img_size=kind.size,
                preprocessing={"mean": 0.5, "std": 0.5},
            )
        return made[key]

    return get


@pytest.mark.parametrize("key", KINDS)
def test_gradcam_is_that_of_pytorch_grad_cam(
    key: str, loaded: Callable[[str], attnlib.Vit]
) -> None:
    kind, vit = KINDS[key], loaded(key)
    rows, cols = kind.places

    def to_grid(tokens: Tensor) -> Tensor:
        if kind.channels is None:
            tokens = tokens.unflatten(1, (rows, cols))
        return tokens if kind.channels == 1 else tokens.movedim(3, 1)

    reference = GradCAM(vit.module, [kind.last(vit.module)], reshape_transform=to_grid)
    # Without this theirs is enlarged to the input, which changes ranks.
    reference.get_target_width_height = lambda pixels: (cols, rows)
    differing = 0
    for target in range(CLASSES):
        heat = vit.attribute(picture(), "gradcam", target)
        assert heat.values.shape == kind.patches
        theirs = reference(vit.pixels(picture()), [ClassifierOutputTarget(target)])[0]
        large = np.kron(
            theirs, np.ones([p // n for p, n in zip(kind.patches, theirs.shape, strict=True)])
        )
        found = heat.values - heat.values.min()
        np.testing.assert_allclose(found / found.max().clip(1e-7), large, atol=1e-3)
        differing += len(np.unique(heat.values)) > 1
    assert differing >= 2


@pytest.mark.parametrize("key", KINDS)
def test_what_needs_the_answer_alone_is_defined(
    key: str, loaded: Callable[[str], attnlib.Vit]
) -> None:
    """Each against its own definition, with pictures made by hand."""
    kind, vit = KINDS[key], loaded(key)
    pixels = vit.pixels(picture())
    with torch.no_grad():
        target = int(vit.module(pixels).argmax())
    way = torch.cat([pixels * place for place in (0.25, 0.75)]).requires_grad_()
    (slope,) = torch.autograd.grad(vit.module(way)[:, target].sum(), way)
    each = (pixels * slope.mean(dim=0)).sum(dim=1)
    rows, cols = kind.patches
    expected = each.unflatten(1, (rows, -1)).unflatten(3, (cols, -1)).sum((0, 2, 4))
    parts = vit.attribute(picture(), "integrated", target, steps=2).values
    np.testing.assert_allclose(parts, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    side = -(-min(kind.patches) // 14)
    assert side > 1
    drops = vit.attribute(picture(), "occlusion", target).values
    down, across = (size // patches for size, patches in zip(kind.size, kind.patches, strict=True))
    covered = pixels.clone()
    covered[:, :, : side * down, : side * across] = 0
    with torch.no_grad():
        probability = [vit.module(x).softmax(1)[0, target] for x in (pixels, covered)]
    assert drops[0, 0] == pytest.approx(float(probability[0] - probability[1]), abs=1e-5)
    assert len(np.unique(drops[:side, :side])) == 1
    masked = vit.attribute(picture(), "rise", target, count=32).values
    assert masked.shape == kind.patches and np.ptp(masked) > 0
    offered = {name for name, m in METHODS.items() if vit.support.defines(m.needs)}
    assert offered == {
        *("gradcam", "attnlrp", "attnlrp_contrast", "cplrp", "integrated", "occlusion", "rise"),
        "integrated_contrast",
        *("centre", "random", "uniform"),
    }


def test_few_squares_are_replaced(loaded: Callable[[str], attnlib.Vit]) -> None:
    steps: list[tuple[int, int]] = []
    vit = loaded("maxvit")
    subject = vit.subject(picture())
    vit.explain(subject, "occlusion", 0, progress=lambda *step: steps.append(step))
    # Of 1,024 patches three at a time: eleven squares down and across, and the plain picture.
    assert steps[-1] == (122, 122)


def test_places_that_stand_elsewhere_are_refused() -> None:
    """The same tokens column by column: a map of them would be turned."""

    class Turned(nn.Module):
        def __init__(self, turn: bool) -> None:
            super().__init__()
            self.patch_embed = timm.layers.PatchEmbed(64, 8, 3, 16, strict_img_size=False)
            self.head, self.turn = nn.Linear(16, 3), turn

        def forward(self, pixels: Tensor) -> Tensor:
            x = self.patch_embed(pixels)  # (B, 64, 16)
            windows = x.unflatten(1, (4, 16)).flatten(0, 1)[:, None]
            mixed = nn.functional.scaled_dot_product_attention(windows, windows, windows)
            x = x + mixed[:, 0].unflatten(0, (-1, 4)).flatten(1, 2)
            if self.turn:
                x = x.unflatten(1, (8, 8)).transpose(1, 2).flatten(1, 2)
            x = x * 1.5
            return self.head(x.mean(dim=1))

    torch.manual_seed(1)
    straight, turned = (load(Turned(turn).eval(), (64, 64)) for turn in (False, True))
    assert straight.support.averaged and turned.support.averaged
    assert straight.attribute(picture(), "gradcam", 0).values.shape == (8, 8)
    with pytest.raises(CaptureError, match="do not change with the part of the image"):
        turned.attribute(picture(), "gradcam", 0)


def test_refusals_say_what_is_defined() -> None:
    small = {"img_size": 32, "num_classes": 3, "window_size": 2, "embed_dim": 24}
    swin = timm.create_model(
        "swin_tiny_patch4_window7_224", depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1), **small
    ).eval()
    one = attnlib.load(swin, device="cpu", img_size=32)
    with pytest.raises(CaptureError, match=r"more than one place.*Occlusion, RISE and integrated"):
        one.attribute(picture(), "gradcam", 0)
    hiera = KINDS["hiera"]
    module = timm.create_model(hiera.name, num_classes=3, **hiera.options).eval()
    nn.init.zeros_(module.head.fc.weight)
    empty = load(module, hiera.size)
    with pytest.raises(CaptureError, match="may be untrained"):
        last_places(empty, empty.pixels(picture()), 0)
    branches = timm.create_model("crossvit_tiny_240", depth=((1, 1, 0),), num_classes=3).eval()
    crossvit = attnlib.load(branches, device="cpu")
    with pytest.raises(CaptureError, match="reduced keys or on another grid"):
        crossvit.attribute(picture(), "relevance", 0)
    with pytest.raises(CaptureError, match="Occlusion, RISE and integrated"):
        crossvit.attribute(picture(), "gradcam", 0)
