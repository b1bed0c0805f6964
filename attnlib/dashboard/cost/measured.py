"""The configuration run on the present device, beside what the formulas say."""

from __future__ import annotations

import streamlit as st

from attnlib.complexity import Cost
from attnlib.complexity.measure import Measurement
from attnlib.dashboard.cost import timing, words
from attnlib.dashboard.cost.configuration import Resolved
from attnlib.dashboard.parts import charts, downloads
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace

FORMULA, MEASURED = "formula", "measured"
# Below this a process on the CPU finds room in what it has already.
LEAST_GROWTH = 32 * 2**20


def show(space: Workspace, found: Resolved) -> None:
    """A button, then latency, throughput, memory and the share of the device's rate."""
    assert found.cost is not None
    now, device, limits = found.cost, str(space.vit.device), timing.limits()
    st.caption(
        f"Runs passes over random images with random weights on **{device}** for about "
        f"{limits.seconds:g} s. Passes wait in one queue with those of all other visitors."
    )
    made = tasks.run(
        "cost_measure",
        (now, device),
        lambda progress: timing.one(now, device, limits, progress),
        button=f"Measure on {device}",
        help="Builds this configuration with random weights and times its passes.",
    )
    if made is not None:
        timing.keep([made])
    stored = [m for m in timing.kept() if (m.cost, m.device) == (now, device)]
    if stored:
        _result(stored[-1])
        if made is not None:
            st.button(
                "Measure again",
                key="cost_measure_again",
                on_click=_forget,
                help="Times the same configuration anew.",
            )
    _history()


def _forget() -> None:
    st.session_state.get("tasks", {}).pop("cost_measure", None)


def _result(m: Measurement) -> None:
    with st.container(horizontal=True, gap="medium"):
        for label, value, help in (
            ("Latency", words.duration(m.latency), "Of one pass over the batch, the median."),
            ("Throughput", f"{words.si(m.throughput)} images/s", "Batch over latency."),
            ("Rate reached", words.si(m.rate, "FLOP/s"), "FLOPs by the formula over latency."),
            (
                "Share of the device's rate",
                f"{m.utilisation:.0%}",
                f"Against {words.si(m.peak_rate, 'FLOP/s')} of one large matrix product here.",
            ),
        ):
            st.metric(label, value, help=help, width="content")
    bound = m.rate * m.latency / m.peak_rate
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=charts.WIDTH):
            st.markdown("**Time of one pass**")
            _pair(
                ("FLOPs ÷ device's rate", bound, words.duration(bound)),
                ("measured, median", m.latency, words.duration(m.latency)),
                "Time by formula and as measured",
            )
            st.caption(
                f"{m.repeats} passes, {words.duration(m.fastest)} to {words.duration(m.slowest)}. "
                "The formula is a lower bound; waiting for other visitors is in the slow ones."
            )
        with st.container(width=charts.WIDTH):
            expected, name = expected_memory(m)
            st.markdown("**Peak memory**")
            seen = seen_memory(m)
            if seen is None:
                st.caption(_unseen(m, expected))
            else:
                _pair(
                    (name, expected, words.memory(expected)),
                    ("measured", seen, words.memory(seen)),
                    "Memory by formula and as measured",
                )
                st.caption(f"Measured: {literal(m.memory_note)}.")


def expected_memory(m: Measurement) -> tuple[int, str]:
    """What the formulas say of the same bytes that were measured."""
    memory = m.cost.memory
    if m.device == "cpu":
        # The weights were there before; a backward pass adds their gradients.
        return memory.peak - memory.weights - memory.optimiser, "peak without weights"
    return memory.peak - memory.optimiser, "peak"


def seen_memory(m: Measurement) -> int | None:
    """The measured bytes, None where they say nothing."""
    small = m.device == "cpu" and expected_memory(m)[0] < LEAST_GROWTH
    return None if small else m.peak_memory


def _unseen(m: Measurement, expected: int) -> str:
    if m.peak_memory is None:
        return literal(m.memory_note.capitalize()) + "."
    return (
        f"{words.memory(expected)} by the formula. So little is not seen in the memory of a "
        "process, which reuses what earlier work has left; a larger batch shows."
    )


def _pair(formula: tuple[str, float, str], measured: tuple[str, float, str], shows: str) -> None:
    rows = [
        {"part": part, "value": value, "shown": shown, "kind": kind}
        for kind, (part, value, shown) in ((FORMULA, formula), (MEASURED, measured))
    ]
    charts.bars(
        rows,
        colours={FORMULA: charts.LINEAR, MEASURED: "#e69f00"},
        order=[formula[0], measured[0]],
        words=shows,
    )


def _history() -> None:
    rows = [row(m) for m in reversed(timing.kept())]
    if not rows:
        return
    with st.expander(f"Measured in this session ({len(rows)})", icon=":material/history:"):
        st.dataframe(rows, hide_index=True)
        downloads.table(rows, "cost-measured")


def row(m: Measurement) -> dict[str, object]:
    """A measurement as a line of the table; exact numbers."""
    c: Cost = m.cost
    a = c.architecture
    return {
        "model": a.name or "not a name of timm",
        "image": f"{a.image[0]} × {a.image[1]}",
        "patch": f"{a.patch[0]} × {a.patch[1]}",
        "D": a.dim,
        "L": a.depth,
        "H": a.heads,
        "batch": c.batch,
        "dtype": c.dtype,
        "pass": "training" if c.training else "inference",
        "attention": "materialised" if c.materialised else "fused",
        "device": m.device,
        "latency (s)": m.latency,
        "images per second": m.throughput,
        "peak memory (B)": m.peak_memory,
        "memory by formula (B)": expected_memory(m)[0],
        "FLOP/s": m.rate,
        "FLOP/s of a matrix product": m.peak_rate,
        "passes": m.repeats,
    }
