"""Cells of a table as texts, and as the names of images."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pandas as pd


def text(cell: Any) -> str:
    """A cell as text: "" for none, whole numbers without a point."""
    if isinstance(cell, str):
        return cell.strip()
    if cell is None or cell is pd.NA or (isinstance(cell, float | np.floating) and np.isnan(cell)):
        return ""
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell).strip()


def texts(cells: pd.Series) -> list[str]:
    """A column as texts, each one that occurs made once."""
    if cells.dtype == object and pd.api.types.infer_dtype(cells, skipna=True) != "string":
        # Cells of several kinds may be equal and yet other texts, as 1 and True.
        return [text(cell) for cell in cells.tolist()]
    codes, different = pd.factorize(cells, use_na_sentinel=False)
    made = [text(cell) for cell in different]
    return [made[code] for code in codes.tolist()]


def path(cell: Any) -> str:
    """As images are named here: composed, with ``/``, without empty parts."""
    name = text(cell)
    # Nearly all are named so already, and a file may have millions.
    plain = name.isascii() and "\\" not in name and "//" not in name and "/." not in name
    if plain and name and name[0] not in "./" and name[-1] != "/":
        return name
    parts = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))
