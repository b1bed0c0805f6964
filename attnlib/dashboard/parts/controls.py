"""Every control of the dashboard, each declared once.

One declaration gives a control its key, help, default, memory across pages and its place in the
address bar (see :mod:`attnlib.dashboard.parts.address`). All of them take:
    key: of the widget, of what is remembered, and of the parameter in the address.
    help: a sentence.
    of: what the choice belongs to: for another image, say, there is another choice.
    linked: whether the address says it. False only where a link could not mean anything.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, TypeVar, overload

import streamlit as st
from streamlit.elements.lib.mutable_popover_container import PopoverContainer

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import LARGEST, Codec, Number, OneOf, SomeOf, Text, YesNo

T = TypeVar("T")
N = TypeVar("N", int, float)
Width = int | Literal["stretch"]
Shown = Literal["visible", "hidden", "collapsed"]
_FIRST: Any = object()
_LINE = Text()


def choice(
    key: str,
    label: str,
    options: Sequence[T],
    *,
    help: str,
    default: T = _FIRST,
    title: Callable[[T], str] = str,
    width: Width = "stretch",
    of: Hashable = None,
) -> T:
    """A list that opens; one option is chosen, the first unless ``default`` says otherwise."""
    default = options[0] if default is _FIRST else default
    known = OneOf(options, title)
    address.settle(key, default, known, label=label, of=of)
    found: T = st.selectbox(label, options, format_func=title, key=key, width=width, help=help)
    address.keep(key, found, default, known, of=of)
    return found


def maybe(
    key: str,
    label: str,
    options: Sequence[T],
    *,
    help: str,
    placeholder: str,
    title: Callable[[T], str] = str,
    width: Width = "stretch",
) -> T | None:
    """A list that opens, of which nothing need be chosen; it can be cleared."""

    def named(option: T | None) -> str:
        return "" if option is None else title(option)

    known = OneOf([None, *options], named)
    address.settle(key, None, known, label=label)
    found = st.selectbox(
        label,
        options,
        index=None,
        format_func=title,
        key=key,
        placeholder=placeholder,
        width=width,
        help=help,
    )
    address.keep(key, found, None, known)
    return found


def segments(
    key: str,
    label: str,
    options: Sequence[T],
    *,
    help: str,
    default: T = _FIRST,
    title: Callable[[T], str] = str,
    width: Width | Literal["content"] = "content",
    of: Hashable = None,
    linked: bool = True,
    label_visibility: Shown = "visible",
) -> T:
    """A few options side by side, of which one is always chosen."""
    default = options[0] if default is _FIRST else default
    known = OneOf(options, title)
    address.settle(key, default, known, label=label, of=of, linked=linked)
    chosen: Any = st.segmented_control(
        label,
        options,
        format_func=title,
        required=True,
        key=key,
        label_visibility=label_visibility,
        width=width,
        help=help,
    )
    found: T = default if chosen is None and None not in options else chosen
    address.keep(key, found, default, known, of=of, linked=linked)
    return found


def pill(
    key: str,
    label: str,
    options: Sequence[T],
    *,
    help: str,
    title: Callable[[T], str] = str,
    label_visibility: Shown = "visible",
) -> T | None:
    """A few options side by side, of which one or none is chosen."""

    def named(option: T | None) -> str:
        return "" if option is None else title(option)

    known = OneOf([None, *options], named)
    address.settle(key, None, known, label=label)
    found = st.pills(
        label,
        options,
        format_func=title,
        key=key,
        label_visibility=label_visibility,
        help=help,
        wrap=True,
    )
    address.keep(key, found, None, known)
    return found


def several(
    key: str,
    label: str,
    options: Sequence[T],
    *,
    help: str,
    default: Sequence[T] = (),
    title: Callable[[T], str] = str,
    placeholder: str | None = None,
    width: Width = "stretch",
    of: Hashable = None,
    label_visibility: Shown = "visible",
    wrap: bool = False,
) -> list[T]:
    """Any number of the options."""
    known, first = SomeOf(OneOf(options, title)), list(default)
    address.settle(key, first, known, label=label, of=of)
    found = st.multiselect(
        label,
        options,
        format_func=title,
        key=key,
        placeholder=placeholder,
        label_visibility=label_visibility,
        width=width,
        help=help,
        wrap=wrap,
    )
    address.keep(key, found, first, known, of=of)
    return found


def slider(
    key: str,
    label: str,
    low: N,
    high: N,
    default: N,
    step: N | None = None,
    *,
    help: str,
    width: Width = "stretch",
    of: Hashable = None,
) -> N:
    """A number between two bounds; where they are one there is nothing to choose, and no slider."""
    if low >= high:
        return default
    codec = Number(low, high)
    address.settle(key, default, codec, label=label, of=of)
    found: N = st.slider(label, low, high, step=step, key=key, width=width, help=help)
    address.keep(key, found, default, codec, of=of)
    return found


def steps(
    key: str,
    label: str,
    options: Sequence[T],
    default: T,
    *,
    help: str,
    width: Width = "stretch",
) -> T:
    """One of many values in a row, on a slider."""
    known = OneOf(options)
    address.settle(key, default, known, label=label)
    found: T = st.select_slider(label, options, key=key, width=width, help=help)
    address.keep(key, found, default, known)
    return found


@overload
def number(
    key: str,
    label: str,
    default: N,
    low: N | None = None,
    high: N | None = None,
    step: N | None = None,
    *,
    help: str,
    placeholder: str | None = None,
    width: Width = "stretch",
    of: Hashable = None,
) -> N: ...


@overload
def number(
    key: str,
    label: str,
    default: None,
    low: int | None = None,
    high: int | None = None,
    step: int | None = None,
    *,
    help: str,
    placeholder: str | None = None,
    width: Width = "stretch",
    of: Hashable = None,
) -> int | None: ...


def number(
    key: str,
    label: str,
    default: Any,
    low: Any = None,
    high: Any = None,
    step: Any = None,
    *,
    help: str,
    placeholder: str | None = None,
    width: Width = "stretch",
    of: Hashable = None,
) -> Any:
    """A number to type; without a default it may be empty. An emptied one is the default."""
    kind = type(default) if default is not None else int
    least = kind(-LARGEST) if low is None else low
    most = kind(LARGEST) if high is None else high
    codec = Number(least, most, blank=default is None)
    address.settle(key, default, codec, label=label, of=of)
    stride: Any = (1 if kind is int else 0.01) if step is None else step
    found: Any = st.number_input(
        label,
        low,
        high,
        value=None,
        step=stride,
        key=key,
        placeholder=placeholder,
        width=width,
        help=help,
    )
    found = default if found is None else found
    address.keep(key, found, default, codec, of=of)
    return found


def toggle(
    key: str,
    label: str,
    *,
    help: str,
    default: bool = False,
    disabled: bool = False,
    of: Hashable = None,
) -> bool:
    """On or off."""
    codec = YesNo()
    address.settle(key, default, codec, label=label, of=of)
    found = st.toggle(label, key=key, help=help, disabled=disabled)
    address.keep(key, found, default, codec, of=of)
    return found


def text(
    key: str,
    label: str,
    default: str = "",
    *,
    help: str,
    placeholder: str | None = None,
    linked: bool = True,
    of: Hashable = None,
    codec: Codec[str] = _LINE,
    height: int | None = None,
) -> str:
    """A line of text, or with ``height`` (pixels) several, which no link holds."""
    linked = linked and height is None
    if linked:
        address.settle(key, default, codec, label=label, of=of)
    else:
        st.session_state.setdefault(key, address.recall(key, default))
    if height is None:
        found = st.text_input(label, key=key, placeholder=placeholder, help=help)
    else:
        found = st.text_area(label, key=key, placeholder=placeholder, height=height, help=help)
    address.keep(key, found, default, codec, of=of, linked=linked)
    return found


def drawer(key: str, label: str, *, help: str, icon: str) -> PopoverContainer:
    """Controls behind a button, to be drawn only while it is open::

        with controls.drawer("sort_open", "Sort", ...) as place:
            if place.open:
                ...

    A browser makes what is behind the button when it opens, and a control that was declared runs
    ago would then stand at its lowest value, whatever the session says.
    """
    return st.popover(label, icon=icon, help=help, key=key, on_change="rerun")


def page(key: str, pages: int, *, of: Hashable = None) -> int:
    """Which page of many, counted from 1."""
    codec = Number(1, pages)
    address.settle(key, 1, codec, label="Page", of=of)
    found = st.pagination(pages, key=key)
    address.keep(key, found, 1, codec, of=of)
    return found
