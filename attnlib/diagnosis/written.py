"""A diagnosis as JSON, for files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from attnlib.diagnosis.diagnose import Report


def as_json(report: Report) -> str:
    """The report as JSON, of which what is not finite is null."""
    return json.dumps(_plain(report.to_dict()), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """The same in what JSON has: numbers of NumPy are numbers."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value
