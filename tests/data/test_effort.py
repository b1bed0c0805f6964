"""What a small file may cost: time in proportion to what it holds, however it is arranged."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from attnlib.data import annotation, archive, labels, masks, outlines, paths
from attnlib.data.collection import Sample, collect
from attnlib.errors import AttnlibError, LabelError
from tests.growth import MOST, growth


def png(mode: str = "L") -> bytes:
    written = io.BytesIO()
    Image.new(mode, (16, 16)).save(written, "PNG")
    return written.getvalue()


def samples(files: list[tuple[str, bytes]]) -> list[Sample]:
    return [Sample(name, data, str(place), None) for place, (name, data) in enumerate(files)]


def test_many_labels_of_one_file_take_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MAX_LABELS", 10**6)

    def table(rows: int) -> bytes:
        return b"filename,label\n" + b"".join(b"a.png,%d\n" % i for i in range(rows))

    assert growth(table, labels.read_label_table, 4000) < MOST


def test_a_file_of_more_labels_than_the_limit_has_none_and_says_so() -> None:
    most = labels.MAX_LABELS
    rows = [f"many.png,{i}\n" for i in range(most + 1)] + [f"full.png,{i}\n" for i in range(most)]
    table = labels.read_label_table(("filename,label\n" + "".join(rows)).encode())
    assert list(table.several) == ["full.png"]
    assert table.several["full.png"] == tuple(map(str, range(most)))
    assert any("many.png" in problem and str(most) in problem for problem in table.problems)


def test_a_long_header_over_short_rows_takes_the_time_of_its_cells() -> None:
    # Twice the header and twice the rows is twice the bytes.
    def table(size: int) -> bytes:
        header = ",".join(["filename", *(f"c{i}" for i in range(size))])
        whole = ",".join(["whole.png", "1", *["0"] * (size - 1)])
        return "\n".join([header, whole, *["x"] * size]).encode()

    assert growth(table, labels.read_label_table, 1500) < MOST


def test_masks_of_equal_names_find_their_images_in_linear_time() -> None:
    data = png()

    def files(size: int) -> list[Sample]:
        pairs = range(size)
        return samples(
            [(f"m{i}/a_mask.png", data) for i in pairs] + [(f"i{i}/a.png", data) for i in pairs]
        )

    assert growth(files, masks.set_apart, 300) < MOST


@pytest.mark.parametrize("seed", range(3))
def test_masks_belong_to_the_same_images_as_by_looking_at_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    folders = ["", "a/", "a/masks/", "a/b/", "c/", "c/masks/"]
    names = {f"{rng.choice(folders)}{rng.choice(['x', 'y', 'z'])}{rng.choice(['', '_mask'])}.png"
             for _ in range(14)}  # fmt: skip
    found = samples([(name, png(str(rng.choice(["L", "RGB"])))) for name in sorted(names)])
    kept, owned = masks.set_apart(found)
    expected = {}
    for mask in found:
        fits = [
            other
            for other in found
            if masks._is_mask(mask)
            and other is not mask
            and not masks._is_mask(other)
            and masks._stem(other.name) == masks._bare(mask.name)
            and _near(mask.name, other.name)
        ]
        if len(fits) == 1:
            expected[fits[0].sha256] = mask
    assert set(owned) == set(expected)
    assert len(found) - len(kept) >= len(expected)


def _near(mask: str, image: str) -> bool:
    folder, place = image.rpartition("/")[0], mask.rpartition("/")[0]
    above = place.rpartition("/")[0]
    return place == folder or above in (folder, folder.rpartition("/")[0])


def test_masks_given_later_find_their_images_in_linear_time() -> None:
    data = png()

    def files(size: int) -> tuple[list[tuple[str, bytes]], list[Sample]]:
        names = [f"i{n}.png" for n in range(size)]
        return [(f"{n}_mask.png", b"") for n in range(size)], samples([(n, data) for n in names])

    def read(given: tuple[list[tuple[str, bytes]], list[Sample]]) -> None:
        masks.read(given[0], given[1], None, masks.Objects())

    assert growth(files, read, 500) < MOST


def boxes(count: int, side: int) -> list[tuple[float, ...]]:
    return [(0, 0, side, 0, side, side, 0, side)] * count


def test_objects_over_a_large_picture_cost_little_more_than_one() -> None:
    # Before, each of them was drawn over all the picture: 300 took 43 s on 64 megapixels.
    side = 2000
    ratio = growth(lambda count: boxes(count, side), lambda b: outlines.union(b, (side, side)), 40)
    assert ratio < 3


@pytest.mark.parametrize("seed", range(4))
def test_the_union_is_that_of_the_polygons_drawn_one_by_one(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlines, "_BAND", 200)  # several bands
    rng = np.random.default_rng(seed)
    size = (37, 29)
    polygons = [rng.uniform(-10, 45, 2 * rng.integers(3, 8)).tolist() for _ in range(6)]
    polygons.append([3, 4, 9, 4, 9, 11, 3, 11])
    expected = np.zeros((size[1], size[0]), dtype=bool)
    for polygon in polygons:
        for row, col in np.ndindex(expected.shape):
            expected[row, col] |= _inside(polygon, col + 0.5, row + 0.5)
    assert (outlines.union(polygons, size) == expected).all()


def _inside(polygon: list[float], x: float, y: float) -> bool:
    """Even-odd rule by a ray to the left."""
    points = list(zip(polygon[::2], polygon[1::2], strict=True))
    odd = False
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
        if (ay > y) != (by > y) and ax + (y - ay) * (bx - ax) / (by - ay) <= x:
            odd = not odd
    return odd


def test_outlines_that_cross_too_many_rows_are_refused() -> None:
    zigzag = [c for i in range(25_000) for c in (i % 100, 0 if i % 2 else 4000)]
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": 4000, "height": 4000}],
        "annotations": [{"image_id": 1, "segmentation": [zigzag]}],
    }
    found = annotation.read_coco(json.dumps(coco).encode())
    with pytest.raises(AttnlibError, match=r"cross .* rows .* mask as a PNG"):
        found.mask("a.png", (4000, 4000))


@pytest.mark.parametrize("path", ["a/" * 40 + "x.png", "a" * 600 + ".png"])
def test_a_path_that_is_too_long_to_compare_is_refused(path: str) -> None:
    found = collect([(path, png())])
    assert not found.samples
    assert "rename" in found.refusals[0].reason and len(found.refusals[0].name) < 100
    assert collect([("a/" * (paths.MAX_DEPTH - 1) + "x.png", png())]).samples


def test_zips_refuse_long_paths_too() -> None:
    import zipfile

    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        made.writestr("d/" * 40 + "x.png", png())
        made.writestr("x.png", png())
    items = list(archive.unpack("z.zip", written.getvalue(), lambda: ""))
    assert isinstance(items[0], archive.Refusal) and isinstance(items[1], tuple)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("\n".join(map(str, range(100_001))), "100001 class names, and the limit is 100000"),
        ("cat\n" + "d" * 501, "class 1 has 501 characters, and the limit is 500"),
    ],
    ids=["many", "long"],
)
def test_more_class_names_than_any_model_has_are_refused(names: str, said: str) -> None:
    with pytest.raises(LabelError, match=said):
        labels.read_class_names(names.encode())


def test_no_labels_at_all_are_left_of_a_table_of_one_file_with_too_many() -> None:
    rows = "".join(f"a.png,{i}\n" for i in range(labels.MAX_LABELS + 1))
    with pytest.raises(LabelError, match="the limit is 1000"):
        labels.read_label_table(f"filename,label\n{rows}".encode())
