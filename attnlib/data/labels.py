"""Labels as people supply them: tables of file names, folder names, lists of class names."""

import codecs
import csv
import io
import json
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from attnlib.data.collection import Sample
from attnlib.errors import LabelError

# A row takes about 30 bytes: room for half a million of them.
MAX_BYTES: Final = 16 * 2**20
# Short rows could otherwise fill 16 MiB with millions of Python objects.
MAX_ROWS: Final = 1_000_000
# As many as a person reads.
MAX_PROBLEMS: Final = 100

_FILE_COLUMNS = ("filename", "file", "image", "path", "name")
_LABEL_COLUMNS = ("label", "class", "target", "y")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")


@dataclass(frozen=True)
class LabelTable:
    """``labels``: file name or path as written, with ``/``, to label text.

    ``problems``: rows not taken, as sentences. A file with two different labels is only there.
    """

    labels: dict[str, str]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class LabelMatch:
    """The labels of loaded samples.

    ``labels``: sample name to class index. ``unlabelled``: every other sample, in order.
    ``unknown_files``: table rows whose file is not loaded. ``ambiguous_files``: rows that fit
    several samples, or that give one sample different labels; none of them is used.
    ``unknown_names``: label text that is no class, to how many samples carry it.
    """

    labels: dict[str, int]
    unknown_files: tuple[str, ...]
    unknown_names: dict[str, int]
    unlabelled: tuple[str, ...]
    ambiguous_files: tuple[str, ...]


def read_label_table(data: bytes) -> LabelTable:
    """The labels in a CSV file, delimited by comma, semicolon or tab.

    A header names the columns: filename (file, image, path, name) and label (class, target, y).
    Without one, two columns are file name and label. UTF-8, UTF-16 with a byte-order mark, or
    Windows-1252. Raises LabelError if no label can be read.
    """
    text = _text(data, "label table")
    first_lines = text.splitlines(keepends=True)[:20]
    rows = _rows(text, _delimiter("".join(first_lines)))
    if not rows:
        raise LabelError("The label table has no rows.")
    columns = _columns(rows[0][1])
    if columns is not None:
        rows = rows[1:]
    elif len(rows[0][1]) == 2:
        columns = (0, 1)
    else:
        raise LabelError(
            f"The label table has {_count(len(rows[0][1]), 'column')} and no header that we know: "
            "the first line should be 'filename,label'."
        )
    file_column, label_column = columns

    given: dict[str, list[str]] = defaultdict(list)
    problems: list[str] = []
    for line, row in rows:
        cells = [cell.strip() for cell in row] + [""] * (max(columns) + 1 - len(row))
        name, label = _path(cells[file_column]), cells[label_column]
        if not name or not label:
            problems.append(f"Line {line}: the {'label' if name else 'file name'} is missing.")
        elif label not in given[name]:
            given[name].append(label)
    for name, labels in given.items():
        if len(labels) > 1:
            problems.append(f"{name}: conflicting labels {' and '.join(map(repr, labels))}.")
    if len(problems) > MAX_PROBLEMS:
        more = len(problems) - MAX_PROBLEMS
        problems[MAX_PROBLEMS:] = [f"… and {_count(more, 'more problem')}."]
    if not given:
        raise LabelError(" ".join(["The label table has no labels.", *problems[:1]]))
    agreed = {name: labels[0] for name, labels in given.items() if len(labels) == 1}
    return LabelTable(agreed, tuple(problems))


def match_labels(
    samples: Iterable[Sample],
    table: LabelTable | None,
    class_names: Sequence[str],
    aliases: Mapping[str, int] | None = None,
) -> LabelMatch:
    """Give each sample the class that its table row names, or else its folder.

    A row fits the sample whose path it is; else the one sample whose path ends so, in any case,
    without its ending; else, in the same ways, by the row's base name. The closest row wins.
    A label that is no class is counted in ``unknown_names``; the folder does not replace it.
    """
    samples = tuple(samples)
    texts, unknown_files, ambiguous_files = _match_files(samples, table.labels if table else {})
    disputed = {name for names in ambiguous_files.values() for name in names}
    classes = _Classes(class_names, aliases or {})
    labels: dict[str, int] = {}
    unknown_names: dict[str, int] = {}
    for sample in samples:
        text = texts.get(sample.name, sample.label)
        if text is None or sample.name in disputed:
            continue
        index = classes.resolve(text)
        if index is None:
            unknown_names[text] = unknown_names.get(text, 0) + 1
        else:
            labels[sample.name] = index
    unlabelled = tuple(sample.name for sample in samples if sample.name not in labels)
    return LabelMatch(labels, unknown_files, unknown_names, unlabelled, tuple(ambiguous_files))


def resolve_class(
    text: str, class_names: Sequence[str], aliases: Mapping[str, int] | None = None
) -> int | None:
    """The index of the class that ``text`` means, or None if it means none or several.

    Tried in order: the exact name; an alias (a WordNet id, say); an index in digits; the name in
    any case, spaces, underscores and hyphens apart; one of its synonyms between commas.
    """
    return _Classes(class_names, aliases or {}).resolve(text)


def read_class_names(data: bytes, filename: str = "") -> list[str]:
    """Class names in order of index: one per line, a JSON list, or a JSON object.

    The object is either ``{"0": "cat", ...}`` or ``{"cat": 0, ...}``. Raises LabelError on empty
    or repeated names and on indices that are not exactly 0..n-1.
    """
    text = _text(data, "list of class names").strip()
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


def check_class_count(names: Sequence[str], num_classes: int) -> None:
    """Raise LabelError unless there is one name for each of the model's ``num_classes``."""
    if len(names) != num_classes:
        raise LabelError(
            f"The list has {_count(len(names), 'class name')}, "
            f"but the model has {_count(num_classes, 'class', 'classes')}."
        )


def _text(data: bytes, what: str) -> str:
    """Decoded text. Raises LabelError if it is empty, too large or binary."""
    if len(data) > MAX_BYTES:
        raise LabelError(f"The {what} is too large: the limit is {MAX_BYTES // 2**20} MiB.")
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = data.decode("utf-16")
        else:
            text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Windows-1252 leaves five bytes undefined; Latin-1 defines all.
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    if not text.strip():
        raise LabelError(f"The {what} is empty.")
    if _CONTROL.search(text):
        raise LabelError(
            f"The {what} is binary, not text (it contains NUL or control characters): "
            "save it as UTF-8 text."
        )
    return text


def _rows(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """(line number from 1, cells) of every row that is not blank."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    rows = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
            if len(rows) > MAX_ROWS:
                raise LabelError(f"The label table has more than {MAX_ROWS} rows.")
    except csv.Error as error:
        raise LabelError(
            f"The label table cannot be read at line {reader.line_num}: check its quotes."
        ) from error
    return rows


def _delimiter(text: str) -> str:
    """The one under which there is a header that we know, or rows are alike; else a comma."""
    alike = []
    # A comma last: it is the one most likely to occur inside a label.
    for delimiter in "\t;,":
        try:
            rows = [row for _, row in _rows(text, delimiter)]
        except LabelError:  # quotes that make no sense under this delimiter
            continue
        if rows and _columns(rows[0]) is not None:
            return delimiter
        if rows and len(rows[0]) > 1 and len({len(row) for row in rows}) == 1:
            alike.append(delimiter)
    return alike[0] if alike else ","


def _columns(header: Sequence[str]) -> tuple[int, int] | None:
    """The columns of file name and label, or None where the row is no header that we know."""
    cells = [cell.strip().casefold() for cell in header]
    files = [cells.index(name) for name in _FILE_COLUMNS if name in cells]
    labels = [cells.index(name) for name in _LABEL_COLUMNS if name in cells]
    return (files[0], labels[0]) if files and labels else None


def _path(text: str) -> str:
    """As collection names its samples: composed, with ``/``, without a leading ``./``."""
    path = unicodedata.normalize("NFC", text.strip()).replace("\\", "/")
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _stem(path: str) -> str:
    return posixpath.splitext(path)[0].casefold()


# How a sample's path and a table's row are compared, the strictest first.
_SPELLINGS: Final[tuple[tuple[Callable[[str], str], Callable[[str], str]], ...]] = (
    (str, str),
    (str.casefold, str.casefold),
    (_stem, str.casefold),
    (_stem, _stem),
)


def _match_files(
    samples: Sequence[Sample], rows: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...], dict[str, set[str]]]:
    """Sample name to label text, rows that fit none, rows that fit badly with what they fit."""
    paths = {sample.name for sample in samples}
    ends: list[dict[str, set[str]]] = [defaultdict(set) for _ in _SPELLINGS]
    for name in paths:
        for (spell, _), index in zip(_SPELLINGS, ends, strict=True):
            for end in _ends(name):
                index[spell(end)].add(name)

    claims: dict[str, list[tuple[int, str]]] = defaultdict(list)  # sample -> (closeness, row)
    unknown: set[str] = set()
    ambiguous: dict[str, set[str]] = {}
    for row in rows:
        if row in paths:
            claims[row].append((0, row))
            continue
        keys = (
            (index, spell(path))
            for path in (row, posixpath.basename(row))
            for (_, spell), index in zip(_SPELLINGS, ends, strict=True)
        )
        fits = ((level, index[key]) for level, (index, key) in enumerate(keys, 1) if key in index)
        level, names = next(fits, (0, set()))
        if not names:
            unknown.add(row)
        elif len(names) > 1:
            ambiguous[row] = set()  # it disputes no sample: another row or a folder may name it
        else:
            claims[next(iter(names))].append((level, row))

    texts: dict[str, str] = {}
    for name, claim in claims.items():
        best, _ = min(claim)
        closest = [row for level, row in claim if level == best]
        unknown.update(row for level, row in claim if level > best)  # they mean another file
        if len({rows[row] for row in closest}) == 1:
            texts[name] = rows[closest[0]]
        else:
            ambiguous |= {row: {name} for row in closest}
    return texts, tuple(row for row in rows if row in unknown), ambiguous


def _ends(path: str) -> Iterable[str]:
    """The path and every shorter end of it: a/b/c, b/c, c."""
    parts = path.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))


class _Classes:
    """Class names indexed once, for many texts."""

    def __init__(self, names: Sequence[str], aliases: Mapping[str, int]) -> None:
        self._count = len(names)
        self._aliases = aliases
        self._exact: dict[str, set[int]] = defaultdict(set)
        self._loose: dict[str, set[int]] = defaultdict(set)
        self._synonyms: dict[str, set[int]] = defaultdict(set)
        for index, name in enumerate(names):
            self._exact[name.strip()].add(index)
            self._loose[_loose(name)].add(index)
            for synonym in name.split(","):
                self._synonyms[_loose(synonym)].add(index)

    def resolve(self, text: str) -> int | None:
        text = text.strip()
        if text in self._exact:
            return _only(self._exact[text])
        if text in self._aliases:
            return self._aliases[text]
        # Nine digits: int() refuses thousands of them.
        if re.fullmatch(r"[0-9]{1,9}", text) and int(text) < self._count:
            return int(text)
        loose = _loose(text)
        if not loose:
            return None
        return _only(self._loose.get(loose) or self._synonyms.get(loose, set()))


def _loose(name: str) -> str:
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFC", name).casefold())


def _only(indices: set[int]) -> int | None:
    return next(iter(indices)) if len(indices) == 1 else None


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


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
