"""What is done fast for millions of rows is what is done for each cell."""

from __future__ import annotations

import posixpath
import unicodedata
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import example, given
from hypothesis import strategies as st

from attnlib.data.results.cells import path, text, texts

CELLS = st.one_of(
    st.text("ab /\\.é", max_size=6),
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.floats(),
)


@given(st.lists(CELLS, min_size=1, max_size=12))
@example([1, True, "1", 1.0, "True"])
@example([0.0, -0.0, None, float("nan")])
def test_a_column_is_its_cells(cells: list[Any]) -> None:
    made = texts(pd.Series(cells, dtype=object))
    assert made == [text(cell) for cell in cells]


@given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=8))
def test_a_column_of_numbers_too(cells: list[float]) -> None:
    expected = [
        "" if np.isnan(c) else str(int(c)) if float(c).is_integer() else str(c) for c in cells
    ]
    assert texts(pd.Series(cells, dtype=float)) == expected


@given(st.text("ab /\\.é\u0301", max_size=8))
@example("./a")
@example("a/./b")
@example("/a")
@example("a/")
@example(" a")
@example(".hidden")
def test_a_path_has_no_empty_parts(name: str) -> None:
    said = unicodedata.normalize("NFC", name.strip()).replace("\\", "/")
    parts = [part for part in said.split("/") if part and part != "."]
    assert path(name) == (posixpath.join(*parts) if parts else "")
