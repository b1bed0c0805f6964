"""The group of images that the list is narrowed to: chosen by a click, kept in the link."""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from attnlib.audit.clusters import Cluster
from attnlib.audit.opened import Opened, Where
from attnlib.audit.where import CLUSTER, Group, Key, within
from attnlib.dashboard.audits import sayings
from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import alone
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import diagnoses, tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError

KEY = "audit_group"
TAG, FINDING = "tag", "diagnosis"


class Groups:
    """Groups in an address, as JSON."""

    allowed = "a group of images"

    def read(self, texts: list[str]) -> Group:
        """The group.

        Raises:
            ValueError: it is none.
        """
        text = alone(texts, self.allowed)
        try:
            said = json.loads(text)
            found = tuple((by, value) for by, value in said)
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(self.allowed) from error
        if len(found) > 2 or not all(isinstance(part, str) for key in found for part in key):
            raise ValueError(self.allowed)
        return found

    def write(self, value: Group) -> list[str]:
        """As JSON."""
        return [json.dumps(value, ensure_ascii=False, separators=(",", ":"))]


def marks(space: Workspace, audit: Opened) -> dict[Key, list[str]]:
    """What was said of images, by tag and by finding: their names."""
    found: dict[Key, list[str]] = {}
    for name, remark in sayings.remarks(space, audit).items():
        for tag in remark.tags:
            found.setdefault((TAG, tag), []).append(name)
    known = diagnoses.known(space)
    for finding in () if known is None else known.report.findings:
        found.setdefault((FINDING, finding.kind), []).extend(finding.images)
    return {key: sorted(set(names)) for key, names in found.items() if names}


def to(group: Group = (), label: str | None = None, predicted: str | None = None) -> None:
    """Have the list of images show the mistakes of a group, or of a pair of classes."""
    st.session_state[KEY] = group
    st.session_state["audit_label"] = label
    st.session_state["audit_predicted"] = predicted
    st.session_state["audit_text"] = ""
    st.session_state["audit_outcome"] = "wrong"
    st.session_state["audit_page"] = 1
    st.session_state["audit_view"] = "Images"


def narrow(space: Workspace, found: Opened, where: Where) -> Where | None:
    """The same, within the group that is chosen; a line says which, with a way out.

    None while its clusters are looked for, which is shown.
    """
    group = address.value(KEY, (), Groups(), label="Group")
    if not group:
        return where
    said = marks(space, found)
    rest: list[Key] = []
    names = None if where.names is None else set(where.names)
    try:
        for key in group:
            if key[0] in (TAG, FINDING):
                named = set(said.get(key, ()))
                names = named if names is None else names & named
            else:
                within(key, found.manifest.class_names)
                rest.append(key)
    except AttnlibError as error:
        st.warning(literal(str(error)))
        return where
    if any(by == CLUSTER for by, _ in rest) and clusters(found) is None:
        return None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**Only** {literal(' and '.join(described(found, group)))}", width="content")
        st.button(
            "All images",
            key="audit_group_out",
            type="tertiary",
            icon=":material/close:",
            on_click=_out,
            help="Leave the group.",
        )
    return Where(
        where.outcome, where.label, where.predicted, where.text, where.low, where.high,
        tuple(rest), None if names is None else tuple(sorted(names)),
    )  # fmt: skip


def clusters(found: Opened) -> list[Cluster] | None:
    """The clusters of an audit; None while they are looked for beside the page."""
    return tasks.run(
        "audit_clusters",
        found.stamp,
        found.clusters,
        button="Find the clusters",
        help="Reads the embedding of every image, once.",
        eager=True,
    )


def described(found: Opened, group: Group) -> Sequence[str]:
    """Each part of a group in words, clusters with what is in them."""
    said = []
    for by, value in group:
        words = f"{by} {value}"
        if by == CLUSTER:
            inside = {str(one.number): one.words for one in found.clusters()}.get(value)
            words += f" ({inside})" if inside else ""
        said.append(words)
    return said


def _out() -> None:
    st.session_state[KEY] = ()
