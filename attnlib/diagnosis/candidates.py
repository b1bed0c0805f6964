"""What could be a shortcut to a class: a place, a thing that moves, a frame, a cast of colour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from attnlib.diagnosis import casts, locating, regions
from attnlib.diagnosis.casts import Cast
from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.locating import MAKES, Part
from attnlib.diagnosis.pasting import Inputs, margins
from attnlib.diagnosis.regions import Mask

# A class that draws fewer mistakes to itself is looked at one by one.
FEWEST = 4
# As many mistakes, the surest first, are cut up.
SOURCES = 8
# Into as many other images is pasted: to search, and to say which images have the mark.
HOSTS = 4
# How often the place of an image that is predicted otherwise must make the class.
SURELY = 0.75
# Into as many further images a part is pasted: parts of right images of the class make it in some,
# but with less of a lead than a mark. It must have this share of the lead of most parts, and more
# where it is larger than most, since more of the class is then in it.
CHECKS, LEADS, LEADS_LARGE = 16, 0.6, 0.85
# At least so many mistakes must share a mark.
SHARED = 3
# In place of a part that is erased come these many other images', one after the other, and so many
# mistakes must become right with one of them.
DONORS, REPAIRED = 3, 2


@dataclass(frozen=True)
class Candidate:
    """Something in some images that seems to make a class.

    Attributes:
        target: the class.
        form: "place", "moving", "frame", "strip along the top", …, or "cast".
        marked: places of images that have it, the surest first.
        masks: of each of them, where in it.
        region: where in all.
        cast: how it changes colours, if it is one.
    """

    target: int
    form: str
    marked: tuple[int, ...]
    masks: Mapping[int, Mask]
    region: Mask
    cast: Cast | None = field(default=None)


@dataclass(frozen=True)
class Search:
    """The images among which shortcuts to one class are looked for; all are places in the set.

    Attributes:
        target: the class.
        drawn: all images of that prediction, the surest first.
        wrong: the mistakes among them.
        hosts: right images of other classes, in random order.
    """

    target: int
    drawn: tuple[int, ...]
    wrong: tuple[int, ...]
    hosts: tuple[int, ...]

    @property
    def few(self) -> tuple[int, ...]:
        """The hosts that are used to search."""
        return self.hosts[:HOSTS]

    @property
    def more(self) -> tuple[int, ...]:
        """Others that tell what really makes the class."""
        return self.hosts[HOSTS:][-CHECKS:] or self.hosts


def searches(examined: Examined, kept: NDArray[np.bool_]) -> list[Search]:
    """One for each class that draws mistakes to itself, most first."""
    logits = np.stack([record.logits for record in examined.records]).astype(np.float64)
    usable, found = kept & examined.labelled, []
    for target in np.unique(examined.predicted[examined.wrong]):
        lead = margins(logits, int(target))
        drawn = np.flatnonzero(usable & (examined.predicted == target))
        drawn = drawn[np.argsort(-lead[drawn], kind="stable")]
        hosts = np.flatnonzero(usable & examined.right & (examined.labels != target))
        hosts = np.random.default_rng(0).permutation(hosts)
        wrong = drawn[examined.wrong[drawn]]
        if len(wrong) >= FEWEST and len(hosts) >= HOSTS:
            found.append(Search(int(target), *(tuple(map(int, p)) for p in (drawn, wrong, hosts))))
    return sorted(found, key=lambda search: -len(search.wrong))


def candidates(inputs: Inputs, search: Search) -> Iterator[Candidate]:
    """What is to be proved: small regions, then frames and strips, then colours."""
    sources = search.wrong[:SOURCES]
    parts = locating.compact(inputs, sources, search.few, search.target)
    strong = [part for part in parts if part.flips >= MAKES and _small(part, inputs)]
    if len(strong) >= max(SHARED, 0.3 * len(sources)):
        mask = locating.common(strong, inputs.grid)
        if mask is not None:
            yield from _placed(inputs, search, mask, "place")
        yield from _moving(inputs, search, parts)
    yield from _large(inputs, search, sources)
    yield from _cast(inputs, search)


def completed(inputs: Inputs, search: Search, one: Candidate, rest: Sequence[int]) -> Candidate:
    """With the images that have the mark at its place although they are predicted otherwise.

    Args:
        rest: images of other predictions.
    """
    if one.form == "moving" or one.cast is not None or not rest:
        return one
    flips = inputs.flips(rest, search.few, [one.region], one.target)[:, 0]
    order = np.argsort(-flips, kind="stable")
    likely = [rest[i] for i in order if flips[i] >= SURELY]
    known = one.marked[:CHECKS]
    masks = dict.fromkeys((*one.marked, *likely), one.region)
    sure = _confirmed(inputs, search, [*known, *likely], masks)
    marked = (*one.marked, *(place for place in likely if place in sure))
    return replace(one, marked=marked, masks={place: masks[place] for place in marked})


def _confirmed(
    inputs: Inputs, search: Search, marked: Sequence[int], masks: Mapping[int, Mask]
) -> set[int]:
    """Those of some images whose part makes the class as surely as that of most of them."""
    more = search.more
    logits = inputs.pasted([(place, host, masks[place]) for place in marked for host in more])
    lead = margins(logits, search.target).reshape(len(marked), len(more))
    makes, mean = (lead > 0).mean(axis=1) >= MAKES, lead.mean(axis=1)
    area = np.array([int(masks[place].sum()) for place in marked])
    large = area > 1.5 * np.median(area)
    enough = mean >= np.where(large, LEADS_LARGE, LEADS) * np.median(mean)
    return {place for place, one in zip(marked, makes & enough, strict=True) if one}


def _small(part: Part, inputs: Inputs) -> bool:
    return part.box.area <= 0.3 * inputs.grid[0] * inputs.grid[1]


def _placed(inputs: Inputs, search: Search, mask: Mask, form: str) -> Iterator[Candidate]:
    """Of all images of the prediction, those whose region makes the class elsewhere."""
    marked = _making(inputs, search, mask)
    if len(marked) < SHARED:
        return
    mistakes = [place for place in marked if place in set(search.wrong)]
    better = locating.refined(inputs, mistakes, search.hosts[:60], mask, search.target)
    if (better != mask).any():
        again = _making(inputs, search, better)
        if len(again) >= 0.9 * len(marked):
            mask, marked = better, again
    yield Candidate(search.target, form, marked, dict.fromkeys(marked, mask), mask)


def _making(inputs: Inputs, search: Search, mask: Mask) -> tuple[int, ...]:
    """The images of the prediction whose region makes the class elsewhere, the surest first."""
    flips = inputs.flips(search.drawn, search.few, [mask], search.target)[:, 0]
    order = np.argsort(-flips, kind="stable")
    return tuple(search.drawn[i] for i in order if flips[i] >= _level(flips))


def _level(flips: NDArray[np.float64]) -> float:
    """How often the part of an image must make the class for the image to have the mark.

    Most marks do it nearly always, and what only sometimes does is then another thing.
    """
    strong = flips[flips >= MAKES]
    return max(MAKES, 0.75 * float(np.median(strong))) if len(strong) else MAKES


def _moving(inputs: Inputs, search: Search, known: Sequence[Part]) -> Iterator[Candidate]:
    """Of all images of the prediction, those of which a small part makes the class elsewhere.

    Args:
        known: parts of some of them.
    """
    cut = {part.source: part for part in known}

    def strong(places: Sequence[int]) -> list[Part]:
        more = [place for place in places if place not in cut]
        cut.update(
            (part.source, part)
            for part in locating.compact(inputs, more, search.few, search.target)
        )
        found = (cut[place] for place in places)
        return [part for part in found if part.flips >= MAKES and _small(part, inputs)]

    # The mistakes first: where erasing repairs none of them, nothing can be proved, and it is far
    # cheaper to see than to cut up all images of the class.
    masks = {part.source: part.box.mask(inputs.grid) for part in strong(search.wrong)}
    if len(masks) < SHARED or not _repairs(inputs, search, masks):
        return
    parts = sorted(strong(search.drawn), key=lambda part: -part.flips)
    masks = {part.source: part.box.mask(inputs.grid) for part in parts}
    sure = _confirmed(inputs, search, list(masks), masks)
    masks = {place: mask for place, mask in masks.items() if place in sure}
    if len(masks) < SHARED:
        return
    region: Mask = np.any(list(masks.values()), axis=0)
    yield Candidate(search.target, "moving", tuple(masks), masks, region)


def _repairs(inputs: Inputs, search: Search, masks: Mapping[int, Mask]) -> bool:
    """Whether some mistakes become right where a part of them is replaced."""
    donors = search.few[:DONORS]
    logits = inputs.pasted([(d, place, mask) for place, mask in masks.items() for d in donors])
    said = logits.argmax(axis=1).reshape(len(masks), len(donors))
    right = (said == inputs.labels[list(masks)][:, None]).any(axis=1)
    return int(right.sum()) >= REPAIRED


def _large(inputs: Inputs, search: Search, sources: Sequence[int]) -> Iterator[Candidate]:
    """A frame or a strip: the one whose pasting makes the class most often."""
    named = regions.large(inputs.grid)
    flips = inputs.flips(sources, search.few, [mask for _, mask in named], search.target)
    able = np.flatnonzero((flips >= MAKES).sum(axis=0) >= SHARED)
    if not len(able):
        return
    masks = [named[i][1] for i in able]
    # What right images of other classes do with the same region, which is nothing's mark.
    plain = inputs.flips(search.hosts[-SOURCES:], search.few, masks, search.target)
    excess = flips[:, able].mean(axis=0) - 2 * plain.mean(axis=0)
    best = int(excess.argmax())
    if excess[best] > 0:
        yield from _placed(inputs, search, masks[best], named[able[best]][0])


def _cast(inputs: Inputs, search: Search) -> Iterator[Candidate]:
    """Colours that most mistakes share and that make the class in other images."""
    found = casts.shared(inputs, search.wrong, search.hosts, search.target)
    if found is None:
        return
    cast, marked = found
    whole: Mask = np.ones(inputs.grid, dtype=bool)
    yield Candidate(search.target, "cast", marked, dict.fromkeys(marked, whole), whole, cast)
