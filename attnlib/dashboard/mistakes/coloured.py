"""What the dots of the map of images are coloured by: outcome, class, tag, or any number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from attnlib import audit
from attnlib.dashboard.parts.scatter import Colouring, Entry
from attnlib.dashboard.state.workspace import Workspace, short_name
from attnlib.pictures.colormaps import lookup

# Places in the theme's colours (Okabe and Ito's): blue, orange, green, purple, vermilion, sky, ...
BLUE, VERMILION = 0, 4
# Sky comes last: it is the most like another.
CATEGORIES = (0, 1, 2, 3, 4, 6, 5)
GREY = "#8a97a5"
PALETTE = "viridis"
# A few extreme numbers would leave one colour for all others.
UPPER = 0.99
_WORDS = {"outcome": "Outcome", "true_class": "True class", "predicted_class": "Predicted class"}


def tags(space: Workspace) -> Mapping[str, Sequence[str]]:
    """The tags of the images that have any, by name."""
    remarks = getattr(space.session, "remarks", {})
    found = {name: tuple(getattr(remark, "tags", ())) for name, remark in remarks.items()}
    return {name: sorted(listed) for name, listed in found.items() if listed}


def options(space: Workspace) -> dict[str, str]:
    """What there is to colour by: a column of the table, or "tag", with its title."""
    table = space.table
    found = {"outcome": _WORDS["outcome"]}
    for column in ("true_class", "predicted_class"):
        if (table[column].fillna("") != "").any():
            found[column] = _WORDS[column]
    if tags(space):
        found["tag"] = "Tag"
    for column in map(str, table):
        if table[column].dtype == np.float64 and np.isfinite(table[column]).any():
            title = audit.HEADINGS.get(column, column)
            found[column] = title[0].upper() + title[1:]
    return found


def colouring(space: Workspace, names: Sequence[str], column: str, title: str) -> Colouring:
    """The colours of these images.

    Args:
        column: one of :func:`options`.
    """
    if column == "tag":
        of = tags(space)
        listed = pd.Series([" + ".join(of[n]) if n in of else None for n in names], dtype=object)
        return categories(listed, title, "no tag")
    found = space.table.set_index("image")[column].reindex(list(names))
    if column == "outcome":
        return outcomes(found, title)
    if column in _WORDS:
        missing = "no label" if column == "true_class" else "nothing"
        return categories(shortened(found).replace("", None), title, missing)
    return numbers(found.to_numpy(np.float64), title)


def shortened(found: pd.Series) -> pd.Series:
    """Names of classes, joined by " | ", each by its first synonym; "" where there is none."""
    texts = found.fillna("").astype(object)
    short = {t: " | ".join(short_name(name) for name in t.split(" | ")) for t in texts.unique()}
    return texts.map(short)


def outcomes(found: pd.Series, title: str) -> Colouring:
    """Right, wrong and without a label."""
    palette = [Entry("right", BLUE), Entry("wrong", VERMILION, 1), Entry("no label", GREY, 2)]
    place = {"right": 0, "wrong": 1, "unlabelled": 2}
    return Colouring(np.array([place[o] for o in found], np.uint8), palette, title)


def categories(found: pd.Series, title: str, missing: str) -> Colouring:
    """The most frequent categories, each in its colour; the others, and none, are grey."""
    counts = Counter(text for text in found if isinstance(text, str))
    most = sorted(counts, key=lambda text: (-counts[text], text))
    room = len(CATEGORIES)
    kept = most if len(most) <= room else most[: room - 1]
    rest = len(most) - len(kept)
    palette = [Entry(text, CATEGORIES[i]) for i, text in enumerate(kept)]
    palette += [Entry(f"{rest} others", GREY), Entry(missing, GREY)]
    place = {text: i for i, text in enumerate(kept)}
    others, none = len(kept), len(kept) + 1
    codes = [place.get(t, others) if isinstance(t, str) else none for t in found]
    return Colouring(np.array(codes, np.uint8), palette, title)


def numbers(values: np.ndarray, title: str) -> Colouring:
    """Numbers ``(n,)`` from their least to their 99th percentile; those missing are grey."""
    there = np.isfinite(values)
    low, most = float(values[there].min()), float(values[there].max())
    high = float(np.quantile(values[there], UPPER))
    if high <= low:
        high = most
    # 255 colours, and one for what is missing.
    table = lookup(PALETTE)[np.linspace(0, 255, 255).round().astype(int)]
    palette = [Entry("", f"#{r:02x}{g:02x}{b:02x}") for r, g, b in table]
    codes = np.full(len(values), 255, np.uint8)
    share = np.clip((values[there] - low) / ((high - low) or 1.0), 0, 1)
    codes[there] = np.round(254 * share)
    ends = f"{low:.3g}", f"{'≥ ' if most > high else ''}{high:.3g}"
    return Colouring(codes, [*palette, Entry("none", GREY)], title, values, ends)
