"""What would make it cheaper: every alternative before and after, with its price in accuracy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import altair as alt
import streamlit as st

from attnlib.complexity import ArchitectureError, Cost
from attnlib.complexity.alternatives import alternatives
from attnlib.complexity.savings import Alternative, Options
from attnlib.dashboard.cost import speed, timing, words
from attnlib.dashboard.cost.configuration import Resolved
from attnlib.dashboard.cost.speed import Speeds
from attnlib.dashboard.parts import charts, controls, downloads
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace

# The parameter of each alternative: its label, and what it is.
LABELS: dict[str, tuple[str, str]] = {
    "window": ("Window w", "Side of a window, in patches."),
    "stride": ("Stride s", "In tokens: so many neighbours, and every s-th token besides."),
    "random_keys": ("Random keys r", "Keys that each query sees."),
    "density": ("Density ρ", "Share of the pairs that is computed."),
    "rank": ("Rank k", "Length that keys and values are projected to."),
    "latents": ("Latents m", "Queries that read all tokens."),
    "merged": ("Merged r", "Tokens merged in every block."),
    "kept": ("Kept ρ", "Share of the patches that stays at each of three stages."),
    "patch_factor": ("Factor f", "How many times larger the side of a patch becomes."),
}
BEFORE, AFTER = "before", "after"
CARD = 316


def show(space: Workspace, chosen: Resolved) -> None:
    """All of them in one chart and one table, then a card for each with its formula."""
    assert chosen.cost is not None
    now = chosen.cost
    chart = st.container()
    options, problem = _options()
    if problem:
        st.warning(problem)
    ways = alternatives(now.architecture, now.batch, now.dtype, options)
    found = _speeds(space, now, options)
    with chart:
        _overview(ways)
        downloads.table(lambda: [_row(way) for way in ways], "cost-alternatives")
    _table(ways, found, str(space.vit.device))
    with st.container(horizontal=True, gap="small"):
        for way in ways:
            with st.container(border=True, width=CARD, gap="small"):
                _card(way, found)


def _options() -> tuple[Options, str]:
    """The parameters as the address bar and the controls have them."""
    plain = Options()
    chosen: dict[str, Any] = {}
    with st.container(horizontal=True):
        for field, (label, help) in LABELS.items():
            default = getattr(plain, field)
            share = isinstance(default, float)
            chosen[field] = controls.number(
                f"cost_{field}",
                label,
                default,
                0.01 if share else 1,
                1.0 if share else 65_536,
                0.05 if share else 1,
                width=150,
                help=help,
            )
    try:
        return Options(**chosen), ""
    except ArchitectureError as error:
        return plain, literal(str(error))


def _speeds(space: Workspace, now: Cost, options: Options) -> Speeds | None:
    """What could be timed on this device, if somebody asked for it."""
    device, limits = str(space.vit.device), timing.limits()
    return tasks.run(
        "cost_forms",
        (now, device, options.window, options.rank, options.patch_factor),
        lambda progress: speed.measure(now, device, limits, options, progress),
        button=f"Time the alternatives on {device}",
        help="Runs one layer's attention in five forms, three kinds of training step, and passes "
        "with two sizes of patch, on random numbers.",
    )


def _table(ways: Sequence[Alternative], found: Speeds | None, device: str) -> None:
    """On paper and in time: MACs, memory, and the speed that was measured here."""
    listed = [speed.row(way, found) for way in ways]
    st.dataframe(
        listed,
        hide_index=True,
        width=900,
        height=35 * (len(listed) + 1) + 2,
        alt="Savings and speed of every alternative",
    )
    st.caption(
        f"MACs and memory: after ÷ before, by formula. Speed here: how many times as fast it is, "
        f"timed on **{device}**; below × 1 it is slower. Fewer MACs are not always less time: a "
        "small model is held up by other things."
    )
    for reason in () if found is None else found.refused:
        st.caption(f":material/block: Not timed: {literal(reason)}")
    if found is not None:
        downloads.table(
            [{"alternative": name, **dataclasses.asdict(t)} for name, t in found.timed.items()],
            "alternatives-timed",
            "Times (CSV)",
        )


def _overview(ways: Sequence[Alternative]) -> None:
    """MACs and memory after each, over before: two panels that share their rows."""
    rows = [
        {
            "way": way.title,
            "ratio": ratio,
            "shown": words.times(ratio),
            "of": of,
            "kind": "same output" if way.exact else "another function",
            "memory": way.memory_of,
        }
        for way in ways
        for of, ratio in (("MACs", way.macs_ratio), ("memory", way.memory_ratio))
    ]
    most = max(row["ratio"] for row in rows)
    with st.container(horizontal=True, gap="medium"):
        for of in ("MACs", "memory"):
            with st.container(width=charts.WIDTH):
                st.markdown(f"**{of} after ÷ before**".replace("memory", "Memory"))
                _ratios([row for row in rows if row["of"] == of], float(most), of)
    st.caption(
        "The line is 1: no change. Which memory is compared is said on each card: it is not the "
        "same for all. Green keeps the model's output."
    )


def _ratios(rows: list[dict[str, Any]], most: float, of: str) -> None:
    charts.draw(
        _ratio_bars,
        rows,
        words=f"{of} of every alternative over that of the present model",
        width=charts.WIDTH,
        height=24 * len(rows) + 40,
        more={"one": [{"ratio": 1}]},
        numbers={"high": 1.3 * max(1.0, most)},
        tip=("way", "shown", *(["memory"] if of == "memory" else [])),
    )


def _ratio_bars(tip: tuple[str, ...]) -> alt.LayerChart:
    x = alt.X("ratio:Q", axis=None, scale=charts.upto("high"))
    base = charts.rows().encode(
        x, charts.names("way", 190, ticks=False, domain=False), tooltip=charts.tips(*tip)
    )
    kinds = {"same output": charts.OTHER, "another function": charts.LINEAR}
    legend = alt.Legend(orient="bottom", title=None, columns=1)
    return charts.over(
        base.mark_bar(cornerRadiusEnd=3, height=alt.RelativeBandSize(band=0.7)).encode(
            color=charts.colour("kind", kinds, legend)
        ),
        base.mark_text(align="left", dx=4, color=charts.MUTED).encode(text="shown:N"),
        charts.rule(charts.rows("one").encode(x)),
        numbers=("high",),
    )


def _card(way: Alternative, found: Speeds | None) -> None:
    settings = ", ".join(
        f"{LABELS.get(name, (name,))[0]} = {value:g}" for name, value in way.parameters.items()
    )
    st.markdown(f"**{way.title}**" + (f" · {settings}" if settings else ""))
    st.latex(way.formula)
    st.markdown(
        f"MACs: {words.si(way.macs_before)} → {words.si(way.macs_after)} "
        f"(**{words.times(way.macs_ratio)}**)  \n"
        f"Memory: {words.memory(way.memory_before)} → {words.memory(way.memory_after)} "
        f"(**{words.times(way.memory_ratio)}**)"
    )
    timed = None if found is None else found.timed.get(way.name)
    if timed is not None:
        st.markdown(
            f":orange[:material/timer:] {timed.of} here: {words.duration(timed.before)} before, "
            f"{words.duration(timed.after)} so ({words.times(timed.faster)} as fast)"
        )
    st.caption(
        f"Memory: {way.memory_of}. {way.assumption}  \n**Accuracy:** {way.accuracy}  \n"
        f"*{way.source}*"
    )


def _row(way: Alternative) -> dict[str, object]:
    settings = "; ".join(f"{name}={value:g}" for name, value in way.parameters.items())
    return {
        **{k: v for k, v in dataclasses.asdict(way).items() if k != "parameters"},
        "parameters": settings,
        "macs_ratio": way.macs_ratio,
        "memory_ratio": way.memory_ratio,
    }
