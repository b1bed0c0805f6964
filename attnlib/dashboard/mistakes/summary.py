"""The summary line and the exports of the loaded images."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from attnlib import audit
from attnlib.audit import Prediction
from attnlib.audit.report import ReportEntry, html_report
from attnlib.dashboard.mistakes import case as cases
from attnlib.dashboard.parts import drawn
from attnlib.dashboard.parts.pictures import encoded
from attnlib.dashboard.state.models import DEMO
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import opened
from attnlib.model import demo

REPORT_LIMIT = 60


def intro(space: Workspace) -> None:
    """What this is and what to do next, until somebody has done one of it."""
    if opened.last() or space.session.own or space.choice.plain != DEMO:
        return
    st.markdown(
        "**See what a vision transformer got wrong, beside the attention that led to it; test a "
        "reason, and take the answer away.**  \n"
        ":material/ads_click: Open a mistake below · :material/upload: drop your own images in "
        "the sidebar · :material/model_training: choose your own model there."
    )


def line(space: Workspace) -> None:
    """Images, labelled, wrong, accuracy with its interval, confidence when right and wrong."""
    found, several = audit.summarise(space.table), space.vit.outputs.kind == "labels"
    with st.container(horizontal=True, gap="medium"):
        st.metric("Images", found.images, width="content")
        if not space.vit.outputs.classifies:
            st.caption(
                f"The model's outputs are {space.vit.outputs.title}: nothing is right or wrong, "
                "and nothing has a confidence. Maps explain an output."
            )
            return
        if not found.labelled and space.labels.strange:
            # Nothing is known of right and wrong: labelling.problems says why.
            return
        st.metric("Labelled", found.labelled, width="content")
        if found.labelled:
            st.metric("Wrong", found.wrong, width="content")
        if found.accuracy is not None and found.accuracy_interval is not None:
            low, high = found.accuracy_interval
            st.metric(
                f"{'All labels right' if several else 'Accuracy'} (95 %: {low:.0%} to {high:.0%})",
                f"{found.accuracy:.1%}",
                help="With its Wilson 95 % interval: few images leave a wide one.",
                width="content",
            )
        if several and found.labelled:
            precision = audit.per_label(space.predictions, space.vit.class_names)
            st.metric(
                "Mean average precision",
                f"{precision['average_precision'].mean():.2f}",
                help=(
                    "Over the labels that some image has; by chance it is their mean share, "
                    f"{precision.loc[precision['images'] > 0, 'share'].mean():.2f}."
                ),
                width="content",
            )
        if found.confidence_right is not None:
            st.metric("Confidence when right", f"{found.confidence_right:.0%}", width="content")
        if found.confidence_wrong is not None:
            st.metric("Confidence when wrong", f"{found.confidence_wrong:.0%}", width="content")
    if not space.session.own:
        facts = demo.facts()
        st.caption(
            "Embedded CIFAR-10 test images: 60 drawn at random and the demo model's 20 most "
            f"confident mistakes. Over all {facts['test_images']:,} test images its accuracy is "
            f"{facts['test_accuracy']:.1%}."
        )


def exports(space: Workspace) -> None:
    """The whole table as CSV, and the wrong predictions as a page of their own."""
    with st.container(horizontal=True):
        st.download_button(
            "Table (CSV)",
            lambda: audit.to_csv(
                space.said_table[list(audit.HEADINGS)].round(6).rename(columns=audit.HEADINGS)
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
    )


def _entry(space: Workspace, prediction: Prediction) -> ReportEntry:
    case = cases.build(space, prediction, cases.computed(space))
    panels = [*case.panels, *(panel for one in case.references for panel in one.panels)]
    style, remark = drawn.style(), space.remark(prediction.name)
    said = [*remark.tags, *([f"should be {remark.should_be}"] if remark.should_be else [])]
    notes = [space.by_name[prediction.name].note, ", ".join(said), remark.note]
    true = space.true(prediction)
    return ReportEntry(
        prediction.name,
        "no label" if true is None else true,
        space.said(prediction),
        [(space.class_name(index), share) for index, share in prediction.top(5)],
        [(p.caption, encoded(p.picture(space, style, 264))) for p in panels],
        "\n".join(filter(None, notes)),
    )
