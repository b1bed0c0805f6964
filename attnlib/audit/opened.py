"""A finished or running audit, asked without being read: DuckDB over its parts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import duckdb
import fsspec
import pandas as pd

from attnlib.audit.numbers import wilson
from attnlib.audit.runs.manifest import Folder, Manifest
from attnlib.audit.slices import CUTS, Key, Tally
from attnlib.data.sets import Entry, ImageSet, open_set
from attnlib.errors import AttnlibError, brief

Outcome = Literal["wrong", "right", "no label", "refused", "all"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_OUTCOME: dict[Outcome, str] = {
    "wrong": "error is null and label_index <> predicted_index",
    "right": "error is null and label_index = predicted_index",
    "no label": "error is null and label_index is null",
    "refused": "error is not null",
    "all": "true",
}
Sort = Literal["confidence", "loss", "margin", "probability_true", "name"]
SORTS: tuple[Sort, ...] = get_args(Sort)
_JUDGED = "error is null and label_index is not null"
# What images are grouped by, beside classes and folders.
PROPERTIES = {
    "number of pixels": "width::double * height",
    "width over height": "width::double / height",
    "attention entropy": "list_avg(entropy)",
    "attention distance": "list_avg(distance)",
}
MOST_GROUPS = 20_000
SHOWN = (
    "name", "label", "predicted", "confidence", "probability_true", "margin", "loss", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Where:
    """Which rows are meant; every part narrows.

    Attributes:
        label, predicted: class names; "" for any.
        text: part of the name.
        low, high: confidence.
    """

    outcome: Outcome = "wrong"
    label: str = ""
    predicted: str = ""
    text: str = ""
    low: float = 0.0
    high: float = 1.0

    def sql(self) -> tuple[str, list[Any]]:
        """A condition, and the values of its places: no text of a person is in it."""
        parts = [_OUTCOME[self.outcome]]
        values: list[Any] = []
        for column, value in (("label", self.label), ("predicted", self.predicted)):
            if value:
                parts.append(f"{column} = ?")
                values.append(value)
        if self.text:
            parts.append("contains(lower(name), lower(?))")
            values.append(self.text)
        if self.low > 0 or self.high < 1:
            parts.append("confidence between ? and ?")
            values += [self.low, self.high]
        return " and ".join(parts), values


@dataclass(frozen=True)
class Totals:
    """How many images there are, by what became of them."""

    images: int
    refused: int
    labelled: int
    right: int

    @property
    def accuracy(self) -> float:
        """Of the labelled images; NaN without any."""
        return self.right / self.labelled if self.labelled else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Of the accuracy, Wilson's 95 %."""
        return wilson(self.right, self.labelled)


class Opened:
    """An audit to ask. Its parts are looked up anew by :meth:`refresh`; several threads may ask.

    Attributes:
        manifest: what it is of.
        done: how many of its shards are there.
    """

    def __init__(self, url: str) -> None:
        """Open the audit in a folder.

        Raises:
            AttnlibError: there is none, or it cannot be read.
        """
        self.folder = Folder(url)
        manifest = self.folder.manifest()
        if manifest is None:
            raise AttnlibError(f"There is no audit in {url}: it holds no manifest.json.")
        self.manifest: Manifest = manifest
        self._connection = duckdb.connect(config={"autoinstall_known_extensions": False})
        self._lock = threading.Lock()
        self._set: ImageSet | None = None
        system, _ = fsspec.core.url_to_fs(url)
        if "file" not in _protocols(system):
            self._connection.register_filesystem(system)
        self.done = 0
        self.refresh()

    def refresh(self) -> None:
        """See the parts that were written since.

        Raises:
            AttnlibError: a part cannot be read.
        """
        parts = [path.removeprefix("file://") for path in self.folder.parts()]
        self.done = len(parts)
        if not parts:
            return
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in parts)
        self._ask(f"create or replace view rows as select * from read_parquet([{listed}])")

    @property
    def whole(self) -> bool:
        """Whether every shard is done."""
        return self.done >= self.manifest.shards

    def totals(self) -> Totals:
        """Of all rows."""
        if not self.done:
            return Totals(0, 0, 0, 0)
        ((images, refused, labelled, right),) = self._ask(
            f"select count(*), count(error), count(*) filter ({_JUDGED}), "
            f"count(*) filter ({_OUTCOME['right']}) from rows"
        ).fetchall()
        return Totals(images, refused, labelled, right)

    def count(self, where: Where) -> int:
        """How many rows are meant."""
        condition, values = where.sql()
        return int(
            self._ask(f"select count(*) from rows where {condition}", values).fetchall()[0][0]
        )

    def page(
        self, where: Where, sort: Sort, *, descending: bool, first: int, count: int
    ) -> pd.DataFrame:
        """Some rows in an order, with the columns of :data:`SHOWN`; equal ones by name."""
        condition, values = where.sql()
        order = f"{sort if sort in SORTS else 'name'} {'desc' if descending else 'asc'} nulls last"
        return self._frame(
            f"select {', '.join(SHOWN)} from rows where {condition} order by {order}, name "
            "limit ? offset ?",
            [*values, count, first],
        )

    def confusion(self, most: int = 200) -> pd.DataFrame:
        """The commonest mistakes: ``label``, ``predicted``, ``images``, mean ``confidence``."""
        return self._frame(
            "select label, predicted, count(*) as images, avg(confidence) as confidence from rows "
            f"where {_OUTCOME['wrong']} group by all order by images desc, label, predicted "
            "limit ?",
            [most],
        )

    def classes(self) -> pd.DataFrame:
        """Each class: ``label``, ``images``, ``wrong``, ``error_rate`` (0 to 1), most first."""
        return self._frame(
            "select label, count(*) as images, count(*) filter (label_index <> predicted_index) as "
            f"wrong, wrong / images as error_rate from rows where {_JUDGED} "
            "group by label order by error_rate desc, images desc, label"
        )

    def judged(self) -> pd.DataFrame:
        """Every labelled image by name: ``name``, ``label``, ``predicted``, ``wrong``."""
        return self._frame(
            "select name, label, predicted, label_index <> predicted_index as wrong from rows "
            f"where {_JUDGED} order by name"
        )

    def tallies(self) -> tuple[dict[Key, Tally], Tally]:
        """How many images of each group are wrong, in two halves by their names; and of all.

        Groups are the true classes, the top folders, and both ends of :data:`PROPERTIES`.
        """
        counts = (
            "count(*) filter (first), count(*) filter (first and wrong), "
            "count(*) filter (not first), count(*) filter (not first and wrong)"
        )
        columns = ", ".join(f"{sql} as p{i}" for i, sql in enumerate(PROPERTIES.values()))
        # What is asked many times is worked out once; the database may keep it on disk.
        cursor = self._ask(
            "create or replace temp table judged as select label, split_part(name, '/', 1) as "
            "folder, hash(name) % 2 = 0 as first, label_index <> predicted_index as wrong, "
            f"{columns} from rows where {_JUDGED}"
        )
        found: dict[Key, Tally] = {}
        for by, column in (("true class", "label"), ("folder", "folder")):
            listed = cursor.execute(f"select {column}, {counts} from judged group by 1").fetchall()
            if 1 < len(listed) <= MOST_GROUPS:
                found |= {(by, str(value)): Tally(*numbers) for value, *numbers in listed}
        classes = {value for by, value in found if by == "true class"}
        if {value for by, value in found if by == "folder"} == classes:
            # Folders that are the labels would be announced twice.
            found = {key: one for key, one in found.items() if key[0] != "folder"}
        for i, by in enumerate(PROPERTIES):
            asked = f"select quantile_cont(p{i}, {list(CUTS)}) from judged"
            (cuts,) = cursor.execute(asked).fetchall()[0]
            for share, cut in zip(CUTS, cuts or (), strict=False):
                sign, words = ("<=", "at most") if share < 0.5 else (">=", "at least")
                asked = f"select {counts} from judged where p{i} {sign} ?"
                (numbers,) = cursor.execute(asked, [cut]).fetchall()
                found[by, f"{words} {cut:.4g}"] = Tally(*numbers)
        (every,) = cursor.execute(f"select {counts} from judged").fetchall()
        total = Tally(*every)
        whole = total.first + total.second
        return {k: one for k, one in found.items() if one.first + one.second < whole}, total

    def labels(self, names: list[str]) -> dict[str, str]:
        """The labels of some images, of those that have one."""
        found = self._ask(
            "select name, label from rows where label is not null and name in "
            f"({', '.join('?' * len(names))})",
            list(names),
        ).fetchall()
        return dict(found)

    def images(self, names: list[str]) -> Iterator[tuple[Entry, bytes | Exception]]:
        """Images with their bytes, fetched from the source now.

        Raises:
            AttnlibError: the source is not there any longer.
        """
        if self._set is None:
            self._set = open_set(self.manifest.wanted["source"])
        entries = self._entries(names)
        return zip(entries, self._set.read(entries), strict=True)

    def _entries(self, names: list[str]) -> list[Entry]:
        """Where images lie, out of the listing."""
        system, path = fsspec.core.url_to_fs(self.folder.url)
        listing = f"{path.rstrip('/')}/listing.parquet"
        if "file" not in _protocols(system):
            listing = system.unstrip_protocol(listing)
        found = self._ask(
            "select name, label, file, place, size from read_parquet(?) where name in "
            f"({', '.join('?' * len(names))})",
            [listing, *names],
        ).fetchall()
        by_name = {row[0]: Entry(*row) for row in found}
        return [by_name[name] for name in names if name in by_name]

    def _frame(self, sql: str, values: list[Any] | None = None) -> pd.DataFrame:
        return self._ask(sql, values).df()

    def _ask(self, sql: str, values: list[Any] | None = None) -> duckdb.DuckDBPyConnection:
        with self._lock:
            cursor = self._connection.cursor()
        try:
            return cursor.execute(sql, values or [])
        except duckdb.Error as error:
            raise AttnlibError(f"The audit cannot be read: {brief(error)}.") from error


def _protocols(system: Any) -> tuple[str, ...]:
    known = system.protocol
    return (known,) if isinstance(known, str) else tuple(known)
