"""The attention of every word to every word: one head large, or several side by side."""

from __future__ import annotations

from typing import cast

import numpy as np
import streamlit as st

from attnlib.capture.tokens import TokenLayout
from attnlib.dashboard.parts import controls, downloads
from attnlib.dashboard.parts.cells import cells
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.style import legend_bar
from attnlib.heads import pattern
from attnlib.lessons.playground import Array, Toy
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import heat_image

SMALL = 270
FEW = 14  # words that can be written beside a matrix


def one(toy: Toy) -> None:
    """One head, or the mean of all."""
    picked = controls.segments(
        "toy_head",
        "Head shown",
        ["mean", *map(str, range(len(toy.weights)))],
        help="One head, or the mean of all.",
    )
    shown = toy.weights.mean(0) if picked == "mean" else toy.weights[int(picked)]
    scale = Scale.times_uniform(shown, len(toy.keys))
    _matrix(toy, shown, scale, "toy_matrix", min(680, 80 + 48 * len(toy.keys)))
    legend_bar(scale, "rows are queries, columns keys")
    _downloads(toy, shown, "playground")


def several(toy: Toy) -> None:
    """Some heads side by side on one scale, each with the name of its pattern."""
    heads = range(len(toy.weights))
    picked = controls.several(
        "toy_heads_shown",
        "Heads shown",
        heads,
        default=heads[:4],
        of=len(heads),
        width=420,
        help="Each head has projections of its own, so each looks in another way.",
    )
    if not picked:
        st.info("Choose at least one head.")
        return
    shown = sorted(picked)
    scale = Scale.times_uniform(toy.weights[shown], len(toy.keys))
    with st.container(horizontal=True, gap="medium"):
        for head in shown:
            weights = toy.weights[head]
            with st.container(width=SMALL, gap="xsmall"):
                st.markdown(f"**Head {head}: {named(toy, weights)}**")
                st.caption(reason(toy, weights))
                _matrix(toy, weights, scale, f"toy_head_{head}", SMALL)
                _downloads(toy, weights, f"playground-head-{head}")
    legend_bar(scale, "one scale for all heads; rows are queries, columns keys")
    st.caption(
        "*Broadcast*: at least half of all attention goes to one word. *Diagonal*: at least half "
        "of it goes a fixed number of words ahead or back, or to the word itself. *Local*: it "
        "reaches at most half as far as looking at all words alike would. Else *global*."
    )


def named(toy: Toy, weights: Array) -> str:
    """The name of one head's pattern; words of two texts have no common order, so no name."""
    return pattern(weights, _line(toy)).name if _square(toy) else "no name"


def reason(toy: Toy, weights: Array) -> str:
    """The number that gave the pattern its name, in Markdown."""
    if not _square(toy):
        return "A pattern is named where the words of one text, at least two, look at each other."
    found = pattern(weights, _line(toy))
    if found.name == "broadcast":
        word = toy.keys[int(weights.mean(axis=0).argmax())]
        return f"{found.value:.0%} of all attention goes to “{literal(word)}”."
    if found.name == "diagonal":
        step = cast(tuple[int, int], found.numbers["offset"])[1]
        far = f"{abs(step)} {'ahead' if step > 0 else 'back'}" if step else "to the word itself"
        return f"{found.value:.0%} of all attention goes {far}."
    return f"It reaches {found.value:.0%} as far as looking at all words alike."


def _square(toy: Toy) -> bool:
    return toy.queries == toy.keys and len(toy.keys) > 1


def _line(toy: Toy) -> TokenLayout:
    """Words as patches in one row, a step apart."""
    return TokenLayout((), (1, len(toy.keys)), (1, 1), "none")


def _matrix(toy: Toy, shown: Array, scale: Scale, key: str, width: int) -> None:
    few = max(shown.shape) <= FEW
    cells(
        heat_image(shown, scale, size=shown.shape[::-1]),
        shown.shape,
        key=key,
        alt="Attention of every word to every word",
        width=width,
        values=shown,
        row_names=[f"“{word}” looks at" for word in toy.queries],
        col_names=[f"“{word}”" for word in toy.keys],
        left=toy.queries if few else None,
        top=toy.keys if few else None,
        zoom=True,
    )


def _downloads(toy: Toy, shown: Array, name: str) -> None:
    scale = Scale.times_uniform(shown, len(toy.keys))
    rows, columns = shown.shape
    with st.container(horizontal=True, gap="small"):
        downloads.matrix(
            np.asarray(shown),
            [f"{i} {word}" for i, word in enumerate(toy.queries)],
            [f"{i} {word}" for i, word in enumerate(toy.keys)],
            name,
        )
        downloads.picture(lambda: heat_image(shown, scale, size=(40 * columns, 40 * rows)), name)
