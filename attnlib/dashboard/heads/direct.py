"""What each layer, head and patch adds to a logit by itself: the parts sum to it."""

from __future__ import annotations

from collections.abc import Hashable

import altair as alt
import numpy as np
import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.heads import grid, names
from attnlib.dashboard.heads.names import Head
from attnlib.dashboard.parts import address, cells, charts, controls, downloads, drawn
from attnlib.dashboard.parts import target as targets
from attnlib.dashboard.parts.codecs import OneOf
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import over
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError
from attnlib.heads.direct import DirectEffect, direct_effect
from attnlib.pictures.colormaps import Scale

HEAD = "direct_head"
SIDE = 260
CAUTION = (
    "A direct effect is what a part writes to the answer itself. What a head does through later "
    "layers counts as theirs, so only in the last layers it ranks heads as their removal does: "
    "“Effect on the prediction” removes them and looks."
)
HEADS, BIASES, MLP, ENDS = "heads", "their biases", "MLP", "start and end"
COLOURS = {
    HEADS: charts.LINEAR,
    MLP: charts.MEASURED,
    BIASES: charts.OTHER,
    ENDS: charts.GREY,
}
Rows = list[dict[str, object]]


@address.fragment
def show(space: Workspace, prediction: Prediction) -> None:
    """The class, what each layer adds, each head, and of one head each patch."""
    space = space.about(prediction.name)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        target = targets.choose(
            space,
            prediction,
            key="direct_class",
            width=230,
            help="The class whose logit (its score before probabilities) is taken apart.",
        )
        against = _against(space, prediction, target)
    found = _found(space, prediction, target, against)
    if isinstance(found, AttnlibError):
        st.warning(literal(str(found)), title="Direct effects are not defined here")
        return
    if found is None:
        return
    st.markdown(sentence(space, found, target, against))
    st.caption(CAUTION)
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=400):
            _layers(prediction, found)
        with st.container(width=340):
            head = _heads(found, (prediction.name, target, against))
        with st.container(width=SIDE + 20):
            _patches(space, prediction, found, head)


def _against(space: Workspace, prediction: Prediction, target: int) -> int | None:
    """The class whose logit is subtracted: the true one of a mistake, unless nobody wants it."""
    others = [index for index, _ in prediction.top(6) if index != target]
    if prediction.label is not None and prediction.label != target:
        others = [prediction.label, *(i for i in others if i != prediction.label)]
    options = [None, *others]
    wrong = prediction.wrong and target == prediction.predicted and len(options) > 1
    return controls.choice(
        "direct_against",
        "Less the logit of",
        options,
        default=options[1] if wrong else None,
        title=lambda index: "nothing" if index is None else space.class_name(index),
        of=(prediction.name, target),
        width=210,
        help="With a second class, what is taken apart is by how much the first is ahead of it.",
    )


def _found(
    space: Workspace, prediction: Prediction, target: int, against: int | None
) -> DirectEffect | AttnlibError | None:
    choice, vit, sample = space.choice, space.vit, space.by_name[prediction.name]

    def work(progress: tasks.Progress) -> DirectEffect | AttnlibError:
        try:
            pixels = results.subject(choice, vit, sample).pixels
            return direct_effect(vit, pixels, target, against)
        except AttnlibError as error:
            return error

    return tasks.run(
        "direct effect",
        (choice, sample.sha256, target, against),
        work,
        button="Take the logit apart",
        help="One forward pass, and its last steps back.",
        eager=True,
        shared=True,
    )


def sentence(space: Workspace, found: DirectEffect, target: int, against: int | None) -> str:
    """The sum, written out."""
    name = literal(space.class_name(target))
    what = f"The logit of “{name}”"
    if against is not None:
        what = f"The lead of “{name}” over “{literal(space.class_name(against))}”"
    parts = {
        "its heads": found.heads.sum(),
        "their biases": found.rest.sum(),
        "its MLPs": found.mixing.sum(),
        "the patches before the first layer": found.embedding,
        "the last steps": found.constant,
    }
    terms = " ".join(f"{signed(value)} ({word})" for word, value in parts.items())
    return (
        f"{what} is **{signed(found.logit)}**. The parts add up to it: {terms} = "
        f"{signed(found.sum())}."
    )


def signed(value: float) -> str:
    """Two decimals with a sign that is one."""
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def table(found: DirectEffect) -> Rows:
    """One row per part: where, which kind, how much; they sum to the logit."""
    rows: Rows = [{"place": "start", "part": ENDS, "logits": found.embedding}]
    for layer in range(len(found.layers)):
        for part, value in (
            (HEADS, found.heads[layer].sum()),
            (BIASES, found.rest[layer]),
            (MLP, found.mixing[layer]),
        ):
            rows.append({"place": f"L{layer}", "part": part, "logits": float(value)})
    return [*rows, {"place": "end", "part": ENDS, "logits": found.constant}]


def _layers(prediction: Prediction, found: DirectEffect) -> None:
    rows = table(found)
    st.markdown("**What each layer adds**")
    charts.draw(
        _by_layer,
        rows,
        words="What heads, their biases and the MLP of each layer add to the logit",
        width=390,
        height=24 * (len(found.layers) + 2) + 110,
    )
    st.caption(
        "Bars to the right of 0 speak for the class. Heads bring what they read from other "
        "patches; the MLP of a layer works on each patch by itself. Start: the patches before "
        "the first layer. End, and biases: what is the same for every image."
    )
    downloads.table(rows, f"{stem_of(prediction.name)}-direct-effect")


def _by_layer() -> alt.LayerChart:
    """Bars of each layer side by side, from below 0 to above."""
    legend = alt.Legend(orient="bottom", title=None, columns=2)
    bars = charts.rows().mark_bar(height=alt.RelativeBandSize(band=0.8))
    return charts.over(
        bars.encode(
            alt.X("sum(logits):Q", title="logits", stack="zero"),
            charts.names("place", 60, labelOverlap=False),
            charts.colour("part", COLOURS, legend),
            tooltip=charts.tips("place", "part", logits="+.3f"),
        )
    )


def _heads(found: DirectEffect, of: Hashable) -> Head:
    """The heads, and the one that is chosen: at first the one with the largest part."""
    layers, heads = found.heads.shape
    strongest = names.name(*divmod(int(np.abs(found.heads).argmax()), heads))
    known = names.every(layers, heads)
    chosen = address.value(HEAD, strongest, OneOf(known), label="Head", of=of)
    head = names.parse(chosen)

    def pick(cell: Head) -> None:
        st.session_state[HEAD] = names.name(*cell)

    grid.show(
        found.heads,
        Scale.shared([found.heads], signed=True, label="logits that each head adds"),
        key="direct-effect-heads",
        title="What each head adds",
        note="Click a head to see from which patches.",
        width=300,
        colormap=grid.SIGNED,
        selected=[head],
        on_pick=pick,
        unit="logits",
    )
    return head


def _patches(space: Workspace, prediction: Prediction, found: DirectEffect, head: Head) -> None:
    """What one head brings from each patch, and from the tokens that are none."""
    layout, crop = space.vit.layout, space.inspected(prediction.name).picture
    tokens = found.tokens[head]
    values = tokens[len(layout.prefix) :].reshape(layout.grid)
    scale = Scale.shared([values], signed=True, label="logits from each patch")
    style = drawn.style()
    picture = over(crop, values, scale, style, 2 * SIDE, space.vit.covers)
    st.markdown(f"**{names.name(*head)}: from which patches**")
    elsewhere = ", ".join(
        f"{signed(tokens[place])} from {name}" for place, name in enumerate(layout.prefix)
    )
    st.caption(f"Together {signed(tokens.sum())}" + (f", of it {elsewhere}." if elsewhere else "."))
    cells.cells(
        picture,
        layout.grid,
        key="direct-effect-patches",
        alt="What the head brings to the logit from each patch",
        width=SIDE,
        values=values,
        unit="logits",
        covers=space.vit.covers,
    )
    legend_bar(scale, width=SIDE, style=style)
    stem = f"{stem_of(prediction.name)}-direct-effect-{names.name(*head)}"
    with st.container(horizontal=True, gap="small"):
        rows, cols = layout.grid
        downloads.matrix(values, list(map(str, range(rows))), list(map(str, range(cols))), stem)
        downloads.picture(lambda: picture, stem)
