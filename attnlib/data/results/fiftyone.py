"""A data set that FiftyOne exported: ``samples.json``, or ``labels.json`` of classifications."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any, Final

import numpy as np
import pandas as pd

from attnlib.data.results import arrays
from attnlib.data.results.files import Files
from attnlib.data.results.raw import Raw
from attnlib.data.results.roles import Role
from attnlib.data.results.table import Results
from attnlib.data.results.texts import parsed
from attnlib.errors import LabelError

TITLE, FILE = "FiftyOne (samples.json)", "samples.json"
HOLDS: Final[frozenset[Role]] = frozenset(
    {
        "name", "label", "predicted", "confidence", "top_classes", "top_probabilities",
        "embedding", "tags", "corrected", "note",
    }
)  # fmt: skip
# Of one vector, unpacked.
_MAX_VECTOR: Final = 2**24


def fits(files: Files) -> bool:
    """Whether there is one of the two files."""
    return bool(files.called("samples.json", "labels.json"))


def read(files: Files) -> Raw:
    """The samples with their classifications.

    Raises:
        LabelError: it is not as FiftyOne writes it.
    """
    name = files.called("samples.json", "labels.json")[0]
    found = parsed(files, name)
    if isinstance(found, dict) and isinstance(found.get("samples"), list):
        return _samples(found["samples"], name)
    if isinstance(found, dict) and isinstance(found.get("labels"), dict):
        return _labels(found)
    raise LabelError(f"{name} has neither “samples” nor “labels”, as FiftyOne writes them.")


def _samples(samples: list[Any], name: str) -> Raw:
    rows = [_row(sample) for sample in samples if isinstance(sample, dict)]
    if not rows or not any("filepath" in row for row in rows):
        raise LabelError(f"{name} has no sample with a “filepath”.")
    frame = pd.DataFrame(rows, dtype=object)
    sure = {field for field in frame if f"{field}.confidence" in frame}
    given = [
        str(field)
        for field in frame
        if f"{field}.label" in {f"{k}.label" for row in samples[:1000] for k in _labelled(row)}
    ]
    predicted = tuple(field for field in given if field in sure)
    labels = tuple(field for field in given if field not in sure and field != "corrected")
    hints: dict[Role, tuple[tuple[str, ...], str]] = {}
    if predicted:
        hints["predicted"] = predicted, "a classification with a confidence"
    if labels:
        hints["label"] = labels, "a classification without a confidence"
    return Raw(frame, "a data set of FiftyOne", hints=hints)


def _labelled(row: Any) -> list[str]:
    """The fields of a sample that are one classification."""
    if not isinstance(row, dict):
        return []
    return [k for k, v in row.items() if isinstance(v, dict) and v.get("_cls") == "Classification"]


def _row(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample as cells: of a classification its label, its confidence and its logits."""
    row: dict[str, Any] = {}
    for field, value in sample.items():
        if field.startswith("_") or field in ("metadata", "id"):
            continue
        if isinstance(value, dict) and value.get("_cls") == "Classification":
            row[field] = value.get("label")
            if value.get("confidence") is not None:
                row[f"{field}.confidence"] = value["confidence"]
            if value.get("logits") is not None:
                row[f"{field}.logits"] = _vector(value["logits"], field)
        elif isinstance(value, dict) and value.get("_cls") == "Classifications":
            listed = [c for c in value.get("classifications") or () if isinstance(c, dict)]
            row["top classes" if field == "top" else field] = [c.get("label") for c in listed]
            if listed and all(c.get("confidence") is not None for c in listed):
                name = "top probabilities" if field == "top" else f"{field}.confidences"
                row[name] = [c["confidence"] for c in listed]
        elif isinstance(value, dict) and ("$binary" in value or "_cls" not in value):
            row[field] = _vector(value, field) if "$binary" in value else None
        elif not isinstance(value, dict):
            row[field] = value
    return row


def _vector(value: Any, field: str) -> Any:
    """Numbers that FiftyOne stores as a compressed array; a list stays one."""
    if isinstance(value, dict):
        held = value.get("$binary")
        value = held.get("base64") if isinstance(held, dict) else held
    if not isinstance(value, str):
        return value
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(value, validate=True), _MAX_VECTOR)
    except (zlib.error, binascii.Error, ValueError) as error:
        raise LabelError(f"“{field}” of a sample is no vector that FiftyOne stores.") from error
    if unpacker.unconsumed_tail:
        raise LabelError(f"“{field}” of a sample unpacks to more than {_MAX_VECTOR:,} bytes.")
    return arrays.array(data, field).ravel()


def _labels(found: dict[str, Any]) -> Raw:
    """Keys are file names without ending; labels are numbers among “classes”, or names."""
    classes = found.get("classes")
    names = [str(name) for name in classes] if isinstance(classes, list) else []
    rows, several = [], 0
    for key, value in found["labels"].items():
        if isinstance(value, list):
            several += 1
            continue
        said = value if isinstance(value, dict) else {"label": value}
        label = said.get("label")
        if isinstance(label, int) and names:
            label = names[label] if 0 <= label < len(names) else None
        row = {"filename": key, "label": label}
        if said.get("confidence") is not None:
            row["confidence"] = said["confidence"]
        rows.append(row)
    notes = (f"{several} images have several labels, and none is used.",) if several else ()
    frame = pd.DataFrame(rows, dtype=object)
    if frame.empty:
        raise LabelError("labels.json has no image with one label.")
    return Raw(frame, "labels of FiftyOne", tuple(names), notes=notes)


def write(results: Results) -> bytes:
    """What ``fiftyone.Dataset.from_dir`` reads as a FiftyOneDataset beside the images."""
    samples = []
    for place, row in enumerate(results.table.to_dict("records")):
        sample: dict[str, Any] = {"filepath": row["name"], "tags": list(row["tags"])}
        if row["label"]:
            sample["ground_truth"] = _classification(row["label"])
        if row["predicted"]:
            sample["predictions"] = _classification(row["predicted"], row["confidence"])
        if row["top_classes"]:
            top = zip(row["top_classes"], row["top_probabilities"], strict=True)
            sample["top"] = {
                "_cls": "Classifications",
                "classifications": [_classification(text, share) for text, share in top],
            }
        if row["corrected"]:
            sample["corrected"] = _classification(row["corrected"])
        if row["note"]:
            sample["note"] = row["note"]
        if results.embeddings is not None:
            sample["embedding"] = results.embeddings[place].astype(np.float64).tolist()
        samples.append(sample)
    return json.dumps({"samples": samples}, ensure_ascii=False, allow_nan=False).encode()


def _classification(label: str, confidence: float = float("nan")) -> dict[str, Any]:
    found: dict[str, Any] = {"_cls": "Classification", "tags": [], "label": label}
    return found if np.isnan(confidence) else {**found, "confidence": float(confidence)}
