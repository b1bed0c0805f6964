"""Where in an image is what makes a class: by pasting parts of it into other images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from attnlib.diagnosis import regions
from attnlib.diagnosis.pasting import Array, Inputs, margins, shares
from attnlib.diagnosis.regions import Box, Mask

# A part counts as what makes a class where it does in this share of the images it is pasted into.
MAKES = 0.5
# A smaller part is followed while it keeps this share of the effect of the larger one.
KEEPS = 0.7
# Pixels of a mark differ less between marked images than this share of what others differ.
ALIKE = 0.45
# Share of a patch's pixels that a mark covers at least.
COVERS = 0.12
# Of a patch far from where the mark was found: there are many, and some are alike by chance.
FAR = 0.5
# Where a mark shines through, pixels are shifted: squared, in standard errors, mean over a patch.
SHIFTED = 12.0
# So far a region may grow, in patches, and the class may stay in this share when it is replaced.
GROWS, STAYS = 3, 0.5
Places = Sequence[int]


@dataclass(frozen=True)
class Part:
    """A part of one image and how often it makes the class where it is pasted."""

    source: int
    box: Box
    flips: float


def compact(inputs: Inputs, sources: Places, hosts: Places, target: int) -> list[Part]:
    """The small part of each source that makes the class most.

    From windows of half the sides to ever smaller ones, each within the best one before.
    """
    low, found = regions.smallest(inputs.grid), []
    for source in sources:
        part = Part(source, Box(0, 0, *inputs.grid), 1.0)
        while True:
            windows = part.box.windows(low)
            if not windows:
                break
            masks = [window.mask(inputs.grid) for window in windows]
            best, flips = strongest(inputs, source, hosts, masks, target)
            whole = part.box.area == inputs.grid[0] * inputs.grid[1]
            if not whole and part.flips >= MAKES and flips < KEEPS * part.flips:
                break
            part = Part(source, windows[best], flips)
            if part.flips < MAKES / 2:
                break
        found.append(part)
    return found


def strongest(
    inputs: Inputs, source: int, hosts: Places, masks: Sequence[Mask], target: int
) -> tuple[int, float]:
    """The region of an image that makes the class most, and how often.

    Half of the hosts tell which regions could: those that would not get further than the best one
    has come already, were they to make the class in all the others, are not pasted into these.
    """
    half = len(hosts) // 2
    leads = inputs.leads([source], hosts[:half], masks, target)[0]
    made = (leads > 0).sum(axis=1)
    left = np.flatnonzero(made + (len(hosts) - half) > made.max()).tolist()
    tried = inputs.tried
    rest = inputs.leads([source], hosts[half:], [masks[int(i)] for i in left], target)[0]
    inputs.tried = tried  # The same regions as before.
    flips = shares(np.concatenate([leads[left], rest], axis=1))
    best = int(flips.argmax())
    return left[best], float(flips[best])


def common(parts: Sequence[Part], grid: tuple[int, int]) -> Mask | None:
    """The patches that most parts share; None where they lie at different places."""
    votes = np.sum([part.box.mask(grid) for part in parts], axis=0)
    if votes.max() < 0.6 * len(parts):
        return None
    mask: Mask = votes >= max(0.5 * votes.max(), 2)
    return mask


def refined(inputs: Inputs, mistakes: Places, hosts: Places, start: Mask, target: int) -> Mask:
    """The patches that a mark really covers.

    Its pixels are alike in all marked images, or shifted alike where it shines through. Where the
    class stays although these are replaced, the mark reaches further: neighbours join as long as
    it does, and those of them go again that are as in other images.

    Args:
        mistakes: images with the mark, of several classes.
        hosts: images without it.
        start: where in them it was found; the answer too where images are too few to tell.
    """
    if len(mistakes) < 5 or len(hosts) < 5:
        return start
    spread, shift = _likeness(inputs, mistakes, hosts)
    near = ndimage.binary_dilation(start, np.ones((3, 3)), iterations=2)
    alike = (spread > np.where(near, COVERS, FAR)) | (shift > np.where(near, 1, 2) * SHIFTED)
    # A region that is alike nearly everywhere is what images are like, not a mark in them.
    if not (alike & start).any() or alike.mean() > 0.75:
        alike = start
    grown, donors = alike, hosts[:2]
    for _ in range(GROWS):
        if not _stays(inputs, mistakes, donors, grown, target):
            break
        grown = ndimage.binary_dilation(grown, np.ones((3, 3)))
    if (grown == alike).all() or _stays(inputs, mistakes, donors, grown, target):
        return alike
    fewer: Mask = alike | (grown & ((shift > SHIFTED / 3) | (spread > COVERS)))
    return grown if _stays(inputs, mistakes, donors, fewer, target) else fewer


def _stays(inputs: Inputs, mistakes: Places, donors: Places, mask: Mask, target: int) -> bool:
    """Whether the class mostly stays where patches of other images stand in a region's place."""
    logits = inputs.pasted([(donor, place, mask) for place in mistakes for donor in donors])
    return float((margins(logits, target) > 0).mean()) > STAYS


def _likeness(inputs: Inputs, marked: Places, others: Places) -> tuple[Array, Array]:
    """How much more patches are alike in some images than in others, ``(rows, cols)`` twice.

    Returns:
        The share of pixels that lie close together; the shift of pixels, squared, in standard
        errors.
    """
    some, rest = (inputs.pixels[list(places)].cpu().double().numpy() for places in (marked, others))
    close = _spread(some) / np.maximum(_spread(rest), 1e-6) < ALIKE
    error = np.maximum(rest.std(axis=0), 1e-6) / math.sqrt(len(some))
    shift = (((some.mean(axis=0) - rest.mean(axis=0)) / error) ** 2).mean(axis=0)
    index = inputs.vit.layout.patch_index(inputs.vit.size)
    patches = range(inputs.grid[0] * inputs.grid[1])
    found = [[of[index == patch].mean() for patch in patches] for of in (close, shift)]
    return np.reshape(found[0], inputs.grid), np.reshape(found[1], inputs.grid)


def _spread(chosen: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(h, w)``: how far the middle of images ``(n, C, h, w)`` lies apart, mean over channels."""
    low, high = np.quantile(chosen, (0.2, 0.8), axis=0)
    spread: NDArray[np.float64] = (high - low).mean(axis=0)
    return spread
