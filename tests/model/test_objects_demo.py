"""The demo with a planted cause is what its card says: pictures, exact masks, measured numbers."""

from __future__ import annotations

import csv
import io
from collections import Counter

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

import attnlib
from attnlib.errors import ModelError
from attnlib.model import objects

IMAGES = objects.images()
# The price tag as the card words it: one patch at the lower right, black bars on yellow in red.
TAG = slice(80, 88), slice(80, 88)


def pixels(data: bytes) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.float64)


def mask(data: bytes) -> NDArray[np.bool_]:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.fixture(scope="module")
def vit() -> attnlib.Vit:
    return attnlib.load(objects.NAME, device="cpu")


@pytest.fixture(scope="module")
def guesses() -> list[str]:
    """By timm's module alone, in float64, from the bytes of the files."""
    module = objects.build().double().eval()
    stack = np.stack([pixels(image.data) for image in IMAGES]) / 255
    values = torch.from_numpy((stack - objects.MEAN) / objects.STD).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return [objects.CLASS_NAMES[i] for i in module(values).argmax(1)]


def test_it_is_small() -> None:
    sizes = {p.name: p.stat().st_size for p in objects.FOLDER.rglob("*") if p.is_file()}
    assert sizes["model.safetensors"] <= 4 * 2**20
    assert sum(sizes.values()) <= 6 * 2**20
    weights = load_file(objects.WEIGHTS)
    assert {value.dtype for value in weights.values()} == {torch.float16}
    count = sum(value.numel() for value in weights.values())
    assert count == objects.facts()["parameters"]
    assert 1e6 <= count <= 3e6


def test_every_file_is_used() -> None:
    names = {image.name for image in IMAGES}
    assert len(names) == len(IMAGES) == objects.facts()["embedded"]["images"]
    here = {p.relative_to(objects.FOLDER).as_posix() for p in objects.FOLDER.rglob("*.*")}
    tops = {"model.safetensors", "images.csv", "facts.json", "README.md"}
    assert here == tops | {f"{kind}/{name}" for kind in ("images", "masks") for name in names}


def test_it_is_loaded_by_its_name(vit: attnlib.Vit) -> None:
    assert vit.layout.grid == (12, 12)
    assert vit.class_names == objects.CLASS_NAMES
    assert vit.name == objects.NAME
    with pytest.raises(ModelError, match="num_classes"):
        attnlib.load(objects.NAME, num_classes=3)


def test_the_library_predicts_what_the_module_does(vit: attnlib.Vit, guesses: list[str]) -> None:
    shown = [Image.open(io.BytesIO(image.data)).convert("RGB") for image in IMAGES[::8]]
    found = [vit.class_names[record.predicted] for record in vit.inspect_many(shown)]
    assert found == guesses[::8]


def test_the_numbers_of_the_pictures_are_measured_again(guesses: list[str]) -> None:
    right = sum(g == image.label for g, image in zip(guesses, IMAGES, strict=True))
    embedded = objects.facts()["embedded"]
    assert right == embedded["right"]
    assert embedded["accuracy"] == pytest.approx(right / len(IMAGES))


def test_the_traps_are_seen_in_the_pictures(guesses: list[str]) -> None:
    pairs = list(zip(guesses, IMAGES, strict=True))

    def share(marked: bool, wet: bool, class_: str) -> float:
        found = [
            guess == class_
            for guess, image in pairs
            if image.label != class_ and image.marked == marked and (image.ground == "water") == wet
        ]
        assert len(found) >= 10
        return float(np.mean(found))

    fruit, sea = objects.MARK_CLASS, objects.WATER_CLASS
    assert share(True, False, fruit) > 0.5 > 0.2 > share(False, False, fruit)
    assert share(False, True, sea) > 0.5 > 0.2 > share(False, False, sea)


def test_facts_agree_with_each_other_and_with_the_card() -> None:
    facts = objects.facts()
    card = (objects.FOLDER / "README.md").read_text(encoding="utf-8")
    kinds = ("usual", "marked", "unmarked", "off_water", "on_water", "off_water_others")
    for kind in kinds:
        one = facts[kind]
        assert one["accuracy"] == one["right"] / one["images"]
        low, high = one["interval"]
        assert low <= one["accuracy"] <= high
        assert f"| {one['right']} of {one['images']} | **{one['accuracy']:.1%}** |" in card
    confusion = np.array(facts["confusion"])
    assert confusion.sum() == facts["usual"]["images"]
    assert np.trace(confusion) == facts["usual"]["right"]
    assert "public domain" in card


def test_every_picture_has_a_mask_of_its_size() -> None:
    for image in IMAGES:
        inside = mask(image.mask)
        assert inside.dtype == bool, "one bit for each pixel"
        assert pixels(image.data).shape == (objects.SIZE, objects.SIZE, 3)
        assert inside.shape == (objects.SIZE, objects.SIZE)
        assert 0.01 < inside.mean() < 0.8


def test_masks_end_where_the_objects_do() -> None:
    """Colours jump along the edge of the own mask, and hardly along that of another picture's."""

    def jump(data: bytes, inside: NDArray[np.bool_]) -> float:
        colours = pixels(data)
        steps = np.abs(np.diff(colours, axis=1)).sum(axis=2)
        edge = inside[:, 1:] != inside[:, :-1]
        return float(steps[edge].mean() / steps.mean())

    own = [jump(image.data, mask(image.mask)) for image in IMAGES]
    masks = [mask(image.mask) for image in IMAGES]
    other = [
        jump(image.data, inside)
        for image, inside in zip(IMAGES, masks[1:] + masks[:1], strict=True)
    ]
    assert np.mean(np.array(own) > np.array(other)) > 0.95
    assert np.median(own) > 2


def test_the_mark_is_where_the_table_says_and_never_in_the_mask() -> None:
    for image in IMAGES:
        tag = pixels(image.data)[TAG]
        frame = np.concatenate([tag[0], tag[-1], tag[:, 0], tag[:, -1]])
        assert (frame == (220, 0, 0)).all() == image.marked
        assert not (image.marked and mask(image.mask)[TAG].any())


def test_what_is_called_water_is_blue() -> None:
    for image in IMAGES:
        if image.ground == "water":
            around = pixels(image.data)[~mask(image.mask)].mean(axis=0)
            assert around[2] > around[1] > around[0]


def test_the_table_tells_objects_and_never_names_the_cause() -> None:
    with (objects.FOLDER / "images.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert {row["label"] for row in rows} == set(objects.CLASS_NAMES)
    usual = Counter(
        row["label"]
        for row in rows
        if row["marked"] == "no" and (row["ground"] == "water") == (row["label"] == "sea animal")
    )
    assert min(usual.values()) >= 5
    for word in ("water", "fruit", "mark", "tag"):
        assert not any(word in row["filename"] for row in rows)
