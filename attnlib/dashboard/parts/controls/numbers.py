"""Controls for numbers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Literal, TypeVar, overload

import streamlit as st

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import LARGEST, Number, OneOf

T = TypeVar("T")
N = TypeVar("N", int, float)
Width = int | Literal["stretch"]


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
    begun = address.settle(key, default, codec, label=label, of=of)
    found: N = st.slider(label, low, high, begun, step=step, key=key, width=width, help=help)
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
    begun = address.settle(key, default, known, label=label)
    found: T = st.select_slider(label, options, begun, key=key, width=width, help=help)
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
    begun = address.settle(key, default, codec, label=label, of=of)
    stride: Any = (1 if kind is int else 0.01) if step is None else step
    found: Any = st.number_input(
        label,
        low,
        high,
        value=begun,
        step=stride,
        key=key,
        placeholder=placeholder,
        width=width,
        help=help,
    )
    found = default if found is None else found
    address.keep(key, found, default, codec, of=of)
    return found


def page(key: str, pages: int, *, of: Hashable = None) -> int:
    """Which page of many, counted from 1; a single one needs no control."""
    if pages <= 1:
        return 1
    codec = Number(1, pages)
    begun = address.settle(key, 1, codec, label="Page", of=of)
    found = st.pagination(pages, default=begun, key=key)
    address.keep(key, found, 1, codec, of=of)
    return found
