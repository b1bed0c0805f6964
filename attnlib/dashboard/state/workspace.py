"""What every page works on: the model, the images, their labels and their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from attnlib import audit
from attnlib.dashboard.state import results
from attnlib.dashboard.state.inspection import Inspection, Outcome
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.results import Inspected
from attnlib.dashboard.state.session import Session
from attnlib.data.collection import Sample
from attnlib.data.labels import LabelMatch, match_labels
from attnlib.data.remarks import Remark
from attnlib.model.vit import Vit


@dataclass
class Workspace:
    """One run's view of one visitor's session.

    Attributes:
        session: the visitor's state.
        vit, choice: the model and how it was chosen.
        labels: what the labels of the images resolve to for this model's classes.
        threshold: from which probability on an independent label counts as predicted.
        job: the inspection by this model; None is the session's own.
        kept: predictions of earlier runs by name; None is the session's own.
    """

    session: Session
    vit: Vit
    choice: ModelChoice
    labels: LabelMatch
    threshold: float = 0.5
    job: Inspection | None = None
    kept: dict[str, audit.Prediction] | None = None
    _inspected: dict[str, Inspected] = field(default_factory=dict)

    @property
    def samples(self) -> tuple[Sample, ...]:
        return self.session.samples

    @cached_property
    def by_name(self) -> Mapping[str, Sample]:
        return {sample.name: sample for sample in self.samples}

    def inspected(self, name: str) -> Inspected:
        """The whole result of an image, made again if the store has dropped it.

        Raises:
            AttnlibError: the image cannot be read, or the model fails on it.
        """
        if name not in self._inspected:
            found = results.inspect(self.choice, self.vit, [self.by_name[name]])[0]
            if isinstance(found, Exception):
                raise found
            self._inspected[name] = found
        return self._inspected[name]

    def crop(self, name: str) -> Image.Image:
        """What the model sees of an image; no pass is made for it.

        Raises:
            AttnlibError: the image cannot be read.
        """
        return results.crop(self.choice, self.vit, self.by_name[name])

    def about(self, name: str) -> Workspace:
        """The same with the model at the size that an image has for it, and the layout there.

        That differs from image to image where a transform keeps their shape and the model takes
        any size.

        Raises:
            AttnlibError: as :meth:`inspected`.
        """
        width, height = self.crop(name).size
        view = self.vit.at((height, width))
        return self if view is self.vit else replace(self, vit=view)

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """What is known of the images inspected so far, by name."""
        job = self.job or self.session.job
        return job.outcomes if job is not None and job.choice == self.choice else {}

    @cached_property
    def predictions(self) -> list[audit.Prediction]:
        """Predictions of all samples that are inspected, in the order of the samples."""
        outcomes = self.outcomes
        return [self._prediction(name, outcomes[name]) for name in self.by_name if name in outcomes]

    def _prediction(self, name: str, outcome: Outcome) -> audit.Prediction:
        """That of an earlier run where nothing has changed: it knows its numbers already."""
        known = self.session.predictions if self.kept is None else self.kept
        kept, kind = known.get(name), self.vit.outputs.kind
        label, true = self.labels.labels.get(name), None
        if kind == "labels":
            label, true = None, self.labels.sets.get(name)
        elif not self.vit.outputs.classifies:
            label = None
        if (
            kept is None
            or kept.probabilities is not outcome.probabilities
            or (kept.kind, kept.threshold) != (kind, self.threshold)
            or (kept.true != true if kind == "labels" else kept.label != label)
        ):
            kept = audit.Prediction(
                name, label, outcome.probabilities, outcome.entropy, kind, true, self.threshold
            )
            known[name] = kept
        return kept

    @cached_property
    def table(self) -> pd.DataFrame:
        """The predictions as a data frame; see `attnlib.audit.predictions`."""
        return self.session.memo(
            ("table", self.choice),
            (self.stamp, self.vit.class_names),
            lambda: audit.predictions(self.predictions, self.vit.class_names),
        )

    @cached_property
    def said_table(self) -> pd.DataFrame:
        """The same with what a person said of the images: tags, the right label, a note."""
        said = [self.remark(name) for name in self.table["image"]]
        return self.table.assign(
            tags=[" | ".join(remark.tags) for remark in said],
            should_be=[remark.should_be for remark in said],
            note=[remark.note for remark in said],
        )

    @cached_property
    def prediction_of(self) -> Mapping[str, audit.Prediction]:
        return {prediction.name: prediction for prediction in self.predictions}

    @property
    def stamp(self) -> object:
        """Differs whenever a prediction does, or one is added."""
        images = self.session.changes
        return self.choice, self.threshold, self.labels, images, len(self.predictions)

    def nearest_correct(self, name: str, label: int, count: int = 1) -> list[tuple[str, float]]:
        """Names of the correct images of a class most like an image, with cosine similarity."""
        found = self._likeness.nearest(self._place[name], self._right.get(label, []), count)
        return [(self.predictions[i].name, similarity) for i, similarity in found]

    def usual_likeness(self, name: str) -> float:
        """The similarity of an image to others that a quarter of them exceeds."""
        return self._likeness.quantile(self._place[name], 0.75)

    @cached_property
    def _likeness(self) -> audit.Likeness:
        return self.session.memo(
            ("likeness", self.choice),
            self.stamp,
            lambda: audit.Likeness(
                np.stack([self.outcomes[p.name].embedding for p in self.predictions])
            ),
        )

    @cached_property
    def _right(self) -> Mapping[int, list[int]]:
        """By class, the places of the images that are right in it."""
        return self.session.memo(("right", self.choice), self.stamp, self._find_right)

    def _find_right(self) -> Mapping[int, list[int]]:
        found: dict[int, list[int]] = {}
        for i, prediction in enumerate(self.predictions):
            if prediction.outcome == "right":
                for label in prediction.true or ():
                    found.setdefault(label, []).append(i)
        return found

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {prediction.name: i for i, prediction in enumerate(self.predictions)}

    def said(self, prediction: audit.Prediction) -> list[str]:
        """The names of what is predicted: one class, or any number of labels."""
        return [self.class_name(index) for index in sorted(prediction.said)]

    def true(self, prediction: audit.Prediction) -> list[str] | None:
        """The names of the true class or labels; None where they are not known."""
        true = prediction.true
        return None if true is None else [self.class_name(index) for index in sorted(true)]

    def remark(self, name: str) -> Remark:
        """What was said of an image; an empty one where nothing was."""
        return self.session.remarks.get(name, Remark())

    def class_name(self, index: int) -> str:
        """The first synonym of a class's name."""
        return short_name(self.vit.class_names[index])


def short_name(name: str) -> str:
    """``"tench, Tinca tinca"`` as ``"tench"``, for places where a whole name does not fit."""
    return name.split(",")[0] or name


def build(session: Session, vit: Vit, threshold: float = 0.5) -> Workspace:
    """The workspace of this run.

    Args:
        threshold: from which probability on an independent label counts as predicted.
    """
    several = vit.outputs.kind == "labels"
    now = given(session, vit.class_names, several)
    if session.matched is None or session.matched[0] != now:
        session.matched = now, matched(session, vit.class_names, several)
        session.predictions = {}
    workspace = Workspace(session, vit, session.choice, session.matched[1], threshold)
    st.session_state["workspace"] = workspace
    return workspace


def given(session: Session, class_names: Sequence[str], several: bool) -> tuple[object, ...]:
    """All that the match of labels depends on; the arguments are those of `matched`."""
    labels = (session.table, dict(session.manual), session.rule, dict(session.meanings))
    return (session.samples, labels, tuple(class_names), several)


def matched(session: Session, class_names: Sequence[str], several: bool) -> LabelMatch:
    """Labels of the samples; manual ones win over a table, a table over folders.

    Args:
        class_names: of a model.
        several: whether its labels are independent.
    """
    index = {name: i for i, name in enumerate(class_names)}
    match = match_labels(
        session.samples,
        session.table,
        class_names,
        # What was said of another model's classes waits until that model is back.
        {text: index[name] for text, name in session.meanings.items() if name in index},
        several=several,
        rule=session.rule,
    )
    manual = {
        name: frozenset(index[label] for label in labels)
        for name, labels in session.manual.items()
        if all(label in index for label in labels)
    }
    alone = {name: next(iter(labels)) for name, labels in manual.items() if len(labels) == 1}
    return replace(
        match,
        labels={**match.labels, **alone},
        sets={**match.sets, **manual},
        unlabelled=tuple(name for name in match.unlabelled if name not in manual),
        strange={name: text for name, text in match.strange.items() if name not in manual},
    )


def current() -> Workspace:
    """The workspace that ``app.py`` made for this run."""
    workspace: Workspace = st.session_state["workspace"]
    return workspace
