"""Where patches lie, read off the model's own convolution, also where pixels are left over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.spatial.distance
import timm
import torch
from numpy.typing import NDArray

from attnlib.capture.support import examine
from attnlib.capture.tokens import TokenLayout

# Name, options and size: whole patches, pixels left over, and a model that pads them.
CASES: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "whole": ({"img_size": (48, 64)}, (48, 64)),
    "left over": ({"img_size": (61, 90), "patch_size": 16}, (61, 90)),
    "padded": ({"img_size": (48, 64), "dynamic_img_size": True, "dynamic_img_pad": True}, (61, 90)),
    "oblong patches": ({"img_size": (50, 70), "patch_size": (8, 16)}, (50, 70)),
}


def seen_by(module: torch.nn.Module, size: tuple[int, int]) -> NDArray[np.int64]:
    """``(h, w)``: the patch that each pixel changes, by gradient; -1 where it changes none."""
    pixels = torch.zeros(1, 3, *size, requires_grad=True)
    embedded = module.patch_embed(pixels)
    embedded = embedded.flatten(1, 2) if embedded.ndim == 4 else embedded
    found = np.full(size, -1)
    for patch in range(embedded.shape[1]):
        (gradient,) = torch.autograd.grad(embedded[0, patch].sum(), pixels, retain_graph=True)
        found[(gradient[0] != 0).any(dim=0).numpy()] = patch
    return found


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[TokenLayout, tuple[int, int], NDArray[np.int64]]:
    options, size = CASES[request.param]
    torch.manual_seed(0)
    module = timm.create_model("vit_tiny_patch16_224", num_classes=3, depth=1, **options).eval()
    layout, _ = examine(module, size)
    return layout, size, seen_by(module, size)


Case = tuple[TokenLayout, tuple[int, int], NDArray[np.int64]]


def test_each_pixel_is_in_the_patch_that_reads_it(case: Case) -> None:
    layout, size, seen = case
    np.testing.assert_array_equal(layout.patch_index(size), seen)


def test_boxes_hold_exactly_the_pixels_of_their_patch(case: Case) -> None:
    layout, size, seen = case
    boxes = layout.boxes(size)
    assert boxes.shape == (layout.patches, 4)
    for patch, (top, left, bottom, right) in enumerate(boxes):
        inside = np.zeros(size, bool)
        inside[top:bottom, left:right] = True
        np.testing.assert_array_equal(inside, seen == patch)


def test_distances_are_those_of_the_centres(case: Case) -> None:
    layout, _, _ = case
    (rows, cols), (height, width) = layout.grid, layout.patch_size
    uncut = layout.boxes((rows * height, cols * width))
    centres = np.stack([uncut[:, [0, 2]].mean(1), uncut[:, [1, 3]].mean(1)], axis=1)
    expected = scipy.spatial.distance.cdist(centres, centres)
    np.testing.assert_allclose(layout.distances(), expected, rtol=1e-12)


def test_covers_is_where_the_last_patch_ends(case: Case) -> None:
    layout, size, seen = case
    down, across = layout.covers(size)
    rows, cols = np.flatnonzero((seen >= 0).any(1)), np.flatnonzero((seen >= 0).any(0))
    assert min(down, 1.0) * size[0] == pytest.approx(rows[-1] + 1)
    assert min(across, 1.0) * size[1] == pytest.approx(cols[-1] + 1)
