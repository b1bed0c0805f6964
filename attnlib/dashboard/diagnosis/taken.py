"""The diagnosis as files: JSON as the library writes it, and a table of the findings."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts import downloads
from attnlib.dashboard.state.diagnoses import Diagnosed
from attnlib.diagnosis import Finding
from attnlib.diagnosis.written import as_json


def show(found: Diagnosed) -> None:
    """The buttons."""
    report = found.report
    with st.container(horizontal=True):
        st.download_button(
            "Diagnosis (JSON)",
            lambda: as_json(report),
            "diagnosis.json",
            "application/json",
            key="json_diagnosis",
            type="tertiary",
            icon=":material/data_object:",
            on_click="ignore",
            help="All findings with their evidence, and what was not asked.",
        )
        if report.findings:
            downloads.table(lambda: [row(one) for one in report.findings], "diagnosis")


def row(finding: Finding) -> dict[str, object]:
    """One finding as a line of a table."""
    certainty = finding.certainty
    low, high = certainty.interval or (None, None)
    return {
        "kind": finding.kind,
        "scope": finding.scope,
        "sentence": finding.sentence,
        "mistakes": finding.mistakes,
        "value": finding.value,
        "threshold": finding.threshold,
        "threshold from": finding.threshold_source,
        "p, corrected": certainty.p_value,
        "from": low,
        "to": high,
        "tried": certainty.tried,
        "for": " ".join(one.sentence for one in finding.evidence),
        "against": " ".join(one.sentence for one in finding.evidence_against),
        "next": finding.next_steps,
        "images": " | ".join(finding.images),
    }
