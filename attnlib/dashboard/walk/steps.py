"""The steps of one attention computation: a formula, shapes, a picture, the numbers."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from attnlib.dashboard.walk import player
from attnlib.dashboard.walk.drawing import matrix, numbers, signed, strip, tokens
from attnlib.dashboard.walk.place import Place, entropy
from attnlib.dashboard.walk.player import Step
from attnlib.pictures.colormaps import Scale


def show(place: Place) -> None:
    """Every step in the player."""
    player.play("walk", steps_of(place))


def steps_of(place: Place) -> list[Step]:
    """The steps that this model has: without a bias there is none to add."""
    walk = place.walk
    found = [
        Step("Tokens", r"x_t = \mathrm{LN}(z_t), \quad t = 1 \dots T", partial(_tokens, place)),
        Step(
            "q, k, v",
            r"q_t = W_Q x_t,\quad k_t = W_K x_t,\quad v_t = W_V x_t",
            partial(_qkv, place),
        ),
        Step("Scores", r"s_t = q \cdot k_t", partial(_scores, place)),
        Step("Scaled", r"\tilde s_t = \frac{q \cdot k_t}{\sqrt d}", partial(_scaled, place)),
        Step(
            "Softmax",
            r"\alpha_t = \frac{e^{\tilde s_t}}{\sum_u e^{\tilde s_u}}",
            partial(_softmax, place),
        ),
        Step("Weighted values", r"\alpha_t\, v_t", partial(_weighted, place)),
        Step("Sum", r"o_h = \sum_t \alpha_t\, v_t", partial(_sum, place)),
        Step("All heads", r"o = [\,o_1;\ o_2;\ \dots;\ o_H\,]", partial(_concatenated, place)),
    ]
    if walk.tokens is None:
        found = found[1:]
    if walk.bias is not None:
        formula = r"\tilde s_t = \frac{q \cdot k_t}{\sqrt d} + b_t"
        found.insert(-4, Step("Bias", formula, partial(_bias, place)))
    if walk.projection is not None:
        found.append(Step("Projection", r"y = W_O\, o + b_O", partial(_projected, place)))
        if walk.projection.after is not None and walk.before is not None:
            added = r"\gamma \odot y" if walk.projection.layer_scale is not None else "y"
            found.append(Step("Before and after", rf"z' = z + {added}", partial(_after, place)))
    return found


def _tokens(place: Place) -> None:
    walk = place.walk
    assert walk.tokens is not None
    count, width = walk.tokens.shape
    st.markdown(
        f"What layer {walk.layer} reads: T = {count} tokens, each a vector of D = {width} numbers, "
        f"normalised. The query is **{place.token}**, the row between the lines."
    )
    scale = signed(walk.tokens)
    matrix(
        walk.tokens,
        f"X, ({count}, {width})",
        key="walk_x",
        rows=place.tokens,
        scale=scale,
        marked=walk.query,
        width=700,
    )


def _qkv(place: Place) -> None:
    walk = place.walk
    parts = {
        "queries": walk.queries[place.head],
        "keys": walk.keys[place.head],
        "values": walk.values[place.head],
    }
    shape = walk.queries.shape
    st.markdown(
        f"Head {place.head} of {shape[0]} has its own three matrices, (T, d) = {shape[1:]} each. "
        f"The query's own q is the row between the lines; it meets every row of k."
    )
    with st.container(horizontal=True, gap="small"):
        for name, values in parts.items():
            matrix(
                values,
                f"{name}, {values.shape}",
                key=f"walk_{name}",
                rows=place.tokens,
                scale=signed(values),
                marked=walk.query if name == "queries" else None,
            )


def _scores(place: Place) -> None:
    walk = place.walk
    scores = walk.scores[place.head]
    st.markdown(
        f"One number for each of the {len(scores)} tokens: how well its key fits the query. "
        f"From {scores.min():.3g} to {scores.max():.3g}, standard deviation {scores.std():.3g}."
    )
    tokens(place, scores, "q · k, unscaled", key="walk_scores", scale=signed(scores))
    numbers({"score": scores}, "walk-scores")


def _scaled(place: Place) -> None:
    walk = place.walk
    scores = walk.scores[place.head]
    scaled = scores * walk.scale
    st.markdown(
        f"Divided by √d = √{walk.dimension} = {walk.dimension**0.5:.4g}"
        + _other_scale(place)
        + f": the standard deviation falls from {scores.std():.3g} to {scaled.std():.3g}."
    )
    with st.container(horizontal=True, gap="small"):
        scale = signed(scores)
        tokens(place, scores, "before", key="walk_unscaled", scale=scale)
        tokens(place, scaled, "after, same colours", key="walk_scaled", scale=scale)
    numbers({"score": scores, "scaled": scaled}, "walk-scaled")


def _other_scale(place: Place) -> str:
    """Where a model uses another factor than 1/√d, say so."""
    walk = place.walk
    if np.isclose(walk.scale, walk.dimension**-0.5, rtol=1e-3):
        return ""
    return f" (this model multiplies by {walk.scale:.4g} instead, 1/√d is in its q and k or absent)"


def _bias(place: Place) -> None:
    walk = place.walk
    assert walk.bias is not None
    bias = np.maximum(walk.bias[place.head], np.finfo(np.float32).min / 2)
    hidden = int(np.isneginf(walk.bias[place.head]).sum())
    st.markdown(
        "This model adds a number for each pair of places, learnt or fixed, before the softmax."
        + (f" {hidden} tokens are masked." if hidden else "")
    )
    finite = np.where(np.isneginf(walk.bias[place.head]), 0, bias)
    tokens(place, finite, "added to the scores", key="walk_bias", scale=signed(finite))
    numbers({"bias": bias}, "walk-bias")


def _softmax(place: Place) -> None:
    weights = place.walk.weights[place.head]
    top = int(weights.argmax())
    st.markdown(
        f"Weights that sum to {weights.sum():.4f}. The largest, {weights[top]:.2%}, is on "
        f"**{place.tokens[top]}**; entropy {entropy(weights):.3f} of log T."
    )
    scale = Scale.times_uniform(weights, len(weights))
    tokens(place, weights, "α, colours in × uniform", key="walk_weights", scale=scale)
    numbers({"weight": weights}, "walk-weights")


def _weighted(place: Place) -> None:
    walk = place.walk
    weights, values = walk.weights[place.head], walk.values[place.head]
    weighted = weights[:, None] * values
    st.markdown(
        "Every token's value, times its weight: rows with little weight fade. "
        f"Both are (T, d) = {values.shape}."
    )
    with st.container(horizontal=True, gap="small"):
        matrix(values, "v", key="walk_v", rows=place.tokens, scale=signed(values), width=300)
        matrix(
            weighted,
            "α · v, own colours",
            key="walk_av",
            rows=place.tokens,
            scale=signed(weighted),
            width=300,
        )


def _sum(place: Place) -> None:
    walk = place.walk
    output = walk.heads[place.head]
    st.markdown(
        f"The rows added up: d = {len(output)} numbers, the output of head {place.head} for "
        f"**{place.token}**. Length {np.linalg.norm(output):.4g}."
    )
    strip(output, f"o, head {place.head}", key="walk_o", scale=signed(output))
    numbers({"output": output}, "walk-head-output")


def _concatenated(place: Place) -> None:
    walk = place.walk
    heads, size = walk.heads.shape
    lengths = np.linalg.norm(walk.heads, axis=1)
    strongest = int(lengths.argmax())
    st.markdown(
        f"All {heads} heads side by side, H · d = {heads} · {size} = {heads * size} numbers. "
        f"Head {strongest} is the longest ({lengths[strongest]:.4g}); head {place.head} has "
        f"{lengths[place.head]:.4g}."
    )
    strip(
        walk.concatenated,
        "o, a colour above each head",
        key="walk_concat",
        scale=signed(walk.concatenated),
        heads=heads,
    )
    numbers({"value": walk.concatenated}, "walk-concatenated")


def _projected(place: Place) -> None:
    walk = place.walk
    assert walk.projection is not None and walk.projected is not None
    rows, cols = walk.projection.weight.shape
    st.markdown(
        f"W_O is ({rows}, {cols}): it mixes the heads. Computed here and by the model, the "
        f"largest difference is {walk.self_check:.1e}."
    )
    st.badge(
        f"the model's own output, within {walk.self_check:.1e}",
        icon=":material/verified:",
        color="green" if walk.self_check < 1e-3 else "orange",
    )
    scale = signed(walk.projected, walk.projection.output)
    strip(walk.projected, "y, computed here", key="walk_y", scale=scale)
    strip(walk.projection.output, "y, the model's own", key="walk_y_model", scale=scale)
    numbers(
        {"computed here": walk.projected, "the model's own": walk.projection.output}, "walk-output"
    )


def _after(place: Place) -> None:
    walk = place.walk
    assert walk.projection is not None and walk.projection.after is not None
    assert walk.before is not None and walk.projected is not None
    before, after = walk.before[walk.query], walk.projection.after
    gamma = walk.projection.layer_scale
    added = walk.projected if gamma is None else walk.projected * gamma
    missing = float(np.abs(before + added - after).max())
    cosine = float(before @ after / (np.linalg.norm(before) * np.linalg.norm(after)))
    st.markdown(
        f"The residual connection adds what attention found to **{place.token}**: length "
        f"{np.linalg.norm(before):.4g} before, {np.linalg.norm(added):.4g} added, "
        f"{np.linalg.norm(after):.4g} after; cosine of before and after {cosine:.3f}. "
        f"The sum differs from the model's own token by {missing:.1e}."
    )
    scale = signed(before, added, after)
    strip(before, "z, before", key="walk_before", scale=scale)
    strip(added, "added by attention", key="walk_added", scale=scale)
    strip(after, "z', after (the model's own)", key="walk_after", scale=scale)
    numbers({"before": before, "added": added, "after": after}, "walk-residual")
