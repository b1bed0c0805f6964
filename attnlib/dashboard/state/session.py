"""What belongs to one visitor: images, labels, and the job that inspects them.

Everything lies in ``st.session_state``, which no other visitor can reach. Uploads are copied
there at once, because an uploader forgets its files when its page is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.state.inspection import Inspection
from attnlib.dashboard.state.models import DEMO, ModelChoice
from attnlib.dashboard.state.remarks import Remark
from attnlib.data import masks
from attnlib.data.collection import Collection, Refusal, Sample, collect
from attnlib.data.image import sha256
from attnlib.data.labels import LabelMatch, LabelTable, Rule, read_label_table
from attnlib.data.masks import Objects
from attnlib.errors import LabelError
from attnlib.model import demo


@dataclass
class Session:
    """One visitor's state.

    Attributes:
        samples: the images, the demo's or the visitor's own.
        refusals: files that were not taken, with the reason.
        objects: masks and annotations that came with the images or later.
        table: labels from a CSV file, if one was given.
        manual: labels chosen on the page: sample name -> class names.
        rule: how labels that are numbers are read; None for what is likeliest.
        choice: the model in use.
        upload: bytes of an uploaded checkpoint.
        model_problem: why the last wish for another model failed.
        failed: the wish that failed.
        job: the inspection of these samples by this model.
        predictions: by sample name, as of the last run.
        remarks: what the visitor said of images, by sample name.
        matched: what the labels were matched from, and the match.
    """

    samples: tuple[Sample, ...]
    own: bool = False
    refusals: tuple[Refusal, ...] = ()
    objects: Objects = field(default_factory=Objects)
    table: LabelTable | None = None
    manual: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rule: Rule | None = None
    choice: ModelChoice = DEMO
    upload: bytes | None = None
    model_problem: str = ""
    failed: ModelChoice | None = None
    job: Inspection | None = None
    predictions: dict[str, Prediction] = field(default_factory=dict)
    remarks: dict[str, Remark] = field(default_factory=dict)
    matched: tuple[object, LabelMatch] | None = None
    uploads_seen: tuple[str, ...] = ()
    uploader: int = 0

    def take(self, files: list[tuple[str, bytes]]) -> None:
        """Use these files (images, zip files, tables, annotations) instead of what was there."""
        collection = collect(files)
        self.refusals = collection.refusals
        self._read_tables(collection)
        if collection.samples:
            self.samples, found = masks.set_apart(collection.samples)
            self.own, self.manual, self.objects = True, {}, Objects(found)
        if collection.annotations:
            self.objects = masks.read(collection.annotations, self.samples, None, self.objects)
            self.refusals += tuple(self.objects.problems)

    def back_to_demo(self) -> None:
        """Forget the visitor's own images and labels."""
        self.samples, self.own = demo_samples(), False
        self.refusals, self.table, self.objects = (), None, Objects()
        self.manual, self.uploads_seen = {}, ()
        self.uploader += 1

    def _read_tables(self, collection: Collection) -> None:
        """The labels of these files; those there are stay where no other images or labels come."""
        before = None if collection.samples else self.table
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
        if before is not None and not tables:
            tables = [before]
        self.table = LabelTable.joined(tables, problems) if collection.tables else before


def current() -> Session:
    """The visitor's session, made with the demo images on the first visit."""
    if "session" not in st.session_state:
        st.session_state["session"] = Session(demo_samples())
    session: Session = st.session_state["session"]
    return session


@st.cache_resource(max_entries=1, show_spinner=False)
def demo_samples() -> tuple[Sample, ...]:
    """The embedded images; their labels stand where an upload has its folder's name."""
    return tuple(
        Sample(image.name, image.data, sha256(image.data), image.label, image.chosen)
        for image in demo.images()
    )
