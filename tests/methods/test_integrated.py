"""Integrated gradients against captum, and against what they must sum to."""

from __future__ import annotations

import captum.attr
import numpy as np
import pytest
import timm
import torch
from PIL import Image

import attnlib
from attnlib.errors import AttnlibError
from attnlib.methods import Subject, perturbation


@pytest.fixture(scope="module")
def vit() -> attnlib.Vit:
    torch.manual_seed(0)
    module = timm.create_model(
        "vit_tiny_patch16_224", img_size=(48, 80), depth=2, num_classes=5
    ).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return attnlib.load(module.eval(), device="cpu")


def picture() -> Image.Image:
    rng = np.random.default_rng(1)
    return Image.fromarray(rng.integers(0, 256, (48, 80, 3), dtype=np.uint8))


@pytest.mark.parametrize("replacement", perturbation.REPLACEMENTS)
@pytest.mark.parametrize("steps", [2, 7])
def test_is_captums(vit: attnlib.Vit, replacement: perturbation.Replacement, steps: int) -> None:
    pixels = vit.pixels(picture())
    start = perturbation.reference(pixels, replacement)
    theirs = captum.attr.IntegratedGradients(vit.module).attribute(
        pixels, start, target=3, n_steps=steps, method="riemann_middle"
    )
    expected = theirs.sum(1)[0].unflatten(0, (3, 16)).unflatten(2, (5, 16)).sum((1, 3))
    heat = vit.attribute(picture(), "integrated", 3, replacement=replacement, steps=steps)
    np.testing.assert_allclose(heat.values, expected.detach().numpy(), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_parts_sum_to_the_difference_of_the_logits_the_better_the_more_steps(
    vit: attnlib.Vit,
) -> None:
    pixels = vit.pixels(picture())
    start = perturbation.reference(pixels, "zero")
    gap = float((vit.module(pixels) - vit.module(start))[0, 1])
    errors = [
        abs(float(vit.attribute(picture(), "integrated", 1, steps=s).values.sum()) - gap)
        for s in (4, 64)
    ]
    assert errors[1] < 2e-3 * abs(gap) and errors[1] < errors[0] / 10


def test_says_how_far_it_is_and_can_be_stopped(vit: attnlib.Vit) -> None:
    told: list[tuple[int, int]] = []
    subject = Subject(vit, vit.pixels(picture()))
    vit.explain(subject, "integrated", 0, steps=10, progress=lambda *now: told.append(now))
    assert told[-1] == (10, 10) and [done for done, _ in told] == sorted({d for d, _ in told})

    def stop(done: int, steps: int) -> None:
        raise AttnlibError("stopped")

    with pytest.raises(AttnlibError, match="stopped"):
        vit.explain(subject, "integrated", 0, progress=stop)


def test_a_backbone_without_a_graph_is_explained_too(vit: attnlib.Vit) -> None:
    class Frozen(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return self.inner(x)

    frozen = attnlib.load(
        Frozen(vit.module),
        device="cpu",
        img_size=(48, 80),
        preprocessing={"mean": 0.5, "std": 0.5},
    )
    expected = vit.explain(Subject(vit, vit.pixels(picture())), "integrated", 2).values
    found = frozen.explain(Subject(frozen, vit.pixels(picture())), "integrated", 2).values
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.abs(expected).max() > 0


def test_the_contrast_is_the_difference_of_two_classes(
    vit: attnlib.Vit, noise: Image.Image
) -> None:
    """The margin's gradient is the difference of gradients, made here in two maps."""
    for replacement in ("zero", "blur"):
        one, other = (
            vit.attribute(noise, "integrated", target, replacement=replacement).values
            for target in (3, 2)
        )
        found = vit.attribute(
            noise, "integrated_contrast", 3, against=2, replacement=replacement
        ).values
        np.testing.assert_allclose(found, one - other, atol=1e-4 * np.abs(found).max() + 1e-6)
    with pytest.raises(AttnlibError, match="both are 3"):
        vit.attribute(noise, "integrated_contrast", 3, against=3)
