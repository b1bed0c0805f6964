"""The columns of every part, and a row of each image.

======================  ==============  =========================================================
column                  type            meaning
======================  ==============  =========================================================
name                    string          path within the source; unique
label                   string          the label as a class name, or as it was given where it is
                                        no class; null without one
label_index             int32           its class; null where it is none
predicted               string          name of the predicted class; null if refused
predicted_index         int32           its index
confidence              float32         probability of the predicted class, 0 to 1
probability_true        float32         probability of the label's class; null without one
margin                  float32         largest minus second largest probability
loss                    float32         -log p(label) in nats; null without a label
error                   string          null, or why the image was refused
embedding               list<float16>   (D,) input of the final linear layer
top_index               list<int32>     the likeliest classes, first the likeliest
top_probability         list<float32>   their probabilities
entropy                 list<float32>   (L,) entropy of the readout's rows over patches, mean over
                                        heads, in units of log N, 0 to 1
distance                list<float32>   (L,) mean distance in pixels between two patches that the
                                        readout looks at, mean over heads
self_check              float32         largest |A V - output| of the capture
width, height           int32           of the image in pixels, upright
notes                   string          what was done to it when it was decoded; "" for nothing
brightness, contrast,   float32         of the decoded image; see attnlib.data.traits. Audits of
saturation, sharpness,                  version 0.2.0 and before lack these five
border
probabilities           list<float32>   (C,) of all classes, where they were asked for
map_rollout,            list<float16>   (N,) patches row by row, where they were asked for; rollout
map_attention                           sums to 1 over all tokens, attention is the last layer's
                                        mean over heads
======================  ==============  =========================================================
"""

from __future__ import annotations

from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from attnlib.audit.prediction import Prediction
from attnlib.audit.runs.wanted import Wanted
from attnlib.capture.record import Record
from attnlib.capture.tokens import TokenLayout
from attnlib.data.image import Decoded
from attnlib.data.sets import Entry
from attnlib.data.traits import Traits

_HALVES, _SINGLES = pa.list_(pa.float16()), pa.list_(pa.float32())
COLUMNS = [
    ("name", pa.string()),
    ("label", pa.string()),
    ("label_index", pa.int32()),
    ("predicted", pa.string()),
    ("predicted_index", pa.int32()),
    ("confidence", pa.float32()),
    ("probability_true", pa.float32()),
    ("margin", pa.float32()),
    ("loss", pa.float32()),
    ("error", pa.string()),
    ("embedding", _HALVES),
    ("top_index", pa.list_(pa.int32())),
    ("top_probability", _SINGLES),
    ("entropy", _SINGLES),
    ("distance", _SINGLES),
    ("self_check", pa.float32()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("notes", pa.string()),
    *((field.name, pa.float32()) for field in fields(Traits)),
]


def schema(wanted: Wanted) -> pa.Schema:
    """Of a part of this run."""
    more = [("probabilities", _SINGLES)] if wanted.probabilities else []
    return pa.schema([*COLUMNS, *more, *((f"map_{name}", _HALVES) for name in wanted.maps)])


Label = tuple[str | None, int | None]
"""Its text and its class, either of which may be missing."""


def refused(entry: Entry, reason: str, label: Label) -> dict[str, Any]:
    """The row of an image that cannot be looked at."""
    return {"name": entry.name, "label": label[0], "label_index": label[1], "error": reason}


def row(
    entry: Entry, label: Label, seen: Decoded, traits: Traits, record: Record, wanted: Wanted
) -> dict[str, Any]:
    """The row of an image."""
    text, index = label
    said = Prediction(
        entry.name, index, record.probabilities, float("nan"), kind=record.outputs.kind
    )
    top = said.top(wanted.top)
    apart = _apart(record.layout) if len(record.rows) else None
    found: dict[str, Any] = {
        "name": entry.name,
        "label": text,
        "label_index": index,
        "predicted": record.class_name(said.predicted) if said.classifies else None,
        "predicted_index": said.predicted if said.classifies else None,
        "confidence": _number(said.confidence),
        "probability_true": _number(said.probability_true),
        "margin": _number(said.margin),
        "loss": said.loss if said.classifies else None,
        "error": None,
        "embedding": _halves(record.embedding),
        "top_index": [place for place, _ in top] if said.classifies else None,
        "top_probability": [share for _, share in top] if said.classifies else None,
        "entropy": record.entropy.mean(axis=1) if len(record.rows) else None,
        "distance": None if apart is None else _distances(record.cls_rows, apart),
        "self_check": _number(record.self_check),
        "width": seen.picture.width,
        "height": seen.picture.height,
        "notes": "; ".join(seen.notes),
        **asdict(traits),
    }
    if wanted.probabilities:
        found["probabilities"] = record.probabilities
    if "rollout" in wanted.maps:
        rollout = record.rollout
        found["map_rollout"] = (
            None if rollout is None else _halves(rollout[-record.layout.patches :])
        )
    if "attention" in wanted.maps:
        rows = record.cls_rows
        found["map_attention"] = _halves(rows[-1].mean(axis=0)) if len(rows) else None
    return found


@lru_cache(maxsize=4)
def _apart(layout: TokenLayout) -> np.ndarray[Any, Any]:
    """``(N, N)`` float32: the same of every image of a size, and as long to find as its row."""
    found = layout.distances().astype(np.float32)
    found.setflags(write=False)
    return found


def _distances(rows: np.ndarray[Any, Any], apart: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``(L,)`` of rows ``(L, H, N)``: Σ r_i r_j d_ij of each renormalised row, mean over heads."""
    shares = rows / np.maximum(rows.sum(axis=-1, keepdims=True), np.finfo(np.float32).tiny)
    found = ((shares @ apart) * shares).sum(axis=-1).mean(axis=1)
    return np.asarray(found, np.float32)


def _halves(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As float16; what is larger than it holds becomes its largest."""
    most = float(np.finfo(np.float16).max)
    return np.asarray(np.clip(values, -most, most), np.float16)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def table(rows: list[dict[str, Any]], wanted: Wanted) -> pa.Table:
    """Rows as a table of the run's schema; what a row lacks is null."""
    kinds = schema(wanted)
    columns = [pa.array([row.get(f.name) for row in rows], f.type) for f in kinds]
    return pa.Table.from_arrays(columns, schema=kinds)
