"""Audits whose rows were drawn, as folders of parts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from attnlib.audit.runs import Folder, Manifest, Wanted
from attnlib.audit.runs.schema import schema
from attnlib.data.sets import Entry

CLASSES = ("ant", "bee's", "cat; drop table rows", "dog / wolf", "eel")
WIDTH = 8
Row = dict[str, Any]


def written(
    root: Path,
    rows: list[Row],
    size: int = 500,
    *,
    lacking: Collection[str] = (),
    until: int = 10**9,
    model: dict[str, Any] | None = None,
    probabilities: bool = False,
    classes: Sequence[str] = CLASSES,
) -> Path:
    """An audit's folder with these rows.

    Args:
        lacking: columns that parts lack, as those of an earlier version.
        until: the first shard whose part lacks nothing.
    """
    folder = Folder(str(root))
    entries = [Entry(row["name"], row.get("label"), row["name"]) for row in rows]
    count = -(-len(rows) // size)
    folder.begin(
        Manifest({"source": str(root)}, model or {}, "", tuple(classes), {}, len(rows), count, {}),
        entries,
        size,
    )
    kinds = schema(Wanted("x", probabilities=probabilities))
    for shard in range(count):
        part = rows[shard * size : (shard + 1) * size]
        columns = [pa.array([row.get(f.name) for row in part], f.type) for f in kinds]
        table = pa.Table.from_arrays(columns, schema=kinds)
        folder.write(shard, table.drop_columns(list(lacking)) if shard < until else table)
    return root


def later(
    rows: list[Row], seed: int, *, dark: float = 0.2, broken: float = 0.3, repaired: float = 0.05
) -> list[Row]:
    """The same images before a second model, which breaks some dark ones and repairs some others.

    Args:
        dark: brightness below which images are broken.
        broken, repaired: the chance of each.
    """
    rng, found = np.random.default_rng(seed), []
    for row in rows:
        said = row["predicted_index"]
        if row["brightness"] < dark and rng.random() < broken:
            said = (row["label_index"] + 1) % len(CLASSES)
        elif rng.random() < repaired:
            said = row["label_index"]
        found.append({**row, "predicted_index": said, "predicted": CLASSES[said]})
    return found


def drawn(seed: int, count: int = 3000, wrong: float = 0.2) -> list[Row]:
    """Rows with every column that groups are made of; errors have nothing to do with any."""
    rng = np.random.default_rng(seed)
    middles = rng.standard_normal((len(CLASSES), WIDTH)) * 3
    rows = []
    for place in range(count):
        label = int(rng.integers(len(CLASSES)))
        other = (label + int(rng.integers(1, len(CLASSES)))) % len(CLASSES)
        said, next_ = (other, label) if rng.random() < wrong else (label, other)
        share = float(np.float32(0.5 + rng.random() / 2))
        rows.append(
            {
                "name": f"{'abc'[place % 3]}/{place:05d}'%_.jpg",
                "label": CLASSES[label],
                "label_index": label,
                "predicted": CLASSES[said],
                "predicted_index": said,
                "confidence": share,
                "margin": share / 2,
                "top_index": [said, next_],
                "top_probability": [share, 1 - share],
                "embedding": (middles[label] + rng.standard_normal(WIDTH)).astype(np.float16),
                "entropy": rng.random(2).astype("f4"),
                "distance": rng.random(2).astype("f4"),
                "width": int(rng.integers(20, 40)),
                "height": 30,
                "brightness": rng.random(),
                "contrast": rng.random() / 2,
                "saturation": None if rng.random() < 0.1 else rng.random(),
                "sharpness": float(rng.gamma(2, 500)),
                "border": max(0.0, rng.random() - 0.7),
            }
        )
    return rows
