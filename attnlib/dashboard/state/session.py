"""What belongs to one visitor: images, labels, and the job that inspects them.

Everything lies in ``st.session_state``, which no other visitor can reach. Uploads are copied
there at once, because an uploader forgets its files when it is not drawn for once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from collections.abc import Collection as Several
from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.state import embedded
from attnlib.dashboard.state.inspection import Inspection
from attnlib.dashboard.state.models import ModelChoice, opening
from attnlib.dashboard.state.shelf import Shelf
from attnlib.dashboard.state.stored import Stored
from attnlib.dashboard.state.training import Run
from attnlib.data import masks
from attnlib.data.annotation import Coco
from attnlib.data.collection import Collection, Opened, Refusal, Sample, collect
from attnlib.data.labels import LabelMatch, LabelTable, Rule, read_label_table
from attnlib.data.masks import Objects
from attnlib.data.remarks import Remark
from attnlib.errors import LabelError

T = TypeVar("T")

# Results that are remembered for one visitor: a few of each model in use.
MEMORIES = 24


@dataclass(frozen=True)
class File:
    """One uploaded file, as it was called and as it was opened."""

    name: str
    opened: Opened


@dataclass
class Session:
    """One visitor's state.

    Attributes:
        samples: the images, the demo's or the visitor's own.
        own: whether the images are the visitor's own.
        demo: the embedded demo whose images these are otherwise.
        changes: how often the images have changed.
        files: all that was uploaded and not taken away again, by a number of its own.
        refusals: files that were not taken, with the reason.
        objects: masks and annotations that came with the images or later.
        table: labels from a CSV file, if one was given.
        manual: labels chosen on the page: sample name -> class names.
        meanings: label text -> name of the class that the visitor says it means.
        rule: how labels that are numbers are read; None for what is likeliest.
        choice: the model in use.
        upload: bytes of an uploaded checkpoint.
        models: those that were loaded, among them the one in use.
        model_problem: why the last wish for another model failed.
        failed: the wish that failed.
        job: the inspection of these samples by this model.
        beside: other models on the same images, see :mod:`attnlib.dashboard.state.beside`.
        training: the checkpoints of a training run.
        predictions: by sample name, as of the last run.
        remarks: what the visitor said of images, by sample name.
        matched: what the labels were matched from, and the match.
        stored: what of it lies in the store.
    """

    samples: tuple[Sample, ...]
    own: bool = False
    demo: str = field(default_factory=lambda: opening().source)
    changes: int = 0
    files: dict[int, File] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    objects: Objects = field(default_factory=Objects)
    table: LabelTable | None = None
    manual: dict[str, tuple[str, ...]] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
    rule: Rule | None = None
    choice: ModelChoice = field(default_factory=opening)
    upload: bytes | None = None
    models: Shelf = field(default_factory=Shelf)
    model_problem: str = ""
    failed: ModelChoice | None = None
    job: Inspection | None = None
    beside: dict[ModelChoice, Any] = field(default_factory=dict)
    training: Run = field(default_factory=Run)
    predictions: dict[str, Prediction] = field(default_factory=dict)
    remarks: dict[str, Remark] = field(default_factory=dict)
    matched: tuple[object, LabelMatch] | None = None
    stored: Stored = field(default_factory=Stored)
    # Which files the uploader shows that is drawn now: its key, and by id their numbers here.
    uploader: int = 0
    shown: tuple[str, dict[str, int]] = ("", {})
    _memo: dict[Hashable, tuple[object, Any]] = field(default_factory=dict)
    _taken: int = 0
    _masks: dict[str, bytes] = field(default_factory=dict)
    _annotated: str = ""
    # Names of all images there ever were, with the content that they last had.
    _seen: dict[str, str] = field(default_factory=dict)

    def memo(self, name: Hashable, of: object, make: Callable[[], T]) -> T:
        """Something made from the visitor's data, made anew only where ``of`` has changed."""
        found = self._memo.pop(name, None)
        if found is None or found[0] != of:
            found = of, make()
        while len(self._memo) >= MEMORIES:
            del self._memo[next(iter(self._memo))]
        self._memo[name] = found
        made: T = found[1]
        return made

    def take(self, files: list[tuple[str, bytes]]) -> list[int]:
        """Add files (images, zip files, tables, annotations) to those that are there.

        Returns:
            A number for each, by which `drop` takes it away again.
        """
        collection = collect(files, [file.opened for file in self.files.values()])
        numbers = [self._taken + place for place in range(len(files))]
        self._taken += len(files)
        new = collection.opened[len(self.files) :]
        for number, (name, _), opened in zip(numbers, files, new, strict=True):
            self.files[number] = File(name, opened)
        self._use(collection)
        return numbers

    def put(self, files: Several[File]) -> list[int]:
        """Add files that were opened before, as :meth:`take` does."""
        numbers = [self._taken + place for place in range(len(files))]
        self._taken += len(files)
        self.files |= zip(numbers, files, strict=True)
        self._use(collect((), [file.opened for file in self.files.values()]))
        return numbers

    def drop(self, numbers: Several[int]) -> None:
        """Take files away; without any image left, a demo's come back."""
        if not any(number in self.files for number in numbers):
            return
        self.files = {key: file for key, file in self.files.items() if key not in numbers}
        self._use(collect((), [file.opened for file in self.files.values()]))

    def back_to_demo(self) -> None:
        """Forget the visitor's own images and labels."""
        self.drop(list(self.files))
        self.objects = Objects(dict(self._masks))
        self.uploader += 1

    def embed(self, name: str) -> None:
        """Have the images of another embedded demo where there are none of the visitor's own."""
        if name != self.demo:
            self.demo = name
            self._use(collect((), [file.opened for file in self.files.values()]))

    def _use(self, collection: Collection) -> None:
        """The images, labels and masks of all files there are now."""
        self.table = _table(collection)
        images, found = masks.set_apart(collection.samples)
        if not images:
            images, found = embedded.samples(self.demo), embedded.masks(self.demo)
        self.own = bool(collection.samples)
        if images != self.samples:
            before = {(sample.name, sample.sha256) for sample in self.samples}
            stay = {s.name for s in images if (s.name, s.sha256) in before}
            self.manual = {name: said for name, said in self.manual.items() if name in stay}
            # What was said of a picture that is gone waits for it, and is not another one's.
            self._seen |= {sample.name: sample.sha256 for sample in self.samples}
            other = {s.name for s in images if self._seen.get(s.name, s.sha256) != s.sha256}
            self.remarks = {n: said for n, said in self.remarks.items() if n not in other}
            self.samples = images
            self.changes += 1
        self.refusals = collection.refusals
        self.objects = Objects({**self.given_masks(), **found}, self.given_coco())
        self._annotated = ""
        if collection.annotations:
            before_files = self.objects.coco
            self.objects = masks.read(collection.annotations, self.samples, None, self.objects)
            self.refusals += tuple(self.objects.problems)
            if self.objects.coco is not before_files and self.objects.coco is not None:
                self._annotated = self.objects.coco[0]
        self._masks = found

    def given_masks(self) -> dict[str, bytes]:
        """Masks of loaded images that came on a page and in no file of these."""
        loaded = {sample.sha256 for sample in self.samples}
        return {
            key: mask
            for key, mask in self.objects.masks.items()
            if key in loaded and self._masks.get(key) is not mask
        }

    def given_coco(self) -> tuple[str, Coco] | None:
        """Annotations that came on a page and in no file of these."""
        coco = self.objects.coco
        return None if coco is None or coco[0] == self._annotated else coco


def _table(collection: Collection) -> LabelTable | None:
    """The labels of all tables; of two that name one file, the later one wins."""
    tables: list[LabelTable] = []
    problems: list[str] = []
    for name, data in collection.tables:
        try:
            table = read_label_table(data)
        except LabelError as error:
            problems.append(f"{name}: {error}")
            continue
        tables.append(table)
        problems += [f"{name}: {problem}" for problem in table.problems]
    return LabelTable.joined(tables, problems) if collection.tables else None


def current() -> Session:
    """The visitor's session, made with the demo images on the first visit."""
    if "session" not in st.session_state:
        st.session_state["session"] = begun()
    session: Session = st.session_state["session"]
    return session


def begun() -> Session:
    """A new visitor's session: the images of the demo that opens, and their masks."""
    visitor = Session(demo_samples())
    visitor._use(collect(()))
    return visitor


def demo_samples() -> tuple[Sample, ...]:
    """The images that a visit begins with."""
    return embedded.samples(opening().source)
