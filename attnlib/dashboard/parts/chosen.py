"""The image that the pages are about: its choice in the sidebar, and what a link asks for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import streamlit as st

from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.session import Session
from attnlib.dashboard.state.workspace import Workspace


@dataclass(frozen=True)
class _Asked:
    """What the link of a new visitor asks for.

    Attributes:
        image: name of the image.
        images: which images it was chosen among; "" is the demo's, and those of a workspace,
            which stands in the link itself.
    """

    image: str = ""
    images: str = ""


def choose(space: Workspace) -> None:
    """The image that the other pages look at: wrong predictions are listed first."""
    names = [sample.name for sample in space.samples]
    of = space.prediction_of

    def rank(name: str) -> int:
        found = of.get(name)
        return 3 if found is None else ["wrong", "unlabelled", "right"].index(found.outcome)

    names.sort(key=rank)
    _open_what_is_asked(space)
    controls.maybe(
        "image",
        "Chosen image",
        names,
        title=lambda name: _titled(space, name),
        placeholder="Choose one to look closer",
        help="The image that is opened large, on every page. Wrong predictions are listed first.",
    )
    _sign(space)


def _titled(space: Workspace, name: str) -> str:
    """The outcome before the name."""
    found = space.prediction_of.get(name)
    mark = "" if found is None else {"wrong": "✕ ", "right": "✓ ", "unlabelled": ""}[found.outcome]
    return mark + name


def absent(space: Workspace) -> str:
    """Why what the link asks for cannot be shown, in words; "" where nothing is missing."""
    asked = _asked()
    here = f"the {len(space.samples)} images loaded here"
    if asked.images not in ("", _digest(space.session)):
        return (
            f"This link was made with other images than {here}. Add those in the sidebar, or "
            "choose one of these."
        )
    if asked.image:
        name = literal(asked.image if len(asked.image) <= 60 else asked.image[:59] + "…")
        return (
            f"The link opens “{name}”, which is not among {here}. Add it in the sidebar, or "
            "choose one of these."
        )
    return ""


def missing(space: Workspace, name: str | None) -> None:
    """Why there is no prediction of an image, or of any image, yet."""
    job = space.session.job
    reason = next((r.reason for r in job.refusals if r.name == name), "") if job else ""
    if reason:
        st.warning(literal(reason), title=f"{literal(name or '')} could not be used")
    elif job is None or job.finished:
        st.info("No image is inspected." if name is None else "This image is not inspected.")
    else:
        st.info("This image waits for its turn; the page goes on by itself.")


# -- what a link asks for ----------------------------------------------------------------------


def _asked() -> _Asked:
    if "asked" not in st.session_state:
        images = "" if "workspace" in st.query_params else st.query_params.get("images", "")
        st.session_state["asked"] = _Asked(st.query_params.get("image", ""), images)
    found: _Asked = st.session_state["asked"]
    return found


def _open_what_is_asked(space: Workspace) -> None:
    """Open it once it is there; forget it once the visitor has chosen something else."""
    asked = _asked()
    if st.session_state.get("image") is not None:
        st.session_state["asked"] = _Asked()
    elif asked.images in ("", _digest(space.session)) and asked.image in space.by_name:
        st.session_state["image"] = asked.image
        st.session_state["asked"] = _Asked()
    elif absent(space):
        # Said on the page; nobody takes another image of the same name for this one.
        st.session_state["image"] = None


def _sign(space: Workspace) -> None:
    """Have the address say among which images the choice was made, or what is still missing."""
    asked, digest = _asked(), _digest(space.session)
    if space.session.stored.head is not None:
        # The link leads to the images themselves.
        digest = ""
    if absent(space):
        address.write("image", [asked.image] if asked.image else [])
        digest = asked.images
    address.write("images", [digest] if digest else [])


def _digest(visitor: Session) -> str:
    """Names one's own images by their content; "" for the demo's."""
    if not visitor.own:
        return ""
    together = "".join(sorted(sample.sha256 for sample in visitor.samples))
    return hashlib.sha256(together.encode()).hexdigest()[:16]
