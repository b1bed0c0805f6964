"""Replacing patches, and occlusion against captum and a plain loop in float64."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import captum.attr
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import attnlib
from attnlib.capture import passes
from attnlib.errors import AttnlibError, OutOfMemory
from attnlib.methods import METHODS, Subject, perturbation
from attnlib.methods.occlusion import occlusion
from attnlib.pictures import overlay


@pytest.fixture(scope="module")
def double() -> attnlib.Vit:
    """The demo model in float64."""
    vit = attnlib.load("demo", device="cpu")
    vit.module.double()
    return vit


# -- replacements ------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(9, 40), st.integers(9, 40))
def test_patches_lie_where_the_overlay_draws_them(
    rows: int, cols: int, height: int, width: int
) -> None:
    numbers = np.arange(rows * cols).reshape(rows, cols)
    drawn = overlay.resize(numbers, (width, height))
    index = perturbation.patch_index((height, width), (rows, cols))
    np.testing.assert_array_equal(index, drawn)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(8, 20), st.integers(8, 20), st.integers(1, 5))
def test_replace_takes_each_pixel_from_one_of_the_two(
    seed: int, height: int, width: int, rows: int
) -> None:
    rng = np.random.default_rng(seed)
    pixels, other = (torch.from_numpy(rng.normal(size=(1, 3, height, width))) for _ in range(2))
    masks = rng.random((4, rows, 3)) < 0.5
    result = perturbation.replace(pixels, other, torch.from_numpy(masks))
    for image, mask in zip(result, masks, strict=True):
        for y in range(height):
            for x in range(width):
                gone = mask[int((y + 0.5) * rows / height), int((x + 0.5) * 3 / width)]
                assert torch.equal(image[:, y, x], (other if gone else pixels)[0, :, y, x])


def test_references(double: attnlib.Vit, noise: Image.Image) -> None:
    pixels = double.pixels(noise)
    array = pixels[0].numpy()
    mean = perturbation.reference(pixels, "mean")
    for channel in range(3):
        np.testing.assert_allclose(mean[0, channel], array[channel].mean())
    assert not perturbation.reference(pixels, "zero").any()
    blurred = perturbation.reference(pixels, "blur")[0]
    # radius ceil(3 · 3.2) = 10 pixels
    expected = scipy.ndimage.gaussian_filter(
        array, (0, 3.2, 3.2), mode="mirror", radius=(0, 10, 10)
    )
    np.testing.assert_allclose(blurred, expected, atol=1e-6)
    with pytest.raises(AttnlibError, match=r"no replacement 'black'\. Choose one of blur, mean"):
        perturbation.reference(pixels, "black")  # type: ignore[arg-type]


def test_zero_is_the_training_mean(vit: attnlib.Vit) -> None:
    size = (vit.size[1], vit.size[0])
    grey = Image.new("RGB", size, tuple(round(255 * m) for m in vit.mean))
    assert float((vit.pixels(grey) - 0).abs().max()) < 1 / 255 / min(vit.std)


# -- occlusion ---------------------------------------------------------------------------------


def by_captum(vit: attnlib.Vit, pixels: Tensor, target: int, window: int) -> Any:
    def forward(batch: Tensor) -> Tensor:
        return vit.module(batch).softmax(dim=1)

    height, width = vit.layout.patch_size
    with torch.no_grad():
        drops = captum.attr.Occlusion(forward).attribute(
            pixels,
            sliding_window_shapes=(3, window * height, window * width),
            strides=(3, height, width),
            baselines=0,
            target=target,
            perturbations_per_eval=8,
        )
    return drops[0, 0, ::height, ::width].numpy()


@pytest.mark.parametrize("window", [1, 2, 3])
def test_against_captum(
    window: int, double: attnlib.Vit, vit: attnlib.Vit, pictures: list[Image.Image]
) -> None:
    for picture in pictures[:2]:
        for target in (0, 3):
            heat = double.attribute(picture, "occlusion", target, window=window)
            expected = by_captum(double, double.pixels(picture), target, window)
            np.testing.assert_allclose(heat.values, expected, rtol=1e-5, atol=1e-9)
            assert scipy.stats.spearmanr(heat.values, expected, axis=None)[0] >= 0.999
            single = vit.attribute(picture, "occlusion", target, window=window)
            # float32 through the whole model, beside float64
            np.testing.assert_allclose(single.values, expected, atol=1e-5)
    assert heat.signed and not heat.share and heat.target == 3 and heat.unit
    assert expected.min() < 0 < expected.max()


@pytest.mark.parametrize("replacement", perturbation.REPLACEMENTS)
def test_against_a_plain_loop(
    replacement: perturbation.Replacement, double: attnlib.Vit, pictures: list[Image.Image]
) -> None:
    pixels = double.pixels(pictures[3])
    other = perturbation.reference(pixels, replacement)
    (rows, cols), (height, width) = double.layout.grid, double.layout.patch_size
    expected = np.zeros((rows, cols))
    with torch.no_grad():
        whole = double.module(pixels).softmax(dim=1)[0, 5]
        for i in range(rows):
            for j in range(cols):
                image = pixels.clone()
                cell = (..., slice(i * height, (i + 1) * height), slice(j * width, (j + 1) * width))
                image[cell] = other[cell]
                expected[i, j] = whole - double.module(image).softmax(dim=1)[0, 5]
    found = occlusion(Subject(double, pixels), 5, replacement=replacement, batch_size=7)
    np.testing.assert_allclose(found.reshape(rows, cols), expected, atol=1e-12)


def test_windows_average_over_those_that_cover(double: attnlib.Vit, noise: Image.Image) -> None:
    subject = double.subject(noise)
    rows, cols = double.layout.grid
    sums, counts = np.zeros((rows, cols)), np.zeros((rows, cols))
    masks = [np.zeros((rows, cols), np.bool_)]
    for i in range(rows - 2):
        for j in range(cols - 2):
            masks.append(np.zeros((rows, cols), np.bool_))
            masks[-1][i : i + 3, j : j + 3] = True
    other = perturbation.reference(subject.pixels, "blur")
    values = perturbation.probabilities(double, subject.pixels, other, np.stack(masks), [2])
    for mask, value in zip(masks[1:], values[1:, 0], strict=True):
        sums[mask] += values[0, 0] - value
        counts[mask] += 1
    found = occlusion(subject, 2, window=3, replacement="blur")
    np.testing.assert_allclose(found.reshape(rows, cols), sums / counts, atol=1e-12)


def test_progress_counts_every_pass(double: attnlib.Vit, noise: Image.Image) -> None:
    seen: list[tuple[int, int]] = []
    occlusion(
        double.subject(noise), 0, batch_size=20, progress=lambda done, of: seen.append((done, of))
    )
    assert seen == [(20, 65), (40, 65), (60, 65), (65, 65)]


def test_messages(vit: attnlib.Vit, noise: Image.Image) -> None:
    with pytest.raises(AttnlibError, match="window must be from 1 to 8 patches on this grid"):
        vit.attribute(noise, "occlusion", 0, window=9)
    with pytest.raises(AttnlibError, match="replacement must be one of blur, mean, zero"):
        vit.attribute(noise, "occlusion", 0, replacement="black")
    with pytest.raises(AttnlibError, match="give a target"):
        occlusion(vit.subject(noise), None)
    with pytest.raises(AttnlibError, match="A class must be from 0 to 9, not 10"):
        perturbation.probabilities(
            vit, vit.pixels(noise), vit.pixels(noise), np.zeros((1, 8, 8), np.bool_), [10]
        )
    assert METHODS["occlusion"].needs == "nothing"


# -- memory ------------------------------------------------------------------------------------


def test_batches_halve_when_memory_ends(
    double: attnlib.Vit, noise: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((23, 8, 8)) < 0.5
    pixels = double.pixels(noise)
    other = torch.zeros_like(pixels)
    whole = perturbation.probabilities(double, pixels, other, masks, [1, 4])
    sizes: list[int] = []
    original = passes.forward

    def forward(module: Any, batch: Tensor, *args: Any, **kwargs: Any) -> Any:
        sizes.append(len(batch))
        if len(batch) > 3:
            raise torch.OutOfMemoryError("too much")
        return original(module, batch, *args, **kwargs)

    monkeypatch.setattr(passes, "forward", forward)
    parts = perturbation.probabilities(double, pixels, other, masks, [1, 4], batch_size=16)
    np.testing.assert_allclose(parts, whole, atol=1e-12)
    assert sizes == [16, 8, 4, 2] + [2] * 10 + [1]


def test_one_pass_that_does_not_fit_is_an_error(
    double: attnlib.Vit, noise: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(error: Exception) -> Any:
        def forward(*args: Any, **kwargs: Any) -> Any:
            raise error

        return forward

    pixels, masks = double.pixels(noise), np.zeros((5, 8, 8), np.bool_)
    monkeypatch.setattr(passes, "forward", fails(torch.OutOfMemoryError("no")))
    with pytest.raises(OutOfMemory):
        perturbation.probabilities(double, pixels, pixels, masks, [1])
    monkeypatch.setattr(passes, "forward", fails(RuntimeError("something else")))
    with pytest.raises(RuntimeError, match="something else"):
        perturbation.probabilities(double, pixels, pixels, masks, [1])


def test_values_that_are_not_finite_are_refused(noise: Image.Image) -> None:
    vit = attnlib.load("demo", device="cpu")
    broken = copy.deepcopy(vit.module)
    with torch.no_grad():
        next(broken.head.parameters()).fill_(float("nan"))  # type: ignore[operator, union-attr]
    vit.module = broken
    pixels = vit.pixels(noise)
    with pytest.raises(AttnlibError, match="not finite"):
        classes: Sequence[int] = [0]
        perturbation.probabilities(vit, pixels, pixels, np.zeros((1, 8, 8), np.bool_), classes)
