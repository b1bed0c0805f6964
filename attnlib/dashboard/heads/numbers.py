"""Numbers for every head: how concentrated, how far, and on which tokens it looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attnlib.audit import Prediction
from attnlib.dashboard.heads import flagged, grid, images, names, peaks, reasons
from attnlib.dashboard.parts import address, charts, controls, downloads, views
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.tasks import Progress
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.errors import AttnlibError, CaptureError
from attnlib.heads import HeadStatistics, head_statistics, mean_statistics
from attnlib.heads.statistics import SINK_RATIO
from attnlib.model.vit import Vit
from attnlib.pictures.colormaps import Scale

MAPS, LINES = "Maps", "Dots by layer"
OF_LOG, NATS = "× log N", "nats"


@dataclass(frozen=True)
class Mean:
    """Statistics averaged over images (of one image, they are its own)."""

    statistics: HeadStatistics
    images: int


@dataclass(frozen=True)
class Number:
    """One number per layer and head, and how to show it.

    Attributes:
        axis: title of the axis in a chart.
        high: upper end of its scale; the lower one is 0.
    """

    title: str
    axis: str
    values: NDArray[np.float32]
    unit: str
    note: str
    high: float


@address.fragment
def show(space: Workspace, prediction: Prediction) -> None:
    """An overview of each number, where heads peak, and the heads that stand out."""
    problem = reasons.no_rows(space)
    if problem:
        st.info(problem)
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        samples = images.scope(space, prediction)
        kind = controls.segments(
            "heads_numbers_as",
            "Show as",
            [MAPS, LINES],
            help="A map of layers × heads, or a dot per head and a line through the layers' means.",
        )
        unit = controls.segments(
            "heads_entropy",
            "Entropy in",
            [OF_LOG, NATS],
            help="Of its largest possible value, log N for N patches, or plain, with the natural "
            "logarithm.",
        )
    views.guarded(_found)(space, prediction, samples, kind, unit)


def _found(
    space: Workspace,
    prediction: Prediction,
    samples: tuple[Sample, ...],
    kind: str,
    unit: str,
) -> None:
    found = _mean(space, samples)
    if isinstance(found, CaptureError):
        reasons.no_numbers(space, found)
    elif found is not None:
        _overview(space, prediction, found, kind, unit)
        flagged.show(space, samples, found.statistics)


def _mean(space: Workspace, samples: tuple[Sample, ...]) -> Mean | CaptureError | None:
    choice, vit = space.choice, space.vit

    def work(progress: Progress) -> Mean | CaptureError:
        try:
            return Mean(*mean_statistics(_each(choice, vit, samples, progress)))
        except CaptureError as error:
            return error

    return tasks.run(
        f"head statistics, {len(samples) == 1}",
        images.key(space, samples),
        work,
        button="Compute the numbers of every head",
        help="One forward pass for each image.",
        eager=True,
        shared=True,
    )


def _each(
    choice: ModelChoice, vit: Vit, samples: tuple[Sample, ...], progress: Progress
) -> Iterator[HeadStatistics]:
    """Of every image that can be read; one image is in memory at a time."""
    for done, sample in enumerate(samples):
        progress(done, len(samples))

        def make(sample: Sample = sample) -> HeadStatistics:
            return head_statistics(vit, vit.pixels(results.decoded(choice, vit, sample)))

        try:
            yield results.numbers(choice, sample, "head statistics", make)
        except CaptureError:
            raise
        except AttnlibError:
            if len(samples) == 1:
                raise
    progress(len(samples), len(samples))


def listed(space: Workspace, found: HeadStatistics, unit: str = OF_LOG) -> list[Number]:
    """The numbers that this model has; shares of the same whole have one scale."""
    prefix = space.vit.layout.prefix
    shares = [
        ("Peak", found.peak, "largest share on one token", True),
        ("On CLS", found.cls, "share on CLS (and distillation)", "cls" in prefix),
        (
            "On registers",
            found.registers,
            "share on register tokens",
            any(name not in ("cls", "dist") for name in prefix),
        ),
        (
            "On sinks",
            found.sinks,
            "share on patches of outlying norm",
            not np.isnan(found.sink_count).all(),
        ),
    ]
    high = max(float(values.max()) for _, values, _, present in shares if present)
    top = min(1.0, np.ceil(high * 10) / 10) or 0.1
    farthest = float(np.hypot(*space.vit.size))
    distance = max(1.0, min(farthest, float(np.ceil(found.distance.max()))))
    return [
        _entropy(space, found, unit),
        Number(
            "Attention distance",
            "distance in px",
            found.distance,
            "px",
            "mean over patch queries",
            distance,
        ),
        *(
            Number(title, "share", values, "of the query's attention", note, float(top))
            for title, values, note, present in shares
            if present
        ),
    ]


def _entropy(space: Workspace, found: HeadStatistics, unit: str) -> Number:
    if unit == OF_LOG:
        note = "1 uniform over patches, 0 one patch"
        return Number("Entropy", "entropy ÷ log N", found.entropy, OF_LOG, note, 1.0)
    high = float(np.log(space.vit.layout.patches))
    note = f"ln N = {high:.3f} uniform over patches, 0 one patch"
    return Number(
        "Entropy", "entropy in nats", found.entropy * np.float32(high), NATS, note, max(high, 1e-6)
    )


def _overview(space: Workspace, prediction: Prediction, found: Mean, kind: str, unit: str) -> None:
    over = f"mean over {found.images} images" if found.images > 1 else "this image"
    missing = _missing(space, found.statistics)
    st.caption(
        f"Query: {space.vit.layout.query} ({over}). All shares have one scale."
        + (f" {missing}" if missing else "")
    )
    heads = found.statistics.entropy.shape[1]
    with st.container(horizontal=True, gap="small"):
        for number in listed(space, found.statistics, unit):
            if kind == LINES:
                with st.container(width=440, gap="xsmall"):
                    st.markdown(f"**{number.title}**: {number.note}")
                    charts.layers(number.values, number.axis, (0.0, number.high))
            else:
                grid.show(
                    number.values,
                    Scale(0.0, number.high, False, number.unit),
                    key=f"head-{number.title.lower().replace(' ', '-')}",
                    title=number.title,
                    note=number.note,
                    colormap="viridis",
                    width=max(170, 20 * heads),
                    cell_names=peaks.titles(space, found.statistics)
                    if number.title == "Peak"
                    else None,
                    unit=number.unit,
                )
        peaks.show(space, prediction, found.statistics)
    downloads.table(lambda: rows(space, found.statistics), "head-numbers", "All numbers (CSV)")


def _missing(space: Workspace, found: HeadStatistics) -> str:
    prefix = space.vit.layout.prefix
    without = []
    if "cls" not in prefix:
        without.append("no CLS token among the patches")
    if not any(name not in ("cls", "dist") for name in prefix):
        without.append("no registers")
    text = f"This model has {' and '.join(without)}." if without else ""
    if np.isnan(found.sink_count).all():
        return f"{text} Its norms cannot be read, so sinks are not known."
    if not found.sink_count.any():
        text += f" No patch is a sink: no norm is over {SINK_RATIO:g} × its layer's median."
    else:
        text += f" Sinks are patches whose norm is over {SINK_RATIO:g} × their layer's median."
    return text


def rows(space: Workspace, found: HeadStatistics) -> list[dict[str, object]]:
    """Every number of every head, for a table."""
    layers, heads = found.entropy.shape
    return [
        {
            "head": names.name(layer, head),
            "entropy (× log N)": float(found.entropy[layer, head]),
            "entropy (nats)": float(found.entropy[layer, head] * np.log(space.vit.layout.patches)),
            "attention distance (px)": float(found.distance[layer, head]),
            "peak share": float(found.peak[layer, head]),
            "peak token": peaks.token(space, found, layer, head),
            "share on CLS": float(found.cls[layer, head]),
            "share on registers": float(found.registers[layer, head]),
            "share on sinks": float(found.sinks[layer, head]),
        }
        for layer in range(layers)
        for head in range(heads)
    ]
