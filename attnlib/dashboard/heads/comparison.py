"""How alike heads are, on the images of a section; computed beside the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnlib.audit import Prediction
from attnlib.dashboard.heads import images
from attnlib.dashboard.parts import controls
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.tasks import Progress
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.errors import AttnlibError
from attnlib.heads import MEASURES, Similarity, accumulate
from attnlib.heads import similarity as library
from attnlib.heads.similarity import Measure, euclidean
from attnlib.pictures.colormaps import Scale

TITLES: dict[Measure, str] = {
    "pearson": "Pearson",
    "pooled": "Pooled",
    "cosine": "Cosine",
    "jensen-shannon": "Jensen–Shannon",
}
MEANING: dict[Measure, str] = {
    "pearson": "correlation of two heads' shares over patches: 1 the same pattern, 0 unrelated",
    "pooled": (
        "one correlation over the patches of all images together, in place of the mean of each "
        "image's own; with one image they are the same"
    ),
    "cosine": "cosine of two heads' shares over patches: 1 the same, 0 no patch in common",
    "jensen-shannon": (
        "1 − Jensen–Shannon divergence in bits of the renormalised shares: 1 the same, "
        "0 no patch in common"
    ),
}


@dataclass(frozen=True)
class OnImages:
    """How alike two heads are on each of many images: ``values[i]`` is that of ``names[i]``."""

    names: tuple[str, ...]
    values: NDArray[np.float64]


def measure() -> Measure:
    """The measure of similarity, as the visitor says."""
    return controls.segments(
        "heads_measure",
        "Measure",
        MEASURES,
        title=TITLES.__getitem__,
        help="How the maps of two heads are compared; the line under the picture defines it.",
    )


def scale(measure: Measure) -> Scale:
    """The whole range of a measure, so that colours mean the same on every page and image."""
    if measure in ("pearson", "pooled"):
        return Scale(-1.0, 1.0, True, f"similarity ({TITLES[measure]}), −1 to 1", mark=0.0)
    return Scale(0.0, 1.0, False, f"similarity ({TITLES[measure]}), 0 to 1")


def compared(
    space: Workspace, samples: tuple[Sample, ...], measure: Measure, what: str
) -> Similarity | None:
    """Similarity of all heads ``(L·H, L·H)`` on the images; None while it is computed.

    Args:
        what: which of the page's computations this is.
    """
    choice, vit = space.choice, space.vit

    def work(progress: Progress) -> Similarity:
        found = images.inspected(choice, vit, samples, progress)
        return accumulate((images.maps_of(item.record) for _, item in found), measure)

    return tasks.run(
        f"{what}, {len(samples) == 1}",
        (*images.key(space, samples), measure),
        work,
        button="Compare heads",
        help="Compare every head with every other on all images.",
        eager=True,
        shared=True,
    )


def on_images(
    space: Workspace, samples: tuple[Sample, ...], measure: Measure, pair: tuple[int, int]
) -> OnImages | None:
    """How alike two heads (numbers in L·H) are on each image; None while it is computed."""
    choice, vit = space.choice, space.vit

    def work(progress: Progress) -> OnImages:
        names, values = [], []
        for sample, item in images.inspected(choice, vit, samples, progress):
            maps = images.maps_of(item.record)[list(pair)]
            names.append(sample.name)
            values.append(float(library.similarity(maps, measure)[0, 1]))
        if not names:
            raise AttnlibError("There are no images to compare heads on.")
        return OnImages(tuple(names), np.array(values))

    return tasks.run(
        "pair of heads",
        # Names too: the result holds them, and names are their visitor's own.
        (*images.key(space, samples), tuple(s.name for s in samples), measure, pair),
        work,
        button="Compare on each image",
        help="How alike these two heads are on each image.",
        eager=True,
        shared=True,
    )


def distances(
    space: Workspace, samples: tuple[Sample, ...], layers: int
) -> NDArray[np.float64] | None:
    """Euclidean distance of the heads of each layer ``(L,)``, mean over the images."""
    choice, vit = space.choice, space.vit

    def work(progress: Progress) -> NDArray[np.float64]:
        found = [
            euclidean(images.maps_of(item.record), layers)
            for _, item in images.inspected(choice, vit, samples, progress)
        ]
        if not found:
            raise AttnlibError("There are no images to compare heads on.")
        return np.asarray(np.mean(found, axis=0))

    return tasks.run(
        f"distance of heads, {len(samples) == 1}",
        images.key(space, samples),
        work,
        button="Measure the distance of heads",
        help="Compare the heads of each layer on all images.",
        eager=True,
        shared=True,
    )


def layers_and_heads(space: Workspace, prediction: Prediction) -> tuple[int, int]:
    """How many layers there are to compare, and heads in each."""
    layers, heads, _ = space.inspected(prediction.name).record.rows.shape
    return layers, heads
