"""Heads that do no work of their own, layer by layer: alike, one-hot, uniform, sink."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.finder import Finder
from attnlib.diagnosis.finding import Certainty, Evidence, Finding
from attnlib.errors import AttnlibError, CaptureError
from attnlib.heads.ablation import without_heads
from attnlib.heads.states import STATES, Habit, State, habit, median, noise, states
from attnlib.methods.base import Progress

# A state is one of the model: a few images show it, spread over the set.
IMAGES, NOISES = 12, 4
SOURCE = (
    "set between healthy heads of the demo model and heads made so; it must be reached on the "
    "median of the images and of pictures of noise"
)


@dataclass(frozen=True)
class _Words:
    """What a state is, what its number means (with a place for it), and what helps."""

    what: str
    number: str
    remedy: str


WORDS: dict[State, _Words] = {
    "alike": _Words(
        "look at the same places as another head of their layer",
        "their weights correlate with {:.3f} (1 is the same everywhere)",
        "The layer has fewer heads than it pays for: remove them and see whether anything changes. "
        "If the weights were converted, check that heads were not copied over each other. When "
        "training anew: fewer heads, or another seed.",
    ),
    "one-hot": _Words(
        "give nearly all their attention to a single token for each query (a saturated softmax)",
        "{:.0%} of it on average",
        "Check the scale: queries, keys or a temperature that were multiplied twice look so. When "
        "training: normalise queries and keys (ViT-22B, Dehghani et al. 2023) or lower the "
        "learning rate, since a saturated softmax passes no gradient.",
    ),
    "uniform": _Words(
        "look everywhere alike, whatever is in the image and whoever asks",
        "their attention spreads over {:.1%} of all tokens",
        "First check that trained weights were loaded: random ones look so, and so do queries or "
        "keys that were not found in a checkpoint. Otherwise the heads can be removed: an average "
        "needs no queries and keys.",
    ),
    "sink": _Words(
        "give their attention to one and the same token, whichever token asks",
        "at least {:.0%} of it from nine of ten tokens",
        "Look at the token's norm (outlier tokens) and at the weights of its position. Where it is "
        "a patch without content, register tokens give the model another place for it (Darcet et "
        "al., ICLR 2024).",
    ),
}


def find(examined: Examined, progress: Progress) -> list[Finding]:
    """One finding for each layer and state, the layers from the bottom."""
    vit, total = examined.vit, _images(examined) + NOISES
    spread = np.linspace(0, len(examined.images) - 1, _images(examined)).round().astype(int)
    pictures = [examined.images[place] for place in spread] + noise(vit.size, NOISES)
    habits: list[Habit] = []
    for done, picture in enumerate(pictures):
        progress(done, total + 1)
        habits.append(habit(vit.subject(picture)))
    real, noises = habits[:-NOISES], habits[-NOISES:]
    found = states(median(real), median(noises))
    places = [
        (layer, state)
        for layer in range(len(found["alike"]))
        for state in STATES
        if found[state][layer].any()
    ]
    findings = []
    for layer, state in places:
        progress(total, total + 1)
        heads = np.flatnonzero(found[state][layer])
        findings.append(_finding(examined, spread, real, layer, state, heads))
    progress(total + 1, total + 1)
    return findings


def _finding(
    examined: Examined,
    images: NDArray[np.intp],
    habits: list[Habit],
    layer: int,
    state: State,
    heads: NDArray[np.intp],
) -> Finding:
    """What one state of one layer's heads comes to."""
    words, typical = WORDS[state], median(habits)
    each = np.array([one.value(state)[layer, heads].min() for one in habits])
    value = float(typical.value(state)[layer, heads].min())
    every, count = typical.peak.shape[1], len(heads)
    over = f"{len(images)} images" if len(images) > 1 else "1 image"
    return Finding(
        kind="heads",
        scope="model",
        sentence=(
            f"{_listed(heads, every)} of layer {layer} (counted from 0) "
            f"{_verb(words.what, count)}: "
            f"{words.number.format(value)} (median over {over}, all queries)."
        ),
        value=value,
        threshold=float(typical.threshold(state)[layer, heads].min()),
        threshold_source=SOURCE,
        evidence=(
            Evidence(
                f"The same holds on {NOISES} pictures of noise, so it is the model and not what "
                "is in the images.",
                examined.named(images[np.argsort(-each, kind="stable")].tolist()),
            ),
        ),
        evidence_against=_removal(examined, images, layer, heads),
        certainty=Certainty(
            interval=(float(np.quantile(each, 0.025)), float(np.quantile(each, 0.975))),
            tried=typical.peak.size * len(STATES),
        ),
        next_steps=words.remedy,
        layer=layer,
        heads=tuple(heads.tolist()),
        detail={"state": state},
    )


def _removal(
    examined: Examined, images: NDArray[np.intp], layer: int, heads: NDArray[np.intp]
) -> tuple[Evidence, ...]:
    """Whether it matters to the predictions: the same without these heads."""
    vit, changed = examined.vit, []
    try:
        for place in images:
            pixels = vit.pixels(examined.images[place])
            logits = without_heads(vit, pixels, [(layer, int(head)) for head in heads])
            probabilities = vit.outputs.probabilities(logits.cpu().to(torch.float64))
            if int(probabilities.argmax()) != examined.predicted[place]:
                changed.append(int(place))
    except (CaptureError, AttnlibError):
        # Some models let nothing be put in the place of a head; the state stands as it is.
        return ()
    kept = len(images) - len(changed)
    them = "this head" if len(heads) == 1 else "these heads"
    sentence = f"Without {them} {kept} of {len(images)} predictions stay as they are"
    return (Evidence(f"{sentence}.", examined.named(changed)),)


def _listed(heads: NDArray[np.intp], every: int) -> str:
    if len(heads) == every:
        return f"All {every} heads" if every > 1 else "The only head"
    names = [str(head) for head in heads]
    if len(names) == 1:
        return f"Head {names[0]}"
    return f"Heads {', '.join(names[:-1])} and {names[-1]}"


def _verb(words: str, count: int) -> str:
    """The words of several heads for one."""
    if count > 1:
        return words
    first, rest = words.split(" ", 1)
    return f"{first}s {rest}".replace(" their ", " its ")


def _images(examined: Examined) -> int:
    return min(IMAGES, len(examined.images))


def _lacks(examined: Examined) -> str:
    support = examined.vit.support
    if "rollout" in support.maps:
        return ""
    return f"the model has no layers of attention between all tokens ({support.reason})"


FINDER = Finder(
    "heads",
    "Heads without work of their own",
    "Do heads of a layer look at the same places, at one token, or everywhere alike?",
    find,
    _lacks,
    lambda examined: _images(examined) + NOISES,
)
