"""Casts of colour: the whole image in another light, which no region shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attnlib.diagnosis.locating import MAKES
from attnlib.diagnosis.pasting import Array, Inputs, margins
from attnlib.methods.perturbation import BATCH_SIZE

# Colours are compared at these quantiles of all pixels, away from what is clipped.
QUANTILES = np.linspace(0.1, 0.9, 17)
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
FEWEST = 4
HOSTS = 24
Places = Sequence[int]


@dataclass(frozen=True)
class Cast:
    """How colours change: ``value · gain + shift``, per channel, in the model's own units."""

    gain: Tensor
    shift: Tensor

    def onto(self, pixels: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """``(B, C, h, w)`` with the cast, within what can be."""
        return torch.clamp(pixels * self.gain + self.shift, min=low, max=high)

    def off(self, pixels: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """``(B, C, h, w)`` without it."""
        return torch.clamp((pixels - self.shift) / self.gain, min=low, max=high)


def between(inputs: Inputs, some: Places, others: Places) -> Cast:
    """The one that leads from the colours of some images to those of others."""

    def quantiles(places: Places) -> Array:
        chosen = inputs.pixels[list(places)].cpu().double().transpose(0, 1).flatten(1)
        found: Array = np.quantile(chosen.numpy(), QUANTILES, axis=1).T
        return found

    fits = [np.polyfit(a, b, 1) for a, b in zip(quantiles(some), quantiles(others), strict=True)]
    gain, shift = np.array(fits).T
    like, shape = inputs.pixels, (1, -1, 1, 1)
    return Cast(
        like.new_tensor(gain.clip(0.2, 5.0)).view(shape), like.new_tensor(shift).view(shape)
    )


def applied(inputs: Inputs, cast: Cast, places: Places, *, off: bool = False) -> Array:
    """``(B, C)`` logits of images with the cast put on, or taken off."""
    low, high = _limits(inputs)

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(places), BATCH_SIZE):
            part = inputs.pixels[list(places[start : start + BATCH_SIZE])]
            yield cast.off(part, low, high) if off else cast.onto(part, low, high)

    return inputs.logits(batches())


def _limits(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Lowest and highest value of each channel in the set."""
    shape = (1, -1, 1, 1)
    seen = inputs.pixels[torch.from_numpy(inputs.kept)]
    return seen.amin(dim=(0, 2, 3)).view(shape), seen.amax(dim=(0, 2, 3)).view(shape)


def shared(
    inputs: Inputs, wrong: Places, hosts: Places, target: int
) -> tuple[Cast, tuple[int, ...]] | None:
    """The cast of the surest mistakes, if it makes the class in most other images.

    Returns:
        The cast and the images that have it, the surest first.
    """
    tried, some = hosts[:HOSTS], list(wrong[: max(FEWEST, len(wrong) * 2 // 3)])
    cast = between(inputs, hosts, some)
    if (margins(applied(inputs, cast, tried), target) > 0).mean() < MAKES / 2:
        return None
    # Once more from those that lose the class when it is taken off.
    away = margins(applied(inputs, cast, list(wrong), off=True), target)
    kept = [place for place, lead in zip(wrong, away, strict=True) if lead < 0]
    if len(kept) < FEWEST:
        return None
    cast = between(inputs, hosts, kept)
    if (margins(applied(inputs, cast, tried), target) > 0).mean() < MAKES:
        return None
    every = np.flatnonzero(inputs.kept).tolist()
    score = _told_apart(inputs, kept, hosts, every)
    order = np.argsort(-score, kind="stable")
    return cast, tuple(every[i] for i in order if score[i] > 0)


def _told_apart(inputs: Inputs, some: Places, others: Places, every: Places) -> Array:
    """``(n,)``: log odds that images are like ``some``, by a linear discriminant.

    What is compared are quantiles of each channel up to the largest value, which a gain moves from
    where it is in most images. Images like ``some`` are as frequent as those among all.
    """

    def features(places: Places) -> Array:
        chosen = inputs.pixels[list(places)].cpu().double().flatten(2).numpy()
        levels = np.quantile(chosen, LEVELS, axis=2)
        rows: Array = np.moveaxis(levels, 0, 1).reshape(len(places), -1)
        return rows

    one, other = features(some), features(others)
    spread: Array = np.cov(np.concatenate([one - one.mean(0), other - other.mean(0)]).T)
    # A tenth of the way to independent features: the groups are small.
    spread = 0.9 * spread + np.diag(0.1 * np.diag(spread) + 1e-9)
    towards = np.linalg.solve(spread, one.mean(0) - other.mean(0))
    score: Array = (features(every) - (one.mean(0) + other.mean(0)) / 2) @ towards
    odds = len(some) / max(1, len(every) - len(some))
    made: Array = score + np.log(odds)
    return made
