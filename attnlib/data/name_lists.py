"""Lists of class names, in the files in which they come."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attnlib.data.text import decoded
from attnlib.errors import LabelError

# ImageNet-21k has 21 843 classes; the longest of their names has 150 characters.
MAX_NAMES: Final = 100_000
MAX_LENGTH: Final = 500
# Under which the names lie in larger files: transformers' config.json, timm's, YOLO's, ours.
_INSIDE = ("id2label", "label2id", "class_to_idx", "label_names", "class_names", "classes", "names")
_FORMS = (
    'The JSON should be a list of names, an object like {"0": "cat"}, {"cat": 0} or '
    '{"0": ["n02123045", "cat"]}, or a configuration with id2label.'
)
# "0 cat", "0: cat", "0,cat" and the other way round.
_NUMBER_FIRST = re.compile(r'"?([0-9]{1,9})"?(?:\s*[,;:\t=]\s*|\s+)(\S.*)', re.ASCII)
_NUMBER_LAST = re.compile(r'(.*\S)(?:\s*[,;:\t=]\s*|\s+)"?([0-9]{1,9})"?', re.ASCII)
_HEADER = re.compile(r"[^0-9]*(class|name|label|index|id)[^0-9]*", re.IGNORECASE)
_WORDNET_FIRST = re.compile(r"(n[0-9]{8})(?:\s*[,;:\t]\s*|\s+)(\S.*)", re.ASCII)


def read_class_names(data: bytes, filename: str = "") -> list[str]:
    """Class names in order of index, from a text or a JSON file.

    A text has one name per line, as it stands or numbered from 0 or 1 (``0 cat``, ``cat,0``, with
    or without a header) or after its WordNet id (``n02123045 tabby``). JSON is a list, an object
    ``{"0": "cat", …}``, ``{"cat": 0, …}`` or Keras's ``{"0": ["n02123045", "tabby"], …}``, or a
    configuration that holds one of them, such as transformers' ``config.json``. Where two classes
    of different WordNet ids have one name, the id is added to it.

    Raises:
        LabelError: empty or repeated names, or indices that are not each there once.
    """
    text = decoded(data, "list of class names").strip()
    if filename.lower().endswith(".json") or text.startswith(("[", "{")):
        names = _json_names(text)
    else:
        names = _lines(text.splitlines())
    names = [name.strip() for name in names]
    if "" in names:
        raise LabelError(
            f"The name of class {names.index('')} is empty: it would shift every class after it."
        )
    if not names:
        raise LabelError("The list of class names is empty.")
    check_names(names)
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if first.setdefault(name, index) != index:
            raise LabelError(f"Classes {first[name]} and {index} are both called {name[:60]!r}.")
    return names


def check_names(names: Sequence[str]) -> None:
    """Refuse more or longer names than any model has.

    Raises:
        LabelError: there are.
    """
    if len(names) > MAX_NAMES:
        raise LabelError(
            f"There are {len(names)} class names, and the limit is {MAX_NAMES}: give the names of "
            "the model's classes alone, one per line."
        )
    long = next((index for index, name in enumerate(names) if len(name) > MAX_LENGTH), None)
    if long is not None:
        raise LabelError(
            f"The name of class {long} has {len(names[long])} characters, and the limit is "
            f"{MAX_LENGTH}: give one name per line."
        )


def _lines(lines: Sequence[str]) -> list[str]:
    """The names on the lines, in the order of their numbers where they are numbered."""
    lines = [line.strip() for line in lines]
    filled = [line for line in lines if line]
    for rows in (filled, filled[1:] if filled and _HEADER.fullmatch(filled[0]) else []):
        for pattern, name, number in ((_NUMBER_FIRST, 2, 1), (_NUMBER_LAST, 1, 2)):
            found = [match for row in rows if (match := pattern.fullmatch(row))]
            numbered = {int(match[number]): _unquoted(match[name]) for match in found}
            # "class 0", "class 1" are names: without their numbers they would be one.
            unlike = len(set(numbered.values())) == len(rows)
            for start in (0, 1):
                indices = range(start, start + len(rows))
                if rows and unlike and set(numbered) == set(indices):
                    return [numbered[index] for index in indices]
    known = [match for line in filled if (match := _WORDNET_FIRST.fullmatch(line))]
    if filled and len(known) == len(filled):
        return _told_apart([(match[1], match[2]) for match in known])
    return lines


def _unquoted(name: str) -> str:
    """A name without the quotes that a CSV file puts around one with a comma."""
    quoted = len(name) > 1 and name[0] == name[-1] == '"'
    return name[1:-1].replace('""', '"') if quoted else name


def _told_apart(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Names of (WordNet id, name), with the id where a name is there twice (crane, maillot)."""
    times = Counter(name for _, name in pairs)
    return [name if times[name] == 1 else f"{name}, {wordnet}" for wordnet, name in pairs]


def _json_names(text: str) -> list[str]:
    try:
        value = json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise LabelError("The list of class names is not valid JSON.") from error
    if isinstance(value, dict):
        inside = [value[key] for key in _INSIDE if isinstance(value.get(key), dict | list)]
        return _named(inside[0] if inside else value)
    return _named(value)


def _named(value: object) -> list[str]:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return value
    if isinstance(value, dict) and value:
        if all(type(index) is int for index in value.values()):
            return _in_order({index: name for name, index in value.items()}, len(value))
        keys = [key for key in value if re.fullmatch(r"[0-9]{1,9}", key)]
        if len(keys) == len(value):
            if all(isinstance(name, str) for name in value.values()):
                return _in_order({int(key): value[key] for key in keys}, len(value))
            if all(_is_pair(entry) for entry in value.values()):
                pairs = _in_order({int(key): tuple(value[key]) for key in keys}, len(value))
                return _told_apart(pairs)
    raise LabelError(_FORMS)


def _is_pair(entry: object) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and all(isinstance(e, str) for e in entry)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise LabelError("The same key occurs twice in the JSON object.")
    return unique


def _in_order(names: Mapping[int, Any], count: int) -> list[Any]:
    """What stands at each index. Raises LabelError unless they are exactly 0..count-1."""
    missing = [index for index in range(count) if index not in names]
    if missing:
        raise LabelError(
            f"The {count} class names must have the indices 0 to {count - 1}, each once: "
            f"{missing[0]} is missing."
        )
    return [names[index] for index in range(count)]
