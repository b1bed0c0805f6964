"""Charts of a training run: everything over the number of the epoch or step."""

from __future__ import annotations

import altair as alt

from attnlib.dashboard.parts import charts

_SHARE = alt.Scale(domain=[0, 1])


def _x(unit: str) -> alt.X:
    axis = alt.Axis(tickMinStep=1, format=",.12~g")
    scale = alt.Scale(zero=False, nice=False, padding=12)
    return alt.X("epoch:Q", title=unit, scale=scale, axis=axis)


def accuracy(unit: str) -> alt.LayerChart:
    """A line with its interval as a band. Data: as of ``run.scores``."""
    base = charts.rows().encode(_x(unit))

    def y(field: str) -> alt.Y:
        axis = alt.Axis(format="%", tickCount=5)
        return alt.Y(f"{field}:Q", title="accuracy", scale=_SHARE, axis=axis)

    tips = charts.tips(
        "checkpoint", "right", "images", epoch="", accuracy=".1%", low=".1%", high=".1%"
    )
    return charts.over(
        base.mark_area(color=charts.GREY, opacity=0.28).encode(y("low"), y2="high:Q"),
        base.mark_line(color=charts.LINEAR, strokeWidth=2.2).encode(y("accuracy")),
        base.mark_point(color=charts.LINEAR, filled=True, size=55, opacity=1).encode(
            y("accuracy"), tooltip=tips
        ),
    )


def classes(unit: str, names: tuple[str, ...]) -> alt.LayerChart:
    """A line for each class. Data: as of ``run.by_class``."""
    legend = alt.Legend(orient="bottom", title=None, columns=3)
    drawn = charts.rows().mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=30))
    return charts.over(
        drawn.encode(
            _x(unit),
            alt.Y("share:Q", title="share found", scale=_SHARE, axis=alt.Axis(format="%")),
            alt.Color("class:N", scale=alt.Scale(domain=list(names)), legend=legend),
            tooltip=charts.tips("class", "images", epoch="", share=".1%"),
        )
    )


def layers(unit: str, title: str) -> alt.LayerChart:
    """A line for each layer, early ones light. Data: as of ``run.by_layer``, with ``value``."""
    scheme = alt.Scale(scheme="viridis", reverse=True)
    drawn = charts.rows().mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=26))
    return charts.over(
        drawn.encode(
            _x(unit),
            alt.Y("value:Q", title=title, scale=alt.Scale(zero=False)),
            alt.Color("layer:O", scale=scheme, legend=alt.Legend(title="layer")),
            tooltip=charts.tips("layer", epoch="", value=".3f"),
        )
    )
