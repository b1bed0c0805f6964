"""Deletion and insertion for the chosen image and class."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.compare import curves
from attnlib.dashboard.compare.compute import Compared
from attnlib.dashboard.compare.settings import Settings, light
from attnlib.dashboard.parts import charts, controls, downloads
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.evaluation import faithfulness
from attnlib.evaluation.faithfulness import Faithfulness
from attnlib.methods import METHODS, Heat, Method
from attnlib.methods.perturbation import REPLACEMENTS, Replacement
from attnlib.model.vit import Vit

Rows = list[dict[str, object]]
REPLACEMENT = "compare_replacement"


def replacement() -> Replacement:
    """What stands in the place of patches, as chosen on the page."""
    return controls.segments(
        REPLACEMENT,
        "Patches are replaced by",
        REPLACEMENTS,
        default="blur",
        help="The blurred image, the image's own mean colour, or zero, the mean of training.",
    )


def show(space: Workspace, prediction: Prediction, compared: Compared, _: Settings) -> None:
    """Curves, areas and their table."""
    st.subheader("This image")
    wanted = replacement()
    found = _computed(space, prediction, compared, wanted)
    if found is None:
        return
    name = literal(space.class_name(compared.target))
    st.caption(
        f"The {space.vit.outputs.quantity} of “{name}” while patches are taken away "
        "(deletion) or put in (insertion), those first that the map ranks highest. A map is "
        "faithful if deletion falls early (small area) and insertion rises early (large area). "
        "Grey: random orders, mean and where 95 % of them lie "
        f"({len(found.random_deletion.probabilities)} drawn)."
        + _own_ruler([METHODS[entry.method] for entry in found.methods], wanted)
    )
    _charts(prediction, found, space.vit.outputs.quantity)


def _computed(
    space: Workspace, prediction: Prediction, compared: Compared, wanted: Replacement
) -> Faithfulness | None:
    """The curves of all maps but the random one, which the random orders replace."""
    heats = {name: heat for name, heat in compared.heats.items() if name != "random"}
    if not heats:
        st.info("No method has a map here.")
        return None
    sample = space.by_name[prediction.name]
    choice, vit, target = space.choice, space.vit, compared.target
    options = tuple((name, tuple(sorted(heat.options.items()))) for name, heat in heats.items())
    return tasks.run(
        "compare_curves",
        (choice, sample.sha256, target, wanted, options),
        lambda progress: _evaluated(
            choice, vit, sample, list(heats.values()), target, wanted, progress
        ),
        button="Deletion and insertion of this image",
        help="Some hundred forward passes: a curve down and one up for each method.",
        eager=light(vit) and not compared.waiting,
        shared=True,
    )


def _evaluated(
    choice: ModelChoice,
    vit: Vit,
    sample: Sample,
    heats: list[Heat],
    target: int,
    wanted: Replacement,
    progress: tasks.Progress,
) -> Faithfulness:
    pixels = results.subject(choice, vit, sample).pixels
    return faithfulness.evaluate(
        vit, pixels, heats, [target], replacement=wanted, progress=progress
    )


def _own_ruler(methods: list[Method], wanted: Replacement) -> str:
    """A sentence on the methods that replace patches themselves by what the curves do."""
    own = [
        method.title
        for method in methods
        if "replacement" in method.options and method.options["replacement"].default == wanted
    ]
    return f" {', '.join(own)}: measured with its own ruler, {wanted}." if own else ""


def _charts(prediction: Prediction, found: Faithfulness, quantity: str) -> None:
    stem = f"{stem_of(prediction.name)}-{found.replacement}"
    titles = [METHODS[entry.method].title for entry in found.methods]
    with st.container(horizontal=True, gap="medium"):
        for kind, axis in (("deletion", "patches taken away"), ("insertion", "patches put in")):
            random = getattr(found, f"random_{kind}")
            rows, band = line_rows(found, kind, axis), band_rows(found, kind, axis)
            low, high = (float(side[0]) for side in random.auc_interval())
            mean = float(random.auc.mean())
            with st.container(width=460, gap="small"):
                st.markdown(f"**{kind.capitalize()}**")
                charts.draw(
                    curves.lines,
                    rows,
                    words=f"{kind} curves of all methods beside random orders",
                    width=455,
                    height=280 + 20 * len(titles),
                    more={"band": band},
                    axis=axis,
                    shown=tuple(titles),
                    quantity=quantity,
                )
                better = "smaller" if kind == "deletion" else "larger"
                charts.draw(
                    curves.areas,
                    [
                        {"method": r["method"], "auc": r[f"{kind} AUC"]}
                        for r in table(found)
                        if r["method"] != RANDOM
                    ],
                    words=f"Area under the {kind} curve of each method, beside random orders",
                    width=455,
                    height=65 + 20 * len(titles),
                    more={"random": [{"low": low, "mean": mean, "high": high}]},
                    title=f"area under the {kind} curve ({better} is better)",
                    quantity=quantity,
                )
                downloads.table([*rows, *_random_rows(band, axis)], f"{stem}-{kind}")
    rows = table(found)
    st.dataframe(rows, hide_index=True, column_config=_columns(rows), width=980)
    downloads.table(rows, f"{stem}-areas")


RANDOM = "Random orders"


def line_rows(found: Faithfulness, kind: str, axis: str) -> Rows:
    """One row per method and step."""
    rows: Rows = []
    for entry in found.methods:
        curve = getattr(entry, kind)
        for share, value in zip(curve.fractions, curve.probabilities[:, 0], strict=True):
            rows.append(
                {
                    "method": METHODS[entry.method].title,
                    axis: float(share),
                    "probability": float(value),
                }
            )
    return rows


def band_rows(found: Faithfulness, kind: str, axis: str) -> Rows:
    """One row per step: mean of the random orders, and where 95 % of single ones lie."""
    draws = getattr(found, f"random_{kind}")
    low, high = draws.interval()
    mean = draws.mean.probabilities
    return [
        {
            axis: float(share),
            "low": float(low[i, 0]),
            "mean": float(mean[i, 0]),
            "high": float(high[i, 0]),
        }
        for i, share in enumerate(draws.fractions)
    ]


def _random_rows(band: Rows, axis: str) -> Rows:
    return [
        {"method": f"{RANDOM}, {part}", axis: row[axis], "probability": row[part]}
        for part in ("low", "mean", "high")
        for row in band
    ]


def table(found: Faithfulness) -> Rows:
    """One row per method: both areas, the gain over random, and whether it stands out."""
    down, up = found.random_deletion, found.random_insertion
    (low_down, _), (_, high_up) = down.auc_interval(), up.auc_interval()
    rows: Rows = []
    for entry in found.methods:
        fall, rise = float(entry.deletion.auc[0]), float(entry.insertion.auc[0])
        beats = [
            kind
            for kind, better in (
                ("deletion", fall < low_down[0]),
                ("insertion", rise > high_up[0]),
            )
            if better
        ]
        rows.append(
            {
                "method": METHODS[entry.method].title,
                "deletion AUC": fall,
                "insertion AUC": rise,
                "gain in deletion": float(np.mean(down.auc[:, 0])) - fall,
                "gain in insertion": rise - float(np.mean(up.auc[:, 0])),
                "better than 95 % of random orders": " and ".join(beats) or "neither",
            }
        )
    rows.append(
        {
            "method": RANDOM,
            "deletion AUC": float(np.mean(down.auc[:, 0])),
            "insertion AUC": float(np.mean(up.auc[:, 0])),
            "gain in deletion": 0.0,
            "gain in insertion": 0.0,
            "better than 95 % of random orders": "",
        }
    )
    return rows


def _columns(rows: Rows) -> dict[str, Any]:
    return {
        name: st.column_config.NumberColumn(format="%.3f")
        for name, value in rows[0].items()
        if isinstance(value, float)
    }
