"""Masks find their images by name, and by nothing else."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from attnlib.dashboard.state.session import Session
from attnlib.data.collection import Sample, collect
from attnlib.data.masks import MAX_MASK_BYTES, Objects, read, set_apart


def png(seed: int, mode: str = "RGB", side: int = 16) -> bytes:
    rng = np.random.default_rng(seed)
    shape = (side, side, 3) if mode == "RGB" else (side, side)
    picture = Image.fromarray(rng.integers(0, 2, shape, dtype=np.uint8) * 255)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def samples(*names: str, mode: str = "L") -> list[Sample]:
    """Colour images, and masks in the given mode where the name or folder says mask."""
    made = []
    for i, name in enumerate(names):
        data = png(i, mode if "mask" in name else "RGB")
        made.append(Sample(name, data, str(i), None))
    return made


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a.jpg", "a_mask.png"),
        ("x/a.png", "x/a-seg.png"),
        ("x/a.jpg", "x/masks/a.png"),
        ("x/images/a.jpg", "x/masks/a.png"),
        ("images/a.jpg", "masks/a_mask.png"),
    ],
)
def test_masks_are_set_apart(image: str, mask: str) -> None:
    given = [Sample(image, png(0), "0", None), Sample(mask, png(1, "L"), "1", None)]
    kept, found = set_apart(given)
    assert [(s.name, s.note) for s in kept] == [(image, "With a mask.")]
    assert found == {"0": png(1, "L")}


@pytest.mark.parametrize(
    "names",
    [
        ("b.jpg", "a_mask.png"),  # of no image
        ("x/a.jpg", "y/z/a_mask.png"),  # far away
        ("mask/a.png", "no_mask/a.png"),  # two classes
        ("a.jpg", "a.png"),  # two images
        ("x/a.jpg", "x/a.png", "x/a_mask.png"),  # of which of the two?
    ],
)
def test_what_is_no_mask_stays_an_image(names: tuple[str, ...]) -> None:
    given = samples(*names, mode="RGB")
    kept, found = set_apart(given)
    assert kept == tuple(given)
    assert not found


def test_colour_pictures_in_a_folder_called_masks_are_images() -> None:
    given = [Sample("masks/a.png", png(0), "0", None), Sample("x/a.png", png(1), "1", None)]
    assert set_apart(given) == (tuple(given), {})


def test_later_masks_are_limited_and_matched_by_name() -> None:
    given = [Sample(f"x/{n}.jpg", png(i), str(i), None) for i, n in enumerate("ab")]
    empty = Objects()
    kept = read([("b_mask.png", png(5, "L"))], given, given[0], empty)
    assert list(kept.masks) == ["1"], "by its name, not the chosen image's"
    refused = read([("b.png", bytes(MAX_MASK_BYTES + 1))], given, given[0], kept)
    assert "8 MiB" in refused.problems[0].reason
    assert refused.masks == kept.masks
    alone = read([("p.png", png(6, "L"))], given, given[0], empty)
    assert list(alone.masks) == ["0"], "a single mask of another name is the chosen image's"
    two = read([("p.png", png(6, "L")), ("q.png", png(7, "L"))], given, given[0], empty)
    assert len(two.problems) == 2
    assert not two.masks
    wrong = read([("a.png", png(8, "L", side=9))], given, given[0], empty)
    assert "9 x 9" in wrong.problems[0].reason


def test_a_session_takes_masks_and_annotations_with_its_images() -> None:
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": 16, "height": 16}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [2, 2, 8, 8]}],
        "categories": [{"id": 3, "name": "cat"}],
    }
    files = [("a.png", png(0)), ("a_mask.png", png(1, "L")), ("b.png", png(2))]
    session = Session(())
    session.take([*files, ("coco.json", json.dumps(coco).encode())])
    assert [s.name for s in session.samples] == ["a.png", "b.png"]
    assert list(session.objects.masks) == [session.samples[0].sha256]
    assert session.objects.coco is not None
    assert not session.refusals
    session.drop([number for number, file in session.files.items() if file.name != "b.png"])
    session.take([("c.png", png(3)), ("broken.json", b"{")])
    assert not session.objects.masks, "those of images that are gone"
    assert session.objects.coco is None
    assert [refusal.name for refusal in session.refusals] == ["broken.json"]
    assert collect([("a.png", png(0))]).annotations == ()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("name", ["masks/a.png", "x/a_mask.png"])
def test_a_file_that_is_no_png_whatever_its_name_is_an_image(name: str, kind: str) -> None:
    """Browsers and phones save other formats under .png; the page must not fall over them."""
    out = io.BytesIO()
    Image.open(io.BytesIO(png(1, "L"))).save(out, kind)
    loaded = collect([("x/a.jpg", png(0)), (name, out.getvalue())])
    assert not loaded.refusals
    assert set_apart(loaded.samples) == (loaded.samples, {})


def test_a_png_is_a_mask_whatever_its_name_ends_in() -> None:
    given = [Sample("x/a.png", png(0), "0", None), Sample("masks/a.jpg", png(1, "L"), "1", None)]
    kept, found = set_apart(given)
    assert [s.name for s in kept] == ["x/a.png"]
    assert found == {"0": png(1, "L")}
