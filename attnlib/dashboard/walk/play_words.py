"""A playground over words, for the idea itself: its weights are random, and it says so."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts import controls, downloads
from attnlib.dashboard.parts.cells import cells
from attnlib.dashboard.parts.style import legend_bar
from attnlib.errors import AttnlibError
from attnlib.lessons.playground import EXAMPLES, MAX_WORDS, Toy, toy, words
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import heat_image


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
    heads = found.weights.shape[0]
    names = ["mean", *map(str, range(heads))]
    picked = controls.segments(
        "toy_head",
        "Head shown",
        names,
        help="One head, or the mean of all.",
    )
    shown = found.weights.mean(0) if picked == "mean" else found.weights[int(picked)]
    queries, keys = found.weights.shape[1:]
    st.markdown(
        f"{queries} queries × {keys} keys × {heads} heads = {found.weights.size:,} weights; "
        f"{found.parameters:,} parameters in W_Q, W_K, W_V and W_O with their biases."
    )
    scale = Scale.times_uniform(shown, keys)
    few = max(queries, keys) <= 14
    cells(
        heat_image(shown, scale, size=(keys, queries)),
        (queries, keys),
        key="toy_matrix",
        alt="Attention of every word to every word",
        width=min(680, 80 + 48 * keys),
        values=shown,
        row_names=[f"“{word}” looks at" for word in found.queries],
        col_names=[f"“{word}”" for word in found.keys],
        left=found.queries if few else None,
        top=found.keys if few else None,
        zoom=True,
    )
    legend_bar(scale, "rows are queries, columns keys")
    with st.container(horizontal=True, gap="small"):
        downloads.matrix(
            shown,
            [f"{i} {word}" for i, word in enumerate(found.queries)],
            [f"{i} {word}" for i, word in enumerate(found.keys)],
            "playground",
        )
        downloads.picture(
            lambda: heat_image(shown, scale, size=(40 * keys, 40 * queries)), "playground"
        )


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
        st.warning(str(error))
        return None
