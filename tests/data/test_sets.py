"""Sets in every form that people have them: the same images, names, labels and bytes."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnlib.data.sets import open_set
from attnlib.data.sets.places import _expanded
from attnlib.errors import AttnlibError
from attnlib.model import demo

IMAGES = demo.images()[:9]
CLASSES = sorted({one.label for one in IMAGES})
Write = Callable[[Path], str]


def folder(root: Path) -> str:
    for one in IMAGES:
        path = root / "val" / one.label / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.data)
    (root / "val" / ".hidden.png").write_bytes(b"")
    (root / "val" / "notes.txt").write_text("no image")
    return str(root / "val")


def flat(root: Path) -> str:
    """A table says the labels, not the folder."""
    (root / "flat").mkdir()
    for one in IMAGES:
        (root / "flat" / one.name).write_bytes(one.data)
    rows = [f"{one.name},{one.label}" for one in IMAGES]
    (root / "flat" / "labels.csv").write_text("\n".join(["filename,label", *rows]))
    return str(root / "flat")


def zipped(root: Path) -> str:
    with zipfile.ZipFile(root / "val.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for one in IMAGES:
            archive.writestr(f"val/{one.label}/{one.name}", one.data)
    return str(root / "val.zip")


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def tars(root: Path) -> str:
    """Two, as WebDataset writes them; labels in three ways."""
    for number, part in enumerate((IMAGES[:4], IMAGES[4:])):
        with tarfile.open(root / f"val-{number:03d}.tar", "w") as archive:
            for place, one in enumerate(part):
                stem = one.name.rsplit(".", 1)[0]
                label = {
                    0: (".cls", one.label),
                    1: (".json", json.dumps({"label": one.label, "x": [1]})),
                    2: (".txt", one.label),
                }[place % 3]
                if place % 2:
                    _add(archive, stem + label[0], label[1].encode())
                _add(archive, f"{stem}.png", one.data)
                if not place % 2:
                    _add(archive, stem + label[0], label[1].encode())
    return str(root / "val-{000..001}.tar")


def parquet(root: Path) -> str:
    """As Hugging Face writes it, in row groups of two."""
    features = {"label": {"names": CLASSES, "_type": "ClassLabel"}}
    table = pa.table(
        {
            "image": [{"bytes": one.data, "path": one.name} for one in IMAGES],
            "label": [CLASSES.index(one.label) for one in IMAGES],
        }
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, root / "val.parquet", row_group_size=2)
    return str(root / "val.parquet")


def plain_parquet(root: Path) -> str:
    table = pa.table(
        {
            "class_name": [one.label for one in IMAGES],
            "img": [one.data for one in IMAGES],
            "file_name": [one.name for one in IMAGES],
        }
    )
    pq.write_table(table, root / "plain.parquet")
    return str(root / "plain.parquet")


def listed(root: Path) -> str:
    folder(root)
    rows = [f"val/{one.label}/{one.name};{one.label}" for one in IMAGES]
    (root / "list.csv").write_text("\n".join(["path;label", *rows]))
    return str(root / "list.csv")


def in_memory(root: Path) -> str:
    """Of a file system that is no folder of this machine."""
    system = fsspec.filesystem("memory")
    for one in IMAGES:
        system.pipe(f"/{root.name}/{one.label}/{one.name}", one.data)
    return f"memory://{root.name}"


@pytest.mark.parametrize(
    "write", [folder, flat, zipped, tars, parquet, plain_parquet, listed, in_memory]
)
def test_images_labels_and_bytes_are_those_that_were_written(tmp_path: Path, write: Write) -> None:
    images = open_set(write(tmp_path))
    entries = list(images.entries())
    known = {one.name: one for one in IMAGES}
    assert len(entries) == len(known)
    assert len({entry.name for entry in entries}) == len(entries)
    for entry, data in zip(entries, images.read(entries), strict=True):
        one = known[entry.name.rsplit("/", 1)[-1]]
        assert (entry.label, data) == (one.label, one.data)
    # In any order, and a part of them, as a shard is read.
    some = entries[::-2]
    for entry, data in zip(some, images.read(some), strict=True):
        assert data == known[entry.name.rsplit("/", 1)[-1]].data
    assert list(images.entries()) == entries


def test_one_image_that_is_gone_costs_no_other(tmp_path: Path) -> None:
    images = open_set(folder(tmp_path))
    entries = list(images.entries())
    (tmp_path / "val" / entries[2].file).unlink()
    read = list(images.read(entries))
    assert isinstance(read[2], OSError)
    assert sum(isinstance(one, bytes) for one in read) == len(entries) - 1


def test_a_damaged_member_costs_no_other(tmp_path: Path) -> None:
    path = Path(zipped(tmp_path))
    images = open_set(str(path))
    entries = list(images.entries())
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.infolist()[3]
    start = info.header_offset + 60 + len(info.filename)
    data[start : start + 40] = b"\0" * 40
    path.write_bytes(bytes(data))
    read = dict(zip([e.name for e in entries], images.read(entries), strict=True))
    assert [name for name, one in read.items() if not isinstance(one, bytes)] == [info.filename]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone", None, "There is nothing at"),
        ("x.rar", b"x", "is no set of images"),
        ("x.zip", b"x", "is no zip"),
        ("x.tar", b"x" * 600, "is no tar"),
        ("x.parquet", b"x", "is no Parquet"),
        ("x.csv", b"a,b\n1,2\n", "needs a column"),
    ],
)
def test_what_is_no_set_is_refused(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(AttnlibError, match=words):
        list(open_set(str(tmp_path / name)).entries())


def test_a_table_without_images_says_what_it_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": ["a.png"], "label": ["cat"]}), tmp_path / "x.parquet")
    with pytest.raises(AttnlibError, match="no column of images"):
        list(open_set(str(tmp_path / "x.parquet")).entries())


def test_an_unknown_file_system_says_what_to_install() -> None:
    with pytest.raises(AttnlibError, match="fsspec's package"):
        open_set("nosuch://bucket/x.tar")


@given(st.integers(0, 30), st.integers(0, 5), st.integers(1, 4))
def test_braces_are_written_out_with_their_zeros(first: int, more: int, digits: int) -> None:
    text = f"a-{{{first:0{digits}d}..{first + more}}}.tar"
    width = max(digits, len(str(first)))
    expected = [f"a-{n:0{width}d}.tar" for n in range(first, first + more + 1)]
    assert list(_expanded(text)) == expected
