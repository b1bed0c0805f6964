"""Every format that is read and written: one line each."""

from __future__ import annotations

from typing import Final

from attnlib.data.results import (
    arrays,
    arrow,
    coco,
    delimited,
    fiftyone,
    folders,
    metadata,
    parquet,
    wandb,
)
from attnlib.data.results.files import Files
from attnlib.data.results.raw import Raw, Reader, Writer
from attnlib.data.results.table import Results
from attnlib.errors import LabelError

# The first that fits is taken: what is told by a name of its own before what is told by its
# ending, and images last, which may lie beside any of the others.
READERS: Final[tuple[Reader, ...]] = (
    wandb, fiftyone, metadata, arrow, parquet, arrays, delimited, coco, folders,
)  # fmt: skip
WRITERS: Final[tuple[Writer, ...]] = (delimited, parquet, arrays, fiftyone, wandb, metadata)
KNOWN: Final = (
    "CSV, Parquet, .npz, pred_probs.npy with labels.npy, a Hugging Face data set on disk, "
    "FiftyOne's samples.json or labels.json, a W&B .table.json, an imagefolder's metadata.jsonl, "
    "COCO annotations or results, or folders of images"
)


def read(files: Files) -> Raw:
    """What some files hold.

    Raises:
        LabelError: they are of no kind that is known, broken, or too large.
    """
    reader = next((one for one in READERS if one.fits(files)), None)
    if reader is None:
        raise LabelError(f"These are no results of a known kind: give {KNOWN}.")
    raw = reader.read(files)
    if raw.frame.empty:
        raise LabelError("The file has no rows.")
    return raw


def writer(file: str) -> Writer:
    """The format of a file by its ending.

    Raises:
        LabelError: none ends so.
    """
    name = file.rsplit("/", 1)[-1].lower()
    for one in sorted(WRITERS, key=lambda one: -len(one.FILE)):
        ending = one.FILE.partition(".")[2]
        if name == one.FILE or (name.endswith(f".{ending}") and one is not fiftyone):
            return one
    raise LabelError(
        f"{file} ends like no format of results: call it {', '.join(one.FILE for one in WRITERS)}."
    )


def write(results: Results, file: str) -> bytes:
    """The bytes of a file of the format that its name says.

    Raises:
        LabelError: no format is called so.
    """
    return writer(file).write(results)
