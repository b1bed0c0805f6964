"""Class names at the wrong outputs: the confusion matrix is nearly a permutation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from attnlib.diagnosis import chance
from attnlib.diagnosis.calibrated import calibrated
from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.finder import ALPHA, Finder, needs_mistakes
from attnlib.diagnosis.finding import Certainty, Evidence, Finding
from attnlib.methods.base import Progress

# Of the images of exchanged classes, what share must go to the others' outputs.
MAJORITY = 0.4
FEWEST = 2

Labels = NDArray[np.int64]


def find(examined: Examined, progress: Progress) -> list[Finding]:
    """At most one: all classes whose names stand at another's output."""
    places = np.flatnonzero(examined.labelled)
    labels, shares = examined.labels[places], examined.probabilities[places]
    outputs = _outputs(labels, shares, len(examined.vit.class_names))
    cycles = _mostly(outputs, labels, examined.predicted[places])
    tested = [(cycle, _p_value(cycles, cycle, labels, shares)) for cycle in cycles]
    held = [(cycle, p) for cycle, p in tested if p < ALPHA]
    progress(1, 1)
    if not held:
        return []
    moved = sorted(c for cycle, _ in held for c in cycle)
    at = np.arange(len(outputs))
    at[moved] = outputs[moved]
    concerned = np.isin(labels, moved)
    there = examined.predicted[places] == at[labels]
    p, tried = max(p for _, p in held), sum(_like(len(outputs), len(cycle)) for cycle, _ in held)
    return [_finding(examined, at, moved, places[concerned], places[concerned & there], p, tried)]


def _outputs(labels: Labels, shares: NDArray[np.float64], classes: int) -> Labels:
    """``(C,)``: the output at which each class is, by the likeliest assignment of all.

    Hungarian method on the summed log probabilities; classes without labels stay where they are
    if they can.
    """
    likelihood = np.zeros((classes, classes))
    np.add.at(likelihood, labels, np.log(shares.clip(1e-4)))
    likelihood[np.diag_indices(classes)] += 1e-6
    return np.asarray(optimize.linear_sum_assignment(-likelihood)[1], dtype=np.int64)


def _mostly(outputs: Labels, labels: Labels, predicted: Labels) -> list[dict[int, int]]:
    """The cycles of the assignment, output by class, whose images mostly go where it says.

    Hardly any may go to its own output: a class that is often mistaken is not exchanged.
    """
    found = []
    for cycle in _cycles(outputs):
        concerned = np.isin(labels, cycle)
        there = int((predicted == outputs[labels])[concerned].sum())
        own = int((predicted == labels)[concerned].sum())
        seen = [c for c in cycle if (labels == c).sum() >= FEWEST]
        if len(seen) >= 2 and there > MAJORITY * concerned.sum() and there > 2 * own:
            found.append({c: int(outputs[c]) for c in cycle})
    return found


def _p_value(
    cycles: Sequence[dict[int, int]],
    cycle: dict[int, int],
    labels: Labels,
    shares: NDArray[np.float64],
) -> float:
    """That the names of one cycle are right as they are, with those of the others put right.

    A likelihood ratio of r comes about by chance in at most 1 / r of sets. On both sides the
    model's doubts are first fitted to the labels, so that a model which knows little proves little.
    """
    with_it, without = np.arange(shares.shape[1]), np.arange(shares.shape[1])
    for one in cycles:
        with_it[list(one)] = list(one.values())
        if one is not cycle:
            without[list(one)] = list(one.values())
    gain = _likelihood(shares, with_it[labels]) - _likelihood(shares, without[labels])
    return chance.corrected(math.exp(-max(gain, 0.0)), _like(shares.shape[1], len(cycle)))


def _likelihood(shares: NDArray[np.float64], labels: Labels) -> float:
    """The logarithm of the likelihood of labels, once doubts were fitted to them."""
    return float(np.log(calibrated(shares, labels)[np.arange(len(labels)), labels]).sum())


def _like(classes: int, length: int) -> int:
    """How many cycles of a length there are among some classes."""
    return math.perm(classes, length) // length


def _cycles(outputs: Labels) -> list[list[int]]:
    """The cycles of a permutation that are longer than one."""
    left, found = set(range(len(outputs))), []
    while left:
        cycle, at = [], min(left)
        while at in left:
            left.remove(at)
            cycle.append(at)
            at = int(outputs[at])
        if len(cycle) > 1:
            found.append(cycle)
    return found


def _finding(
    examined: Examined,
    at: Labels,
    moved: Sequence[int],
    concerned: Labels,
    there: Labels,
    p: float,
    tried: int,
) -> Finding:
    name = examined.class_name
    # Output at[c], which now bears another name, is class c.
    outputs = [(int(at[c]), int(c)) for c in moved]
    mapping = {name(output): name(c) for output, c in outputs}
    said = ", ".join(f"“{now}” is “{right}”" for now, right in list(mapping.items())[:6])
    more = f", and {len(mapping) - 6} more" if len(mapping) > 6 else ""
    right = int((examined.predicted[concerned] == examined.labels[concerned]).sum())
    images = examined.named(
        there[np.argsort(-examined.probabilities[there].max(axis=1), kind="stable")]
    )
    names = list(examined.vit.class_names)
    for c in moved:
        names[int(at[c])] = examined.vit.class_names[c]
    return Finding(
        kind="class-names",
        scope="model",
        sentence=(
            f"The names of {len(moved)} classes stand at the wrong outputs ({said}{more}): with "
            f"them put right, {len(there)} of the {len(concerned)} images of these classes are "
            f"predicted right instead of {right}."
        ),
        value=len(there) / len(concerned),
        threshold=MAJORITY,
        threshold_source=(
            "so many images of the exchanged classes must be predicted as one certain other class, "
            "and at most half as many as their own; and chance makes as much in fewer than "
            f"{ALPHA:.1%} of sets"
        ),
        evidence=(
            Evidence(
                f"The likeliest assignment of names to outputs moves {len(moved)} of "
                f"{len(names)} classes; {len(there)} of {len(concerned)} images go exactly where "
                "it says.",
                images,
            ),
        ),
        evidence_against=(
            Evidence(
                f"{len(concerned) - len(there)} images of these classes are predicted as something "
                "else, which other names do not explain."
            ),
        ),
        certainty=Certainty(p_value=p, tried=tried),
        next_steps=(
            "Give the model its class names in the right order (or correct the numbering of the "
            "labels: one of both is shifted or exchanged), and diagnose again."
        ),
        mistakes=int(examined.wrong[there].sum()),
        classes=tuple(moved),
        images=images,
        detail={"mapping": mapping, "class_names": names, "outputs": outputs},
    )


def amend(examined: Examined, found: Sequence[Finding]) -> Examined:
    """The same set with the names at the outputs at which their classes really are."""
    for finding in found:
        names, labels = finding.detail["class_names"], examined.labels.copy()
        for wrong, right in finding.detail["outputs"]:
            labels[examined.labels == right] = wrong
        records = tuple(replace(record, class_names=tuple(names)) for record in examined.records)
        vit = examined.vit.named(names)
        examined = replace(examined, vit=vit, records=records, labels=labels)
    return examined


CLASS_NAMES = Finder(
    kind="class-names",
    title="Class names",
    question="Do the names of classes stand at the wrong outputs?",
    find=find,
    lacks=needs_mistakes,
    passes=lambda examined: 0,
    amend=amend,
)
