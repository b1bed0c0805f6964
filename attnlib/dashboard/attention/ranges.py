"""Early, middle and late layers: what they do as a rule, and what these do on this image."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.attention.measured import statistics
from attnlib.dashboard.parts import downloads
from attnlib.dashboard.parts.look import Look
from attnlib.dashboard.state import results, tasks
from attnlib.errors import CaptureError
from attnlib.heads.ranges import LayerRange, head_patterns, layer_ranges

# What the literature says of each range: (where it looks, its pattern, what for).
RULES = {
    "early": (
        "near patches in some heads, everywhere in others",
        "local, diagonal",
        "edges, colours and texture of each patch",
    ),
    "middle": (
        "wider with every layer",
        "local and global side by side",
        "parts: patches that belong together exchange what they hold",
    ),
    "late": (
        "the whole image, or a few tokens",
        "global, broadcast",
        "whole objects: what was found is gathered for the prediction",
    ),
}
SOURCES = (
    "The rules: Dosovitskiy et al., ICLR 2021, fig. 7 (distance by layer); Raghu et al., NeurIPS "
    "2021 (local and global heads); Ghiasi et al., arXiv 2212.06727, 2022 (textures, then parts, "
    "then objects). Patterns: *broadcast*, half of all attention goes to one token; *diagonal*, "
    "half of it to one fixed step away, or to the patch itself; *local*, at most half as far as "
    "looking everywhere alike; else *global*."
)
# How many weights are looked at without being asked for.
AT_ONCE = 2**24
WIDTH = 290
# A smaller change of the distance is none.
HARDLY = 0.05


def show(look: Look) -> None:
    """The ranges side by side, whether this model follows the rule, and the sources."""
    space = look.space
    choice, vit, sample = space.choice, space.vit, space.by_name[look.name]
    st.markdown("**Early, middle and late layers**, as a rule and measured on this image")

    def work(progress: tasks.Progress) -> list[list[str]] | CaptureError:
        try:
            return head_patterns(results.subject(choice, vit, sample), progress)
        except CaptureError as error:
            return error

    patterns = tasks.run(
        "attention_patterns",
        (choice, sample.sha256),
        work,
        button="Name the pattern of every head",
        help="Looks at the whole matrix of every head, layer by layer.",
        eager=look.layers * look.heads * vit.layout.tokens**2 <= AT_ONCE,
        shared=True,
    )
    if isinstance(patterns, CaptureError):
        st.info(str(patterns))
    if patterns is None or isinstance(patterns, CaptureError):
        return
    found = layer_ranges(statistics(look), patterns, vit.layout)
    with st.container(horizontal=True, gap="small"):
        for one in found:
            with st.container(width=WIDTH, border=True):
                st.markdown(column(one))
    st.markdown(sentence(found))
    st.caption(SOURCES)
    downloads.table(rows(found), "layer-ranges")


def rows(found: list[LayerRange]) -> list[dict[str, object]]:
    """One row per range: the rule, then the numbers."""
    return [
        {
            "layers": f"{one.name}, {_numbers(one)}",
            "as a rule it looks at": RULES[one.name][0],
            "typical pattern": RULES[one.name][1],
            "function": RULES[one.name][2],
            "distance (px)": round(one.distance, 3),
            "distance ÷ uniform": round(one.relative, 4),
            "entropy (× log N)": round(one.entropy, 4),
            "patterns": _patterns(one),
        }
        for one in found
    ]


def column(one: LayerRange) -> str:
    """One range in Markdown: the rule, then what was measured."""
    looks, typical, function = RULES[one.name]
    return "\n\n".join(
        (
            f"**{one.name.capitalize()}**, {_numbers(one)}",
            f"*As a rule* they look at {looks}. Typical pattern: {typical}. Function: {function}.",
            f"*Here* the distance is **{one.distance:.1f} px**, {one.relative:.0%} of looking "
            f"everywhere alike; the entropy **{one.entropy:.2f}** (0 is one patch, 1 all alike). "
            f"Pattern of the heads: **{_patterns(one)}**.",
        )
    )


def sentence(found: list[LayerRange]) -> str:
    """Whether the distance grows from early to late, as it does as a rule."""
    if len(found) < 2:
        return "One layer alone has no early and late."
    first, last = found[0], found[-1]
    change = last.distance / first.distance - 1 if first.distance else 0.0
    span = f"from {first.distance:.1f} px early to {last.distance:.1f} px late ({change:+.0%})"
    if change > HARDLY:
        return f"On this image the model follows the rule: its heads look farther, {span}."
    if change < -HARDLY:
        return f"On this image the model does the opposite: its heads look less far, {span}."
    return f"On this image the distance hardly changes, {span}: the rule does not show."


def _numbers(one: LayerRange) -> str:
    first, last = one.layers[0], one.layers[-1]
    return f"layer {first}" if first == last else f"layers {first}–{last}"


def _patterns(one: LayerRange) -> str:
    total = sum(one.patterns.values())
    return ", ".join(f"{name} {count} of {total}" for name, count in one.patterns.items())
