"""Controls to choose among options."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, TypeVar

import streamlit as st

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import OneOf, SomeOf

T = TypeVar("T")
Width = int | Literal["stretch"]
Shown = Literal["visible", "hidden", "collapsed"]
_FIRST: Any = object()


def or_none(options: Sequence[T], title: Callable[[T], str] = str) -> OneOf[T | None]:
    """One of the options, or none of them."""

    def named(option: T | None) -> str:
        return "" if option is None else title(option)

    return OneOf([None, *options], named)


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
    begun = address.settle(key, default, known, label=label, of=of)
    found: T = st.selectbox(
        label,
        options,
        index=options.index(begun),
        format_func=title,
        key=key,
        width=width,
        help=help,
    )
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
    known = or_none(options, title)
    begun = address.settle(key, None, known, label=label)
    found = st.selectbox(
        label,
        options,
        index=None if begun is None else options.index(begun),
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
    begun = address.settle(key, default, known, label=label, of=of, linked=linked)
    chosen: Any = st.segmented_control(
        label,
        options,
        default=begun,
        format_func=title,
        required=True,
        wrap=True,
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
    known = or_none(options, title)
    begun = address.settle(key, None, known, label=label)
    found = st.pills(
        label,
        options,
        default=begun,
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
    begun = address.settle(key, first, known, label=label, of=of)
    found = st.multiselect(
        label,
        options,
        default=begun,
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
