"""NumPy: an ``.npz`` of arrays, or Cleanlab's ``pred_probs.npy`` and ``labels.npy``.

Arrays of Python objects are pickles, which can run code: they are refused unread.
"""

from __future__ import annotations

import io
import math
import zipfile
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attnlib.data.results.files import MAX_BYTES, Files, bounded, check_cells
from attnlib.data.results.raw import Raw
from attnlib.data.results.roles import ROLES, Role
from attnlib.data.results.table import NUMBERS, TEXTS, Results
from attnlib.errors import LabelError, brief

TITLE, FILE = "NumPy (.npz)", "results.npz"
HOLDS: Final[frozenset[Role]] = frozenset(ROLES) - {"top_classes", "top_probabilities", "issue"}
_CLASSES: Final = ("class_names", "classes", "label_names", "categories")


def fits(files: Files) -> bool:
    """Whether there are arrays."""
    return bool(files.ending(".npz", ".npy"))


def read(files: Files) -> Raw:
    """Each array a column: of rows of numbers a column of vectors.

    Raises:
        LabelError: one is broken, too large or of objects, or they differ in length.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name in files.ending(".npy"):
        arrays[name.rsplit("/", 1)[-1][:-4]] = array(files.read(name), name)
    for name in files.ending(".npz"):
        arrays |= _archive(files.read(name), name)
    classes: tuple[str, ...] = ()
    for name in _CLASSES:
        if name in arrays and arrays[name].ndim == 1 and arrays[name].dtype.kind == "U":
            classes = tuple(str(text) for text in arrays.pop(name))
    arrays = {name: values for name, values in arrays.items() if values.ndim in (1, 2)}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise LabelError(
            "The arrays should have a row for each image, and have "
            + (", ".join(f"{name}: {n:,}" for name, n in list(lengths.items())[:8]) or "none")
            + "."
        )
    for name, values in arrays.items():
        check_cells(len(values), values.shape[-1] if values.ndim == 2 else 1, name)
    return Raw(pd.DataFrame({n: _column(v) for n, v in arrays.items()}), "NumPy arrays", classes)


def _column(values: NDArray[Any]) -> pd.Series:
    if values.ndim == 2:
        return pd.Series(list(values), dtype=object)
    if values.dtype.kind in "US":
        return pd.Series([str(text) or None for text in values.astype(str)], dtype=object)
    return pd.Series(values)


def _archive(data: bytes, name: str) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            if sum(info.file_size for info in members) > MAX_BYTES:
                raise LabelError(f"{name} unpacks to more than {MAX_BYTES // 2**20} MiB.")
            return {i.filename[:-4]: array(bounded(archive, i), i.filename) for i in members}
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, NotImplementedError) as error:
        raise LabelError(f"{name} is no .npz: {brief(error)}.") from error


def array(data: bytes, name: str) -> NDArray[Any]:
    """The array in the bytes of an ``.npy`` file; its header is judged before room is made.

    Raises:
        LabelError: it is none, is shorter than it says, or holds objects.
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, kind = header(file)
        if kind.hasobject:
            raise LabelError(
                f"{name} holds Python objects, which can run code: save texts with "
                "np.array(names, dtype=str), and numbers as numbers."
            )
        if math.prod(shape) * kind.itemsize > len(data):
            raise LabelError(f"{name} is shorter than its header says: it was cut off.")
        file.seek(0)
        found: NDArray[Any] = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError, TypeError) as error:
        raise LabelError(f"{name} is no array: {brief(error)}.") from error
    if found.dtype.kind not in "biufUS":
        raise LabelError(f"{name} holds {found.dtype}, and should hold numbers or texts.")
    return found


def write(results: Results) -> bytes:
    """An array for each thing that is said, with the names that Cleanlab uses."""
    arrays: dict[str, NDArray[Any]] = {}
    for column in TEXTS:
        if column == "name" or results.has(column):
            arrays[column] = np.array(results.table[column].tolist(), dtype=np.str_)
    for column in NUMBERS:
        if results.has(column):
            arrays[column] = results.table[column].to_numpy(np.float64)
    if results.has("tags"):
        arrays["tags"] = np.array(results.table["tags"].map(" | ".join).tolist(), dtype=np.str_)
    if results.probabilities is not None:
        arrays["pred_probs"] = results.probabilities
        arrays["class_names"] = np.array(results.classes, dtype=np.str_)
    if results.embeddings is not None:
        arrays["embeddings"] = results.embeddings
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()
