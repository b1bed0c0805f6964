"""Deletion and insertion over all loaded images: mean and interval of each method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

import numpy as np
import streamlit as st

from attnlib.dashboard.compare import curves
from attnlib.dashboard.compare.faithfulness import REPLACEMENT
from attnlib.dashboard.compare.settings import COMPARED, Settings, light, unsupported
from attnlib.dashboard.parts import charts, controls, downloads
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.data.image import Decoding, decode
from attnlib.errors import AttnlibError
from attnlib.evaluation import faithfulness
from attnlib.evaluation.summary import KINDS, Interval, Outcome, Row, Summary
from attnlib.methods import METHODS
from attnlib.methods.perturbation import Replacement
from attnlib.model.vit import Vit

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
OUTCOME_WORDS: dict[Outcome, str] = {
    "all": "all",
    "right": "right predictions",
    "wrong": "wrong predictions",
    "unlabelled": "no label",
}
STEPS, DRAWS = 8, 4
MEANS = ("deletion", "insertion", "random", "deletion_gain", "insertion_gain")
Rows = list[dict[str, object]]


@dataclass(frozen=True)
class Item:
    """An image with the classes that its curves follow."""

    sample: Sample
    predicted: int
    true: int | None


@dataclass(frozen=True)
class Found:
    """The table, over how many images, and why some are not in it."""

    rows: tuple[Row, ...]
    images: int
    skipped: tuple[str, ...]


def show(space: Workspace, settings: Settings) -> None:
    """Which images and methods, the button, then charts and the table."""
    st.subheader("All loaded images")
    items = [Item(space.by_name[p.name], p.predicted, p.label) for p in space.predictions]
    if not items:
        st.info("No image is inspected yet.")
        return
    methods, items = _choice(space.vit, items)
    wanted: Replacement = st.session_state.get(REPLACEMENT) or "blur"
    if not methods:
        st.info("Choose at least one method.")
        return
    vit, decoding = space.vit, space.choice.decoding
    # Names too: the result says which images it skipped, and names are their visitor's own.
    content = tuple((i.sample.name, i.sample.sha256, i.predicted, i.true) for i in items)
    found = tasks.run(
        "compare_all",
        (space.choice, content, methods, settings, wanted),
        lambda progress: summarise(vit, items, methods, settings, wanted, progress, decoding),
        button=f"Deletion and insertion of {len(items)} images",
        help=f"{STEPS} steps and {DRAWS} random orders for each image; it can be stopped.",
        shared=True,
    )
    if found is not None:
        _results(found, wanted)


def _choice(vit: Vit, items: list[Item]) -> tuple[tuple[str, ...], list[Item]]:
    possible = [name for name in COMPARED if name != "random" and not unsupported(vit, name)]
    quick = [name for name in possible if light(vit) or not METHODS[name].slow]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        methods = controls.several(
            "compare_all_methods",
            "Methods",
            possible,
            default=quick,
            title=lambda name: METHODS[name].title,
            of=tuple(possible),
            width=620,
            wrap=True,
            help="Occlusion and flow cost most; the shared options above apply.",
        )
        count = len(items)
        if len(items) > 10:
            count = controls.slider(
                "compare_all_images",
                "Images",
                10,
                len(items),
                min(len(items), 200),
                of=len(items),
                width=200,
                help="Fewer are drawn at random, always the same ones.",
            )
    chosen = sorted(np.random.default_rng(0).permutation(len(items))[:count].tolist())
    return tuple(name for name in possible if name in methods), [items[i] for i in chosen]


def summarise(
    vit: Vit,
    items: list[Item],
    methods: tuple[str, ...],
    settings: Settings,
    wanted: Replacement,
    progress: tasks.Progress,
    decoding: Decoding = "upright",
) -> Found:
    """Follow the predicted and the true class of every image through all maps."""
    summary, skipped = Summary(), []
    for done, item in enumerate(items):
        progress(done, len(items))
        try:
            subject = vit.subject(decode(item.sample.data, decoding, vit.channels))
            classes = list(
                dict.fromkeys(
                    [item.predicted] if item.true is None else [item.predicted, item.true]
                )
            )
            heats = [
                vit.explain(subject, name, target, **settings.options(METHODS[name]))
                for name in methods
                for target in (classes if METHODS[name].class_specific else [None])
            ]
            result = faithfulness.evaluate(
                vit,
                subject.pixels,
                heats,
                classes,
                replacement=wanted,
                steps=STEPS,
                draws=DRAWS,
                # Between batches too, so that “Stop” does not wait for a slow image.
                progress=lambda *_, done=done: progress(done, len(items)),
            )
            summary.add(result, item.predicted, item.true)
        except AttnlibError as error:
            skipped.append(f"{item.sample.name}: {error}")
    return Found(tuple(summary.rows()), len(items) - len(skipped), tuple(skipped))


def _results(found: Found, wanted: Replacement) -> None:
    if found.skipped:
        with st.expander(f"{len(found.skipped)} images are not counted"):
            st.dataframe([{"reason": reason} for reason in found.skipped], hide_index=True)
    if not found.rows:
        return
    present = [outcome for outcome in OUTCOMES if any(r.outcome == outcome for r in found.rows)]
    kinds = [kind for kind in KINDS if any(r.kind == kind for r in found.rows)]
    with st.container(horizontal=True):
        kind = controls.segments(
            "compare_all_kind",
            "Class followed",
            kinds,
            of=len(kinds),
            help="Whose probability the curves follow, and which class the maps explain.",
        )
        outcome = controls.segments(
            "compare_all_outcome",
            "Images shown",
            present,
            title=OUTCOME_WORDS.__getitem__,
            of=tuple(present),
            help="Right and wrong predictions apart: a mistake may be explained differently.",
        )
    rows = [r for r in found.rows if r.kind == kind and r.outcome == outcome]
    if not rows:
        st.info("No image of this kind.")
        return
    _charts(rows)
    st.dataframe(short(rows), hide_index=True, width=900)
    downloads.table(table(found.rows), f"faithfulness-all-{wanted}")
    st.caption(
        f"{rows[0].images} images, mean ± half the width of the 95 % interval (Student's t over "
        "images); grey: the same of random orders, and where 95 % of the mean gains of one random "
        "order for each image would lie. The gains are paired: each image is compared with random "
        "orders of its own patches, and positive is better. The form of this table follows Chefer, "
        "Gur & Wolf, "
        "“Transformer Interpretability Beyond Attention Visualization”, CVPR 2021, who compare "
        "methods by the area under perturbation curves for the predicted and the true class; "
        "they follow accuracy where this follows probability, so the numbers do not compare."
    )


def _charts(rows: list[Row]) -> None:
    """Areas beside those of random orders, and the paired gains over them."""
    random = rows[0].random
    baseline = random.mean, _number(random.low), _number(random.high)
    chance = _number(rows[0].chance)
    by_chance = 0.0, None if chance is None else -chance, chance
    for suffix, title, beside in (
        ("", "area under the {} curve", baseline),
        ("_gain", "gain in {} over random orders", by_chance),
    ):
        points = {kind: _points(rows, kind + suffix) for kind in ("deletion", "insertion")}
        ends = [
            float(str(point[name]))
            for listed in points.values()
            for point in listed
            for name in ("mean", "low", "high")
            if point[name] is not None
        ]
        ends += [end for end in beside if end is not None]
        with st.container(horizontal=True, gap="medium"):
            for kind, listed in points.items():
                charts.draw(
                    curves.means,
                    listed,
                    words=f"{title.format(kind)}: mean and 95 % interval of each method",
                    width=455,
                    height=80 + 20 * len(listed),
                    more={"random": [dict(zip(("mean", "low", "high"), beside, strict=True))]},
                    numbers={"left": min(ends), "right": max(ends)},
                    title=title.format(kind),
                )


def _points(rows: list[Row], name: str) -> Rows:
    points: Rows = []
    for row in rows:
        interval: Interval = getattr(row, name)
        points.append(
            {
                "method": METHODS[row.method].title,
                "mean": interval.mean,
                "low": _number(interval.low),
                "high": _number(interval.high),
            }
        )
    return points


def short(rows: list[Row]) -> Rows:
    """What the screen has room for: one cell for each mean with half the width of its interval."""
    listed: Rows = []
    for row in rows:
        entry: dict[str, object] = {"method": METHODS[row.method].title, "images": row.images}
        for name in MEANS:
            interval = getattr(row, name)
            half = interval.high - interval.mean
            entry[name.replace("_", " ")] = f"{interval.mean:.3f}" + (
                "" if math.isnan(half) else f" ± {half:.3f}"
            )
        listed.append(entry)
    return listed


def table(rows: tuple[Row, ...] | list[Row]) -> Rows:
    """One row per method, class and kind of image: means with half the width of intervals."""
    listed: Rows = []
    for row in rows:
        entry: dict[str, object] = {
            "method": METHODS[row.method].title,
            "class": row.kind,
            "predictions": row.outcome,
            "images": row.images,
        }
        for name in MEANS:
            interval = getattr(row, name)
            words = name.replace("_gain", " gain")
            entry[words] = interval.mean
            entry[f"± {words}"] = _number(interval.high - interval.mean)
        listed.append(entry)
    return listed


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
