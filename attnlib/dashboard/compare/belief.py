"""Which method to believe on this image, in one sentence, with the numbers behind it."""

from __future__ import annotations

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.compare.compute import Compared
from attnlib.dashboard.compare.faithfulness import REPLACEMENT
from attnlib.dashboard.compare.settings import light
from attnlib.dashboard.parts import address, downloads
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.evaluation.belief import LEVEL, Belief, Tried, believe
from attnlib.methods import METHODS
from attnlib.methods.perturbation import Replacement

QUESTION = "Which method to believe on this image"
REPLACED: dict[Replacement, str] = {
    "blur": "blurred",
    "mean": "painted in the image's mean colour",
    "zero": "set to zero",
}


def show(space: Workspace, prediction: Prediction, compared: Compared) -> None:
    """The sentence, once every map is there that is computed without being asked for."""
    heats = [heat for name, heat in compared.heats.items() if not METHODS[name].baseline]
    beside = [heat for name, heat in compared.heats.items() if name == "centre"]
    if not heats or space.vit.layout.patches < 2:
        return
    sample, target = space.by_name[prediction.name], compared.target
    choice, vit = space.choice, space.vit
    wanted: Replacement = address.recall(REPLACEMENT, "blur")
    options = tuple((heat.method, tuple(sorted(heat.options.items()))) for heat in heats)
    found = tasks.run(
        "compare_belief",
        (choice, sample.sha256, target, wanted, options),
        lambda progress: believe(
            vit,
            results.subject(choice, vit, sample).pixels,
            heats,
            target,
            beside=beside,
            replacement=wanted,
            progress=progress,
        ),
        button=QUESTION,
        help="Some hundred forward passes: every map against the same maps at random places.",
        eager=light(vit) and not compared.waiting,
        shared=True,
    )
    if found is None:
        return
    name, quantity = literal(space.class_name(target)), vit.outputs.quantity
    say = st.success if found.best is not None else st.info
    say(sentence(found), icon=":material/fact_check:")
    with st.expander("How that was decided", icon=":material/rule:"):
        st.caption(
            f"The {quantity} of “{name}” while patches are {REPLACED[wanted]} (deletion) or put "
            "back (insertion), strongest first. The gap is the area under insertion minus that "
            "under deletion: a map that finds the evidence has a large one. A map of nothing has "
            "some gap too, by its shape; so each is compared with "
            f"{len(found.moved)} of these maps moved to random places in the image (gap "
            f"{found.moved.mean():.3f} ± {found.moved.std(ddof=1):.3f}). p is the chance that a "
            "moved map does as well. The more methods are tried, the smaller it must be: Holm's "
            f"correction keeps the chance of believing any map of nothing at {LEVEL:.0%}."
            + _middle(found)
        )
        rows = table(found)
        st.dataframe(rows, hide_index=True, width=760)
        downloads.table(rows, f"{stem_of(prediction.name)}-{wanted}-belief")


def sentence(found: Belief) -> str:
    """The answer, in Markdown: a method's name, or that none is better than random."""
    count = len(found.tried)
    tried = "the only method tried" if count == 1 else f"{count} methods tried"
    best = found.best
    if best is None:
        top = min(found.tried, key=lambda entry: entry.p)
        return (
            f"**Believe none of them on this image**: of {tried}, none is better than random "
            f"here. {_named(top)} comes nearest: {_chance(top, count)}."
        )
    others = [_named(entry) for entry in found.tried if entry.believed and entry is not best]
    also = f" Better than random too: {', '.join(others)}." if others else ""
    own = METHODS[best.method].options.get("replacement")
    ruler = (
        f" It replaces patches by {found.replacement} itself, so here it is measured with its own "
        "ruler."
        if own is not None and own.default == found.replacement
        else ""
    )
    return (
        f"**Believe {_named(best)} on this image**: of {tried}, it finds best what the answer "
        f"rests on: {_chance(best, count)}.{also}{ruler}"
    )


def table(found: Belief) -> list[dict[str, object]]:
    """One row per method, the largest gap first, then the middle of the picture and moved maps."""
    rows: list[dict[str, object]] = [
        {
            "method": METHODS[entry.method].title,
            "deletion area": round(entry.deletion, 4),
            "insertion area": round(entry.insertion, 4),
            "gap": round(entry.gap, 4),
            "p": float(f"{entry.p:.3g}"),
            "p needed": float(f"{entry.level:.3g}"),
            "believed": entry.believed,
        }
        for entry in found.tried
    ]
    beside = [
        {
            **dict.fromkeys(rows[0]),
            "method": METHODS[entry.method].title,
            "deletion area": round(entry.deletion, 4),
            "insertion area": round(entry.insertion, 4),
            "gap": round(entry.gap, 4),
            "p": float(f"{entry.p:.3g}"),
        }
        for entry in found.beside
    ]
    moved = {
        "method": f"Moved maps, mean of {len(found.moved)}",
        "gap": found.moved.mean().round(4),
    }
    return [*rows, *beside, {**dict.fromkeys(rows[0]), **moved}]


def _middle(found: Belief) -> str:
    """How the middle of the picture does, which a map has to beat too."""
    if not found.beside:
        return ""
    centre, top = found.beside[0], max(found.tried, key=lambda entry: entry.gap)
    words = "less than" if centre.gap < top.gap else "as much as"
    return (
        f" The middle of the picture, whatever is in it, has a gap of {centre.gap:.3f}: {words} "
        "the best of them."
    )


def _named(entry: Tried) -> str:
    return METHODS[entry.method].title


def _chance(entry: Tried, count: int) -> str:
    share = f"{entry.p:.2%}" if entry.p >= 1e-4 else "less than 0.01%"
    tries = "" if count == 1 else f" with {count} tries"
    return (
        f"the same maps moved to random places do as well in {share} of cases, and{tries} at most "
        f"{entry.level:.2%} counts as better than luck"
    )
