"""Masks from files and boxes, and measures of a map against a mask."""

from __future__ import annotations

import contextlib
import io
import json
import math
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image
from timm.data import create_transform

import attnlib
from attnlib.data import annotation
from attnlib.data.annotation import box_mask, read_coco, read_mask, to_crop
from attnlib.errors import AttnlibError
from attnlib.evaluation.localisation import coverage, localise
from attnlib.pictures import overlay

Mask = NDArray[np.bool_]

maps = arrays(np.float64, (3, 4), elements=st.integers(-3, 3).map(float))
masks = arrays(np.bool_, (9, 8))  # columns of 2 pixels, rows of 3
uneven = arrays(np.bool_, (10, 11))


# -- measures ----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(maps, st.one_of(masks, uneven))
def test_auc_is_that_of_the_pixels(values: Any, mask: Mask) -> None:
    assume(mask.any())
    found = localise(values, mask)
    if mask.all():
        assert math.isnan(found.auc)
        return
    pixels = overlay.resize(values, (mask.shape[1], mask.shape[0]))
    expected = sklearn.metrics.roc_auc_score(mask.ravel(), pixels.ravel())
    assert found.auc == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(maps, masks)
def test_mass_and_pointing_over_pixels(values: Any, mask: Mask) -> None:
    assume(mask.any())
    found = localise(values, mask)
    pixels = overlay.resize(values, (8, 9))
    positive = np.maximum(pixels, 0)
    assert found.area == pytest.approx(mask.mean())
    if positive.any():
        assert found.mass == pytest.approx(positive[mask].sum() / positive.sum())
        assert found.ratio == pytest.approx(found.mass / mask.mean())
    else:
        assert math.isnan(found.mass) and math.isnan(found.ratio)
    assert found.pointing == pytest.approx(mask[pixels == pixels.max()].mean())


@settings(deadline=None, max_examples=100)
@given(st.floats(1e-30, 1e30), st.one_of(masks, uneven))
def test_a_uniform_map_gets_exactly_what_chance_gets(value: float, mask: Mask) -> None:
    assume(mask.any())
    found = localise(np.full((3, 4), value), mask)
    assert found.ratio == 1.0
    assert found.mass == found.area
    assert found.pointing == pytest.approx(found.area, abs=1e-15)
    assert mask.all() or found.auc == 0.5


def test_a_map_on_the_object_and_one_beside_it() -> None:
    mask = np.zeros((8, 8), np.bool_)
    mask[2:4, 4:8] = True  # patches (1, 2) and (1, 3) of 4 x 4
    on = np.zeros((4, 4))
    on[1, 2:] = 1
    found = localise(on, mask)
    assert (found.mass, found.area, found.ratio) == (1, 1 / 8, 8)
    assert (found.pointing, found.auc) == (1, 1)
    found = localise(1 - on, mask)
    assert (found.mass, found.ratio, found.pointing, found.auc) == (0, 0, 0, 0)
    assert localise(on - 1, mask).auc == 1


def test_coverage_counts_pixels() -> None:
    mask = np.zeros((8, 8), np.bool_)
    mask[1:4, 0:3] = True
    expected = np.zeros((4, 4))
    expected[:2, :2] = [[0.5, 0.25], [1, 0.5]]
    np.testing.assert_array_equal(coverage(mask, (4, 4)), expected)


@pytest.mark.parametrize(
    ("values", "mask", "message"),
    [
        (np.ones((2, 2)), np.zeros((4, 4)), "The mask is empty"),
        (np.ones((2, 2)), np.ones((1, 4)), r"with 2 x 2 patches or more, not \(1, 4\)"),
        (np.full((2, 2), np.inf), np.ones((4, 4)), "finite values"),
        (np.ones(4), np.ones((4, 4)), r"must be \(rows, cols\)"),
    ],
)
def test_measure_messages(values: Any, mask: Any, message: str) -> None:
    with pytest.raises(AttnlibError, match=message):
        localise(values, mask)


# -- boxes -------------------------------------------------------------------------------------


@given(*(st.floats(-3, 14) for _ in range(4)))
def test_a_box_holds_the_centres_of_its_pixels(x0: float, y0: float, x1: float, y1: float) -> None:
    expected = [[x0 <= x + 0.5 < x1 and y0 <= y + 0.5 < y1 for x in range(12)] for y in range(9)]
    if not np.any(expected):
        with pytest.raises(AttnlibError, match="holds no pixel of a picture of 12 x 9"):
            box_mask((x0, y0, x1, y1), (12, 9))
        return
    np.testing.assert_array_equal(box_mask((x0, y0, x1, y1), (12, 9)), expected)
    found = read_coco(coco({"bbox": [x0, y0, x1 - x0, y1 - y0]}))
    assume(all(abs(v % 1 - 0.5) > 1e-9 for v in (x0, y0, x1, y1)))
    np.testing.assert_array_equal(found.mask("a.png", (12, 9)), expected)


@pytest.mark.parametrize("box", [(0, 0, 1), (0, 0, 1, math.nan), (0, 0, 1, math.inf), "abcd"])
def test_box_messages(box: Any) -> None:
    with pytest.raises(AttnlibError, match=r"A box \(x0, y0, x1, y1\) must be 4 numbers"):
        box_mask(box, (12, 9))


# -- mask pictures -----------------------------------------------------------------------------

SHAPE = np.zeros((20, 30), np.uint8)
SHAPE[4:12, 5:9] = 1
SHAPE[13:15, 20:29] = 2


def png(picture: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()


def palette() -> Image.Image:
    picture = Image.fromarray(SHAPE)
    picture.putpalette([0, 0, 0, 128, 0, 0, 224, 224, 192])
    return picture


def with_alpha(colour: int) -> Image.Image:
    """The object in one grey, transparent around it."""
    rgba = np.full((*SHAPE.shape, 4), colour, np.uint8)
    rgba[..., 3] = 255 * (SHAPE > 0)
    return Image.fromarray(rgba)


def opaque() -> Image.Image:
    rgba = np.repeat(SHAPE[..., None], 4, axis=2) * 100
    rgba[..., 3] = 255
    return Image.fromarray(rgba)


def transparent_palette() -> bytes:
    picture = Image.fromarray(SHAPE)
    picture.putpalette([255, 255, 255, 0, 0, 0, 9, 9, 9])
    return png(picture, transparency=0)


PICTURES = {
    "grey 0 and 1": png(Image.fromarray(SHAPE)),
    "grey 0 and 255": png(Image.fromarray((SHAPE > 0).astype(np.uint8) * 255)),
    "one bit": png(Image.fromarray(SHAPE > 0)),
    "16-bit labels": png(Image.fromarray(SHAPE.astype(np.uint16))),
    "palette": png(palette()),
    "transparent palette": transparent_palette(),
    "colour": png(Image.fromarray(np.stack([SHAPE * 0, SHAPE, SHAPE * 0], axis=2))),
    "RGBA, opaque": png(opaque()),
    "RGBA, black object": png(with_alpha(0)),
    "RGBA, white object": png(with_alpha(255)),
    "grey and alpha": png(with_alpha(40).convert("LA")),
}


@pytest.mark.parametrize("key", PICTURES)
def test_mask_pictures(key: str) -> None:
    np.testing.assert_array_equal(read_mask(PICTURES[key], (30, 20)), SHAPE > 0)


def test_turned_mask_is_read_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png(Image.fromarray(SHAPE).rotate(90, expand=True), exif=exif)
    np.testing.assert_array_equal(read_mask(data, (30, 20)), SHAPE > 0)


def test_mask_messages() -> None:
    buffer = io.BytesIO()
    Image.fromarray(SHAPE).save(buffer, "JPEG")
    data = PICTURES["palette"]
    for bad, message in (
        (buffer.getvalue(), "must be a PNG, not JPEG"),
        (b"", "empty"),
        (b"hello", "not an image format"),
        (data[:-30], "damaged"),
        (png(Image.new("1", (3, 3))), "too small"),
        (png(Image.new("L", (20, 30))), "mask is 20 x 30 pixels and its image 30 x 20"),
    ):
        with pytest.raises(AttnlibError, match=message):
            read_mask(bad, (30, 20))


# -- through the preprocessing -----------------------------------------------------------------


def test_the_mask_goes_where_the_image_goes(vit: attnlib.Vit) -> None:
    """Beside nearest neighbour by hand, for a centre crop of a resized picture."""
    transform = create_transform(
        (3, 48, 48),
        interpolation="bicubic",
        crop_pct=0.75,
        crop_mode="center",
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.3, 0.4),
    )
    y, x = np.mgrid[0:180, 0:240]
    mask = (x - 100) ** 2 + (y - 70) ** 2 < 40**2
    found = to_crop(transform, mask)
    # 240 x 180 to 85 x 64, then the middle 48 pixels, from (85 - 48) // 2 and (64 - 48) // 2.
    down = ((np.arange(48) + 8 + 0.5) * 180 / 64).astype(int)
    across = ((np.arange(48) + 18 + 0.5) * 240 / 85).astype(int)
    expected = mask[down][:, across]
    assert expected.sum() > 300
    union = (found | expected).sum()
    assert (found & expected).sum() / union > 0.95
    # The same from the picture itself, drawn and measured: no formula of ours.
    drawn = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).convert("RGB")
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    shown = transform(drawn) * std[:, None, None] + mean[:, None, None]
    np.testing.assert_array_equal(found, shown[0] >= 0.5)


def test_an_aligned_mask_is_exact(vit: attnlib.Vit) -> None:
    mask = np.zeros(vit.size, np.bool_)
    mask[8:16, 20:32] = True
    np.testing.assert_array_equal(to_crop(vit.transform, mask), mask)
    assert to_crop(vit.transform, np.ones((50, 70), np.bool_)).all()


@pytest.mark.parametrize("channels", [1, 4])
def test_masks_of_models_of_other_channels(channels: int) -> None:
    """As of three: nothing becomes more of an object for being transparent or grey."""
    mask = np.zeros((90, 120), np.bool_)
    mask[30:70, 20:61] = True
    made = {
        count: create_transform(
            (count, 48, 48), crop_pct=0.75, mean=(0.5,) * count, std=(0.2,) * count
        )
        for count in (3, channels)
    }
    expected = to_crop(made[3], mask)
    np.testing.assert_array_equal(to_crop(made[channels], mask, channels), expected)
    assert 0.1 < expected.mean() < 0.9


def test_padding_is_no_object() -> None:
    def padded(image: Image.Image) -> torch.Tensor:
        array = np.asarray(image.resize((8, 8)), np.float32) / 255
        return torch.nn.functional.pad(torch.from_numpy(array).permute(2, 0, 1), (2, 2), value=7.0)

    found = to_crop(padded, np.ones((8, 8), np.bool_))
    assert found.shape == (8, 12) and found[:, 2:10].all() and found.sum() == 64


def test_an_object_outside_the_crop_is_said(vit: attnlib.Vit) -> None:
    mask = np.zeros((40, 400), np.bool_)
    mask[:, :20] = True
    with pytest.raises(AttnlibError, match="Nothing of the object is left in the crop"):
        to_crop(vit.transform, mask)


# -- COCO --------------------------------------------------------------------------------------


def coco(*annotations: dict[str, Any], **parts: Any) -> bytes:
    root = {
        "images": [{"id": 7, "file_name": "a.png", "width": 12, "height": 9}],
        "annotations": [{"image_id": 7, "category_id": 1, **a} for a in annotations],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        **parts,
    }
    return json.dumps(root).encode()


def inside(polygon: list[float], size: tuple[int, int]) -> Mask:
    """Whether each pixel's centre is in, by the winding of the polygon around it."""
    points = np.array(polygon).reshape(-1, 2)
    y, x = np.mgrid[0 : size[1], 0 : size[0]] + 0.5
    angles = np.arctan2(points[:, 1, None, None] - y, points[:, 0, None, None] - x)
    turns = np.roll(angles, -1, axis=0) - angles
    turns = (turns + np.pi) % (2 * np.pi) - np.pi
    return np.rint(turns.sum(axis=0) / (2 * np.pi)) % 2 == 1


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 9), st.integers(0, 2**31))
def test_polygons(vertices: int, seed: int) -> None:
    """Any polygon, crossing itself and leaving the picture too. Real coordinates: none on a
    pixel's centre, where either answer would be right."""
    polygon = np.random.default_rng(seed).uniform((-5, -5), (35, 25), (vertices, 2)).ravel()
    size = [{"id": 7, "file_name": "a.png", "width": 30, "height": 20}]
    expected = inside(polygon.tolist(), (30, 20))
    assume(expected.any())
    data = coco({"segmentation": [polygon.tolist()]}, images=size)
    np.testing.assert_array_equal(read_coco(data).mask("a.png", (30, 20)), expected)


def test_polygons_of_an_object_are_joined() -> None:
    parts = [[0, 0, 6, 0, 6, 4, 0, 4], [3, 2, 9, 2, 9, 6, 3, 6]]
    found = read_coco(coco({"segmentation": parts})).mask("a.png", (12, 9))
    expected = box_mask((0, 0, 6, 4), (12, 9)) | box_mask((3, 2, 9, 6), (12, 9))
    np.testing.assert_array_equal(found, expected)


def test_objects_are_joined_and_chosen_by_category() -> None:
    data = coco(
        {"bbox": [0, 0, 2, 2]},
        {"bbox": [5, 5, 1, 1], "category_id": 2},
        {"segmentation": {"counts": "abc", "size": [9, 12]}, "iscrowd": 1},
        {"bbox": [3, 3, 1, 1], "category_id": 9},
    )
    found = read_coco(data)
    assert found.mask("a.png", (12, 9)).sum() == 6
    assert found.mask("some/folder/a.png", (12, 9), ["dog"]).sum() == 1
    assert found.mask("a.png", (12, 9), ["cat", "9"]).sum() == 5
    for name, size, categories, message in (
        ("b.png", (12, 9), None, "have no image 'b.png'"),
        ("a.png", (9, 12), None, "a.png is 9 x 12 pixels, and 12 x 9 in the annotations"),
        ("a.png", (12, 9), ["bird"], "no such object. Its categories: 9, cat, dog"),
    ):
        with pytest.raises(AttnlibError, match=message):
            found.mask(name, size, categories)
    with pytest.raises(AttnlibError, match="Its categories: none"):
        read_coco(coco()).mask("a.png", (12, 9))
    with pytest.raises(AttnlibError, match="hold no pixel"):
        read_coco(coco({"bbox": [50, 0, 2, 2]})).mask("a.png", (12, 9))


IMAGE = {"id": 7, "file_name": "a.png", "width": 12, "height": 9}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no valid JSON"),
        (b"\xff\xfe\x00", "no valid JSON"),
        (b"[" * 100_000, "no valid JSON"),
        (b"[]", "need a list of objects 'images'"),
        (b'{"images": [], "annotations": [3]}', "need a list of objects 'annotations'"),
        (coco(categories={}), "need a list of objects 'categories'"),
        (coco(images=[{"id": 7}]), "needs id, file_name, width and height"),
        (coco(images=[{**IMAGE, "id": True}]), "needs id, file_name, width and height"),
        (coco(images=[IMAGE, IMAGE]), "is there twice"),
        (coco({"bbox": [0, 0, 1, 1], "image_id": 8}), "Annotation 0 has no image_id"),
        (coco({"bbox": [0, 0, 1, 1], "image_id": [7]}), "Annotation 0 has no image_id"),
        (coco({}), r"Annotation 0, bbox \(x, y, width, height\) must be 4 numbers"),
        (coco({"bbox": [0, 0, 1, "1"]}), "must be 4 numbers"),
        (coco({"bbox": [0, 0, 1, 1e400]}), "must be 4 numbers"),
        (coco({"segmentation": {"counts": "a"}}), "run-length encoded"),
        (coco({"segmentation": [[0, 0, 1, 1]]}), "3 vertices or more"),
        (coco({"segmentation": [[0, 0, 1, 1, 2, 2, 3]]}), "3 vertices or more"),
        (coco({"segmentation": [0, 0, 1, 1, 2, 2]}), "segmentation must be numbers"),
    ],
)
def test_coco_messages(data: bytes, message: str) -> None:
    with pytest.raises(AttnlibError, match=message):
        read_coco(data)


def test_coco_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    many = coco(*({"segmentation": [[0, 0, 9, 0, 9, 9]]} for _ in range(4)))
    monkeypatch.setattr(annotation, "MAX_VERTICES", 11)
    with pytest.raises(AttnlibError, match="4 objects with 12 vertices; the limits are"):
        read_coco(many).mask("a.png", (12, 9))
    monkeypatch.setattr(annotation, "MAX_OBJECTS", 3)
    with pytest.raises(AttnlibError, match="There are 4 annotations, and the limit is 3"):
        read_coco(many)
    monkeypatch.setattr(annotation, "MAX_COCO_BYTES", 100)
    with pytest.raises(AttnlibError, match="The annotations are 0 MiB, and the limit is"):
        read_coco(many)


@settings(deadline=None, max_examples=150)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
        lambda part: st.one_of(
            st.lists(part, max_size=4),
            st.dictionaries(
                st.sampled_from(["id", "image_id", "bbox", "segmentation", "name", "iscrowd"]),
                part,
            ),
        ),
        max_leaves=12,
    ),
    st.sampled_from(["images", "annotations", "categories", "bbox", "segmentation"]),
)
def test_any_json_is_read_or_refused(content: Any, where: str) -> None:
    data = coco({where: content}) if where in ("bbox", "segmentation") else coco(**{where: content})
    with contextlib.suppress(AttnlibError):
        read_coco(data).mask("a.png", (12, 9))
