"""What one pass costs: tokens, parameters, operations and memory, each with its formula."""

from __future__ import annotations

import math

import streamlit as st

from attnlib.complexity import Architecture, Cost
from attnlib.complexity.cost import rows as command_rows
from attnlib.dashboard.cost import words
from attnlib.dashboard.cost.configuration import Resolved, command, portable
from attnlib.dashboard.parts import charts, downloads
from attnlib.dashboard.state.workspace import Workspace

PARTS = {
    "patch_embedding": "Patch embedding",
    "qkv": "Q, K, V projections",
    "scores": "QKᵀ",
    "values": "AV",
    "output": "Output projection",
    "mlp": "MLP",
    "pool": "Attention pool",
    "head": "Head",
}
PARAMETERS = {
    "patch_embedding": "Patch embedding",
    "position": "Positions",
    "tokens": "Prefix tokens",
    "attention": "Attention",
    "mlp": "MLP",
    "norms": "Norms, LayerScale",
    "pool": "Attention pool",
    "head": "Head",
}
KINDS = {"linear in T": charts.LINEAR, "quadratic in T": charts.QUADRATIC}


def show(space: Workspace, found: Resolved) -> None:
    """Operations first, then parameters, then memory."""
    assert found.cost is not None
    now = found.cost
    _headline(now)
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=charts.WIDTH):
            _operations(now)
        with st.container(width=500):
            st.markdown(formulas(now))
    _conventions(now)
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=charts.WIDTH):
            _parameters(now)
        with st.container(width=charts.WIDTH):
            _memory(now)
    _attention_memory(now)
    st.markdown("**The same from the command line**", help="Prints every number of this page.")
    same = portable(found, space.vit.module, space.choice.source).cost
    st.code(command(same or now), language="bash", wrap_lines=True)
    downloads.table(lambda: csv_rows(now), "cost", "Table (CSV)")


def csv_rows(now: Cost) -> list[dict[str, object]]:
    """The rows that ``python -m attnlib cost --csv`` prints."""
    return [{"quantity": q, "value": v, "unit": u} for q, v, u in command_rows(now)]


def _headline(now: Cost) -> None:
    a = now.architecture
    with st.container(horizontal=True, gap="medium"):
        for label, value, help in (
            ("Tokens T", f"{now.tokens:,}", "N patches and the prefix tokens."),
            ("Parameters", words.si(now.parameters.total), "All weights and biases."),
            ("MACs", words.si(now.macs.total), "Forward pass of the whole batch."),
            ("FLOPs", words.si(now.macs.flops), "Two for every MAC."),
            ("Peak memory", words.memory(now.memory.peak), "Estimate of PyTorch in eager mode."),
        ):
            st.metric(label, value, help=help, width="content")
        if now.training:
            st.metric(
                "MACs of a training step",
                words.si(now.training_macs),
                help="Forward and backward: three times the forward pass less the gradient of "
                "the image, which nobody needs.",
                width="content",
            )
    rows, cols = a.grid
    st.caption(
        f"$T = N + {a.prefix_tokens}$ with $N = {rows} \\times {cols} = {a.patches}$ patches of "
        f"{a.patch[0]} × {a.patch[1]} pixels · $L = {a.depth}$, $H = {a.heads}$, $D = {a.dim}$, "
        f"$d = {a.head_width}$, MLP $M = {a.mlp_hidden}$, batch $B = {now.batch}$."
    )


def _operations(now: Cost) -> None:
    st.markdown("**Multiply-accumulates by part**")
    values = vars(now.macs)
    charts.bars(
        [
            {
                "part": title,
                "value": values[name],
                "shown": f"{words.si(values[name])} · {values[name] / now.macs.total:.1%}",
                "kind": "quadratic in T" if name in ("scores", "values") else "linear in T",
            }
            for name, title in PARTS.items()
            if values[name]
        ],
        colours=KINDS,
        order=[title for name, title in PARTS.items() if values[name]],
        words="Multiply-accumulates of every part of the model",
    )


def factors(a: Architecture) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The formula of each part in LaTeX and its factors, for blocks without special switches."""
    tokens, dim, depth, wide = a.tokens, a.dim, a.depth, a.attention_width
    area = a.channels * a.patch[0] * a.patch[1]
    gated = 3 if a.glu else 2
    return {
        "patch_embedding": (r"N\,D\,c\,P^2", (a.patches, dim, area)),
        "qkv": (r"L\,T\,D\cdot 3Hd", (depth, tokens, dim, 3 * wide)),
        "scores": (r"L\,H\,T^2\,d", (depth, a.heads, tokens, tokens, a.head_width)),
        "values": (r"L\,H\,T^2\,d", (depth, a.heads, tokens, tokens, a.head_width)),
        "output": (r"L\,T\,Hd\,D", (depth, tokens, wide, dim)),
        "mlp": (rf"{gated}\,L\,T\,D\,M", (gated, depth, tokens, dim, a.mlp_hidden)),
        "head": (r"D\,K", (dim, a.classes)),
    }


def formulas(now: Cost) -> str:
    """A Markdown table: part, formula, the same with numbers.

    A formula is shown only where its product is what the library counts: gates, grouped keys or
    parallel branches change it.
    """
    known = factors(now.architecture)
    lines = ["| Part | Formula | With these numbers |", "|---|---|---|"]
    for name, title in PARTS.items():
        value = getattr(now.macs, name)
        if not value:
            continue
        formula, numbers = known.get(name, ("", ()))
        if now.batch * math.prod(numbers) == value:
            if now.batch > 1:
                formula, numbers = rf"B\cdot {formula}", (now.batch, *numbers)
            product = r" \cdot ".join(map(str, numbers))
            lines.append(f"| {title} | ${formula}$ | ${product}$ |")
        else:
            lines.append(f"| {title} | its own, by the switches of this model | {value:,} |")
    return "\n".join(lines)


def _conventions(now: Cost) -> None:
    """Both totals that are quoted, and where the quadratic part takes over."""
    macs, cross = now.macs, now.crossover
    with st.container(horizontal=True, gap="medium"):
        st.metric(
            "MACs with QKᵀ and AV",
            words.si(macs.total),
            help="All matrix products, as PyTorch's FlopCounterMode counts them. Used here.",
            width="content",
        )
        st.metric(
            "MACs without QKᵀ and AV",
            words.si(macs.without_attention_products),
            help="What counters that look only at layers find; many published tables quote this.",
            width="content",
        )
        st.metric(
            "Quadratic share",
            f"{macs.quadratic_share:.1%}",
            help="QKᵀ and AV over all MACs.",
            width="content",
        )
        st.metric(
            "Overtakes the rest at",
            f"T = {cross.tokens:,.0f}",
            help="The number of tokens at which QKᵀ and AV cost as much as all else together.",
            width="content",
        )
    size = f"{cross.image[0]:,.0f} × {cross.image[1]:,.0f}"
    where = (
        f"The quadratic part overtakes the linear part at images of {size} pixels with these "
        "patches."
        if cross.patches > 0
        else "With so many prefix tokens the quadratic part is always the larger."
    )
    st.caption(
        "1 MAC is one multiplication and one addition, 2 FLOPs. Counted are matrix products and "
        "the convolution; norms, softmax, activations, biases and sums are not. "
        f"{where}"
    )


def _parameters(now: Cost) -> None:
    st.markdown(f"**Parameters by part**: {now.parameters.total:,}")
    values = vars(now.parameters)
    charts.bars(
        [
            {
                "part": title,
                "value": values[name],
                "shown": f"{words.si(values[name])} · {values[name] / now.parameters.total:.1%}",
                "kind": "parameters",
            }
            for name, title in PARAMETERS.items()
            if values[name]
        ],
        colours={"parameters": charts.LINEAR},
        order=[title for name, title in PARAMETERS.items() if values[name]],
        words="Parameters of every part of the model",
    )


def _memory(now: Cost) -> None:
    m = now.memory
    st.markdown(f"**Peak memory**: {words.memory(m.peak)} ({now.dtype})")
    parts = {
        "Weights": m.weights,
        "Activations": m.activations,
        "Gradients": m.gradients,
        "AdamW's moments": m.optimiser,
        "Backward workspace": m.workspace,
    }
    charts.bars(
        [
            {
                "part": part,
                "value": value,
                "shown": f"{words.memory(value)} · {value / m.peak:.1%}",
                "kind": "memory",
            }
            for part, value in parts.items()
            if value
        ],
        colours={"memory": charts.OTHER},
        order=[part for part, value in parts.items() if value],
        words="Memory of every part of a pass",
    )
    st.caption(
        "Activations: "
        + ("what autograd keeps" if now.training else "the most that is alive at once")
        + f", with {'materialised' if now.materialised else 'fused'} attention. An estimate; "
        "“Measured” shows what this machine really takes."
    )


def _attention_memory(now: Cost) -> None:
    m, size = now.memory, words.memory
    st.markdown(
        "**Memory of the attention matrices, where they are formed**\n\n"
        "| One head of one image | One layer of the batch | All layers |\n|---|---|---|\n"
        r"| $T^2 s$ | $B\,H\,T^2 s$ | $L\,B\,H\,T^2 s$ |"
        f"\n| {size(m.attention_per_head)} | {size(m.attention_per_layer)} "
        f"| {size(m.attention_per_model)} |"
    )
    st.caption(
        f"$s = {m.attention_per_head // now.tokens**2}$ bytes for {now.dtype}. "
        + (
            "This model forms them, so they are part of the peak."
            if now.materialised
            else "Fused attention never forms them, so they are not part of the peak above."
        )
    )
