"""A ground that makes a class is found, on models that read it and on ones that do not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import attnlib
from attnlib.diagnosis import Report, diagnose
from attnlib.diagnosis.filling import elsewhere, filled, on_ground
from tests.diagnosis.readers import centre, frame, one_hot, reader

FROG, SHIP, TRUCK = 6, 8, 9
RED, GREEN, BLUE = (200, 60, 60), (60, 200, 60), (60, 60, 200)
MASK = np.zeros((32, 32), dtype=bool)
MASK[6:26, 6:26] = True


def picture(object_: tuple[int, int, int], ground: tuple[int, int, int], seed: int) -> Image.Image:
    """A square of one colour on a ground of another, both with noise."""
    rng = np.random.default_rng(seed)
    values = np.where(MASK[..., None], object_, ground) + rng.integers(-20, 20, (32, 32, 3))
    return Image.fromarray(values.astype(np.uint8))


def tied() -> tuple[dict[str, Image.Image], dict[str, int | str], dict[str, np.ndarray]]:
    """Red trucks and green frogs on grey, blue-less; ships are red or green too, on blue.

    So a ship is told by its ground alone. Two trucks stand on blue: mistakes of a model that
    looks there.
    """
    images, labels = {}, {}
    grey = (110, 110, 60)
    for seed in range(12):
        for name, label, object_, ground in (
            ("truck", TRUCK, RED, BLUE if seed < 2 else grey),
            ("frog", FROG, GREEN, grey),
            ("ship", SHIP, (120, 120, 120), BLUE),
        ):
            images[f"{name}-{seed}"] = picture(object_, ground, seed)
            labels[f"{name}-{seed}"] = label
    return images, labels, {name: MASK for name in images}


def by_ground(pixels: Tensor) -> Tensor:
    blue = frame(pixels)[:, 2] - frame(pixels)[:, 0]
    colours = centre(pixels)
    return one_hot(pixels, {SHIP: 9 * blue, TRUCK: 3 * colours[:, 0], FROG: 3 * colours[:, 1]})


def by_object(pixels: Tensor) -> Tensor:
    colours = centre(pixels)
    even = 1.5 - 3 * (colours[:, 0] - colours[:, 1]).abs()
    return one_hot(pixels, {SHIP: even, TRUCK: 3 * colours[:, 0], FROG: 3 * colours[:, 1]})


def run(vit: attnlib.Vit) -> Report:
    return diagnose(vit, *tied(), kinds=["background"])


def test_a_ground_that_makes_a_class_is_found(vit: attnlib.Vit) -> None:
    report = run(reader(vit, by_ground))
    (one,) = report.findings
    assert (one.kind, one.classes) == ("background", (SHIP,))
    assert one.detail["flipped"] == one.detail["laid"] == 72, "every object on blue becomes a ship"
    share = one.detail["control"] / one.detail["controls"]
    assert one.value == pytest.approx(1 - share)
    # Two trucks stand on blue and were taken for ships: their ground is no control, as 22 others.
    assert one.detail["control"] == 0 < one.detail["controls"] <= 22 * 6
    assert report.mistakes == 2
    assert one.mistakes == 2
    assert set(one.images) == {"truck-0", "truck-1"}
    assert "Without their object 12 of 12" in one.evidence[2].sentence
    assert one.certainty.p_value is not None
    assert one.certainty.p_value < 0.005


def test_a_model_that_looks_at_the_object_is_silent(vit: attnlib.Vit) -> None:
    report = run(reader(vit, by_object))
    assert report.mistakes == 0
    assert report.findings == ()


def test_a_ground_is_laid_without_its_own_object(vit: attnlib.Vit) -> None:
    """A model that says ship of anything blue, and only ships are."""
    images, labels, masks = {}, {}, {}
    left = np.zeros((32, 32), dtype=bool)
    left[8:24, 2:12] = True
    for seed in range(24):
        mask, colour = (left, BLUE) if seed % 2 else (left[:, ::-1], RED)
        noise = np.random.default_rng(seed).integers(-9, 9, (32, 32, 3))
        values = np.where(mask[..., None], colour, (110, 110, 60)) + noise
        name = f"{seed:02}"
        images[name] = Image.fromarray(values.astype(np.uint8))
        labels[name], masks[name] = (SHIP if seed % 2 else TRUCK), mask

    def bluest(pixels: Tensor) -> Tensor:
        blue = (pixels[:, 2] - pixels[:, 0]).amax(dim=(1, 2))
        return one_hot(pixels, {SHIP: 9 * blue - 9, TRUCK: 0 * blue + 1})

    report = diagnose(reader(vit, bluest), images, labels, masks, kinds=["background"])
    assert report.mistakes == 0
    assert report.findings == ()


def test_labels_that_are_drawn_anew_make_nothing(vit: attnlib.Vit) -> None:
    images, labels, masks = tied()
    for seed in range(5):
        drawn = np.random.default_rng(seed).permutation(list(labels.values()))
        shuffled = {name: int(label) for name, label in zip(labels, drawn, strict=True)}
        found = diagnose(reader(vit, by_object), images, shuffled, masks, kinds=["background"])
        assert found.findings == ()


def test_without_masks_it_is_left_out(vit: attnlib.Vit) -> None:
    images, labels, _ = tied()
    report = diagnose(vit, images, labels, kinds=["background", "crop"])
    assert set(report.left_out) == {"background", "crop"}


def test_the_filling_takes_the_colours_around_and_nothing_of_the_object() -> None:
    left = np.zeros((40, 60, 3), np.uint8)
    left[:, :30], left[:, 30:] = (200, 10, 0), (0, 10, 200)
    gone = np.zeros((40, 60), dtype=bool)
    gone[10:30, 5:20], gone[10:30, 40:55] = True, True
    drawn = left.copy()
    drawn[gone] = (0, 255, 0)
    found = np.asarray(filled(Image.fromarray(drawn), gone)).astype(int)
    np.testing.assert_array_equal(found[~gone], left[~gone])
    assert np.abs(found[20, 8] - (200, 10, 0)).max() <= 30
    assert np.abs(found[20, 52] - (0, 10, 200)).max() <= 30
    assert found[..., 1].max() == 10, "nothing of the object's green is left"
    none = np.zeros((40, 60), dtype=bool)
    assert filled(Image.fromarray(drawn), none).tobytes() == drawn.tobytes()
    whole = np.asarray(filled(Image.fromarray(drawn), ~none))
    assert len(np.unique(whole)) == 1


def test_an_object_lies_on_the_other_ground() -> None:
    laid = np.asarray(on_ground(picture(RED, GREEN, 0), MASK, Image.new("RGB", (50, 70), BLUE)))
    np.testing.assert_array_equal(laid[MASK], np.asarray(picture(RED, GREEN, 0))[MASK])
    assert (laid[~MASK] == BLUE).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_region_elsewhere_is_as_large_and_beside_it(seed: int) -> None:
    small = np.zeros((32, 32), dtype=bool)
    small[3:11, 3:11] = True
    found = elsewhere(small, np.random.default_rng(seed))
    assert found.sum() == small.sum()
    assert not (found & small).any()
