"""One upload after another: what is broken takes nothing away from what was there."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from attnlib.dashboard.state.session import Session
from attnlib.data import archive
from attnlib.data.remarks import Remark


def mask_png(seed: int) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 2, (16, 16), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def png(seed: int) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


TABLE = b"filename,label\na.png,cat\n"


def labelled() -> Session:
    session = Session(())
    session.take([("a.png", png(0)), ("labels.csv", TABLE)])
    assert session.table is not None
    assert session.table.labels == {"a.png": "cat"}
    return session


def test_a_broken_table_leaves_the_labels_and_is_reported() -> None:
    session = labelled()
    session.take([("broken.csv", b"\x00\x01\x02")])
    assert session.table is not None
    assert session.table.labels == {"a.png": "cat"}
    assert "broken.csv" in session.table.problems[0]
    assert [sample.name for sample in session.samples] == ["a.png"]


def test_a_broken_image_leaves_the_labels() -> None:
    session = labelled()
    session.take([("b.png", b"no image")])
    assert session.table is not None
    assert session.table.labels == {"a.png": "cat"}
    assert [refusal.name for refusal in session.refusals] == ["b.png"]


def test_a_broken_annotation_leaves_the_labels_and_the_images() -> None:
    session = labelled()
    session.take([("coco.json", b"{")])
    assert session.table is not None
    assert [sample.name for sample in session.samples] == ["a.png"]
    assert [refusal.name for refusal in session.refusals] == ["coco.json"]


def test_another_table_takes_the_place_of_the_labels() -> None:
    session = labelled()
    session.take([("more.csv", b"filename,label\na.png,dog\n"), ("broken.csv", b"\x00")])
    assert session.table is not None
    assert session.table.labels == {"a.png": "dog"}
    assert len(session.table.problems) == 1


def names(session: Session) -> list[str]:
    return [sample.name for sample in session.samples]


def test_what_is_added_joins_what_is_there() -> None:
    session = labelled()
    session.take([("b.png", png(1))])
    assert names(session) == ["a.png", "b.png"]
    assert session.table is not None
    assert session.table.labels == {"a.png": "cat"}
    session.take([("more.csv", b"filename,label\nb.png,dog\n")])
    assert session.table.labels == {"a.png": "cat", "b.png": "dog"}


def test_what_is_dropped_is_gone_alone() -> None:
    session = Session(())
    a, b, table, broken = session.take(
        [("a.png", png(0)), ("b.png", png(1)), ("labels.csv", TABLE), ("c.png", b"no image")]
    )
    session.manual = {"a.png": ("dog",), "b.png": ("cat",)}
    session.drop([a])
    assert names(session) == ["b.png"]
    assert session.manual == {"b.png": ("cat",)}
    assert session.table is not None, "a table goes when it is dropped itself"
    session.drop([table, broken])
    assert (session.table, session.refusals, session.own) == (None, (), True)
    session.drop([b])
    assert (session.own, len(session.samples)) == (False, 80), "the demo's images are back"
    assert session.files == {}


def test_labels_said_on_the_page_stay_when_images_are_added() -> None:
    session = Session(())
    session.take([("a.png", png(0))])
    session.manual = {"a.png": ("dog",)}
    before = session.samples
    session.take([("labels.csv", TABLE)])
    assert session.samples is before, "no image has changed: nothing is inspected again"
    session.take([("b.png", png(1))])
    assert session.manual == {"a.png": ("dog",)}


def test_another_picture_of_the_same_name_does_not_inherit_a_label() -> None:
    session = Session(())
    (first,) = session.take([("a.png", png(0))])
    session.manual = {"a.png": ("dog",)}
    session.take([("a.png", png(1))])
    assert names(session) == ["a.png", "a (2).png"]
    session.drop([first])
    assert names(session) == ["a.png"]
    assert session.manual == {}


def test_what_was_said_of_a_picture_waits_for_it_and_is_not_another_ones() -> None:
    session = Session(())
    a, _ = session.take([("a.png", png(0)), ("b.png", png(1))])
    said = Remark(note="blurred")
    session.remarks = {"a.png": said, "b.png": said}
    session.drop([a])
    assert session.remarks == {"a.png": said, "b.png": said}
    (a,) = session.take([("a.png", png(0))])
    assert session.remarks == {"a.png": said, "b.png": said}, "it is the same picture again"
    session.drop([a])
    session.take([("a.png", png(5))])
    assert session.remarks == {"b.png": said}


def test_folders_added_one_after_the_other_are_labels() -> None:
    session = Session(())
    session.take([("cats/1.png", png(0))])
    assert session.samples[0].label is None, "one folder alone is a container"
    (dogs,) = session.take([("dogs/2.png", png(1))])
    assert [sample.label for sample in session.samples] == ["cats", "dogs"]
    session.drop([dogs])
    assert [sample.label for sample in session.samples] == [None]


def test_a_zip_is_dropped_with_all_it_holds_and_is_not_unpacked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archived:
        for seed in range(2):
            archived.writestr(f"photos/{seed}.png", png(seed))
    session = Session(())
    (number,) = session.take([("set.zip", out.getvalue())])
    monkeypatch.setattr(archive, "unpack", lambda *_: pytest.fail("unpacked again"))
    session.take([("loose.png", png(7))])
    assert [(s.name, s.label) for s in session.samples] == [
        ("photos/0.png", None),
        ("photos/1.png", None),
        ("loose.png", None),
    ], "the folder of a zip is a container, whatever lies beside the zip"
    session.drop([number])
    assert names(session) == ["loose.png"]


def test_a_mask_goes_with_its_file_and_one_from_a_page_stays() -> None:
    session = Session(())
    _, mask = session.take([("a.png", png(0)), ("a_mask.png", mask_png(1))])
    key = session.samples[0].sha256
    assert session.objects.masks == {key: mask_png(1)}
    session.drop([mask])
    assert session.objects.masks == {}
    session.objects.masks[key] = mask_png(2)
    session.take([("b.png", png(3))])
    assert session.objects.masks == {key: mask_png(2)}


def test_refusals_keep_names_with_colons_whole() -> None:
    session = labelled()
    names = ["run 3: masks: b.json", "a: b.png"]
    session.take([(names[0], b"{"), (names[1], b"no image")])
    assert {refusal.name for refusal in session.refusals} == set(names)
    assert all(refusal.reason and ".json" not in refusal.reason for refusal in session.refusals)
