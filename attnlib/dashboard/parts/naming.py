"""Names of classes and of numbers where the model and the images leave them open."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from attnlib.dashboard.parts import address, controls, meaning
from attnlib.dashboard.parts.codecs import OneOf
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import models
from attnlib.dashboard.state.session import Session
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data import numbering
from attnlib.data.numbering import TITLE, Rule
from attnlib.model.classes import ClassNames, imagenet_names
from attnlib.model.vit import Vit

_RULES: tuple[Rule | None, ...] = (None, *TITLE)


def imagenet(visitor: Session, vit: Vit) -> Vit:
    """Ask whether a model with as many classes as ImageNet has its names; the model with them."""
    if not vit.names.question:
        return vit
    st.caption(f":material/help: {literal(vit.names.question)}")
    wanted = controls.toggle(
        "imagenet_names",
        "Use ImageNet's names",
        help=(
            "Nothing in these weights names their classes. As many classes as ImageNet has may be "
            "others, or in another order."
        ),
    )
    known = imagenet_names(len(vit.class_names))
    if not wanted or known is None:
        return vit
    return _named(visitor, ClassNames(known, "ImageNet's, said by you"))


def folders(visitor: Session, vit: Vit) -> Vit:
    """Offer the folders' names for a model that brings none; the model with them."""
    found = sorted({sample.label for sample in visitor.samples if sample.label is not None})
    numbers = all(numbering.number(name) is not None for name in found)
    if not vit.names.numbered or numbers or len(found) != len(vit.class_names):
        return vit
    wanted = controls.toggle(
        "folder_names",
        "Use the folders' names in order",
        help=(
            "This model brings no names of classes, and there are as many folders: the first "
            "folder in text order is class 0, as in torchvision's ImageFolder."
        ),
    )
    if not wanted:
        return vit
    return _named(visitor, ClassNames(tuple(found), "the folders' names in text order"))


def rule(visitor: Session) -> None:
    """How labels that are numbers are to be read, before they are."""
    visitor.rule = address.value(
        "numbers", None, OneOf(_RULES, _title), label="Labels that are numbers"
    )


def meanings(visitor: Session) -> None:
    """Which class the visitor says a label means, before labels are read."""
    visitor.meanings = meaning.held()


def numbers(space: Workspace) -> None:
    """How labels that are numbers were read, with a choice where that makes a difference."""
    used, rules = space.labels.rule, space.labels.rules
    if used is None:
        return
    if len(rules) > 1:
        controls.choice(
            "numbers",
            "Labels that are numbers",
            [None, *rules],
            title=_title,
            help=(
                "Which class a folder called 7 stands for depends on how the training read its "
                "folders; these rules would give your images different labels."
            ),
        )
    st.caption(f"Labels that are numbers are read so: {TITLE[used]}.")


def ambiguous(space: Workspace) -> None:
    """Labels that several classes are called by."""
    for text, indices in space.labels.ambiguous_names.items():
        classes = " and ".join(f"{i} ({space.vit.class_names[i]})" for i in indices[:4])
        st.caption(
            f":material/help: “{literal(text)}” is a name of the classes {literal(classes)}: its "
            "images have no label. Use a WordNet id, an index or the whole name."
        )


def _title(rule: Rule | None) -> str:
    return "likeliest" if rule is None else TITLE[rule]


def _named(visitor: Session, names: ClassNames) -> Vit:
    visitor.choice = replace(visitor.choice, names=names)
    return models.get(visitor.choice, visitor.upload)
