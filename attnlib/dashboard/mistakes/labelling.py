"""Labels of the loaded images: those that fit no class, what they mean, and a table of all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import streamlit as st

from attnlib.dashboard.parts import meaning
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.workspace import Workspace, short_name
from attnlib.data.near import near

# As many as a sentence can hold.
NAMED = 4
# Of thousands of labels, as many are compared with thousands of classes.
COMPARED = 200


def strange(space: Workspace) -> None:
    """At the top of the page: labels that are no classes of this model, and what to do."""
    if not space.vit.outputs.classifies:
        return
    labels = space.labels
    unknown = sorted({*labels.unknown_names, *labels.ambiguous_names})
    if unknown and not labels.sets:
        st.warning(
            f"{_why(space)}, so no image is right or wrong yet. Load the model that was trained on "
            "these labels (“Model source” in the sidebar), or say below which class each label "
            "means."
        )
    # Of several labels of one image, where one is wanted, none can be told to be it.
    several = space.vit.outputs.kind == "labels"
    rows = [text for text in sorted({*unknown, *labels.said}) if several or " | " not in text]
    if not rows:
        return
    title = (
        f"{len(unknown)} label{'s' * (len(unknown) > 1)} without a class: say what they mean"
        if unknown
        else "What your labels mean"
    )
    with st.expander(title, icon=":material/swap_horiz:", expanded=bool(unknown)):
        _offer(space, unknown)
        _mapping(space, rows)


def _why(space: Workspace) -> str:
    """Why no label is a class, as the beginning of a sentence."""
    unknown, ambiguous = sorted(space.labels.unknown_names), sorted(space.labels.ambiguous_names)
    if not unknown:
        verb = "is the name" if len(ambiguous) == 1 else "are names"
        return f"Your {_listed('label', ambiguous)} {verb} of several classes of this model"
    verb = "is" if len(unknown) == 1 else "are"
    classes = _listed("", space.vit.class_names)
    return (
        f"Your {_listed('label', unknown)} {verb} not among the classes of this model ({classes})"
    )


def _offer(space: Workspace, unknown: Sequence[str]) -> None:
    """Classes that are spelled nearly so, all of them at one click."""
    names = space.vit.class_names
    found = {
        text: names[index] for text, index in _near(tuple(unknown[:COMPARED]), tuple(names)).items()
    }
    if not found:
        return
    shown = [f"{text} → {short_name(name)}" for text, name in list(found.items())[:NAMED]]
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    st.text(f"Spelled nearly like a class: {', '.join(shown)}{more}.")
    st.button(
        "Use the near spellings" if len(found) > 1 else "Use the near spelling",
        key="labels_near",
        icon=":material/spellcheck:",
        on_click=_say,
        args=(found,),
        help="Each can be changed in the table below; nothing is used before you say so.",
    )


@lru_cache(maxsize=8)
def _near(unknown: tuple[str, ...], names: tuple[str, ...]) -> dict[str, int]:
    return dict(near(unknown, names))


def _mapping(space: Workspace, known: Sequence[str]) -> None:
    """A row for each label (a folder, or what a table says), in which its class can be chosen."""
    labels, said = space.labels, space.session.meanings
    names = list(space.vit.class_names)
    rows = [
        {
            "label": text,
            "images": labels.said.get(text) or labels.unknown_names.get(text),
            "class": said[text] if said.get(text) in names else None,
        }
        for text in known
    ]
    edited = st.data_editor(
        rows,
        hide_index=True,
        disabled=["label", "images"],
        column_config={
            "label": st.column_config.TextColumn("your label"),
            "images": st.column_config.NumberColumn("images"),
            "class": st.column_config.SelectboxColumn("means the class", options=names),
        },
        # Edits are kept by the number of the row, and would be made again over those of a button.
        key=f"labels_mean_{st.session_state.get('labels_said', 0)}_{space.session.changes}",
    )
    changed = {
        str(after["label"]): None if after["class"] is None else str(after["class"])
        for before, after in zip(rows, edited, strict=True)
        if after["class"] != before["class"]
    }
    if changed:
        _say(changed)
        st.rerun()


def _say(more: dict[str, str | None]) -> None:
    meaning.say(more)
    st.session_state["labels_said"] = st.session_state.get("labels_said", 0) + 1


def _listed(noun: str, names: Sequence[str]) -> str:
    """``"labels circle, square, …"``, each as it is written."""
    shown = ", ".join(literal(short_name(name)) for name in names[:NAMED])
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{noun}{'s' * (bool(noun) and len(names) > 1)} {shown}{more}".strip()


def problems(space: Workspace) -> None:
    """Rows of tables that fit no image, each with its reason; `strange` is about their classes."""
    found = [*(space.session.table.problems if space.session.table else [])]
    labels = space.labels
    found += [f"No image named “{name}” is loaded." for name in labels.unknown_files]
    found += [f"“{name}” fits several images." for name in labels.ambiguous_files]
    if found:
        title = f"{len(found)} label{'s' * (len(found) > 1)} could not be used"
        with st.expander(title, icon=":material/label_off:"):
            st.dataframe([{"label": problem} for problem in found], hide_index=True)


def table(space: Workspace) -> None:
    """A table in which the labels of one's own images can be chosen."""
    if not space.session.own:
        return
    missing = len(space.labels.unlabelled)
    title = f"Labels ({missing} missing)" if missing else "Labels"
    bare = missing == len(space.samples) and not space.labels.strange
    # Thousands of rows are not sent while nobody looks at them.
    place = st.expander(
        title, icon=":material/label:", expanded=bare, key="labelling_open", on_change="rerun"
    )
    if not place.open:
        return
    with place:
        names = list(space.vit.class_names)
        several = space.vit.outputs.kind == "labels"
        rows = [{"image": s.name, "label": _given(space, s.name, names)} for s in space.samples]
        edited = st.data_editor(
            rows,
            hide_index=True,
            disabled=["image"],
            column_config={
                "label": st.column_config.MultiselectColumn("true labels", options=names)
                if several
                else st.column_config.SelectboxColumn("true class", options=names),
            },
            # Edits are kept by the number of the row: other rows need another editor.
            key=f"labels_{space.session.changes}",
        )
        changed = {
            str(after["image"]): tuple(after["label"]) if several else (str(after["label"]),)
            for before, after in zip(rows, edited, strict=True)
            if after["label"] != before["label"] and after["label"] is not None
        }
        if changed:
            space.session.manual |= changed
            st.rerun()


def _given(space: Workspace, name: str, names: list[str]) -> str | list[str] | None:
    """The label of an image, or its labels, as they stand in the table."""
    if space.vit.outputs.kind == "labels":
        found = space.labels.sets.get(name)
        return None if found is None else [names[index] for index in sorted(found)]
    label = space.labels.labels.get(name)
    return None if label is None else names[label]
