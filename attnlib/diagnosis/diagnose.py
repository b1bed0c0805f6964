"""What is wrong with a model and a set, in sentences, most costly first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attnlib.diagnosis.examined import Examined, examine
from attnlib.diagnosis.finder import Finder
from attnlib.diagnosis.finders import FINDERS
from attnlib.diagnosis.finding import Finding
from attnlib.errors import AttnlibError
from attnlib.methods.base import Progress
from attnlib.model.vit import Vit


@dataclass(frozen=True)
class Report:
    """What was found, and what was not asked.

    Attributes:
        findings: most costly first; empty on a healthy model and set.
        images, labelled, mistakes: how many there are.
        asked: the kinds that were looked for.
        left_out: the kinds that could not be, and why, as half a sentence.
    """

    findings: tuple[Finding, ...]
    images: int
    labelled: int
    mistakes: int
    asked: tuple[str, ...]
    left_out: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "findings": [finding.to_dict() for finding in self.findings],
            "images": self.images,
            "labelled": self.labelled,
            "mistakes": self.mistakes,
            "asked": list(self.asked),
            "left_out": dict(self.left_out),
        }


def diagnose(
    vit: Vit,
    images: Mapping[str, Image.Image],
    labels: Mapping[str, int | str] | None = None,
    masks: Mapping[str, NDArray[np.bool_]] | None = None,
    progress: Progress | None = None,
    *,
    kinds: Collection[str] | None = None,
) -> Report:
    """Look for everything that can be wrong.

    Args:
        images: by name.
        labels: class index or class name by image name; images may be missing.
        masks: ``(h, w)`` bool of the object, in the image's own pixels, by image name.
        progress: called with (steps done, steps), steps being thousandths of the whole; what it
            raises ends the diagnosis.
        kinds: which to look for; all if None.

    Raises:
        AttnlibError: there is no such kind.
        LabelError: a label is no class of the model.
        ModelError: there are no images, or the model does not run on them.
    """
    unknown = sorted(set(kinds or ()) - set(FINDERS))
    if unknown:
        raise AttnlibError(f"There is no finding {unknown[0]!r}; there are: {', '.join(FINDERS)}.")
    chosen = [finder for kind, finder in FINDERS.items() if kinds is None or kind in kinds]
    share = Share(progress, len(chosen) + 1)
    examined = examine(vit, images, labels, masks, share.of(0))
    return report(examined, chosen, share)


def report(examined: Examined, finders: Collection[Finder], share: Share | None = None) -> Report:
    """The same of a set that was examined already.

    Each finder starts from the set in which what earlier ones found is put right or left out.
    """
    share = share or Share(None, len(finders) + 1)
    findings: list[Finding] = []
    left_out = {}
    given = examined
    for turn, finder in enumerate(finders, start=1):
        lacks = finder.lacks(examined)
        if lacks:
            left_out[finder.kind] = lacks
        else:
            found = finder.find(examined, share.of(turn))
            findings += found
            examined = finder.amend(examined, found) if found else examined
        share.of(turn)(1, 1)
    return Report(
        tuple(sorted(findings, key=lambda finding: -finding.mistakes)),
        len(given.names),
        int(given.labelled.sum()),
        int(given.wrong.sum()),
        tuple(finder.kind for finder in finders if finder.kind not in left_out),
        left_out,
    )


class Share:
    """One progress out of the progress of several parts, each as long as the others."""

    def __init__(self, progress: Progress | None, parts: int) -> None:
        self._progress, self._parts = progress, parts

    def of(self, part: int) -> Progress:
        """The progress of one part."""

        def step(done: int, total: int) -> None:
            if self._progress is not None:
                whole = part + min(done / max(total, 1), 1.0)
                self._progress(round(1000 * whole / self._parts), 1000)

        return step
