"""Where the rows of an audit's parts come from, for DuckDB."""

from __future__ import annotations

from typing import Any


def reading(parts: list[str]) -> str:
    """The rows of some parts, in SQL."""
    paths = [path.removeprefix("file://").replace("'", "''") for path in parts]
    listed = ", ".join(f"'{path}'" for path in paths)
    return f"from read_parquet([{listed}], union_by_name = true)"


def protocols(system: Any) -> tuple[str, ...]:
    """The names that a file system goes by."""
    known = system.protocol
    return (known,) if isinstance(known, str) else tuple(known)
