"""Two models on all images: counts, a test, and each category with both models' maps."""

from __future__ import annotations

import streamlit as st

from attnlib import audit
from attnlib.dashboard.parts import downloads, progress
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import beside
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.versus import confusion, gallery, hard, other

MEANING: dict[audit.Category, str] = {
    "fixed": "wrong with the first model, right with the second",
    "broken": "right with the first model, wrong with the second",
    "still wrong": "wrong with both",
    "still right": "right with both",
}
LEVEL = 0.05


def show(space: Workspace) -> None:
    """The choice of the second model, then what is known of both so far."""
    there = other.choose(space)
    if there is None:
        return
    assert there.job is not None
    progress.state(there, there.job, "The second model", key="second")
    found = beside.outcome(space, there)
    if not found.images:
        _nothing(space, there, found)
        return
    _numbers(space, there, found)
    hard.show(space, there, found)
    gallery.show(space, there, found)
    confusion.show(space, there)
    downloads.table(lambda: listed(space, there, found), "two-models")


def _nothing(space: Workspace, there: Workspace, found: audit.Versus) -> None:
    """Why there is nothing to compare yet."""
    if not found.unlabelled:
        st.info("No image has been looked at by both models yet; the page goes on by itself.")
        return
    without = [literal(one.choice.title) for one in (space, there) if not one.labels.sets]
    if len(without) == 2:
        st.warning(
            "Your images have no label that either model knows, so nothing is fixed or broken. "
            "Add labels (folders, or a table), or say on “Prediction debugging” what they mean."
        )
        return
    title = without[0] if without else "One of the models"
    st.warning(
        f"{title} knows no label of your images: its classes have other names. Load it with "
        "“Class names” in the sidebar's form (“More that the file may not say”)."
    )


def _numbers(space: Workspace, there: Workspace, found: audit.Versus) -> None:
    whole = "All labels right" if "labels" in _kinds(space, there) else "Accuracy"
    with st.container(horizontal=True, gap="medium"):
        for second, one in enumerate((space, there)):
            low, high = found.interval(bool(second))
            st.metric(
                f"{whole}, {'second' if second else 'first'} model",
                f"{found.right(bool(second)) / found.images:.1%}",
                help=f"{literal(one.choice.title)}; 95 %: {low:.0%} to {high:.0%} (Wilson).",
                width="content",
            )
        for category in audit.CATEGORIES:
            st.metric(
                category.capitalize(),
                found.count(category),
                help=f"Images: {MEANING[category]}.",
                width="content",
            )
    st.caption(
        f"First: {literal(space.choice.title)} (chosen in the sidebar) · second: "
        f"{literal(there.choice.title)}"
    )
    st.markdown(sentence(found))
    skipped = []
    if found.unlabelled:
        skipped.append(f"{len(found.unlabelled)} have a label that one or both do not know")
    if found.alone:
        skipped.append(f"{len(found.alone)} were looked at by one model only")
    if skipped:
        st.caption(f"Not counted: {'; '.join(skipped)}.")


def sentence(found: audit.Versus) -> str:
    """Whether the difference is more than chance, in words."""
    fixed, broken = found.count("fixed"), found.count("broken")
    images = f"{found.images} image{'s' * (found.images != 1)}"
    if fixed + broken == 0:
        return f"Of {images} none changes sides: on these, both models are right and wrong alike."
    p = "less than 0.001" if found.p_value < 0.001 else f"{found.p_value:.2g}"
    chance = (
        "more than chance explains"
        if found.p_value < LEVEL
        else "no more than chance explains: more images with labels would tell"
    )
    return (
        f"Of {images} the second model repairs **{fixed}** and breaks **{broken}**. That is "
        f"{chance} (p {p}: how often two equally good models would differ as unevenly; McNemar's "
        "exact test)."
    )


def _kinds(space: Workspace, there: Workspace) -> set[str]:
    return {space.vit.outputs.kind, there.vit.outputs.kind}


def listed(space: Workspace, there: Workspace, found: audit.Versus) -> list[dict[str, object]]:
    """A row for each image that is compared."""
    rows: list[dict[str, object]] = []
    for name, category in found.categories.items():
        ours, theirs = space.prediction_of[name], there.prediction_of[name]
        rows.append(
            {
                "image": name,
                "true": " | ".join(space.true(ours) or []),
                "category": category,
                "first model": " | ".join(space.said(ours)),
                "second model": " | ".join(there.said(theirs)),
                "first confidence": ours.confidence,
                "second confidence": theirs.confidence,
            }
        )
    return rows
