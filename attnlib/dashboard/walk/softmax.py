"""The softmax worked out by hand, with numbers that can be changed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attnlib.dashboard.parts import charts, controls, downloads
from attnlib.errors import AttnlibError
from attnlib.lessons.playground import Toy
from attnlib.lessons.playground import softmax as library

MOST, LARGEST = 12, 100.0
# How many terms of a sum are written out.
WRITTEN = 6
# Above it the largest score is taken from all before they are powers.
BIG = 12.0


def show(_: Toy) -> None:
    """Scores to type, the arithmetic, and what another temperature makes of them."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        text = controls.text(
            "softmax_scores",
            "Scores",
            "2, 1, 0.1",
            help=f"Up to {MOST} numbers with commas between them: how well each word fits.",
        )
        temperature = controls.slider(
            "softmax_temperature",
            "Temperature τ",
            0.1,
            5.0,
            1.0,
            0.1,
            width=220,
            help="The scores are divided by it: below 1 the largest wins, above 1 all get alike.",
        )
    scores = read(text)
    divided = scores / temperature
    st.latex(r"\alpha_t = \frac{e^{s_t / \tau}}{\sum_u e^{s_u / \tau}}")
    st.markdown(arithmetic(divided))
    weights = library(divided)
    rows: list[dict[str, object]] = [
        {
            "score": float(score),
            "÷ τ": round(float(part), 4),
            "e^": float(f"{power:.5g}"),
            "α": round(float(weight), 4),
        }
        for score, part, power, weight in zip(
            scores, divided, powers(divided)[1], weights, strict=True
        )
    ]
    st.dataframe(rows, hide_index=True, width=420, alt="The softmax, score by score")
    charts.bars(
        [
            {
                "part": f"{i}: score {score:g}",
                "value": float(weight),
                "shown": f"{weight:.1%}",
                "kind": "weight",
            }
            for i, (score, weight) in enumerate(zip(scores, weights, strict=True), 1)
        ],
        colours={"weight": charts.LINEAR},
        words="The weight of each score",
        order=[f"{i}: score {score:g}" for i, score in enumerate(scores, 1)],
    )
    st.caption(
        "The weights are positive and sum to 1, and a difference of scores is a ratio of weights: "
        "one more is e = 2.718 times as much, whatever the scores are."
    )
    downloads.table(rows, "softmax")


def read(text: str) -> NDArray[np.float64]:
    """The scores in a text, ``(n,)``.

    Raises:
        AttnlibError: it holds something else than 1 to 12 numbers from −100 to 100.
    """
    parts = [part for part in text.replace(";", ",").split(",") if part.strip()]
    try:
        found = [float(part) for part in parts]
    except ValueError:
        found = []
    if not 1 <= len(found) <= MOST or not all(abs(score) <= LARGEST for score in found):
        raise AttnlibError(
            f"Scores are 1 to {MOST} numbers from −{LARGEST:g} to {LARGEST:g} with commas between "
            "them, for example 2, 1, 0.1."
        )
    return np.array(found)


def powers(scores: Sequence[float] | NDArray[np.floating]) -> tuple[float, list[float]]:
    """What is taken from every score first, as a rule 0, and e to the power of what is left.

    The largest score is taken where its own power would not fit on a line.
    """
    shift = float(max(scores)) if max(scores) > BIG else 0.0
    return shift, [math.exp(score - shift) for score in scores]


def arithmetic(scores: Sequence[float] | NDArray[np.floating]) -> str:
    """The softmax of some finite scores in Markdown, with every number that it takes."""
    shift, grown = powers(scores)
    total = sum(grown)
    each = [
        f"e^({score - shift:.4g}) = {power:.4g}" for score, power in zip(scores, grown, strict=True)
    ]
    quotients = [f"{power:.4g} ÷ {total:.4g} = **{power / total:.4f}**" for power in grown]
    first = (
        f"The largest score, {shift:.4g}, is taken from all first: it would cancel out anyway. "
        if shift
        else ""
    )
    terms = _listed([f"{power:.4g}" for power in grown], " + ")
    return (
        f"{first}{_listed(each, ', ')}.\n\nTogether {terms} = {total:.4g}.\n\n"
        f"So the weights are {_listed(quotients, ', ')}."
    )


def _listed(parts: list[str], between: str) -> str:
    if len(parts) <= WRITTEN:
        return between.join(parts)
    return between.join([*parts[:WRITTEN], f"… ({len(parts) - WRITTEN} more)"])
