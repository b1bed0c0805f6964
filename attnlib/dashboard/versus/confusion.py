"""Which classes are taken for which more often, or less, by the second model."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from attnlib import audit
from attnlib.dashboard.parts import charts, downloads
from attnlib.dashboard.state.workspace import Workspace, short_name

MAX_PAIRS = 12


def show(space: Workspace, there: Workspace) -> None:
    """The pairs that changed most as bars, and all of them as a file."""
    st.subheader("What is taken for what: the difference")
    if "labels" in (space.vit.outputs.kind, there.vit.outputs.kind):
        _labels(space, there)
        return
    found = audit.confusion_difference(
        space.predictions, there.predictions, space.vit.class_names, there.vit.class_names
    )
    changed = found[(found["difference"] != 0) & (found["true"] != found["predicted"])]
    if changed.empty:
        st.caption("No class is taken for another one more often, or less, than before.")
        return
    rows = [
        {
            "pair": f"{short_name(str(row['true']))} → {short_name(str(row['predicted']))}",
            **{name: row[name] for name in ("difference", "first", "second")},
            "kind": "more mistakes" if row["difference"] > 0 else "fewer mistakes",
        }
        for row in _listed(changed.head(MAX_PAIRS))
    ]
    charts.draw(
        _bars,
        rows,
        words="Mistakes by pair of classes, second model minus first",
        width=620,
        height=26 * len(rows) + 70,
        numbers={"high": max(abs(row["difference"]) for row in rows) + 0.5},
    )
    st.caption(
        "True class → predicted class, in images: to the right the second model makes this "
        "mistake more often, to the left less often."
        + (f" The {MAX_PAIRS} largest of {len(changed)}." if len(changed) > MAX_PAIRS else "")
    )
    downloads.table(lambda: _listed(found), "confusion-difference")


def _listed(found: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in found.to_dict("records")]


def _bars() -> alt.LayerChart:
    x = alt.X(
        "difference:Q",
        title="images, second minus first",
        scale=alt.Scale(domain=[alt.ExprRef("-high"), alt.ExprRef("high")], nice=False),
        axis=alt.Axis(tickMinStep=1, format="+d"),
    )
    base = charts.rows().encode(
        x,
        charts.names("pair", width=230),
        tooltip=[
            *charts.tips("pair"),
            *(alt.Tooltip(f"{f}:Q", title=f"{f} model") for f in ("first", "second")),
            alt.Tooltip("difference:Q", format="+d"),
        ],
    )
    colours = {"more mistakes": charts.QUADRATIC, "fewer mistakes": charts.OTHER}
    legend = alt.Legend(orient="bottom", title=None)
    return charts.over(
        base.mark_bar(height=alt.RelativeBandSize(band=0.7)).encode(
            color=charts.colour("kind", colours, legend)
        ),
        charts.rule(charts.rows().encode(x=alt.datum(0))),
        numbers=("high",),
    )


def _labels(space: Workspace, there: Workspace) -> None:
    """Independent labels are not taken for one another: each by itself, before and after."""
    tables = [
        audit.per_label(one.predictions, one.vit.class_names).set_index("label")
        for one in (space, there)
    ]
    together = tables[0].join(tables[1], lsuffix=" (first)", rsuffix=" (second)", how="outer")
    shown = together[
        [
            f"{column} ({which})"
            for column in ("images", "recall", "precision", "average_precision")
            for which in ("first", "second")
        ]
    ]
    st.caption(
        "Labels are independent: none is taken for another. How often each is found (recall), how "
        "often it is right where it is said (precision), and how well its probability ranks."
    )
    shown.columns = [str(name).replace("_", " ") for name in shown.columns]
    st.dataframe(shown)
    downloads.table(lambda: _listed(shown.reset_index()), "labels-of-two-models")
