"""What a head does to a prediction: every head removed in turn."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.heads import averaged, decided, grid, names, reasons, removal, strangers
from attnlib.dashboard.heads.names import Head
from attnlib.dashboard.parts import address, downloads, views
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.tasks import Progress
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import CaptureError
from attnlib.heads.ablation import HeadEffects, head_effects
from attnlib.heads.control import DONORS, Control
from attnlib.heads.decision import Decision
from attnlib.pictures.colormaps import Scale

# Multiplications that take some seconds on one core; more is not started without being asked.
QUICK = 5e11


@address.fragment
def show(space: Workspace, prediction: Prediction) -> None:
    """One image with the means to remove heads, or the mean over many."""
    scope = views.choose(
        "heads_effect_scope",
        SCOPES,
        label="Effect on",
        collapsed=False,
        help="Remove heads from the chosen image's prediction, or average over many images.",
    )
    scope(space, prediction)


def _one(space: Workspace, prediction: Prediction) -> None:
    found = _effects(space, prediction)
    if found is None:
        return
    if isinstance(found, CaptureError):
        reasons.no_removal(space, found)
        return
    removed = removal.state(found)
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=380):
            _map(space, prediction, found, removed)
        with st.container(width=520):
            removal.show(space, prediction, found, removed)
    _turned(space, prediction, found)


def _effects(space: Workspace, prediction: Prediction) -> HeadEffects | CaptureError | None:
    choice, vit, decision = space.choice, space.vit, decided.of(prediction)
    sample = space.by_name[prediction.name]

    def work(progress: Progress) -> HeadEffects | CaptureError:
        try:
            return results.numbers(
                choice,
                sample,
                ("head effects", decision),
                lambda: head_effects(
                    vit,
                    results.subject(choice, vit, sample).pixels,
                    progress=progress,
                    decision=decision,
                ),
            )
        except CaptureError as error:
            return error

    passes = _passes(space)
    return tasks.run(
        "head effects",
        (choice, sample.sha256, decision),
        work,
        button=f"Remove every head in turn ({passes} predictions)",
        help="Predict this image again and again, each time without one head.",
        eager=_work(space) <= QUICK,
        shared=True,
    )


def _passes(space: Workspace) -> int:
    """How many heads there are."""
    support = space.vit.support
    return sum(support.shapes[i][1] for i in support.calls("layer"))


def _work(space: Workspace) -> float:
    """Multiplications of as many passes as there are heads."""
    weights = sum(parameter.numel() for parameter in space.vit.module.parameters())
    return float(_passes(space) * weights * space.vit.layout.tokens)


def _map(
    space: Workspace, prediction: Prediction, effects: HeadEffects, removed: list[Head]
) -> None:
    predicted, against = (
        literal(decided.name(space, decided.of(prediction), index))
        for index in (effects.predicted, effects.against)
    )
    rival = "true" if prediction.wrong else "runner-up"
    scale = Scale.shared(
        [effects.change],
        signed=True,
        label=f"change of the margin; negative: the head speaks for "
        f"“{decided.name(space, decided.of(prediction), effects.predicted)}”",
    )
    grid.show(
        effects.change,
        scale,
        key="head-effects",
        title="Change of the margin without each head",
        note=(
            f"Margin: logit of “{predicted}” (predicted) − logit of “{against}” ({rival}) = "
            f"{effects.margin:+.2f}. Click heads to remove them together."
        ),
        colormap=grid.SIGNED,
        marks=effects.repairs,
        selected=removed,
        on_pick=lambda head: removal.toggle(effects, head),
        unit="logits",
    )
    if effects.repairs:
        st.caption(f"○ Without this head the prediction is “{against}”.")


def _turned(space: Workspace, prediction: Prediction, effects: HeadEffects) -> None:
    """The heads whose removal changes the prediction, those that repair it first."""
    decision = decided.of(prediction)
    against = literal(decided.name(space, decision, effects.against))
    verb = "repairs the prediction" if prediction.wrong else f"turns it into “{against}”"
    title = "Heads whose removal repairs the prediction"
    st.subheader(title if prediction.wrong else "Heads that the prediction depends on")
    layers, heads = effects.change.shape
    found = None
    if prediction.wrong and effects.repairs:
        quick = (DONORS + 1) * _work(space) <= QUICK
        found = strangers.measured(space, prediction, effects, eager=quick)
    other = [
        (layer, head)
        for layer in range(layers)
        for head in range(heads)
        if effects.now[layer, head] not in (effects.predicted, effects.against)
    ]
    if effects.repairs:
        count = len(effects.repairs)
        st.markdown(f"Removing any one of {count} head{'s' * (count > 1)} {verb}:")
        if found is not None:
            st.markdown(strangers.sentence(found))
        elif prediction.wrong and not strangers.of(space, prediction):
            st.caption(strangers.NONE)
    else:
        layer, head = divmod(int(effects.change.argmin()), heads)
        change = float(effects.change[layer, head])
        text = f"No single head's removal {verb}."
        if change < 0:
            text += (
                f" {names.name(layer, head)} comes nearest: the margin falls from "
                f"{effects.margin:+.2f} to {effects.margin + change:+.2f}."
            )
        st.info(text)
    first = effects.repairs if found is None else found.ranked(effects)
    rows = [_facts(space, decision, effects, head, found) for head in [*first, *other]]
    if rows:
        height = 36 * (min(len(rows), 8) + 1)
        width = 620 if found is None else 800
        st.dataframe(rows, hide_index=True, width=width, height=height, alt=title)
    if other:
        st.caption(f"{len(other)} of these give a class that is neither of the two.")
    every = [(layer, head) for layer in range(layers) for head in range(heads)]
    downloads.table(
        lambda: [_facts(space, decision, effects, head, found) for head in every],
        "head-effects-list",
        "All heads (CSV)",
    )


def _facts(
    space: Workspace,
    decision: Decision,
    effects: HeadEffects,
    head: Head,
    found: Control | None = None,
) -> dict[str, object]:
    change = float(effects.change[head])
    facts: dict[str, object] = {
        "head": names.name(*head),
        "change of margin": round(change, 4),
        "margin without it": round(effects.margin + change, 4),
        "prediction without it": decided.name(space, decision, int(effects.now[head])),
    }
    if found is not None:
        facts["random heads that repair"] = f"{found.share[head]:.0%}"
        facts["excess"] = f"{found.excess(effects)[head]:+.0%}"
    return facts


SCOPES: dict[str, Callable[[Workspace, Prediction], None]] = {
    "This image": _one,
    "All wrong images": lambda space, _: averaged.show(space, "wrong"),
    "All right images": lambda space, _: averaged.show(space, "right"),
}
