"""Shortcut: something in an image makes a class, whatever else the image shows.

It is proved both ways: put into right images of other classes it makes the class, taken out of the
mistakes it repairs them, and the same elsewhere does neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnlib.diagnosis import casts, chance, regions
from attnlib.diagnosis.candidates import (
    FEWEST,
    SHARED,
    Candidate,
    Search,
    candidates,
    completed,
    searches,
)
from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.finder import ALPHA, Finder, needs_mistakes
from attnlib.diagnosis.finding import Certainty, Evidence, Finding
from attnlib.diagnosis.locating import MAKES
from attnlib.diagnosis.pasting import Inputs, margins
from attnlib.methods.base import Progress

# Into as many right images it is put, to prove it.
PROVED_ON = 50
# As many images lend what stands in the place of what is erased.
DONORS = 3
# Of the mistakes, what share erasing must repair.
REPAIRS = 0.3
# A class has hardly more than two shortcuts, and a set not more than these.
PER_CLASS, MOST = 2, 6


@dataclass(frozen=True)
class Proof:
    """What came of putting a candidate in and taking it out, and of the same elsewhere.

    Attributes:
        turned, turned_elsewhere: right images that became the class, of ``hosts``.
        repaired, repaired_elsewhere: mistakes that became right, of ``mistakes``.
        p_value: corrected.
        shown: places of the images that turned.
    """

    hosts: int
    turned: int
    turned_elsewhere: int
    mistakes: tuple[int, ...]
    repaired: int
    repaired_elsewhere: int
    p_value: float
    shown: tuple[int, ...]

    @property
    def holds(self) -> bool:
        return (
            self.turned >= MAKES * self.hosts
            and self.turned_elsewhere <= 0.5 * self.turned
            and self.repaired >= max(2, REPAIRS * len(self.mistakes))
            and self.repaired > self.repaired_elsewhere
            and self.p_value < ALPHA
        )


def find(examined: Examined, progress: Progress) -> list[Finding]:
    """The shortcuts to every class that draws mistakes to itself."""
    if not examined.wrong.any():
        return []
    expected, done = passes(examined), 0

    def step(count: int) -> None:
        nonlocal done
        done = min(done + count, expected)
        progress(done, expected)

    inputs = Inputs(examined, step)
    found: list[Finding] = []
    for search in searches(examined, inputs.kept):
        for _ in range(PER_CLASS):
            # What right images of the class alone have is the class itself.
            tried = (
                (one, _proved(inputs, examined, search, one))
                for one in candidates(inputs, search)
                if len(set(one.marked) & set(search.wrong)) >= SHARED
            )
            held = next(((one, proof) for one, proof in tried if proof.holds), None)
            if held is None:
                break
            one, proof = held
            rest = np.flatnonzero(inputs.kept & (examined.predicted != search.target))
            one = completed(inputs, search, one, [int(place) for place in rest])
            found.append(_finding(examined, one, proof, inputs))
            if len(found) == MOST:
                return found
            search = _without(search, one.marked)
            if len(search.wrong) < FEWEST:
                break
    return found


def _without(search: Search, marked: Sequence[int]) -> Search:
    gone = set(marked)
    return replace(
        search,
        drawn=tuple(place for place in search.drawn if place not in gone),
        wrong=tuple(place for place in search.wrong if place not in gone),
    )


def _proved(inputs: Inputs, examined: Examined, search: Search, one: Candidate) -> Proof:
    rng = np.random.default_rng(1)
    hosts = search.hosts[len(search.few) :][:PROVED_ON] or search.hosts
    mistakes = tuple(place for place in one.marked if place in set(search.wrong))
    truth = examined.labels[list(mistakes)]
    if one.cast is not None:
        onto = casts.applied(inputs, one.cast, hosts)
        out = casts.applied(inputs, one.cast, mistakes, off=True)
        # The same change backwards is another cast, as strong.
        onto_other = casts.applied(inputs, one.cast, hosts, off=True)
        out_other = casts.applied(inputs, one.cast, mistakes)
        right, right_other = (logits.argmax(axis=1) == truth for logits in (out, out_other))
    else:
        sources = [one.marked[i % len(one.marked)] for i in range(len(hosts))]
        away = {place: regions.elsewhere(mask, rng, DONORS) for place, mask in one.masks.items()}
        onto = inputs.pasted([(s, h, one.masks[s]) for s, h in zip(sources, hosts, strict=True)])
        onto_other = inputs.pasted(
            [(s, h, away[s][0]) for s, h in zip(sources, hosts, strict=True)]
        )
        donors = [search.hosts[i] for i in rng.integers(0, len(search.hosts), DONORS)]
        out = inputs.pasted([(d, m, one.masks[m]) for m in mistakes for d in donors])
        out_other = inputs.pasted(
            [(d, m, mask) for m in mistakes for d, mask in zip(donors, away[m], strict=True)]
        )
        right, right_other = (_mostly(logits, truth) for logits in (out, out_other))
    turned, other = (margins(logits, one.target) > 0 for logits in (onto, onto_other))
    tried = max(1, inputs.tried)
    p = chance.rarer(int(turned.sum()), len(hosts), int(other.sum()), len(hosts))
    return Proof(
        len(hosts),
        int(turned.sum()),
        int(other.sum()),
        mistakes,
        int(right.sum()),
        int(right_other.sum()),
        chance.corrected(p, tried),
        tuple(host for host, flipped in zip(hosts, turned, strict=True) if flipped),
    )


def _mostly(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> NDArray[np.bool_]:
    """``(m,)``: whether most of the donors' patches make the mistake right."""
    right = logits.argmax(axis=1).reshape(len(truth), DONORS) == truth[:, None]
    mostly: NDArray[np.bool_] = right.mean(axis=1) > 0.5
    return mostly


def _finding(examined: Examined, one: Candidate, proof: Proof, inputs: Inputs) -> Finding:
    name = examined.class_name(one.target)
    what, put, taken = _words(one)
    many = len(proof.mistakes)
    drawn = int((examined.wrong & (examined.predicted == one.target)).sum())
    images = examined.named(one.marked)
    turned = f"{put} {proof.hosts} right images of other classes it turned {proof.turned}"
    repaired = f"{taken} the {many} mistakes it repaired {proof.repaired}"
    return Finding(
        kind="shortcut",
        scope="set",
        sentence=(
            f"{many} of {drawn} mistakes for “{name}”: {what} makes “{name}”; {turned}; {repaired}."
        ),
        value=proof.turned / proof.hosts,
        threshold=MAKES,
        threshold_source=(
            "it must make the class in most images that it is put into; and chance does so in "
            f"fewer than {ALPHA:.1%} of sets"
        ),
        evidence=(
            Evidence(f"{turned[0].upper()}{turned[1:]}.", examined.named(proof.shown), one.region),
            Evidence(
                f"{repaired[0].upper()}{repaired[1:]}.", examined.named(proof.mistakes), one.region
            ),
        ),
        evidence_against=(_against(one, proof, many),),
        certainty=Certainty(p_value=proof.p_value, tried=max(1, inputs.tried)),
        next_steps=(
            f"Look whether the {len(images)} images come from one source, remove it from them or "
            f"give it to other classes too, and train again; until then, a prediction of “{name}” "
            "on an image that has it says nothing."
        ),
        mistakes=many,
        classes=(one.target,),
        region=one.region,
        images=images,
        detail={
            "form": one.form,
            "turned": [proof.turned, proof.hosts],
            "repaired": [proof.repaired, many],
            "regions": {
                examined.names[place]: mask.astype(int).tolist()
                for place, mask in one.masks.items()
            }
            if one.form == "moving"
            else {},
        },
    )


def _words(one: Candidate) -> tuple[str, str, str]:
    """What it is, and how it is put in and taken out."""
    if one.form == "cast":
        return "a cast of colour over the whole image", "put on", "taken off"
    if one.form == "moving":
        return "a small mark at changing places", "pasted into", "erased from"
    if one.form == "place":
        what = f"a mark {regions.where(one.region)}"
        return what, "pasted into", "erased from"
    return f"a {one.form}", "pasted into", "erased from"


def _against(one: Candidate, proof: Proof, many: int) -> Evidence:
    other = "The opposite change of colour" if one.cast else "The same area elsewhere in the image"
    return Evidence(
        f"{other} turned {proof.turned_elsewhere} of {proof.hosts} and repaired "
        f"{proof.repaired_elsewhere} of {many}. {many - proof.repaired} of the mistakes stay wrong "
        "without it."
    )


def passes(examined: Examined) -> int:
    """About how many forward passes it takes."""
    drawn = np.bincount(examined.predicted[examined.wrong])
    return 700 * int((drawn >= FEWEST).sum()) + 1000


def amend(examined: Examined, found: Sequence[Finding]) -> Examined:
    """The same set without the labels of the images that have the mark: they say nothing more."""
    marked = {name for finding in found for name in finding.images}
    gone = np.array([name in marked for name in examined.names])
    return replace(examined, labels=np.where(gone, -1, examined.labels))


SHORTCUT = Finder(
    kind="shortcut",
    title="Shortcut",
    question="Does something in an image make a class, whatever else it shows?",
    find=find,
    lacks=needs_mistakes,
    passes=passes,
    amend=amend,
)
