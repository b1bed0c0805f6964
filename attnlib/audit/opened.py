"""A finished or running audit, asked without being read: DuckDB over its parts."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import duckdb
import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from attnlib.audit import clusters, groups, kept_clusters
from attnlib.audit.clusters import Cluster, Vectors
from attnlib.audit.reading import protocols, reading
from attnlib.audit.runs.manifest import Folder, Manifest
from attnlib.audit.runs.schema import COLUMNS
from attnlib.audit.slices import Tally
from attnlib.audit.totals import Totals as Totals
from attnlib.audit.where import (
    CATEGORIES,
    CLUSTER,
    FIRST,
    FOLDER,
    JUDGED,
    OUTCOME,
    PLACE,
    PROPERTIES,
    SHOWN,
    Group,
    Key,
)  # fmt: skip
from attnlib.audit.where import OUTCOMES as OUTCOMES
from attnlib.audit.where import SORTS as SORTS
from attnlib.audit.where import Outcome as Outcome
from attnlib.audit.where import Sort as Sort
from attnlib.audit.where import Where as Where
from attnlib.data.sets import Entry, ImageSet, open_set
from attnlib.errors import AttnlibError, brief
from attnlib.methods.base import Progress

# Rows whose embeddings are held at once.
BLOCK = 16_384
# Of about so many rows embeddings are read for a sample, at most.
SAMPLED_ROWS = 1_000_000


class Opened:
    """An audit to ask. Its parts are looked up anew by :meth:`refresh`; several threads may ask.

    Attributes:
        manifest: what it is of.
        done: how many of its shards are there.
        held: whether its images are held by whoever opened it.
    """

    def __init__(self, url: str, images: ImageSet | None = None) -> None:
        """Open the audit in a folder, of these images or those at its source.

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
        self._clustering = threading.Lock()
        self._clusters: tuple[int, list[Cluster]] | None = None
        self._set, self.held = images, images is not None
        system, _ = fsspec.core.url_to_fs(url)
        if "file" not in protocols(system):
            self._connection.register_filesystem(system)
        self.done = 0
        self.refresh()

    def refresh(self) -> None:
        """See the parts that were written since.

        Raises:
            AttnlibError: a part cannot be read.
        """
        parts = list(self.folder.parts())
        self.done = len(parts)
        if not parts:
            return
        read = reading(parts)
        there = {name for name, *_ in self._ask(f"describe select * {read}").fetchall()}
        # Parts of earlier versions lack columns; an audit that was taken up since has both.
        lacking = "".join(f", null::float as {name}" for name, _ in COLUMNS if name not in there)
        self._ask(f"create or replace view rows as select *{lacking} {read}")

    @property
    def stamp(self) -> tuple[str, str, int]:
        """What its rows are known by: another one for other rows."""
        return self.folder.url, self.manifest.digest, self.done

    @property
    def whole(self) -> bool:
        """Whether every shard is done."""
        return self.done >= self.manifest.shards

    def totals(self) -> Totals:
        """Of all rows."""
        if not self.done:
            return Totals(0, 0, 0, 0)
        ((images, refused, labelled, right),) = self._ask(
            f"select count(*), count(error), count(*) filter ({JUDGED}), "
            f"count(*) filter ({OUTCOME['right']}) from rows"
        ).fetchall()
        return Totals(images, refused, labelled, right)

    def count(self, where: Where) -> int:
        """How many rows are meant."""
        condition, values = self._meant(where)
        found = self._ask(f"select count(*) from rows where {condition}", values).fetchall()
        return int(found[0][0])

    def page(
        self, where: Where, sort: Sort, *, descending: bool, first: int, count: int
    ) -> pd.DataFrame:
        """Some rows in an order, with the columns of :data:`SHOWN`; equal ones by name."""
        condition, values = self._meant(where)
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
            f"where {OUTCOME['wrong']} group by all order by images desc, label, predicted "
            "limit ?",
            [most],
        )

    def classes(self) -> pd.DataFrame:
        """Each class: ``label``, ``images``, ``wrong``, ``error_rate`` (0 to 1), most first."""
        return self._frame(
            "select label, count(*) as images, count(*) filter (label_index <> predicted_index) as "
            f"wrong, wrong / images as error_rate from rows where {JUDGED} "
            "group by label order by error_rate desc, images desc, label"
        )

    def judged(self) -> pd.DataFrame:
        """Every labelled image by name: ``name``, ``label``, ``predicted``, ``wrong``, and folder
        and properties by their names."""
        more = ", ".join(
            f'{sql} as "{by}"' for by, sql in {FOLDER: CATEGORIES[FOLDER], **PROPERTIES}.items()
        )
        return self._frame(
            f"select name, label, predicted, label_index <> predicted_index as wrong, {more} "
            f"from rows where {JUDGED} order by name"
        )

    def tallies(
        self, marks: Mapping[Key, Collection[str]] | None = None, *, clustered: bool = False
    ) -> tuple[dict[Group, Tally], Tally]:
        """How many images of each group are wrong, in two halves by their names; and of all.

        Args:
            marks: names of images by what somebody said of them, as ("tag", "blurred").
            clustered: whether clusters of the embedding are groups too.
        """
        marks = marks or {}
        found = clustered and bool(self.clusters())
        # What is asked many times is worked out once; the database may keep it on disk.
        cursor = self._ask(*groups.prepare(marks, clusters=found))
        return groups.tallies(cursor, self.manifest.class_names, marks)

    def clusters(self, progress: Progress = lambda done, total: None) -> list[Cluster]:
        """Of the labelled images, found once for the parts that are there; none of too few."""
        with self._clustering:
            if self._clusters is None or self._clusters[0] != self.done:
                self._clusters = self.done, kept_clusters.of(self, progress)
            return self._clusters[1]

    def place(self, placed: pa.Table) -> duckdb.DuckDBPyConnection:
        """Have a table ``clusters`` of each image's cluster, see :data:`clusters.PLACED`."""
        with self._lock:
            cursor = self._connection.cursor()
        cursor.register("placed", placed)
        cursor.execute("create or replace table clusters as select * from placed")
        return cursor

    def blocks(self, condition: str = JUDGED) -> Iterator[pa.Table]:
        """Embeddings of rows, some thousands at a time: ``name``, its ``place``, ``label``,
        ``label_index``, ``embedding`` and whether they are of the ``first`` half."""
        rows = self._sql(
            f"select name, {PLACE} as place, label, label_index, embedding, {FIRST} as first "
            f"from rows where {condition} and embedding is not null"
        )
        for batch in rows.to_arrow_reader(BLOCK):
            yield pa.Table.from_batches([batch])

    def sample(self, most: int) -> tuple[list[str], Vectors, NDArray[np.bool_], NDArray[np.bool_]]:
        """Images at random, the same ones each time: names, embeddings ``(n, D)``, whether they
        have a label, whether they are wrong. See :attr:`sampled_of` for which parts are read."""
        read = reading(list(self.folder.parts())[:: self.sampled_of])
        share = self.share("error is null", most, read)
        table = self._sql(
            "select name, embedding, label_index is not null as judged, coalesce(label_index <> "
            f"predicted_index, false) as wrong {read} where error is null and embedding is not "
            f"null and {share}"
        ).to_arrow_table()
        judged, wrong = (table[name].to_numpy() for name in ("judged", "wrong"))
        return table["name"].to_pylist(), clusters.vectors(table["embedding"]), judged, wrong

    @property
    def sampled_of(self) -> int:
        """Of how many parts one is read for a sample: of all until they are large together."""
        return max(1, round(self.manifest.images / SAMPLED_ROWS))

    def share(self, condition: str, most: int, read: str = "from rows") -> str:
        """A condition that about so many rows meet, by their names: to sort them all takes long.

        Rows without an embedding count too, since to know them all embeddings would be read.
        """
        ((count,),) = self._ask(f"select count(*) {read} where {condition}").fetchall()
        return f"{PLACE} <= {min(2**64 - 1, int(2**64 * most / max(count, 1)))}"

    def _meant(self, where: Where) -> tuple[str, list[Any]]:
        if any(by == CLUSTER for by, _ in where.group):
            self.clusters()
        return where.sql(self.manifest.class_names)

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
        if "file" not in protocols(system):
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

    def table(self, sql: str, values: list[Any] | None = None) -> pa.Table:
        """What a question over the table ``rows`` answers.

        Raises:
            AttnlibError: a part cannot be read.
        """
        try:
            return self._sql(sql, values).to_arrow_table()
        except duckdb.Error as error:
            raise AttnlibError(f"The audit cannot be read: {brief(error)}.") from error

    def _sql(self, sql: str, values: list[Any] | None = None) -> duckdb.DuckDBPyRelation:
        """A question that is answered as it is read, in blocks."""
        with self._lock:
            cursor = self._connection.cursor()
        try:
            return cursor.sql(sql, params=values)
        except duckdb.Error as error:
            raise AttnlibError(f"The audit cannot be read: {brief(error)}.") from error

    def _ask(self, sql: str, values: list[Any] | None = None) -> duckdb.DuckDBPyConnection:
        with self._lock:
            cursor = self._connection.cursor()
        try:
            return cursor.execute(sql, values or [])
        except duckdb.Error as error:
            raise AttnlibError(f"The audit cannot be read: {brief(error)}.") from error
