"""A model whose input is no multiple of its patch: every measure in pixels follows its patches."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import attnlib
from attnlib.evaluation import localisation
from attnlib.heads.statistics import head_statistics
from attnlib.methods import perturbation
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.layer import muted
from attnlib.pictures.overlay import mark_patch, overlay

SIZE = (62, 94)  # 3 x 5 patches of 16 pixels, and 14 pixels left over on both sides


@pytest.fixture(scope="module")
def uneven() -> attnlib.Vit:
    torch.manual_seed(0)
    module = timm.create_model("vit_tiny_patch16_224", img_size=SIZE, num_classes=3, depth=2).eval()
    return attnlib.load(module, device="cpu", img_size=SIZE)


def test_occlusion_replaces_what_the_patch_reads(uneven: attnlib.Vit, noise: Image.Image) -> None:
    """A patch is gone when its token is that of the replacement, and no other token changed."""
    pixels = uneven.pixels(noise)
    masks = torch.eye(15, dtype=torch.bool).reshape(15, 3, 5)
    index = uneven.layout.patch_index(SIZE)
    replaced = perturbation.replace(pixels, torch.zeros_like(pixels), masks, index)
    with torch.no_grad():
        plain, zero = (uneven.module.patch_embed(p)[0] for p in (pixels, torch.zeros_like(pixels)))
        tokens = uneven.module.patch_embed(replaced)
    for patch in range(15):
        expected = plain.clone()
        expected[patch] = zero[patch]
        torch.testing.assert_close(tokens[patch], expected, atol=1e-5, rtol=1e-4)


def test_occlusion_of_a_patch_is_what_its_box_costs(
    uneven: attnlib.Vit, noise: Image.Image
) -> None:
    heat = uneven.attribute(noise, "occlusion", 1)
    pixels = uneven.pixels(noise)
    gone = pixels.clone()
    gone[:, :, 16:32, 64:80] = 0
    with torch.no_grad():
        before, after = (uneven.module(p)[0].double().softmax(0)[1] for p in (pixels, gone))
    assert heat.values[1, 4] == pytest.approx(float(before - after), abs=1e-7)


def test_localisation_counts_pixels_by_patch() -> None:
    layout = attnlib.TokenLayout((), (3, 5), (16, 16), "average")
    mask = np.zeros(SIZE, bool)
    mask[16:32, 64:80] = True  # patch (1, 4), all of it and nothing else
    mask[60:, 90:] = True  # pixels that the model never sees
    values = np.zeros((3, 5))
    values[1, 4] = 1
    found = localisation.localise(values, mask, layout.patch_index(SIZE))
    assert (found.mass, found.pointing, found.auc) == (1, 1, 1)
    assert found.area == pytest.approx(1 / 15)
    shares = localisation.coverage(mask, (3, 5), layout.patch_index(SIZE))
    np.testing.assert_array_equal(shares, values)
    with pytest.raises(attnlib.AttnlibError, match="empty"):
        localisation.localise(values, mask & (np.arange(94) >= 90), layout.patch_index(SIZE))
    with pytest.raises(attnlib.AttnlibError, match="input"):
        localisation.localise(values, mask, layout.patch_index((64, 94)))


def test_the_overlay_colours_the_patch_that_was_read(
    uneven: attnlib.Vit, noise: Image.Image
) -> None:
    heat = uneven.attribute(noise, "uniform")
    crop = uneven.crop(noise)
    drawn = np.asarray(heat.overlay(side=94, opacity=1.0)).astype(int)
    plain = np.asarray(muted(crop)).astype(int)
    changed = (drawn != plain).any(-1)
    assert changed[:48, :80].mean() > 0.95
    assert not changed[48:].any() and not changed[:, 80:].any()
    assert heat.covers == pytest.approx((48 / 62, 80 / 94))


def test_cells_and_frames_lie_on_boxes() -> None:
    layout = attnlib.TokenLayout((), (3, 5), (16, 16), "average")
    black = Image.new("RGB", (94, 62))
    scale = Scale(0.0, 1.0, False, "")
    for patch, (top, left, bottom, right) in enumerate(layout.boxes(SIZE)):
        values = np.zeros(15)
        values[patch] = 1
        drawn = np.asarray(
            overlay(
                black,
                values.reshape(3, 5),
                scale,
                "viridis",
                opacity=1.0,
                keep=1 / 15,
                covers=layout.covers(SIZE),
            )
        )
        shown = drawn.any(-1)
        inside = np.zeros(SIZE, bool)
        inside[top:bottom, left:right] = True
        np.testing.assert_array_equal(shown, inside)
        framed = np.asarray(
            mark_patch(black, (3, 5), divmod(patch, 5), 1, covers=layout.covers(SIZE))
        ).any(-1)
        rows, cols = np.flatnonzero(framed.any(1)), np.flatnonzero(framed.any(0))
        assert (rows[0], cols[0], rows[-1] + 1, cols[-1] + 1) == (top, left, bottom, right)


def test_padding_beyond_the_picture_is_cut() -> None:
    layout = attnlib.TokenLayout((), (4, 6), (16, 16), "average")
    black = Image.new("RGB", (94, 62))
    values = np.zeros((4, 6))
    values[3, 5] = 1
    drawn = np.asarray(
        overlay(
            black,
            values,
            Scale(0.0, 1.0, False, ""),
            "viridis",
            opacity=1.0,
            keep=1 / 24,
            covers=layout.covers(SIZE),
        )
    ).any(-1)
    assert drawn[48:, 80:].all()
    assert drawn.sum() == 14 * 14


def test_attention_distance_is_in_pixels_of_the_input(
    uneven: attnlib.Vit, noise: Image.Image
) -> None:
    found = head_statistics(uneven, uneven.pixels(noise)).distance
    apart = np.array(
        [[16 * np.hypot(a // 5 - b // 5, a % 5 - b % 5) for b in range(15)] for a in range(15)]
    )
    for layer in range(2):
        block = uneven.attention(noise, layer)[:, 1:, 1:].astype(np.float64)
        block /= block.sum(-1, keepdims=True)
        np.testing.assert_allclose(found[layer], (block * apart).sum(-1).mean(-1), rtol=1e-5)
