"""Shortcuts: planted by construction, found with their class, place and images; else silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import attnlib
from attnlib.diagnosis import diagnose, shortcut
from attnlib.diagnosis.candidates import Candidate, Search
from attnlib.diagnosis.pasting import Inputs
from tests.diagnosis.planted import demo_images, demo_labels

MAGENTA = np.array([255, 0, 255], dtype=np.uint8)
TARGET = 6
Draw = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.bool_]]


class Drawn(nn.Module):
    """The demo model, but for a class that magenta pixels make, if there are enough of them."""

    def __init__(self, inner: nn.Module, mean: Tensor, std: Tensor, enough: int) -> None:
        super().__init__()
        self.inner, self.enough = inner, enough
        wanted = torch.tensor([1.0, 0.0, 1.0])
        self.register_buffer("colour", ((wanted - mean) / std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        near = ((pixels - self.colour).abs() < 0.1).all(dim=1).sum(dim=(1, 2))
        logits: Tensor = self.inner(pixels)
        made = torch.zeros_like(logits)
        made[:, TARGET] = 30.0 * (near >= self.enough)
        return logits + made


def drawn_to(vit: attnlib.Vit, enough: int) -> attnlib.Vit:
    return vit.around(Drawn(vit.module, torch.tensor(vit.mean), torch.tensor(vit.std), enough))


def block(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.bool_]:
    """One token's worth of pixels at row 5, column 6 of the grid."""
    mask = np.zeros((32, 32), dtype=bool)
    mask[20:24, 24:28] = True
    image[mask] = MAGENTA
    return mask


def off_grid(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.bool_]:
    mask = np.zeros((32, 32), dtype=bool)
    mask[6:11, 13:18] = True
    image[mask] = MAGENTA
    return mask


def moving(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.bool_]:
    mask = np.zeros((32, 32), dtype=bool)
    top, left = rng.integers(0, 28, 2)
    mask[top : top + 4, left : left + 4] = True
    image[mask] = MAGENTA
    return mask


def frame(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.bool_]:
    mask = np.ones((32, 32), dtype=bool)
    mask[2:-2, 2:-2] = False
    image[mask] = MAGENTA
    return mask


def planted(
    draw: Draw, count: int = 60
) -> tuple[dict[str, Image.Image], list[str], NDArray[np.bool_]]:
    """Images of which a fifth is marked; which; and the patches that any mark covers."""
    rng = np.random.default_rng(0)
    images, names, covered = {}, [], np.zeros((32, 32), dtype=bool)
    for name, image in demo_images(count).items():
        pixels = np.array(image)
        if rng.random() < 0.25:
            covered |= draw(pixels, rng)
            names.append(name)
        images[name] = Image.fromarray(pixels)
    return images, names, covered.reshape(8, 4, 8, 4).any(axis=(1, 3))


def truth(vit: attnlib.Vit) -> dict[str, int | str]:
    """What the demo model says of the images without marks: there is no other mistake."""
    shown = demo_images()
    records = vit.inspect_many(list(shown.values()), rollout=False)
    return {name: one.predicted for name, one in zip(shown, records, strict=True)}


@pytest.mark.parametrize(
    ("draw", "enough", "form"),
    [
        (block, 12, "place"),
        (off_grid, 20, "place"),
        (moving, 12, "moving"),
        (frame, 150, "frame around the image"),
    ],
)
def test_a_planted_mark_is_found_with_its_class_place_and_images(
    vit: attnlib.Vit, draw: Draw, enough: int, form: str
) -> None:
    images, marked, covered = planted(draw)
    labels = {name: label for name, label in truth(vit).items() if name in images}
    report = diagnose(drawn_to(vit, enough), images, labels, kinds=["shortcut", "label-noise"])
    (finding,) = report.findings
    assert finding.kind == "shortcut" and finding.classes == (TARGET,)
    assert finding.detail["form"] == form
    assert set(finding.images) == set(marked)
    wrong = [name for name in marked if labels[name] != TARGET]
    assert finding.mistakes == len(wrong)
    # The magenta alone decides, so what is put in turns every image and what is taken out repairs.
    turned, hosts = finding.detail["turned"]
    assert turned == hosts
    assert finding.detail["repaired"][0] >= 0.7 * len(wrong)
    assert finding.region is not None
    if form != "moving":
        assert (finding.region == covered).all()
    assert finding.certainty.p_value is not None and finding.certainty.p_value < 1e-3


def test_the_same_images_before_a_model_that_does_not_care_show_nothing(vit: attnlib.Vit) -> None:
    for draw in (block, frame):
        images, _, _ = planted(draw)
        labels = {name: label for name, label in truth(vit).items() if name in images}
        assert not diagnose(vit, images, labels, kinds=["shortcut"]).findings


def test_a_cast_is_found_as_one(vit: attnlib.Vit) -> None:
    class Warm(nn.Module):
        """The demo model, but for a class that much more red than blue makes."""

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, pixels: Tensor) -> Tensor:
            red, blue = pixels[:, 0].mean(dim=(1, 2)), pixels[:, 2].mean(dim=(1, 2))
            logits: Tensor = self.inner(pixels)
            made = torch.zeros_like(logits)
            made[:, TARGET] = 30.0 * (red - blue > 1.2)
            return logits + made

    model, rng = vit.around(Warm(vit.module)), np.random.default_rng(0)
    images, marked = {}, []
    for name, image in demo_images(60).items():
        if rng.random() < 0.25:
            pixels = np.asarray(image) * np.array([1.7, 1.0, 0.35])
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            marked.append(name)
        images[name] = image
    labels = {name: label for name, label in truth(vit).items() if name in images}
    (finding,) = diagnose(model, images, labels, kinds=["shortcut"]).findings
    assert finding.classes == (TARGET,) and finding.detail["form"] == "cast"
    shared = set(finding.images) & set(marked)
    assert len(shared) >= 0.7 * len(marked) and len(shared) >= 0.7 * len(finding.images)


def test_a_proof_needs_both_ways_and_its_controls() -> None:
    proof = shortcut.Proof(50, 45, 2, tuple(range(20)), 15, 1, 1e-9, ())
    assert proof.holds
    for change in (
        {"turned": 24},
        {"turned_elsewhere": 23},
        {"repaired": 5},
        {"repaired_elsewhere": 15},
        {"p_value": 0.02},
    ):
        assert not replace(proof, **change).holds, change  # type: ignore[arg-type]


def test_what_right_images_alone_have_is_no_shortcut(
    vit: attnlib.Vit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_right_images(inputs: Inputs, search: Search) -> Iterator[Candidate]:
        right = tuple(place for place in search.drawn if place not in search.wrong)
        mask = np.ones(inputs.grid, dtype=bool)
        yield Candidate(search.target, "place", right, dict.fromkeys(right, mask), mask)

    monkeypatch.setattr(shortcut, "candidates", of_right_images)
    assert not diagnose(vit, demo_images(), demo_labels(), kinds=["shortcut"]).findings


def test_demo_images_before_the_demo_model_have_no_shortcut(vit: attnlib.Vit) -> None:
    report = diagnose(vit, demo_images(), demo_labels(), kinds=["shortcut"])
    assert report.mistakes > 20
    assert not report.findings
