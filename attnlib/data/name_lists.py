"""Lists of class names, in the files in which they come."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from attnlib.data.text import decoded
from attnlib.errors import LabelError


def read_class_names(data: bytes, filename: str = "") -> list[str]:
    """Class names in order of index: one per line, a JSON list, or a JSON object.

    The object is either ``{"0": "cat", ...}`` or ``{"cat": 0, ...}``. Raises LabelError on empty
    or repeated names and on indices that are not exactly 0..n-1.
    """
    text = decoded(data, "list of class names").strip()
    if filename.lower().endswith(".json") or text.startswith(("[", "{")):
        names = _json_names(text)
    else:
        names = text.splitlines()
    names = [name.strip() for name in names]
    if "" in names:
        raise LabelError(
            f"The name of class {names.index('')} is empty: it would shift every class after it."
        )
    if not names:
        raise LabelError("The list of class names is empty.")
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if first.setdefault(name, index) != index:
            raise LabelError(f"Classes {first[name]} and {index} are both called {name!r}.")
    return names


def _json_names(text: str) -> list[str]:
    try:
        value = json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise LabelError("The list of class names is not valid JSON.") from error
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return value
    if isinstance(value, dict) and value:
        if all(type(index) is int for index in value.values()):
            return _in_order({index: name for name, index in value.items()}, len(value))
        keys = [key for key in value if re.fullmatch(r"[0-9]{1,9}", key)]
        if len(keys) == len(value) and all(isinstance(name, str) for name in value.values()):
            return _in_order({int(key): value[key] for key in keys}, len(value))
    raise LabelError(
        'The JSON should be a list of names, or an object like {"0": "cat"} or {"cat": 0}.'
    )


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise LabelError("The same key occurs twice in the JSON object.")
    return unique


def _in_order(names: Mapping[int, str], count: int) -> list[str]:
    """Names by index. Raises LabelError unless the indices are exactly 0..count-1."""
    missing = [index for index in range(count) if index not in names]
    if missing:
        raise LabelError(
            f"The {count} class names must have the indices 0 to {count - 1}, each once: "
            f"{missing[0]} is missing."
        )
    return [names[index] for index in range(count)]
