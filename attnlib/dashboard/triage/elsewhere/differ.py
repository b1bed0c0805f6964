"""Where another evaluation and the model here differ: counts, what it usually is, each image."""

from __future__ import annotations

import html
from collections.abc import Callable, Hashable, Mapping, Sequence

import pandas as pd
import streamlit as st

from attnlib.audit.joined import Joined
from attnlib.dashboard.parts import controls, downloads
from attnlib.dashboard.parts.markdown import literal
from attnlib.data.results import Results
from attnlib.data.text import counted

PER_PAGE, SIDE = 6, 80
# At this share and above, what differs is no more than rounding and resizing may do.
NEARLY_ALL = 0.98

Picture = Callable[[Sequence[str]], Sequence[str | None]]
"""Small pictures of images by name, as data URIs."""


def show(
    found: Joined,
    results: Results,
    picture: Picture,
    look: Callable[[list[str]], None],
    check: Callable[[], None],
) -> None:
    """Everything that is known of the comparison.

    Args:
        picture: makes the small pictures.
        look: opens some images; called beside no drawing.
        check: leads to the check of the preprocessing; called beside no drawing.
    """
    _counts(found, results)
    for problem in results.problems:
        st.warning(literal(problem))
    if found.strange:
        listed = ", ".join(f"“{text}” ({n:,})" for text, n in list(found.strange.items())[:6])
        st.warning(literal(f"Predicted, but no classes of this model: {listed}. Not compared."))
    if not len(found.table):
        st.info("No row names an image that is here: compare the names above with your images'.")
        return
    good = found.compared > 0 and found.agreeing >= NEARLY_ALL * found.compared
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        (st.success if good or not found.compared else st.warning)(literal(found.sentence))
    _measures(found)
    if found.compared and not good:
        st.button(
            "Check the preprocessing",
            key="elsewhere_check",
            icon=":material/tune:",
            on_click=check,
            help="Tries the usual ways to prepare images on those with labels.",
        )
    _listed(found, picture, look)
    downloads.table(lambda: rows(found), "elsewhere")


def _counts(found: Joined, results: Results) -> None:
    parts = [f"**{len(results):,}** rows", f"**{len(found.table):,}** belong to an image here"]
    if found.unknown:
        parts.append(f"**{len(found.unknown):,}** name none ({literal(found.unknown[0])} for one)")
    if found.ambiguous:
        parts.append(f"**{len(found.ambiguous):,}** fit several and are not used")
    if found.missing:
        parts.append(f"**{found.missing:,}** images here have no row")
    st.markdown(" · ".join(parts))
    if found.exact:
        st.caption("There are so many names that only those written exactly alike are matched.")


def _measures(found: Joined) -> None:
    """Numbers that tell the cause: accuracies, confidences, embeddings, labels."""
    said = []
    (theirs, of), (ours, _) = found.right("theirs"), found.right("ours")
    if of:
        said.append(f"right: yours {theirs:,}, this model {ours:,} of {of:,} with a label")
    if found.apart is not None:
        said.append(
            f"where both agree, the confidences differ by {found.apart:.3f} (median; the same "
            "model on the same pixels: less than 0.01)"
        )
    if found.likeness is not None:
        said.append(
            f"embeddings of an image: cosine {found.likeness:.3f} (median; the same model on the "
            "same pixels: 1)"
        )
    same, both = found.label_agreement
    if both:
        said.append(f"labels: {same:,} of {both:,} are the same")
    if said:
        words = "; ".join(said)
        st.caption(literal(f"{words[0].upper()}{words[1:]}."))
    if both and same < 0.9 * both:
        st.warning(
            f"Only {same:,} of {both:,} labels are the same: the rows probably belong to other "
            "images, or the classes stand in another order."
        )


def _listed(found: Joined, picture: Picture, look: Callable[[list[str]], None]) -> None:
    """The images that differ, a page of cards."""
    frame = found.differing
    if frame.empty:
        return
    st.subheader(f"{counted(len(frame), 'image is', 'images are')} called differently")
    st.caption(
        "“Yours” is what your evaluation says, “here” what this model says, each with the "
        "probability that it gives; the surest of yours come first."
    )
    pages = -(-len(frame) // PER_PAGE)
    place = st.container(horizontal=True, gap="small")
    page = controls.page("elsewhere_page", pages, of=len(frame))
    visible = frame.iloc[(page - 1) * PER_PAGE : page * PER_PAGE]
    uris = picture(visible["name"].tolist())
    with place:
        for row, uri in zip(visible.to_dict("records"), uris, strict=True):
            _card(row, uri, look)


def _card(
    row: Mapping[Hashable, object], uri: str | None, look: Callable[[list[str]], None]
) -> None:
    name = str(row["name"])
    with st.container(border=True, width=270, gap="small"):
        st.html(card(row, uri))
        st.button(
            "Look closer",
            key=f"elsewhere_open_{name}",
            on_click=look,
            args=([name],),
            type="tertiary",
            icon=":material/search:",
            help="Opens the image with the attention behind this model's answer.",
        )


def card(row: Mapping[Hashable, object], uri: str | None) -> str:
    """One image and what both say of it, as HTML."""
    image = (
        f"<img src='{html.escape(uri)}' alt='' style='width:{SIDE}px;height:{SIDE}px;"
        "object-fit:contain;border-radius:6px'>"
        if uri
        else f"<div style='width:{SIDE}px'>no picture</div>"
    )
    name = html.escape(str(row["name"]))
    true = html.escape(str(row["label"]) or "no label")
    return (
        f"<div style='display:flex;gap:.75rem'>{image}<div style='min-width:0;font-size:.85rem;"
        "overflow-wrap:anywhere'>"
        f"<div>yours: <b>{_said(row, 'theirs')}</b></div>"
        f"<div>here: <b>{_said(row, 'ours')}</b></div>"
        f"<div>label: {true}</div><div style='opacity:.75'>{name}</div></div></div>"
    )


def _said(row: Mapping[Hashable, object], whose: str) -> str:
    share = row[f"{whose}_confidence"]
    number = "" if not isinstance(share, float) or share != share else f" {share:.2f}"
    return f"{html.escape(str(row[whose]))}{number}"


def rows(found: Joined) -> list[dict[str, object]]:
    """The images that differ as lines of a table."""
    frame: pd.DataFrame = found.differing
    titles = {
        "name": "image",
        "label": "label",
        "theirs": "your evaluation",
        "theirs_confidence": "its confidence",
        "ours": "this model",
        "ours_confidence": "this model's confidence",
    }
    chosen = frame[list(titles)].rename(columns=titles)
    return [{str(k): v for k, v in row.items()} for row in chosen.to_dict("records")]
