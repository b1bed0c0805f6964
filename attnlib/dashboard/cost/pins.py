"""Two configurations kept in the address bar and shown side by side."""

from __future__ import annotations

from typing import Any

import streamlit as st

from attnlib.complexity import Cost
from attnlib.dashboard.cost import words
from attnlib.dashboard.cost.configuration import (
    Resolved,
    decode,
    encode,
    portable,
    resolve,
)
from attnlib.dashboard.cost.table import csv_rows
from attnlib.dashboard.parts import address, charts, downloads
from attnlib.dashboard.parts.codecs import alone
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.workspace import Workspace

NAMES = ("A", "B")


def buttons(space: Workspace, found: Resolved) -> None:
    """Pin what the controls say, and what is pinned already."""
    pinned = _pinned()
    with st.container(horizontal=True):
        for name in NAMES:
            st.button(
                f"Pin as {name}",
                key=f"cost_pin_{name}",
                icon=":material/keep:",
                type="primary" if name in pinned else "secondary",
                disabled=found.cost is None,
                on_click=_pin,
                args=(name, space, found),
                help=f"Keeps this as {name} for “Side by side”, in the link too.",
            )


def _key(name: str) -> str:
    return f"cost_pin{name.lower()}"


class _Pin:
    """A configuration as the link has it; None is no pin."""

    def read(self, texts: list[str]) -> str | None:
        """The text, if it is one that :func:`encode` writes.

        Raises:
            ValueError: some of it cannot be read.
        """
        allowed = "a configuration"
        text = alone(texts, allowed)
        if encode(decode(text)) != text:
            raise ValueError(allowed)
        return text

    def write(self, value: str | None) -> list[str]:
        """The text itself; empty where everything is at its default."""
        return [] if value is None else [value]


def _pinned() -> dict[str, str]:
    """Name -> encoded configuration."""
    found = {name: address.value(_key(name), None, _Pin(), label=f"Pin {name}") for name in NAMES}
    return {name: text for name, text in found.items() if text is not None}


def _pin(name: str, space: Workspace, found: Resolved) -> None:
    # Another model may be loaded later: what is pinned must not change with it.
    fixed = portable(found, space.vit.module, space.choice.source)
    st.session_state[_key(name)] = encode(fixed.configuration)


def _unpin(name: str) -> None:
    st.session_state[_key(name)] = None


def show(space: Workspace, found: Resolved) -> None:
    """Both pins; where one is missing, the present choice stands in."""
    pinned = _pinned()
    if not pinned:
        st.info("Pin this configuration as A, change something, and see both here.")
        return
    sides: dict[str, Resolved] = {}
    for name in NAMES:
        if name in pinned:
            sides[name] = resolve(decode(pinned[name]), space.vit.module, space.choice.title)
        else:
            sides["this choice"] = found
    with st.container(horizontal=True, gap="medium"):
        for name, side in sides.items():
            with st.container(border=True, width=420, gap="small"):
                st.markdown(f"**{name}** · {literal(side.title)}")
                if side.cost is None:
                    st.warning(literal(" ".join(p.message for p in side.problems)))
                else:
                    st.caption(literal(describe(side.cost)))
                if name in pinned:
                    st.button(
                        f"Unpin {name}",
                        key=f"cost_unpin_{name}",
                        on_click=_unpin,
                        args=(name,),
                        help="Forgets this configuration.",
                    )
    costs = {name: side.cost for name, side in sides.items() if side.cost is not None}
    if len(costs) == 2:
        _compare(costs)


def describe(c: Cost) -> str:
    """A configuration in one line."""
    a = c.architecture
    return (
        f"{a.image[0]} × {a.image[1]} px, patch {a.patch[0]} × {a.patch[1]}, D = {a.dim}, "
        f"L = {a.depth}, H = {a.heads}, batch {c.batch}, {c.dtype}, "
        f"{'training' if c.training else 'inference'}, "
        f"{'materialised' if c.materialised else 'fused'} attention"
    )


def _compare(costs: dict[str, Cost]) -> None:
    (first, a), (second, b) = costs.items()
    quantities: dict[str, tuple[float, float, Any]] = {
        "Tokens T": (a.tokens, b.tokens, words.si),
        "Parameters": (a.parameters.total, b.parameters.total, words.si),
        "MACs": (a.macs.total, b.macs.total, words.si),
        "of them QKᵀ and AV": (a.macs.quadratic, b.macs.quadratic, words.si),
        "Attention matrix, one head": (
            a.memory.attention_per_head,
            b.memory.attention_per_head,
            words.memory,
        ),
        "Attention matrices, one layer": (
            a.memory.attention_per_layer,
            b.memory.attention_per_layer,
            words.memory,
        ),
        "Activations": (a.memory.activations, b.memory.activations, words.memory),
        "Peak memory": (a.memory.peak, b.memory.peak, words.memory),
    }
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=charts.WIDTH):
            st.markdown(f"**{second} ÷ {first}**")
            charts.bars(
                [
                    {
                        "part": name,
                        "value": two / one,
                        "shown": words.times(two / one),
                        "kind": "ratio",
                    }
                    for name, (one, two, _) in quantities.items()
                ],
                colours={"ratio": charts.LINEAR},
                order=list(quantities),
                words=f"Every quantity of {second} over that of {first}",
            )
        with st.container(width=500):
            st.markdown(
                f"| | {first} | {second} | {second} ÷ {first} |\n|---|---|---|---|\n"
                + "\n".join(
                    f"| {name} | {shown(one)} | {shown(two)} | {words.times(two / one)} |"
                    for name, (one, two, shown) in quantities.items()
                )
            )
    downloads.table(lambda: _both(costs), "cost-side-by-side")


def _both(costs: dict[str, Cost]) -> list[dict[str, object]]:
    (first, a), (second, b) = costs.items()
    # Training has a row that inference has not.
    others = {row["quantity"]: row["value"] for row in csv_rows(b)}
    rows: list[dict[str, object]] = [
        {"quantity": row["quantity"], first: row["value"], second: others.pop(row["quantity"], ""),
         "unit": row["unit"]}
        for row in csv_rows(a)
    ]  # fmt: skip
    return rows + [{"quantity": q, first: "", second: v, "unit": ""} for q, v in others.items()]
