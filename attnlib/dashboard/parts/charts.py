"""Charts: marks, axes and colours that all of them share, and the one way to draw one.

A kind of chart is a function that declares it in Altair, with its data by name and the numbers
that change from run to run as parameters. It is compiled (and checked) once; a rerun exchanges
data and numbers in the ready specification, which costs a tenth.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import altair as alt
import numpy as np
import streamlit as st
from numpy.typing import NDArray

Rows = Sequence[Mapping[str, Any]]
Kind = Callable[..., alt.LayerChart]

LINEAR, QUADRATIC, OTHER, FOURTH = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
MEASURED = "#e69f00"
# Grey that can be read on white and on the dark background.
MUTED, GREY = "#7a8794", "#8a97a5"
WIDTH = 430
DASHED = [5, 4]


def draw(
    kind: Kind,
    rows: Rows,
    *,
    words: str,
    width: int,
    height: int,
    more: Mapping[str, Rows] | None = None,
    numbers: Mapping[str, float | None] | None = None,
    selection: str | None = None,
    key: str | None = None,
    **shape: Hashable,
) -> Any:
    """Draw a chart; what was selected in it, if it has a selection.

    Args:
        kind: declares the chart from ``shape``; its data is called ``"rows"``, other data by the
            names in ``more``.
        words: what the chart shows, for those who cannot see it.
        numbers: values of the chart's parameters.
        selection: name of the selection that reruns the page.
        shape: what else the declaration depends on; hashable, few different ones.
    """
    spec = filled(kind, {"rows": rows, **(more or {})}, numbers or {}, **shape)
    if selection is None:
        st.vega_lite_chart(spec=spec, width=width, height=height, key=key, alt=words)
        return None
    return st.vega_lite_chart(
        spec=spec,
        width=width,
        height=height,
        key=key,
        alt=words,
        on_select="rerun",
        selection_mode=selection,
    )


def filled(
    kind: Kind, data: Mapping[str, Rows], numbers: Mapping[str, float | None], **shape: Hashable
) -> dict[str, Any]:
    """The specification of a chart with its data and numbers inside.

    Data stands in each layer, never at the top: from there Streamlit would send it apart from
    the chart, which would first be drawn empty ("Infinite extent").
    """
    spec: dict[str, Any] = json.loads(_compiled(kind, tuple(sorted(shape.items()))))
    for parameter in spec.get("params", []):
        if parameter["name"] in numbers:
            parameter["value"] = numbers[parameter["name"]]
    shared = spec.pop("data", {"name": "rows"})
    for layer in spec["layer"]:
        layer["data"] = {"values": list(data[layer.get("data", shared)["name"]])}
    return spec


@lru_cache(maxsize=256)
def _compiled(kind: Kind, shape: tuple[tuple[str, Hashable], ...]) -> str:
    spec = kind(**dict(shape)).to_dict()
    for part in ("$schema", "config", "width", "height"):
        spec.pop(part, None)
    return json.dumps(spec)


# -- what charts are made of -------------------------------------------------------------------


def rows(name: str = "rows") -> alt.Chart:
    """A chart of the data that is called so."""
    return alt.Chart(alt.NamedData(name))


def over(*marks: alt.Chart, numbers: Sequence[str] = ()) -> alt.LayerChart:
    """Marks over one another, the last on top.

    Args:
        numbers: names of the numbers that are given anew at each run.
    """
    made = alt.layer(*marks).add_params(*(alt.param(name=name, value=1) for name in numbers))
    return cast(alt.LayerChart, made)


def upto(name: str, low: float = 0) -> alt.Scale:
    """A scale from ``low`` to a number that is given anew at each run."""
    return alt.Scale(domain=[low, alt.ExprRef(name)], nice=False)


def names(field: str, width: int = 180, **axis: Any) -> alt.Y:
    """Names from top to bottom in the order of the data."""
    return alt.Y(f"{field}:N", title=None, sort=None, axis=alt.Axis(labelLimit=width, **axis))


def layer_axis() -> alt.X:
    """The layers of a model, side by side."""
    return alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0))


def colour(field: str, colours: Mapping[str, str], legend: alt.Legend | None) -> alt.Color:
    """A fixed colour for each name."""
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    return alt.Color(f"{field}:N", scale=scale, legend=legend)


def tips(*fields: str, **formats: str) -> list[alt.Tooltip]:
    """What the mouse shows: fields as they are, then numbers, each in its format."""
    plain = [alt.Tooltip(f"{field}:N") for field in fields]
    return plain + [alt.Tooltip(f"{field}:Q", format=form) for field, form in formats.items()]


def rule(chart: alt.Chart, colour: str = MUTED) -> alt.Chart:
    """A dashed line that others are measured against."""
    drawn: alt.Chart = chart.mark_rule(strokeDash=DASHED, color=colour, strokeWidth=2)
    return drawn


# -- charts of several pages -------------------------------------------------------------------


def layers(values: NDArray[np.float32], title: str, domain: tuple[float, float]) -> None:
    """One number per layer and head ``(L, H)``: a dot per head, a line through their means."""
    listed = [
        {"layer": layer, "head": head, "value": float(value)}
        for (layer, head), value in np.ndenumerate(values)
    ]
    draw(
        _by_layer,
        listed,
        words=f"{title} of every head, by layer",
        width=WIDTH,
        height=190,
        numbers={"high": domain[1]},
        title=title,
        low=domain[0],
    )


def _by_layer(title: str, low: float) -> alt.LayerChart:
    base = rows().encode(layer_axis())
    y = alt.Y("value:Q", title=title, scale=upto("high", low))
    mean = alt.Y("mean(value):Q", title=title, scale=upto("high", low))
    tooltip = [*tips("layer", "head"), alt.Tooltip("value:Q", title=title, format=".4~g")]
    dots = base.mark_point(filled=True, opacity=0.65, size=40).encode(y, tooltip=tooltip)
    return over(dots, base.mark_line(strokeWidth=2).encode(mean), numbers=("high",))


def bars(
    listed: Rows,
    *,
    colours: Mapping[str, str],
    words: str,
    order: Sequence[str] | None = None,
    width: int = WIDTH,
) -> None:
    """Horizontal bars, the number written at each.

    Args:
        listed: with ``part``, ``value``, ``shown`` (the number in words) and ``kind``.
        colours: kind -> colour; with more than one kind there is a legend.
        order: parts from top to bottom; None is by value.
    """
    most = max([1e-12, *(row["value"] for row in listed)])
    several = len({row["kind"] for row in listed}) > 1
    draw(
        _bars,
        listed,
        words=words,
        width=width,
        height=26 * len(listed) + (62 if several else 22),
        # Room for the number behind the longest bar.
        numbers={"high": 1.45 * most},
        colours=tuple(colours.items()),
        order=None if order is None else tuple(order),
        several=several,
    )


def _bars(
    colours: tuple[tuple[str, str], ...], order: tuple[str, ...] | None, several: bool
) -> alt.LayerChart:
    legend = alt.Legend(orient="bottom", title=None, columns=2) if several else None
    base = rows().encode(
        alt.X("value:Q", axis=None, scale=upto("high")),
        alt.Y(
            "part:N",
            title=None,
            sort=list(order) if order else "-x",
            axis=alt.Axis(labelLimit=150, ticks=False, domain=False),
        ),
        tooltip=[*tips("part"), alt.Tooltip("shown:N", title="value")],
    )
    return over(
        base.mark_bar(cornerRadiusEnd=3, height=alt.RelativeBandSize(band=0.72)).encode(
            color=colour("kind", dict(colours), legend)
        ),
        base.mark_text(align="left", dx=5, color=MUTED, fontSize=12).encode(text="shown:N"),
        numbers=("high",),
    )
