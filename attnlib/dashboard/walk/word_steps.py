"""The steps of one attention computation over words: for one word and one head."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import streamlit as st

from attnlib.dashboard.parts import controls, downloads
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.walk import player, softmax
from attnlib.dashboard.walk.drawing import matrix, signed, strip
from attnlib.dashboard.walk.player import Step
from attnlib.lessons.playground import Array, Toy

Draw = Callable[[Toy, int, int], None]


def show(toy: Toy) -> None:
    """Choose a word and a head; then every step in the player."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        word = controls.choice(
            "toy_word",
            "Word that asks",
            range(len(toy.queries)),
            title=lambda i: f"{i} {toy.queries[i]}",
            of=toy.queries,
            width=220,
            help="The query: whose attention is followed.",
        )
        head = controls.choice(
            "toy_step_head",
            "Head",
            range(len(toy.weights)),
            of=len(toy.weights),
            width=100,
            help="The head whose computation is followed.",
        )
    player.play("toy", steps_of(toy, word, head))


def steps_of(toy: Toy, word: int, head: int) -> list[Step]:
    """The steps; a mask is one where something is hidden."""
    found: list[tuple[str, str, Draw]] = [
        ("Words", r"x_t = \mathrm{embedding}(\mathrm{word}_t) + \mathrm{position}(t)", _words),
        ("q, k, v", r"q_t = W_Q x_t,\quad k_t = W_K x_t,\quad v_t = W_V x_t", _qkv),
        ("Scores", r"s_t = q \cdot k_t", _scores),
        ("Scaled", r"\tilde s_t = \frac{q \cdot k_t}{\sqrt d}", _scaled),
        ("Softmax", r"\alpha_t = \frac{e^{\tilde s_t}}{\sum_u e^{\tilde s_u}}", _softmax),
        ("Weighted values", r"\alpha_t\, v_t", _weighted),
        ("Sum", r"o_h = \sum_t \alpha_t\, v_t", _sum),
        ("All heads", r"o = [\,o_1;\ o_2;\ \dots;\ o_H\,]", _concatenated),
        ("Projection", r"y = W_O\, o", _projected),
    ]
    if toy.hidden.any():
        formula = r"\tilde s_u = -\infty \quad \text{for } u \text{ after the word itself}"
        found.insert(4, ("Mask", formula, _mask))
    return [Step(title, formula, partial(draw, toy, word, head)) for title, formula, draw in found]


def _words(toy: Toy, word: int, head: int) -> None:
    count, width = toy.asking.shape
    st.markdown(
        f"T = {count} words, each a vector of D = {width} numbers: random ones for the word, the "
        "same wherever it stands, plus sines and cosines of its place. The query is "
        f"“**{literal(toy.queries[word])}**”, the row between the lines."
    )
    _matrix(toy.asking, "X", "toy_x", toy.queries, word, 700)
    if toy.asked.shape != toy.asking.shape or toy.keys != toy.queries:
        st.markdown(f"The {len(toy.keys)} words that are asked have vectors of their own.")
        _matrix(toy.asked, "X of the words that are asked", "toy_asked", toy.keys, None, 700)


def _qkv(toy: Toy, word: int, head: int) -> None:
    heads, count, size = toy.k.shape
    st.markdown(
        f"Head {head} of {heads} has its own rows of W_Q, W_K and W_V, which make d = D/H = "
        f"{size} numbers of each word. The word's own q meets each of the {count} rows of k."
    )
    with st.container(horizontal=True, gap="small"):
        _matrix(toy.q[head], "queries", "toy_queries", toy.queries, word)
        _matrix(toy.k[head], "keys", "toy_keys", toy.keys)
        _matrix(toy.v[head], "values", "toy_values", toy.keys)


def _scores(toy: Toy, word: int, head: int) -> None:
    scores = toy.scores[head, word]
    best = toy.keys[int(scores.argmax())]
    q, k = toy.q[head, word], toy.k[head, 0]
    terms = " + ".join(f"({a:.2f})·({b:.2f})" for a, b in zip(q[:3], k[:3], strict=True))
    st.markdown(
        f"One number for each word: how well its key fits. With “{literal(toy.keys[0])}”, "
        f"{terms}{' + …' if len(q) > 3 else ''} = **{scores[0]:.3f}**. The best fit is "
        f"“**{literal(best)}**”, {scores.max():.3f}."
    )
    _numbers(toy, "toy-scores", {"q · k": scores})


def _scaled(toy: Toy, word: int, head: int) -> None:
    scores = toy.scores[head, word]
    size = toy.q.shape[2]
    st.markdown(
        f"Divided by √d = √{size} = {size**0.5:.4g}: sums of more products are larger, and this "
        f"keeps them of one size. The standard deviation falls from {scores.std():.3g} to "
        f"{(scores * toy.scale).std():.3g}."
    )
    _numbers(toy, "toy-scaled", {"q · k": scores, "÷ √d": scores * toy.scale})


def _mask(toy: Toy, word: int, head: int) -> None:
    later = int(toy.hidden[word].sum())
    st.markdown(
        f"The causal mask hides the {later} words after “{literal(toy.queries[word])}”: their "
        "scores become −∞, so their weights become 0. Words before it, and the word itself, stay."
    )
    _numbers(toy, "toy-masked", {"÷ √d": _logits(toy, word, head)})


def _softmax(toy: Toy, word: int, head: int) -> None:
    weights = toy.weights[head, word]
    st.markdown(
        f"Weights that sum to {weights.sum():.4f}. Most goes to "
        f"“**{literal(toy.keys[int(weights.argmax())])}**”, {weights.max():.1%}."
    )
    logits = _logits(toy, word, head)
    st.markdown(softmax.arithmetic(logits[np.isfinite(logits)]))
    _numbers(toy, "toy-softmax", {"÷ √d": logits, "e^": np.exp(logits), "α": weights})


def _weighted(toy: Toy, word: int, head: int) -> None:
    values = toy.v[head]
    st.markdown(
        "Every word's value, times its weight: rows with little weight fade. "
        f"Both are (T, d) = {values.shape}."
    )
    with st.container(horizontal=True, gap="small"):
        _matrix(values, "v", "toy_v", toy.keys, None, 300)
        weighted = toy.weights[head, word][:, None] * values
        _matrix(weighted, "α · v, own colours", "toy_av", toy.keys, None, 300)


def _sum(toy: Toy, word: int, head: int) -> None:
    output = toy.outputs[head, word]
    st.markdown(
        f"The rows added up: d = {len(output)} numbers, what head {head} says of "
        f"“**{literal(toy.queries[word])}**”. Length {np.linalg.norm(output):.4g}."
    )
    _strip(output, f"o, head {head}", "toy_o")


def _concatenated(toy: Toy, word: int, head: int) -> None:
    heads, _, size = toy.outputs.shape
    lengths = np.linalg.norm(toy.outputs[:, word], axis=1)
    st.markdown(
        f"All {heads} heads side by side, H · d = {heads} · {size} = {heads * size} numbers. "
        f"Head {int(lengths.argmax())} is the longest ({lengths.max():.4g})."
    )
    _strip(toy.concatenated[word], "o, a colour above each head", "toy_concat", heads)


def _projected(toy: Toy, word: int, head: int) -> None:
    y = toy.projected[word]
    st.markdown(
        f"W_O is {toy.w_o.shape}: it mixes the heads into D = {len(y)} numbers for "
        f"“**{literal(toy.queries[word])}**”, the result. Its bias is zero here."
    )
    _strip(y, "y", "toy_y")


def _logits(toy: Toy, word: int, head: int) -> Array:
    """The scaled scores of one word ``(Tk,)``, −∞ where hidden."""
    scaled = toy.scores[head, word] * toy.scale
    return np.where(toy.hidden[word], -np.inf, scaled)


def _matrix(
    values: Array,
    title: str,
    key: str,
    rows: tuple[str, ...],
    marked: int | None = None,
    width: int = 220,
) -> None:
    named = [f"{i} {word}" for i, word in enumerate(rows)]
    title = f"{title}, {values.shape}"
    matrix(values, title, key=key, rows=named, scale=signed(values), marked=marked, width=width)


def _strip(values: Array, title: str, key: str, heads: int = 0) -> None:
    strip(values, title, key=key, scale=signed(values), heads=heads)
    downloads.table([{"channel": i, "value": float(value)} for i, value in enumerate(values)], key)


def _numbers(toy: Toy, name: str, columns: dict[str, Array]) -> None:
    """Numbers of each word that is asked, on the screen and as a file."""
    rows: list[dict[str, object]] = [
        {"word": word, **{title: _short(float(c[i])) for title, c in columns.items()}}
        for i, word in enumerate(toy.keys)
    ]
    st.dataframe(rows, hide_index=True, width=180 + 110 * len(columns), alt="Numbers by word")
    downloads.table(rows, name)


def _short(value: float) -> float | None:
    """Four digits behind the point; None for what is hidden."""
    return round(value, 4) if np.isfinite(value) else None
