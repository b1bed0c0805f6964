"""Do the maps lie on the object? Measures of every method against a mask or a box."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np
import streamlit as st
from PIL import Image

from attnlib.audit import Prediction
from attnlib.dashboard.compare import maps, where
from attnlib.dashboard.compare.compute import Compared
from attnlib.dashboard.compare.settings import Settings
from attnlib.dashboard.parts import charts, downloads, pictures
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.parts.pictures import plain
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.annotation import Mask
from attnlib.evaluation import localisation
from attnlib.evaluation.localisation import Localisation
from attnlib.methods import METHODS

SIDE = 290
Rows = list[dict[str, object]]
# The column, what is better than chance, and where chance is.
MEASURES = {
    "mass": "mass inside",
    "ratio": "mass ÷ area",
    "pointing": "pointing game",
    "auc": "AUC",
}
# What a uniform map gets; of the others it is the area of the object.
CHANCE = {"ratio": 1.0, "auc": 0.5}


def show(space: Workspace, prediction: Prediction, compared: Compared, _: Settings) -> None:
    """Where the object is, then bars and a table of every method."""
    maps.missing(compared)
    sample = space.by_name[prediction.name]
    where.uploader(space, sample)
    source, mask = where.mask(space, sample)
    if mask is None:
        st.info("Say where the object is: draw a box on the picture, or upload a mask.")
        return
    index = space.vit.layout.patch_index(mask.shape)
    found = {
        name: localisation.localise(h.values, mask, index) for name, h in compared.heats.items()
    }
    if not found:
        st.info("No method has a map here.")
        return
    area = next(iter(found.values())).area
    with st.container(horizontal=True, gap="small"):
        for name, title in MEASURES.items():
            charts.draw(
                _bars,
                [
                    {"method": METHODS[method].short, "value": _number(getattr(measured, name))}
                    for method, measured in found.items()
                ],
                words=f"{title} of every method",
                width=228,
                height=90 + 20 * len(found),
                more={"chance": [{"value": CHANCE.get(name, area)}]},
                title=title,
                share=name != "ratio",
            )
    with st.container(horizontal=True, gap="medium"):
        if source != where.BOX:
            crop = space.inspected(prediction.name).picture
            pictures.show(
                outlined(crop, mask),
                SIDE,
                caption="Coloured: the object",
                alt="The object in the crop that the model saw",
            )
        with st.container(width=640):
            rows = table(found)
            st.dataframe(rows, hide_index=True, column_config=_columns())
            downloads.table(rows, f"{stem_of(prediction.name)}-localisation")
    st.caption(
        f"The object covers {area:.1%} of the patches' area. Dashed: what a uniform map gets. "
        "Mass inside: share of the map's positive part on the object. Pointing game: whether the "
        "highest patch is on the object. AUC: chance that a pixel of the object has a higher "
        "value than one beside it. These say where the evidence lies, not whether the map is "
        "right: a model that uses the background has a faithful map beside the object."
    )


def table(found: dict[str, Localisation]) -> Rows:
    """One row per method."""
    rows: Rows = []
    for name, measured in found.items():
        row: dict[str, object] = {"method": METHODS[name].title}
        for key, title in MEASURES.items():
            row[title] = _number(getattr(measured, key))
        rows.append(row | {"area": measured.area})
    return rows


def outlined(crop: Image.Image, mask: Mask) -> Image.Image:
    """The crop with the object coloured and the rest dimmed."""
    picture = np.asarray(plain(crop, 2 * SIDE), dtype=np.float32)
    height, width = picture.shape[:2]
    rows = np.arange(height) * mask.shape[0] // height
    cols = np.arange(width) * mask.shape[1] // width
    inside = mask[rows][:, cols, None]
    orange = np.array([230, 159, 0], np.float32)
    shown = np.where(inside, 0.6 * picture + 0.4 * orange, 0.45 * picture)
    return Image.fromarray(shown.astype(np.uint8))


def _bars(title: str, share: bool) -> alt.LayerChart:
    scale = alt.Scale(domain=[0, 1]) if share else alt.Scale(zero=True)
    axis = alt.Axis(values=[0, 0.5, 1]) if share else alt.Axis()
    x = alt.X("value:Q", title=title, scale=scale, axis=axis)
    bars = charts.rows().mark_bar(height=alt.RelativeBandSize(band=0.65))
    return charts.over(
        bars.encode(
            x,
            charts.names("method", 90),
            tooltip=charts.tips("method", value=".3f"),
        ),
        charts.rule(charts.rows("chance").encode(x), charts.QUADRATIC),
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _columns() -> dict[str, Any]:
    return {
        name: st.column_config.NumberColumn(format="%.3f") for name in (*MEASURES.values(), "area")
    }
