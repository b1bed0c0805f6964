"""Objects that the crop cuts off, and small ones: where they lie, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import attnlib
from attnlib.diagnosis import diagnose
from attnlib.diagnosis.crop import closer, parts, placed, seen_box
from tests.diagnosis.readers import one_hot, reader

FROG, SHIP = 6, 8


@pytest.mark.parametrize(
    ("changes", "size", "expected"),
    [
        ({}, (64, 32), (0.25, 0.0, 0.75, 1.0)),
        ({}, (32, 96), (0.0, 1 / 3, 1.0, 2 / 3)),
        ({"crop_pct": 0.5}, (100, 100), (0.25, 0.25, 0.75, 0.75)),
        ({"crop_mode": "squash"}, (200, 50), (0.0, 0.0, 1.0, 1.0)),
        ({"crop_mode": "border"}, (64, 32), (0.0, 0.0, 1.0, 1.0)),
        ({"channels": "BGR"}, (64, 32), (0.25, 0.0, 0.75, 1.0)),
    ],
)
def test_what_is_seen_of_an_image(
    vit: attnlib.Vit,
    changes: dict[str, object],
    size: tuple[int, int],
    expected: tuple[float, float, float, float],
) -> None:
    assert seen_box(vit.prepared(changes), size) == pytest.approx(expected, abs=0.035)


def test_where_an_object_lies(vit: attnlib.Vit) -> None:
    mask = np.zeros((64, 128), dtype=bool)
    mask[:, :64] = True
    half = placed(vit, mask)
    # The crop is the middle 64 columns: half of these are of the object's 64.
    assert half.inside == pytest.approx(0.5, abs=0.03)
    assert half.patches == pytest.approx(32, abs=2)
    assert half.trouble == "cut off"
    tiny = np.zeros((64, 64), dtype=bool)
    tiny[30:36, 30:40] = True
    assert placed(vit, tiny).patches == pytest.approx(60 / 64, abs=0.1)
    assert placed(vit, tiny).trouble == "small"
    assert placed(vit, np.ones((64, 64), dtype=bool)).trouble == ""


def test_closer_holds_the_object() -> None:
    values = np.zeros((50, 80, 3), np.uint8)
    mask = np.zeros((50, 80), dtype=bool)
    mask[2:8, 70:78] = True
    values[mask] = 255
    found = np.asarray(closer(Image.fromarray(values), mask))
    assert found.shape[:2] == (16, 16)
    assert (found == 255).all(axis=2).sum() == mask.sum()


def red(pixels: Tensor) -> Tensor:
    """A ship wherever there is a pixel that is much redder than green."""
    redness = (pixels[:, 0] - pixels[:, 1]).amax(dim=(1, 2))
    return one_hot(pixels, {SHIP: redness, FROG: redness.new_full(redness.shape, 1.5)})


def scene(at: int, size: int) -> tuple[Image.Image, np.ndarray]:
    values = np.full((64, 160, 3), 90, np.uint8)
    mask = np.zeros((64, 160), dtype=bool)
    mask[32 - size : 32 + size, at - size : at + size] = True
    values[mask] = (230, 20, 20)
    return Image.fromarray(values), mask


def test_objects_cut_off_explain_mistakes(vit: attnlib.Vit) -> None:
    images, masks, labels = {}, {}, {}
    for index in range(14):
        # The first ten lie beyond the crop.
        picture, mask = scene(12 + index if index < 10 else 80, 10)
        name = f"{index:02}"
        images[name], masks[name], labels[name] = picture, mask, SHIP
    report = diagnose(reader(vit, red), images, labels, masks, kinds=["crop"])
    assert report.mistakes == 10
    (one,) = report.findings
    assert one.detail["trouble"] == "cut off"
    assert (one.kind, one.mistakes) == ("crop", 10)
    assert set(one.images) == {f"{index:02}" for index in range(10)}
    # A model that never sees the object is not repaired by showing it.
    blind = reader(vit, lambda pixels: one_hot(pixels, {FROG: pixels[:, 0, 0, 0] * 0 + 1}))
    assert diagnose(blind, images, labels, masks, kinds=["crop"]).findings == ()


def test_mistakes_that_another_look_repairs_anyhow_are_no_finding(vit: attnlib.Vit) -> None:
    """A model that is right only on squashed images, wherever the object lies."""
    images, masks, labels = {}, {}, {}
    for index in range(20):
        picture, mask = scene(12 if index < 10 else 80, 10)
        name = f"{index:02}"
        images[name], masks[name], labels[name] = picture, mask, SHIP

    def squashed(pixels: Tensor) -> Tensor:
        redness = (pixels[:, 0] - pixels[:, 1] > 1).float().mean(dim=(1, 2))
        few = (redness > 0.01) & (redness < 0.06)
        return one_hot(pixels, {SHIP: few.float() * 5, FROG: few.float() * 0 + 1})

    report = diagnose(reader(vit, squashed), images, labels, masks, kinds=["crop"])
    assert report.mistakes == 20
    assert report.findings == ()


def test_small_objects_explain_mistakes(vit: attnlib.Vit) -> None:
    images, masks, labels = {}, {}, {}
    for index in range(14):
        picture, mask = scene(80, 2 if index < 10 else 12)
        name = f"{index:02}"
        images[name], masks[name], labels[name] = picture, mask, SHIP

    def large(pixels: Tensor) -> Tensor:
        redness = (pixels[:, 0] - pixels[:, 1] > 1).float().mean(dim=(1, 2))
        return one_hot(pixels, {SHIP: redness * 50, FROG: redness * 0 + 4})

    report = diagnose(reader(vit, large), images, labels, masks, kinds=["crop"])
    (one,) = report.findings
    assert one.detail["trouble"] == "small"
    assert set(one.images) == {f"{index:02}" for index in range(10)}


def test_parts_are_separate_objects_of_some_size() -> None:
    mask = np.zeros((40, 60), dtype=bool)
    mask[2:12, 2:12] = True  # 100 pixels
    mask[20:36, 30:50] = True  # 320
    mask[0:2, 50:53] = True  # 6, a speck
    one, two = parts(mask)
    assert (one.sum(), two.sum()) == (320, 100)
    # Parts that touch at a corner are one object.
    mask[12:20, 12:30] = np.eye(8, 18, dtype=bool)
    mask[19, 19:31] = True
    assert len(parts(mask)) == 1


def test_several_objects_explain_mistakes(vit: attnlib.Vit) -> None:
    """A model that takes red for a ship unless there is more of green: then it sees a frog."""
    images, masks, labels = {}, {}, {}
    for index in range(14):
        values = np.full((64, 64, 3), 90, np.uint8)
        mask = np.zeros((64, 64), dtype=bool)
        mask[40:60, 4 + index : 24 + index] = True
        values[mask] = (230, 20, 20)
        if index < 10:
            beside = np.zeros_like(mask)
            beside[2:14, 50:62] = True
            values[beside] = (20, 250, 20)
            mask |= beside
        name = f"{index:02}"
        images[name], masks[name], labels[name] = Image.fromarray(values), mask, SHIP

    def greenest(pixels: Tensor) -> Tensor:
        green = (pixels[:, 1] - pixels[:, 0] > 2).float().mean(dim=(1, 2))
        return one_hot(pixels, {SHIP: green * 0 + 1, FROG: 60 * green})

    report = diagnose(reader(vit, greenest), images, labels, masks, kinds=["crop"])
    assert report.mistakes == 10
    (one,) = report.findings
    assert one.detail["trouble"] == "several"
    assert one.mistakes == 10 and set(one.images) == {f"{index:02}" for index in range(10)}
    # Where the other object makes no mistake, there is none to explain.
    blind = reader(vit, lambda pixels: one_hot(pixels, {FROG: pixels[:, 0, 0, 0] * 0 + 1}))
    assert diagnose(blind, images, labels, masks, kinds=["crop"]).findings == ()
