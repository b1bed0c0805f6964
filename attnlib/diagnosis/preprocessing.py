"""Preprocessing: images are prepared otherwise than in the model's training.

The usual preparations are few. One that is better by more than chance, and not only because it
happens to cut off or recolour a mark that makes one class, is the fault's remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnlib.diagnosis import chance, probes
from attnlib.diagnosis.examined import Examined, examine
from attnlib.diagnosis.finder import ALPHA, Finder
from attnlib.diagnosis.finding import Certainty, Evidence, Finding
from attnlib.diagnosis.preparations import PASSES, Trial, Tried
from attnlib.diagnosis.probes import Changes, Factor
from attnlib.methods.base import Progress
from attnlib.model.vit import Vit

# What a fault must cost at least: less than that any two good preparations differ.
COST = 0.04
FEWEST = 20
# More labelled images than that tell no more; and so many tell what is worth trying on all.
MOST, SCREENED = 256, 96
# Of the gain, what share must be left among the images that the class it helps most did not draw,
# and how rarely chance may make it; so too each factor's own share in a remedy of several.
ELSEWHERE, CHANCE = 0.34, 0.05


def find(examined: Examined, progress: Progress) -> list[Finding]:
    """At most one: what is to be prepared otherwise."""
    trial, best = _best(examined, progress)
    if best is trial.now:
        return []
    best, costs = _needed(trial, best)
    gain = best.rank[0] - trial.now.rank[0]
    if gain < max(3, COST * len(trial.labels)) or trial.p_value(best) >= ALPHA:
        return []
    if not _everywhere(trial, best, examined.predicted[trial.places]):
        return []
    return [_finding(examined, trial, best, costs)]


def rival(examined: Examined, progress: Progress) -> Vit | None:
    """The model with the best preparation of all, if it is better than now, proved or not."""
    trial, best = _best(examined, progress)
    better = best.rank[0] - trial.now.rank[0] >= COST * len(trial.labels)
    return examined.vit.prepared(dict(best.changes)) if best.changes and better else None


def _best(examined: Examined, progress: Progress) -> tuple[Trial, Tried]:
    """The preparation that is best on some images, on more of them; as now, if it gains little."""
    places = np.random.default_rng(0).permutation(np.flatnonzero(examined.labelled))
    screen = Trial(examined, places[:SCREENED], 0, progress)
    best = _searched(screen)
    trial = Trial(examined, places[:MOST], screen.count, progress)
    if best.rank[0] - screen.now.rank[0] < COST / 2 * len(screen.labels):
        return trial, trial.now
    return trial, trial.tried(best.changes, trial.plain(best.changes))


def _searched(trial: Trial) -> Tried:
    """The best preparation: colours, then the crop beside them, then the interpolation."""
    vit, best = trial.vit, trial.now
    plain = trial.plain({})
    for changes in probes.colours(vit):
        best = max(best, trial.tried(changes, plain), key=lambda tried: tried.rank)
    steps: tuple[Callable[[Vit], list[Changes]], ...] = (probes.crops, probes.interpolations)
    for others in steps:
        base, start = best.changes, trial.plain(best.changes)
        for other in others(vit):
            changes = {**base, **other}
            made = trial.plain(changes)
            if not probes.same(made, start):
                best = max(best, trial.tried(changes, made), key=lambda tried: tried.rank)
    return best


def _everywhere(trial: Trial, best: Tried, predicted: NDArray[np.int64]) -> bool:
    """Whether it helps beyond the images that one class draws to itself.

    A mark that makes a class is cut off by another crop and looks otherwise in other colours: all
    it gains is then among the images of one prediction. A fault that makes nearly all images one
    class is none of a mark.
    """
    change = best.score.right.astype(int) - trial.now.score.right.astype(int)
    gains = np.bincount(predicted, weights=change, minlength=len(trial.vit.class_names))
    most = int(gains.argmax())
    rest = predicted != most
    if rest.mean() < 0.4:
        return True
    share = change[rest].sum() / max(change.sum(), 1)
    return bool(share > ELSEWHERE and trial.p_value(best, rest) < CHANCE)


def _needed(trial: Trial, best: Tried) -> tuple[Tried, dict[Factor, float]]:
    """The same without the factors that help little or by chance, and what each other is worth.

    Worth is the accuracy that is lost where it alone stays as now.
    """
    factors = list(dict.fromkeys(_factor(trial, name, best) for name in best.changes))
    for factor in reversed(factors):
        without = _without(trial, best, factor)
        worth = best.score.right.mean() - without.score.right.mean()
        needless = worth < COST / 2 or trial.p_value(best, than=without) >= CHANCE
        if needless and without.changes:
            best = without
    kept = dict.fromkeys(_factor(trial, name, best) for name in best.changes)
    return best, {
        factor: float(best.score.right.mean() - _without(trial, best, factor).score.right.mean())
        for factor in kept
    }


def _factor(trial: Trial, setting: str, tried: Tried) -> Factor:
    return probes.factor_of(trial.vit, setting, tried.changes)


def _without(trial: Trial, best: Tried, factor: Factor) -> Tried:
    """The same with one factor as now."""
    left = {n: v for n, v in best.changes.items() if _factor(trial, n, best) != factor}
    return trial.tried(left, trial.plain(left)) if left else trial.now


_TITLES: Mapping[Factor, str] = {
    "channels": "the order of the colour channels",
    "scale": "the scale of the pixels",
    "statistics": "mean and standard deviation",
    "crop": "the crop",
    "interpolation": "the way images are resized",
}


def _said(changes: Changes) -> str:
    """Settings in words."""

    def value(v: Any) -> str:
        if isinstance(v, tuple):
            short = [f"{one:.4g}" for one in v]
            return short[0] if len(set(short)) == 1 else f"({', '.join(short)})"
        return str(v)

    return ", ".join(f"{name} {value(changes[name])}" for name in changes)


def _finding(
    examined: Examined, trial: Trial, best: Tried, costs: Mapping[Factor, float]
) -> Finding:
    factor = max(costs, key=lambda one: costs[one])
    now, then = trial.now.score, best.score
    repaired, broken = then.right & ~now.right, now.right & ~then.right
    order = np.argsort(-(now.loss - then.loss), kind="stable")
    images = examined.named(trial.places[order[repaired[order]]])
    p, count = trial.p_value(best), len(trial.labels)
    titles = " and ".join(_TITLES[one] for one in sorted(costs, key=lambda one: -costs[one]))
    return Finding(
        kind="preprocessing",
        scope="model",
        sentence=(
            f"Images are prepared otherwise than in the model's training ({titles}): with "
            f"{_said(best.changes)} it is right on {then.right.sum()} of {count} images instead "
            f"of {now.right.sum()}."
        ),
        value=float(then.right.mean() - now.right.mean()),
        threshold=COST,
        threshold_source=(
            "two good preparations differ by less; and chance makes as much in fewer than "
            f"{ALPHA:.1%} of sets"
        ),
        evidence=(
            Evidence(
                f"{int(repaired.sum())} mistakes are repaired, {int(broken.sum())} predictions "
                f"broken ({chance.words(p)}, corrected for {trial.count} preparations tried); the "
                f"mean loss falls from {now.loss.mean():.2f} to {then.loss.mean():.2f}.",
                images,
            ),
        ),
        evidence_against=(
            Evidence(
                f"{int((~then.right).sum())} of {count} images stay wrong, which this does not "
                "explain. The gain is not among the images of one prediction only, as it would be "
                "if a mark in the image made that class."
            ),
        ),
        certainty=Certainty(p_value=p, tried=trial.count),
        next_steps=(
            f"Prepare images with {_said(best.changes)}, under the model in the sidebar or as "
            "attnlib.load(..., preprocessing=...), and diagnose again."
        ),
        mistakes=int(repaired.sum()),
        images=images,
        detail={
            "factor": factor,
            "use": {n: list(v) if isinstance(v, tuple) else v for n, v in best.changes.items()},
            "factors": dict(costs),
        },
    )


def lacks(examined: Examined) -> str:
    """What is missing to tell."""
    if not examined.classifies:
        return "the model does not tell classes apart of which one is right"
    if examined.labelled.sum() < FEWEST:
        return f"fewer than {FEWEST} images have a label"
    if examined.vit.channels > 4:
        return "its input is no picture"
    return ""


def amend(examined: Examined, found: Sequence[Finding]) -> Examined:
    """The same images before the model with its preparation put right."""
    for finding in found:
        vit = examined.vit.prepared(
            {n: tuple(v) if isinstance(v, list) else v for n, v in finding.detail["use"].items()}
        )
        pictures = dict(zip(examined.names, examined.images, strict=True))
        labels = {
            name: int(label)
            for name, label in zip(examined.names, examined.labels, strict=True)
            if label >= 0
        }
        examined = examine(vit, pictures, labels, examined.masks)
    return examined


PREPROCESSING = Finder(
    kind="preprocessing",
    title="Preprocessing",
    question="Are images prepared as in the model's training?",
    find=find,
    lacks=lacks,
    passes=lambda examined: PASSES * min(SCREENED, int(examined.labelled.sum())),
    amend=amend,
)
