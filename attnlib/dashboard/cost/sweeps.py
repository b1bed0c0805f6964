"""How the cost grows: log–log over resolution, patch, batch or dimension."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import streamlit as st

from attnlib.complexity import ArchitectureError, Cost, sweep
from attnlib.complexity.architecture import Size
from attnlib.complexity.cost import Over
from attnlib.complexity.measure import Measurement
from attnlib.dashboard.cost import timing, words
from attnlib.dashboard.cost.configuration import Resolved
from attnlib.dashboard.cost.measured import seen_memory
from attnlib.dashboard.cost.sweep_chart import draw
from attnlib.dashboard.parts import controls, downloads
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace

AXES: dict[str, Over] = {
    "Resolution": "image",
    "Patch": "patch",
    "Batch": "batch",
    "Dimension": "dimension",
}
Line = tuple[str, Callable[[Cost], float]]
MACS: tuple[Line, ...] = (
    ("all", lambda c: c.macs.total),
    ("linear in T", lambda c: c.macs.linear),
    ("quadratic in T", lambda c: c.macs.quadratic),
)
MEMORY: tuple[Line, ...] = (
    ("peak", lambda c: c.memory.peak),
    ("weights", lambda c: c.memory.weights),
    ("activations", lambda c: c.memory.activations),
    ("attention matrices, one layer", lambda c: c.memory.attention_per_layer),
)
# Half octaves, from a quarter to sixteen times the present value.
STEPS = range(-4, 9)


def show(space: Workspace, found: Resolved) -> None:
    """One chart; the present choice is marked, and what was measured stands as points."""
    assert found.cost is not None
    now = found.cost
    with st.container(horizontal=True, vertical_alignment="bottom"):
        axis = controls.segments(
            "cost_over",
            "Over",
            list(AXES),
            help="The one quantity that changes; all else stays as chosen above.",
        )
        shown = controls.segments(
            "cost_shown",
            "Shown",
            ["Operations", "Memory", "Time"],
            help="Multiply-accumulates, bytes, or seconds of a pass on this device.",
        )
    over = AXES[axis]
    costs, left_out = curve(now, over)
    device = str(space.vit.device)
    points = _measure(now, over, costs, device)
    if shown == "Time" and not points:
        st.info("Time has no formula without a device: measure some points first.")
        return
    lines = _lines(shown, points)
    rows = [
        {"x": place(c, over), "y": value, "line": name}
        for c in costs
        for name, make in lines
        if (value := make(c)) > 0
    ]
    dots = [
        {"x": place(m.cost, over), "y": seen}
        for m in points
        if (seen := _measured(m, shown)) is not None
    ]
    draw(rows, dots, [name for name, _ in lines], place(now, over), over, shown)
    _caption(now, over, left_out, points, shown)
    downloads.table([*rows, *({**dot, "line": "measured"} for dot in dots)], "cost-sweep")


def _lines(shown: str, points: list[Measurement]) -> tuple[Line, ...]:
    """What is drawn by formula."""
    if shown != "Time":
        return {"Operations": MACS, "Memory": MEMORY}[shown]
    rate = points[-1].peak_rate
    return (("FLOPs ÷ the device's rate", lambda c: flops(c) / rate),)


def curve(now: Cost, over: Over) -> tuple[list[Cost], int]:
    """Costs along a sweep in ascending order, the present one among them; how many are left out."""
    costs, left_out = [now], 0
    for value in values(now, over):
        try:
            [one] = sweep(
                now.architecture, over, [value], now.batch, now.dtype, now.training,
                now.materialised,
            )  # fmt: skip
        except ArchitectureError:
            left_out += 1
            continue
        if place(one, over) != place(now, over):
            costs.append(one)
    return sorted(costs, key=lambda c: place(c, over)), left_out


def values(now: Cost, over: Over) -> Sequence[int | Size]:
    """Values around the present one that make sense: whole patches, whole heads."""
    a = now.architecture
    steps = [2 ** (k / 2) for k in STEPS]
    if over == "batch":
        return [2**k for k in range(11)]
    if over == "dimension":
        return sorted({max(1, round(a.dim * f / a.heads)) * a.heads for f in steps})
    rows, cols = a.grid
    if over == "image":
        grids = {(max(1, round(rows * f)), max(1, round(cols * f))) for f in steps}
        return [(r * a.patch[0], c * a.patch[1]) for r, c in sorted(grids)]
    if a.patch[0] != a.patch[1]:
        sizes = {(round(a.patch[0] * f) or 1, round(a.patch[1] * f) or 1) for f in steps[::2]}
        return sorted(size for size in sizes if size[0] <= a.image[0] and size[1] <= a.image[1])
    # Patches that fit a whole number of times into the height; others cut pixels off.
    side = min(a.image)
    whole = [p for p in range(1, side + 1) if a.image[0] % p == 0 and a.image[1] % p == 0]
    return whole if len(whole) <= 16 else whole[:: -(-len(whole) // 16)]


def place(c: Cost, over: Over) -> int:
    """Where a cost stands on the axis."""
    a = c.architecture
    return {"image": a.image[0], "patch": a.patch[0], "batch": c.batch, "dimension": a.dim}[over]


def flops(c: Cost) -> int:
    """Of the whole pass, forward and backward in training."""
    return 2 * (c.training_macs if c.training else c.macs.total)


def _measured(m: Measurement, shown: str) -> float | None:
    return {"Time": m.latency, "Memory": seen_memory(m)}.get(shown)


def _measure(now: Cost, over: Over, costs: list[Cost], device: str) -> list[Measurement]:
    """Points of this sweep that were measured, and the means to measure some."""
    limits = timing.limits()
    with st.container(horizontal=True, vertical_alignment="center"):
        made = tasks.run(
            "cost_sweep",
            (now, over, device),
            lambda progress: timing.several(costs, device, limits, progress),
            button=f"Measure points on {device}",
            help="Runs the points of this curve with random weights, a fraction of a second each; "
            "those that would take too long or too much memory are left out.",
        )
    if made is not None:
        timing.keep(made)
        missing = len(costs) - len(made)
        if missing:
            st.caption(f"{missing} of {len(costs)} points would take too long or too much memory.")
    return [m for m in timing.kept() if m.device == device and _on(m.cost, now, over)]


def _on(one: Cost, now: Cost, over: Over) -> bool:
    """Whether a cost differs from another in nothing but what is swept."""
    if one == now:
        return True
    same = (one.dtype, one.training, one.materialised) == (
        now.dtype, now.training, now.materialised
    )  # fmt: skip
    if over == "batch":
        return same and one.architecture == now.architecture
    if not same or one.batch != now.batch:
        return False
    a, b = one.architecture, now.architecture
    if over == "image":
        return a == b.with_image(a.image)
    if over == "patch":
        return dataclasses.replace(a, patch=b.patch, name="") == dataclasses.replace(b, name="")
    try:
        return a == sweep(b, over, [a.dim])[0].architecture
    except ArchitectureError:
        return False


def _caption(now: Cost, over: Over, left_out: int, points: list[Measurement], shown: str) -> None:
    parts = ["Both axes are logarithmic: a straight line is a power, its slope the exponent."]
    if left_out:
        parts.append(f"{left_out} values are left out: impossible, or more than 1 TiB.")
    if over == "image" and shown == "Operations":
        parts.append(
            f"The lines of both parts cross at {now.crossover.image[0]:,.0f} pixels of height."
        )
    if over == "dimension":
        parts.append("The number of heads and the ratio of the MLP stay.")
    if shown == "Memory" and not now.materialised:
        parts.append("Fused attention never forms the attention matrices: not part of the peak.")
    if shown == "Memory" and any(seen_memory(m) is not None for m in points):
        parts.append(f"Measured: {literal(points[-1].memory_note)}.")
    if shown == "Time" and points:
        parts.append(
            f"The line is FLOPs ÷ {words.si(points[-1].peak_rate, 'FLOP/s')}, which this device "
            "reached on one large matrix product: a lower bound."
        )
    st.caption(" ".join(parts))
