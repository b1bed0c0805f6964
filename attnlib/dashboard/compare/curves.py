"""Charts of deletion and insertion, with the random baseline in each of them."""

from __future__ import annotations

import altair as alt

from attnlib.dashboard.compare.settings import COMPARED
from attnlib.dashboard.parts import charts
from attnlib.dashboard.parts.charts import GREY
from attnlib.methods import METHODS

# All of them, so that a method keeps its colour where another has no map. The colours are the
# theme's: Okabe and Ito's, lighter on dark.
_DRAWN = [METHODS[name] for name in COMPARED if name != "random"]
TITLES = [method.title for method in _DRAWN]
# Class-specific methods are dashed: seven colours are too many for the eye alone.
DASHES = [
    [5, 3] if METHODS[name].class_specific else [1, 0] for name in COMPARED if name != "random"
]
UNIT = alt.Scale(domain=[0, 1])
FREE = alt.Scale(zero=False)


def lines(axis: str, shown: tuple[str, ...], quantity: str = "probability") -> alt.LayerChart:
    """Probability by the share of patches: a line for each method, random orders as a band.

    Data: ``rows`` (``method``, the axis, ``probability``) and ``band`` (the axis, ``low``,
    ``mean``, ``high`` of single random orders).

    Args:
        axis: the field of the share, which is also its title.
        shown: methods in the legend; a click there singles one out.
        quantity: what is followed: a probability, or an output on a scale of its own.
    """
    x = alt.X(f"{axis}:Q", axis=alt.Axis(format="%"), title=axis)
    one = alt.selection_point(name="one", fields=["method"], bind="legend")
    legend = alt.Legend(
        orient="bottom",
        # Two columns are wider than a phone.
        columns=1,
        title=None,
        values=list(shown),
        labelLimit=240,
        symbolType="stroke",
        symbolSize=200,
        symbolStrokeWidth=3,
    )
    band = charts.rows("band").encode(x)
    scale, of = _scale(quantity), f"{quantity} of the class"
    y, area, mean = (alt.Y(f"{f}:Q", scale=scale, title=of) for f in ("probability", "low", "mean"))
    drawn = charts.rows().mark_line(strokeWidth=2.2, point=alt.OverlayMarkDef(size=22))
    return charts.over(
        band.mark_area(color=GREY, opacity=0.28).encode(area, y2="high:Q"),
        band.mark_line(color=GREY, strokeDash=charts.DASHED, strokeWidth=2).encode(mean),
        drawn.encode(
            x,
            y,
            alt.Color("method:N", scale=alt.Scale(domain=TITLES), legend=legend),
            alt.StrokeDash("method:N", scale=alt.Scale(domain=TITLES, range=DASHES), legend=legend),
            opacity=alt.condition(one, alt.value(1), alt.value(0.12)),
            tooltip=charts.tips("method", **{axis: ".1%", "probability": ".3f"}),
        ).add_params(one),
    )


def areas(title: str, quantity: str = "probability") -> alt.LayerChart:
    """One dot per method for its area, on the band of single random orders.

    Data: ``rows`` (``method``, ``auc``) and ``random`` (one row: ``low``, ``mean``, ``high`` of
    the areas of random orders).
    """
    axis = alt.Axis(tickCount=5)
    # What stands in brackets has a line of its own, so that a phone shows it too.
    lines = title.replace(" (", "\n(").split("\n")

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title=lines, scale=_scale(quantity), axis=axis)

    random = charts.rows("random")
    return charts.over(
        random.mark_rect(color=GREY, opacity=0.28).encode(x("low"), x2="high:Q"),
        charts.rule(random.encode(x("mean")), GREY),
        charts.rows()
        .mark_point(filled=True, size=110, opacity=1)
        .encode(
            x("auc"),
            charts.names("method"),
            _colour(),
            tooltip=charts.tips("method", auc=".3f"),
        ),
    )


def means(title: str) -> alt.LayerChart:
    """Means over images with their intervals, one line per method, beside random orders.

    Data: ``rows`` (``method``, ``mean``, ``low``, ``high``) and ``random`` (one row: ``mean``,
    ``low``, ``high``).  Numbers: ``left`` and ``right``, the ends of the axis, which charts
    that are compared share.
    """
    scale = alt.Scale(domain=[alt.ExprRef("left"), alt.ExprRef("right")], nice=True, zero=False)

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title=title, scale=scale)

    random, base = charts.rows("random"), charts.rows().encode(charts.names("method"), _colour())
    return charts.over(
        random.mark_rect(color=GREY, opacity=0.28).encode(x("low"), x2="high:Q"),
        charts.rule(random.encode(x("mean")), GREY),
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2.5)
        .encode(x("low"), x2="high:Q"),
        base.mark_point(filled=True, size=90, opacity=1).encode(
            x("mean"),
            tooltip=charts.tips("method", mean=".3f", low=".3f", high=".3f"),
        ),
        numbers=("left", "right"),
    )


def _scale(quantity: str) -> alt.Scale:
    return UNIT if quantity == "probability" else FREE


def _colour() -> alt.Color:
    return alt.Color("method:N", scale=alt.Scale(domain=TITLES), legend=None)
