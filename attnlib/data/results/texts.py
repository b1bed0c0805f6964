"""JSON within limits."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np

from attnlib.data.results.files import Files
from attnlib.errors import LabelError, brief

# Python's objects take some ten times the text.
MAX_JSON: Final = 256 * 2**20


def parsed(files: Files, name: str) -> Any:
    """What a JSON file says.

    Raises:
        LabelError: it is too large, or no JSON.
    """
    if files.sizes[name] > MAX_JSON:
        raise LabelError(
            f"{name} has more than {MAX_JSON // 2**20} MiB of JSON: give the results as Parquet."
        )
    try:
        return json.loads(files.read(name))
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{name} is no JSON: {brief(error)}.") from error


def cell(value: Any) -> Any:
    """A cell of a table as JSON can say it: vectors as lists, None for NaN."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float64).tolist()
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(value)
    return value
