"""One upload after another: what is broken takes nothing away from what was there."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from attnlib.dashboard.state.session import Session


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


def test_other_images_take_the_labels_away() -> None:
    session = labelled()
    session.take([("b.png", png(1))])
    assert session.table is None
    session = labelled()
    session.take([("b.png", png(1)), ("broken.csv", b"\x00")])
    assert session.table is not None
    assert session.table.labels == {}


def test_refusals_keep_names_with_colons_whole() -> None:
    session = labelled()
    names = ["run 3: masks: b.json", "a: b.png"]
    session.take([(names[0], b"{"), (names[1], b"no image")])
    assert {refusal.name for refusal in session.refusals} == set(names)
    assert all(refusal.reason and ".json" not in refusal.reason for refusal in session.refusals)
