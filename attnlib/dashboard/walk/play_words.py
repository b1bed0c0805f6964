"""A playground over words, for the idea itself: its weights are random, and it says so."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from attnlib.dashboard.parts import controls, views
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.walk import softmax, word_matrix, word_steps
from attnlib.errors import AttnlibError
from attnlib.lessons.playground import EXAMPLES, MAX_WORDS, Toy, toy, words

VIEWS: dict[str, Callable[[Toy], None]] = {
    "One head": word_matrix.one,
    "Heads side by side": word_matrix.several,
    "Step by step": word_steps.show,
    "Softmax by hand": softmax.show,
}


def show() -> None:
    """Choose words and a shape, see the attention that random projections give."""
    st.info(
        "No model is at work here: embeddings and projections are random, so the pattern means "
        "nothing. What is real is the computation, its shapes and its parameter count.",
        icon=":material/casino:",
    )
    found = _chosen()
    if found is None:
        return
    heads, queries, keys = found.weights.shape
    st.markdown(
        f"{queries} queries × {keys} keys × {heads} heads = {found.weights.size:,} weights; "
        f"{found.parameters:,} parameters in W_Q, W_K, W_V and W_O with their biases."
    )
    views.choose(
        "toy_view",
        VIEWS,
        help="One head large, several heads, the computation step by step, or a softmax by hand.",
    )(found)


def _chosen() -> Toy | None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        example = controls.choice(
            "toy_example",
            "Sentence",
            [*EXAMPLES, "own text"],
            width=430,
            help="Words that stand for tokens.",
        )
        cross = controls.toggle(
            "toy_cross", "Cross-attention", help="Queries from one sentence, keys from another."
        )
        causal = controls.toggle(
            "toy_causal",
            "Causal mask",
            disabled=cross,
            help="A word sees only itself and those before it; not between two sentences.",
        )
    text = example
    if example == "own text":
        text = controls.text(
            "toy_text", "Own text", "a picture is worth 16 x 16 words", help="Split at spaces."
        )
    other = None
    if cross:
        other = controls.text(
            "toy_other", "Text that is asked", EXAMPLES[1], help="The keys and values."
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        length = controls.slider(
            "toy_length", "Words", 1, MAX_WORDS, 12, width=200, help="At most so many are used."
        )
        dimension = controls.steps(
            "toy_dimension",
            "Dimension D",
            [8, 12, 16, 32, 48, 64, 96, 128, 256, 512],
            64,
            width=220,
            help="Length of each word's vector.",
        )
        heads = controls.number(
            "toy_heads", "Heads", 4, 1, 64, width=120, help="They MUST divide the dimension."
        )
        seed = controls.number(
            "toy_seed", "Seed", 0, 0, 10_000, width=120, help="Of the random projections."
        )
    try:
        return toy(
            " ".join(words(text, length)),
            other=None if other is None else " ".join(words(other, length)),
            dimension=dimension,
            heads=heads,
            causal=causal and not cross,
            seed=seed,
        )
    except AttnlibError as error:
        st.warning(literal(str(error)))
        return None
