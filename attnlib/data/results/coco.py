"""COCO: annotations (images, categories), results (a list of scored categories), or both."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pandas as pd

from attnlib.data.results.files import Files
from attnlib.data.results.raw import Raw
from attnlib.data.results.texts import parsed
from attnlib.data.text import counted
from attnlib.errors import LabelError


def fits(files: Files) -> bool:
    """Whether there are one or two JSON files; what is in them is judged when they are read."""
    return 0 < len(files.ending(".json")) <= 2


def read(files: Files) -> Raw:
    """A row for each image: the category that all its annotations name, the best scored one.

    Raises:
        LabelError: they are neither.
    """
    truth: dict[str, Any] = {}
    scored: list[Any] = []
    for name in files.ending(".json"):
        found = parsed(files, name)
        if isinstance(found, dict) and isinstance(found.get("images"), list):
            truth = found
        elif isinstance(found, list) and found and _is_result(found[0]):
            scored = found
        else:
            raise LabelError(
                f"{name} is of no kind that is known here: COCO annotations have “images” and "
                "“categories”, COCO results are a list with “image_id” and “category_id”, FiftyOne "
                "writes samples.json, and W&B tables end in .table.json."
            )
    paths = {
        image["id"]: str(image.get("file_name") or image["id"])
        for image in truth.get("images", ())
        if isinstance(image, dict) and _is_id(image.get("id"))
    }
    named = {
        category["id"]: str(category.get("name") or category["id"])
        for category in truth.get("categories") or ()
        if isinstance(category, dict) and _is_id(category.get("id"))
    }
    labels: dict[Any, set[Any]] = defaultdict(set)
    for one in truth.get("annotations") or ():
        if isinstance(one, dict) and _is_id(one.get("image_id")) and _is_id(one.get("category_id")):
            labels[one["image_id"]].add(one["category_id"])
    best: dict[Any, tuple[float, Any]] = {}
    for one in scored:
        if not _is_result(one) or not isinstance(one.get("score"), int | float):
            raise LabelError("A COCO result lacks its image_id, category_id or score.")
        now = best.get(one["image_id"])
        if now is None or one["score"] > now[0]:
            best[one["image_id"]] = float(one["score"]), one["category_id"]
    rows = []
    for key in dict.fromkeys((*paths, *best)):
        given = labels.get(key, set())
        score, category = best.get(key, (None, None))
        rows.append(
            {
                "file_name": paths.get(key, str(key)),
                "label": _name(next(iter(given)), named) if len(given) == 1 else None,
                "predicted": None if category is None else _name(category, named),
                "confidence": score,
            }
        )
    several = sum(len(given) > 1 for given in labels.values())
    notes = []
    if several:
        notes.append(f"{counted(several, 'image shows', 'images show')} several categories and "
                     "no single one: no label is taken of them.")  # fmt: skip
    if scored and not truth:
        notes.append("Without the annotations, images and categories are known by number only.")
    if not rows:
        raise LabelError("The COCO file lists no image.")
    return Raw(pd.DataFrame(rows, dtype=object), "COCO", notes=tuple(notes))


def _is_result(one: Any) -> bool:
    return isinstance(one, dict) and _is_id(one.get("image_id")) and _is_id(one.get("category_id"))


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str)


def _name(category: Any, named: dict[Any, str]) -> str:
    return named.get(category, str(category))
