"""What is wrong with the loaded images and the model: asked beside the page, kept by content."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.runner import Progress
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data import annotation
from attnlib.data.collection import Sample
from attnlib.data.image import as_stored, decode, sha256
from attnlib.data.masks import Objects
from attnlib.diagnosis import FINDERS, Examined, Finder, Finding, Report, examine
from attnlib.diagnosis.diagnose import Share, report
from attnlib.errors import AttnlibError
from attnlib.model.vit import Vit

TASK, MORE = "diagnosis", "diagnosis further"
# The kinds that the visitor asked for last, beside the cheap ones.
ASKED = "diagnosis_asked"
# Kinds that take no more passes than the inspection took, or so many, are looked for unasked.
AT_ONCE = 32
# Of images that are decoded at the same time: 0.8 GB.
PIXELS = 2**28


@dataclass(frozen=True)
class Diagnosed:
    """What one run found, and what it cost.

    Attributes:
        report: as the library gives it.
        seconds: by kind that was looked for.
        passes: about how many forward passes a kind takes, by kind for which nothing is missing.
        pass_s: seconds of one pass, as measured here.
        left: how many images were not looked at, since not so many can be held decoded.
    """

    report: Report
    seconds: Mapping[str, float]
    passes: Mapping[str, int]
    pass_s: float
    left: int

    @property
    def further(self) -> list[str]:
        """The kinds that were not looked for and could be."""
        return [kind for kind in self.passes if kind not in self.report.asked]

    @property
    def by_code(self) -> dict[str, Finding]:
        """The findings by a name that is the same in every run, the most costly first."""
        found: dict[str, Finding] = {}
        seen: Counter[str] = Counter()
        for finding in self.report.findings:
            numbers = [*finding.classes, *([] if finding.layer is None else [finding.layer])]
            code = "-".join([finding.kind, *map(str, numbers)])
            seen[code] += 1
            found[code if seen[code] == 1 else f"{code}.{seen[code]}"] = finding
        return found


@dataclass(frozen=True, eq=False)
class Question:
    """A model, images with what is known of them, and what to look for.

    Attributes:
        labels: class index by name.
        kinds: what to look for; None is all that is cheap.
        digest: of all content and every name in it.
    """

    choice: ModelChoice
    vit: Vit
    samples: tuple[Sample, ...]
    labels: Mapping[str, int]
    objects: Objects
    kinds: tuple[str, ...] | None
    digest: str

    @property
    def key(self) -> Hashable:
        """Names all that the result depends on."""
        return self.choice, self.digest, tuple(FINDERS), self.kinds

    def answer(self, progress: Progress) -> Diagnosed:
        """The computation, which needs no page.

        Raises:
            AttnlibError: an image cannot be read, or the model fails on one.
        """
        images = self._images(progress)
        inspected = {
            sample.name: found.record
            for sample in self.samples
            if (found := results.kept_inspection(self.choice, sample)) is not None
        }
        share = Share(progress, 2)
        examined = examine(
            self.vit,
            images,
            {name: label for name, label in self.labels.items() if name in images},
            self._masks(images),
            share.of(0),
            records={name: record for name, record in inspected.items() if name in images},
        )
        pass_s = _pass_s(examined)
        passes = {f.kind: f.passes(examined) for f in FINDERS.values() if not f.lacks(examined)}
        seconds: dict[str, float] = {}
        finders = [
            _timed(finder, seconds)
            for kind, finder in FINDERS.items()
            if self._asks(kind, passes, len(images))
        ]
        parts = Share(share.of(1), len(finders) + 1)
        made = report(examined, finders, parts)
        return Diagnosed(made, seconds, passes, pass_s, len(self.samples) - len(images))

    def _asks(self, kind: str, passes: Mapping[str, int], images: int) -> bool:
        """Whether to look for a kind; what lacks something costs nothing, and says what."""
        if self.kinds is not None and kind in self.kinds:
            return True
        return passes.get(kind, 0) <= max(images, AT_ONCE)

    def _images(self, progress: Progress) -> dict[str, Image.Image]:
        """As many images, drawn at random and always the same, as can be held decoded."""
        order = np.random.default_rng(0).permutation(len(self.samples)).tolist()
        found: dict[str, Image.Image] = {}
        pixels = 0
        for place in order:
            progress(0, 1000)
            sample = self.samples[place]
            image = results.decoded(self.choice, self.vit, sample)
            pixels += image.width * image.height
            if found and pixels > PIXELS:
                break
            found[sample.name] = image
        return {s.name: found[s.name] for s in self.samples if s.name in found}

    def _masks(self, images: Collection[str]) -> dict[str, NDArray[np.bool_]]:
        """Where the objects are, as decoded, of those images of which it is known."""
        given = bool(self.objects.masks) or self.objects.coco is not None
        found: dict[str, NDArray[np.bool_]] = {}
        for sample in self.samples:
            mask = self._mask(sample) if given and sample.name in images else None
            if mask is not None:
                upright = self.choice.decoding == "upright"
                found[sample.name] = mask if upright else as_stored(mask, sample.data)
        return found

    def _mask(self, sample: Sample) -> NDArray[np.bool_] | None:
        png, coco = self.objects.masks.get(sample.sha256), self.objects.coco
        size = decode(sample.data).size
        try:
            if png is not None:
                return annotation.read_mask(png, size)
            return None if coco is None else coco[1].mask(sample.name, size)
        except AttnlibError:
            # The image is not annotated; where it was meant to be, the page of masks says why not.
            return None


def _pass_s(examined: Examined) -> float:
    """Seconds of one pass of one image, now and here; the first one may be slow."""
    found = []
    for _ in range(3):
        began = time.perf_counter()
        list(examined.vit.inspect_many(examined.images[:1], batch_size=1, rollout=False))
        found.append(time.perf_counter() - began)
    return min(found)


def _timed(finder: Finder, seconds: dict[str, float]) -> Finder:
    def find(examined: Examined, progress: Progress) -> list[Finding]:
        began = time.perf_counter()
        found = finder.find(examined, progress)
        seconds[finder.kind] = time.perf_counter() - began
        return found

    return replace(finder, find=find)


# -- of one visitor ----------------------------------------------------------------------------


def question(space: Workspace, kinds: Collection[str] | None = None) -> Question | None:
    """What to ask of the images that are inspected; None before they all are.

    Args:
        kinds: beside the cheap ones; None for none.
    """
    job = space.job or space.session.job
    if job is None or not job.finished or not space.predictions:
        return None
    listed = None if kinds is None else tuple(kind for kind in FINDERS if kind in kinds)
    objects = space.session.objects
    made: Question = space.session.memo(
        ("diagnosis", space.choice, listed),
        (space.stamp, objects.masks, objects.coco, tuple(FINDERS)),
        lambda: _question(space, listed),
    )
    return made


def further(space: Workspace, found: Diagnosed, kinds: Collection[str]) -> Question | None:
    """To ask for more kinds, and for what was asked before again: causes come before what they
    make look wrong."""
    before = found.report
    return question(space, {*before.asked, *before.left_out, *kinds})


def _question(space: Workspace, kinds: tuple[str, ...] | None) -> Question:
    samples = tuple(space.by_name[prediction.name] for prediction in space.predictions)
    # Right and wrong are those of one class among several: see `Examined.classifies`.
    classes = space.vit.outputs.kind == "classes"
    labels = {p.name: p.label for p in space.predictions if classes and p.label is not None}
    objects, together = space.session.objects, hashlib.sha256()
    for sample in samples:
        mask = objects.masks.get(sample.sha256, b"")
        parts = (sample.name, sample.sha256, labels.get(sample.name), sha256(mask) if mask else "")
        together.update(repr(parts).encode())
    together.update(b"" if objects.coco is None else objects.coco[0].encode())
    return Question(space.choice, space.vit, samples, labels, objects, kinds, together.hexdigest())


def begin(space: Workspace) -> None:
    """Have the cheap kinds looked for beside the page, unless it is done or under way."""
    asked = question(space)
    if asked is not None and tasks.known(TASK, asked.key) is None:
        tasks.begin(TASK, asked.key, asked.answer, shared=True)


def busy(space: Workspace) -> bool:
    """Whether the cheap kinds are being looked for."""
    asked = question(space)
    task = None if asked is None else tasks.current(TASK, asked.key)
    return task is not None and not task.finished


def awaited(space: Workspace) -> bool:
    """Whether the cheap kinds can be looked for, and did not fail."""
    asked = question(space)
    task = None if asked is None else tasks.current(TASK, asked.key)
    return asked is not None and (task is None or not task.finished)


def known(space: Workspace) -> Diagnosed | None:
    """The most that is known by now; nothing is computed."""
    last: tuple[str, ...] | None = st.session_state.get(ASKED)
    for name, kinds in ((MORE, last), (MORE, tuple(FINDERS)), (TASK, None)):
        asked = None if name == MORE and kinds is None else question(space, kinds)
        found: Diagnosed | None = None if asked is None else tasks.known(name, asked.key)
        if found is not None:
            return found
    return None


def images(finding: Finding) -> tuple[str, ...]:
    """The images concerned; where it is the model, those that show it best."""
    shown = (name for one in finding.evidence for name in one.images)
    return finding.images or tuple(dict.fromkeys(shown))


def concerning(space: Workspace, name: str) -> dict[str, Finding]:
    """What is known of an image, by code: the findings that name it."""
    found = known(space)
    listed = {} if found is None else found.by_code
    return {code: finding for code, finding in listed.items() if name in finding.images}
