"""What a model said, as results that other tools read: of a session's images, or of an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.compute as pc
from numpy.typing import NDArray

from attnlib.audit.joined import Here
from attnlib.audit.opened import Opened
from attnlib.audit.prediction import Prediction
from attnlib.data.remarks import Remark
from attnlib.data.results import Results
from attnlib.data.results.table import empty, likeliest
from attnlib.errors import AttnlibError

# Rows of an audit that are held at once.
MOST = 2_000_000


def of_predictions(
    found: Sequence[Prediction],
    class_names: Sequence[str],
    remarks: Mapping[str, Remark],
    embeddings: NDArray[np.float32] | None = None,
) -> Results:
    """Those of images of which one class is predicted.

    Args:
        embeddings: ``(B, D)``, a row for each prediction.

    Raises:
        AttnlibError: the model gives no exclusive classes, or there are no predictions.
    """
    if not found or any(one.kind not in ("classes", "binary") for one in found):
        raise AttnlibError(
            "Results are handed out of models that predict one class for each image; the table "
            "(CSV) has all others."
        )
    names = tuple(class_names)
    probabilities = np.stack([one.probabilities for one in found]).astype(np.float32)
    table = empty(len(found))
    table["name"] = [one.name for one in found]
    table["label"] = ["" if one.label is None else names[one.label] for one in found]
    table["predicted"] = [names[one.predicted] for one in found]
    table["confidence"] = [one.confidence for one in found]
    top, shares = likeliest(probabilities, names)
    table["top_classes"] = pd.Series(top, dtype=object)
    table["top_probabilities"] = pd.Series(shares, dtype=object)
    return Results(said(table, remarks), names, probabilities, embeddings)


def said(table: pd.DataFrame, remarks: Mapping[str, Remark]) -> pd.DataFrame:
    """The table with tags, notes and corrected labels."""
    known = [remarks.get(name, Remark()) for name in table["name"]]
    return table.assign(
        tags=pd.Series([one.tags for one in known], dtype=object),
        note=[one.note for one in known],
        corrected=[one.should_be for one in known],
    )


def corrected(results: Results) -> list[dict[str, object]]:
    """The labels that somebody found wrong: name, given label, corrected label, note."""
    rows = results.table[results.table["corrected"] != ""]
    return [
        {
            "filename": row["name"],
            "label": row["label"],
            "corrected": row["corrected"],
            "note": row["note"],
        }
        for row in rows.to_dict("records")
    ]


def of_audit(found: Opened, remarks: Mapping[str, Remark] | None = None) -> Results:
    """All rows of an audit that are no refusals, in the order of its parts.

    Raises:
        AttnlibError: it has no rows, or more than memory is kept for.
    """
    table = _rows(
        found,
        ("name", "label", "predicted", "confidence", "top_index", "top_probability", "embedding",
         "probabilities", "error"),
    )  # fmt: skip
    names = found.manifest.class_names
    made = empty(table.num_rows)
    for column in ("name", "label", "predicted"):
        made[column] = [text or "" for text in table[column].to_pylist()]
    made["confidence"] = table["confidence"].to_pandas().to_numpy(np.float64)
    tops = zip(table["top_index"].to_pylist(), table["top_probability"].to_pylist(), strict=True)
    listed = [(tuple(names[i] for i in at or ()), tuple(p or ())) for at, p in tops]
    made["top_classes"] = pd.Series([classes for classes, _ in listed], dtype=object)
    made["top_probabilities"] = pd.Series([shares for _, shares in listed], dtype=object)
    probabilities = _stacked(table, "probabilities")
    return Results(
        said(made, remarks or {}),
        tuple(names) if probabilities is not None else (),
        probabilities,
        _stacked(table, "embedding"),
    )


def here(found: Opened, embeddings: bool) -> Here:
    """An audit as the model at hand.

    Args:
        embeddings: whether they are wanted.

    Raises:
        AttnlibError: as :func:`of_audit`.
    """
    columns = ("name", "label", "predicted", "confidence", "error")
    table = _rows(found, (*columns, "embedding") if embeddings else columns)
    texts = {c: [t or "" for t in table[c].to_pylist()] for c in columns[:3]}
    known = set(found.manifest.class_names)
    return Here(
        texts["name"],
        [label if label in known else "" for label in texts["label"]],
        texts["predicted"],
        table["confidence"].to_pandas().to_numpy(np.float64),
        tuple(found.manifest.class_names),
        _stacked(table, "embedding"),
    )


def names(found: Opened) -> list[str]:
    """Of the images of an audit that were not refused.

    Raises:
        AttnlibError: as :func:`of_audit`.
    """
    listed: list[str] = _rows(found, ("name", "error"))["name"].to_pylist()
    return listed


def _rows(found: Opened, columns: Sequence[str]) -> pa.Table:
    """The rows that are no refusals, of those columns that the audit has."""
    if found.manifest.images > MOST:
        raise AttnlibError(
            f"The audit has {found.manifest.images:,} images, and at most {MOST:,} are held at "
            "once: read its parts (Parquet) directly."
        )
    if not found.manifest.wanted.get("probabilities"):
        columns = [column for column in columns if column != "probabilities"]
    read = (found.folder.part(shard, columns) for shard in sorted(found.folder.done()))
    parts = [part.filter(pc.is_null(part["error"])) for part in read]
    if not parts or not sum(part.num_rows for part in parts):
        raise AttnlibError("The audit has no rows yet.")
    return pa.concat_tables(parts)


def _stacked(table: pa.Table, column: str) -> NDArray[np.float32] | None:
    """``(B, K)`` of a column of lists; None where one is missing."""
    if column not in table.column_names or table[column].null_count:
        return None
    rows = table[column].combine_chunks()
    flat = rows.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    found: NDArray[np.float32] = flat.reshape(len(rows), -1)
    return found
