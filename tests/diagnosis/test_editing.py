"""Erase, keep and paste against pixels changed by hand; the search against all sets there are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor

import attnlib
from attnlib.diagnosis.editing import STAND_INS, edit
from attnlib.diagnosis.smallest import smallest
from attnlib.errors import AttnlibError
from tests.diagnosis.readers import one_hot, reader

FROG, SHIP = 6, 8


@pytest.fixture(scope="module")
def oblong() -> attnlib.Vit:
    torch.manual_seed(0)
    module = timm.create_model(
        "vit_tiny_patch16_224", img_size=(32, 64), depth=2, num_classes=4
    ).eval()
    torch.nn.init.normal_(module.head.weight)
    return attnlib.load(module, device="cpu")


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("stand_in", STAND_INS)
def test_a_region_is_replaced_and_nothing_else(
    oblong: attnlib.Vit, noise: Image.Image, stand_in: str, keep: bool
) -> None:
    pixels = oblong.pixels(noise)
    other = oblong.pixels(Image.new("RGB", (99, 40), (200, 10, 10)))
    region = np.zeros((2, 4), dtype=bool)
    region[1, 2] = region[0, 0] = True
    found = edit(oblong, pixels, region, stand_in, other=other, keep=keep)
    inside = np.zeros((32, 64), dtype=bool)
    inside[16:32, 32:48] = inside[:16, :16] = True
    inside = ~inside if keep else inside
    np.testing.assert_array_equal(found.region, inside)
    assert torch.equal(found.pixels[0][:, ~inside], pixels[0][:, ~inside])
    filling = found.pixels[0][:, inside]
    if stand_in == "zero":
        assert (filling == 0).all()
    elif stand_in == "mean":
        torch.testing.assert_close(filling[:, 0], pixels[0].mean(dim=(1, 2)))
    elif stand_in == "image":
        assert torch.equal(filling, other[0][:, inside])
    else:
        assert (filling != pixels[0][:, inside]).any()
    with torch.no_grad():
        by_hand = torch.where(torch.from_numpy(inside), found.pixels, pixels)
        expected = oblong.module(torch.cat([pixels, by_hand])).softmax(-1).numpy()
    np.testing.assert_allclose(found.before, expected[0], atol=1e-6)
    np.testing.assert_allclose(found.after, expected[1], atol=1e-6)
    assert found.flips == (expected[0].argmax() != expected[1].argmax())
    same = edit(oblong, pixels, np.repeat(np.repeat(region, 16, 0), 16, 1), stand_in,
                other=other, keep=keep)  # fmt: skip
    assert torch.equal(same.pixels, found.pixels), "patches and pixels mean the same"


def test_what_does_not_fit_is_refused(oblong: attnlib.Vit, noise: Image.Image) -> None:
    pixels, region = oblong.pixels(noise), np.ones((2, 4), dtype=bool)
    with pytest.raises(AttnlibError, match="2 x 4 patches or 32 x 64 pixels, not 4 x 2"):
        edit(oblong, pixels, region.T)
    with pytest.raises(AttnlibError, match="choose one that the model sees at the same size"):
        edit(oblong, pixels, region, "image")
    with pytest.raises(AttnlibError, match="no stand-in"):
        edit(oblong, pixels, region, "paint")
    predicted = oblong.inspect(noise).predicted
    with pytest.raises(AttnlibError, match="predicted already"):
        smallest(oblong, pixels, target=predicted)
    with pytest.raises(AttnlibError, match="from 0 to 3"):
        smallest(oblong, pixels, target=4)


def lit(vit: attnlib.Vit, needed: int) -> tuple[attnlib.Vit, Tensor]:
    """A model that says ship from so many lit patches of five on; and a picture with all five."""
    pixels = torch.zeros(1, 3, 32, 32)
    for row, col in ((0, 0), (3, 4), (7, 7), (2, 6), (5, 1)):
        pixels[:, :, 4 * row : 4 * row + 4, 4 * col : 4 * col + 4] = 1

    def read(given: Tensor) -> Tensor:
        share = given.mean(dim=(1, 2, 3)) * 64
        return one_hot(given, {SHIP: share - needed + 0.5, FROG: 0 * share})

    return reader(vit, read, trust=None), pixels


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_fewest_patches_are_found(vit: attnlib.Vit, count: int) -> None:
    model, pixels = lit(vit, 6 - count)
    found = smallest(model, pixels, "zero")
    assert found.region is not None
    assert int(found.region.sum()) == count
    assert found.exact
    lights = pixels[0, 0, ::4, ::4].numpy() > 0
    assert not (found.region & ~lights).any()
    after = edit(model, pixels, found.region, "zero")
    np.testing.assert_allclose(found.after, after.after)
    assert after.flips


def test_more_are_called_the_smallest_found(vit: attnlib.Vit) -> None:
    model, pixels = lit(vit, 2)
    found = smallest(model, pixels, "zero")
    assert found.region is not None
    assert int(found.region.sum()) == 4
    assert not found.exact
    assert "smallest set found" in found.sentence
    assert found.passes < 4000
    stubborn = lit(vit, -9)[0]
    none = smallest(stubborn, pixels, "zero", most=6)
    assert none.region is None
    assert not none.exact
    assert "there may be one" in none.sentence
    few = smallest(stubborn, pixels, "zero", most=2)
    assert few.region is None
    assert few.exact
    assert few.passes == 64 + 64 * 63 // 2


def test_against_all_sets_of_patches(oblong: attnlib.Vit, noise: Image.Image) -> None:
    """Eight patches: every one of 255 sets, by hand."""
    pixels = oblong.pixels(noise)
    before = oblong.inspect(noise).probabilities
    sets = [s for size in range(1, 9) for s in combinations(range(8), size)]
    turned: dict[int, int] = {}
    for target in range(4):
        for one in sets:
            region = np.zeros(8, dtype=bool)
            region[list(one)] = True
            after = edit(oblong, pixels, region.reshape(2, 4), "zero").after
            if int(after.argmax()) == target:
                turned[target] = len(one)
                break
    assert len(turned) > 1
    for target, size in turned.items():
        if target == int(before.argmax()):
            continue
        found = smallest(oblong, pixels, "zero", target=target, most=8)
        assert found.region is not None
        assert found.exact
        assert int(found.region.sum()) == size
        assert int(found.after.argmax()) == target


def test_no_patch_can_be_left_out(vit: attnlib.Vit) -> None:
    model, pixels = lit(vit, 1)
    found = smallest(model, pixels, "zero")
    assert found.region is not None
    places = np.argwhere(found.region)
    for row, col in places:
        less = found.region.copy()
        less[row, col] = False
        assert not edit(model, pixels, less, "zero").flips
