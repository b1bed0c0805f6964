"""The files of another evaluation: uploaded, or on one's own machine by their path."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import streamlit as st

from attnlib.dashboard.parts import controls
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import models, tasks
from attnlib.data import results
from attnlib.data.results import Files, Raw, Recognised, Results
from attnlib.errors import AttnlibError

KEY = "elsewhere"
TYPES = ["csv", "tsv", "parquet", "npz", "npy", "json", "jsonl", "arrow", "zip"]


@dataclass
class Brought:
    """What is held of a visitor's files.

    Attributes:
        title: the names of the files.
        stamp: tells these files from others.
        proposed: what the columns are taken for, by what that was told from.
        decided: role -> title of the option that was chosen, "" for none of them.
        softmax: whether the probabilities are said to be logits.
        confirmed: the columns that somebody confirmed; None from when they are changed on.
        times: how often they were.
        classes: of the model at hand when they were.
        taken: the results, once they are made of the confirmed columns.
        problem: why they cannot be.
    """

    raw: Raw
    title: str
    stamp: str
    proposed: tuple[int, Recognised] | None = None
    decided: dict[str, str] = field(default_factory=dict)
    softmax: bool = False
    ordered: bool = False
    confirmed: Recognised | None = None
    times: int = 0
    classes: tuple[str, ...] = ()
    taken: Results | None = None
    problem: str = ""

    def unsure(self) -> None:
        """Have the columns confirmed anew."""
        self.confirmed, self.taken, self.problem = None, None, ""


def held() -> Brought | None:
    """What was brought before; None for nothing."""
    found: Brought | None = st.session_state.get(KEY)
    return found


def show() -> Brought | None:
    """The way to bring files, or what was brought and the way to other files."""
    now = held()
    if now is not None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(
                f"**{literal(now.title)}**: {literal(now.raw.kind)}, "
                f"{len(now.raw.frame):,} rows, {len(now.raw.frame.columns):,} columns",
                width="stretch",
            )
            st.button(
                "Other files",
                key="elsewhere_other",
                icon=":material/refresh:",
                on_click=_forget,
                help="Forgets these results; what was taken into the session stays.",
            )
        return now
    st.caption(
        "What another program, a training script or a colleague said of these images: "
        f"{results.KNOWN}. Nothing is used before you have seen what each column is taken for."
    )
    uploads = st.file_uploader(
        "Results of an evaluation",
        type=TYPES,
        accept_multiple_files=True,
        key=f"elsewhere_files_{st.session_state.get('elsewhere_count', 0)}",
        help="One file, or those that belong together (pred_probs.npy and labels.npy, the files "
        "of a data set), or a zip of them. Pickles are never opened.",
    )
    place = ""
    if models.local_files_allowed():
        place = controls.text(
            "elsewhere_path",
            "Or a file or folder of this machine",
            linked=False,
            help="A path, such as runs/eval/predictions.csv.",
            placeholder="runs/eval/predictions.csv",
        ).strip()
    try:
        if uploads:
            pairs = [(one.name, one.getvalue()) for one in uploads]
            return _hold(results.given(pairs), [name for name, _ in pairs])
        if place:
            return _hold(results.at(place), [place.rstrip("/").rsplit("/", 1)[-1]])
    except AttnlibError as error:
        st.warning(literal(str(error)))
    return None


def _hold(files: Files, names: list[str]) -> Brought | None:
    title = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    said = repr((names, sorted(files.sizes.items()), st.session_state.get("elsewhere_count", 0)))
    stamp = hashlib.sha256(said.encode()).hexdigest()[:12]
    raw = tasks.run(
        "elsewhere_read",
        stamp,
        lambda progress: results.read(files),
        button="Read the file",
        help="Reads its rows.",
        eager=True,
    )
    if raw is None:
        return None
    tasks.drop("elsewhere_read")
    st.session_state[KEY] = Brought(raw, title, stamp)
    st.rerun()


def _forget() -> None:
    st.session_state.pop(KEY, None)
    st.session_state.pop("elsewhere_path", None)
    st.session_state["elsewhere_count"] = st.session_state.get("elsewhere_count", 0) + 1
