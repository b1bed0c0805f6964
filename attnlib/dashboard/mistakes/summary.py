"""The summary line and the exports of the loaded images."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from attnlib import audit
from attnlib.audit import Prediction
from attnlib.audit.report import ReportEntry, Section, html_report
from attnlib.dashboard.mistakes import cards
from attnlib.dashboard.mistakes import case as cases
from attnlib.dashboard.parts import drawn
from attnlib.dashboard.parts.pictures import encoded
from attnlib.dashboard.parts.style import map_bar
from attnlib.dashboard.state import diagnoses, embedded, models
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.tour import box
from attnlib.dashboard.triage import opened, verdict
from attnlib.diagnosis.words import PICTURES, sections
from attnlib.model import demo, objects

REPORT_LIMIT = 60
_HEADINGS = {**audit.HEADINGS, **audit.SAID_HEADINGS}


def intro(space: Workspace) -> None:
    """What this is and what to do next, until somebody has done one of it."""
    if opened.last() or space.session.own or space.choice.plain != models.opening():
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="intro"):
        st.markdown(
            ":small[**See what a vision transformer got wrong, beside the attention that led to "
            "it; test a reason, and take the answer away.**  \n"
            ":material/ads_click: Open a mistake below · :material/upload: drop your own images "
            "in the sidebar · :material/model_training: choose your own model there.]",
            width="stretch",
        )
        st.button(
            "Tour in three steps",
            key="tour_start",
            icon=":material/explore:",
            on_click=box.start,
            help="A minute: mistakes, the cause that the app finds, and the proof. On a demo "
            "model that learned something wrong on purpose.",
        )


def line(space: Workspace) -> None:
    """Images, labelled, wrong, accuracy with its interval, confidence when right and wrong."""
    found = audit.summarise(space.table)
    if not space.vit.outputs.classifies:
        st.markdown(
            f"**{found.images}** images. The model's outputs are {space.vit.outputs.title}: "
            "nothing is right or wrong, and nothing has a confidence. Maps explain an output."
        )
        return
    st.markdown(" · ".join(_numbers(space, found)), help=_HELP)
    if not space.session.own:
        st.caption(_about(space.session.demo))


def _about(set_: str) -> str:
    """What the images of an embedded demo are, and how the demo's model does on all of them."""
    if set_ == embedded.PHOTOGRAPHS:
        facts = demo.facts()
        return (
            "Demo images of CIFAR-10: 60 drawn at random and the model's 20 most confident "
            f"mistakes. Over all {facts['test_images']:,} test images its accuracy is "
            f"{facts['test_accuracy']:.1%}."
        )
    usual = objects.facts()["usual"]
    return (
        "Drawings of things that the demo model never saw. Its training pictures held two traps, "
        "and so do some of these: what makes it go wrong? Without a trap its accuracy is "
        f"{usual['accuracy']:.0%} ({usual['right']} of {usual['images']})."
    )


_HELP = (
    "Accuracy stands with its Wilson 95 % interval: few images leave a wide one. Confidence is "
    "the mean probability of what was predicted."
)


def _numbers(space: Workspace, found: audit.Summary) -> list[str]:
    """The parts of the line."""
    several = space.vit.outputs.kind == "labels"
    parts = [f"**{found.images}** images"]
    if not found.labelled and space.labels.strange:
        # What to do about it stands above: see labelling.strange.
        return [*parts, "none with a label that is known to this model"]
    if found.labelled < found.images:
        parts.append(f"**{found.labelled}** labelled")
    if found.accuracy is None or found.accuracy_interval is None:
        # Of labels that are no classes of the model, the page says so above.
        return parts if space.labels.strange else [*parts, "no label: nothing is right or wrong"]
    low, high = found.accuracy_interval
    title = "all labels right" if several else "accuracy"
    parts += [
        f"**{found.wrong}** wrong",
        f"{title} **{found.accuracy:.1%}** (95 %: {low:.0%} to {high:.0%})",
    ]
    if several:
        precision = audit.per_label(space.predictions, space.vit.class_names)
        chance = precision.loc[precision["images"] > 0, "share"].mean()
        mean = precision["average_precision"].mean()
        parts.append(f"mean average precision **{mean:.2f}** (by chance {chance:.2f})")
    for words, value in (("right", found.confidence_right), ("wrong", found.confidence_wrong)):
        if value is not None:
            parts.append(f"confidence when {words} **{value:.0%}**")
    corrected = sum(bool(space.remark(p.name).should_be) for p in space.predictions)
    if corrected:
        parts.append(f"**{corrected}** labels said to be wrong, counted as they came")
    return parts


def exports(space: Workspace) -> None:
    """The whole table as CSV, and the wrong predictions as a page of their own."""
    with st.container(horizontal=True):
        st.download_button(
            "Table (CSV)",
            lambda: audit.to_csv(
                space.said_table[list(_HEADINGS)].round(6).rename(columns=_HEADINGS)
            ),
            "predictions.csv",
            "text/csv",
            icon=":material/table:",
            on_click="ignore",
            help="One row for each image: labels, probabilities, margin, loss, entropy.",
        )
        st.download_button(
            "Report of the wrong predictions (HTML)",
            lambda: report(space),
            "wrong-predictions.html",
            "text/html",
            icon=":material/description:",
            on_click="ignore",
            help=f"One file with pictures inside, to send around; at most {REPORT_LIMIT} images.",
        )


def report(space: Workspace) -> str:
    """The wrong predictions, most confident first, as one self-contained HTML page."""
    wrong = [p for p in space.predictions if p.wrong]
    wrong.sort(key=lambda prediction: -prediction.confidence)
    return html_report(
        "Wrong predictions",
        space.choice.title,
        audit.summarise(space.table),
        [_entry(space, prediction) for prediction in wrong[:REPORT_LIMIT]],
        datetime.now(),
        space.vit.outputs,
        (cards.maps_count(space), map_bar(drawn.style())),
        _findings(space),
    )


def _findings(space: Workspace) -> list[Section]:
    """What was found to be wrong with model and set, where it was looked for."""
    found = diagnoses.known(space)
    if found is None:
        return []
    names = {name for one in found.report.findings for name in one.images[:PICTURES]}
    crops = {name: space.crop(name) for name in names if name in space.by_name}
    return sections(found.report, crops)


def _entry(space: Workspace, prediction: Prediction) -> ReportEntry:
    case = cases.build(space, prediction, cases.computed(space))
    shown = [(panel.caption, panel) for panel in case.panels]
    for one in case.references:
        # The first says what the pair is, and how alike.
        shown += zip([one.words, *(p.caption for p in one.panels[1:])], one.panels, strict=False)
    missing = [one.words for one in case.references if not one.panels]
    style, remark = drawn.style(), space.remark(prediction.name)
    notes = [
        space.by_name[prediction.name].note,
        *missing,
        ", ".join(verdict.tags(remark)),
        remark.note,
    ]
    true = space.true(prediction)
    return ReportEntry(
        prediction.name,
        "no label" if true is None else true,
        space.said(prediction),
        [(space.class_name(index), share) for index, share in prediction.top(5)],
        [(caption, encoded(panel.picture(space, style, 264))) for caption, panel in shown],
        "\n".join(filter(None, notes)),
    )
