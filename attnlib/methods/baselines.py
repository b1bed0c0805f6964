"""Maps that know nothing of the image, which every method has to beat."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

from attnlib.methods.base import Method, Option
from attnlib.methods.subject import Subject


def uniform(subject: Subject, target: int | None) -> Tensor:
    """1 / N for every patch, ``(N,)``."""
    count = subject.layout.patches
    return torch.full((count,), 1.0 / count)


def random(subject: Subject, target: int | None, *, seed: int = 0) -> Tensor:
    """Shares drawn at random, ``(N,)``, that sum to 1: a draw from a flat Dirichlet.

    Drawn anew for every image: one map for all of them would be a fixed guess, which can be a
    good one where objects are in the middle.
    """
    # The CPU's generator looks at 32 bits of its seed only, so both go into one such number.
    digest = zlib.crc32(subject.pixels.float().cpu().numpy().tobytes(), seed)
    generator = torch.Generator().manual_seed(digest)
    # Normalised exponentials are a flat Dirichlet; float64 keeps log away from 0.
    draws = -torch.log1p(
        -torch.rand(subject.layout.patches, generator=generator, dtype=torch.float64)
    )
    return draws / draws.sum()


def centre(subject: Subject, target: int | None) -> Tensor:
    """Shares that fall from the middle of the grid, ``(N,)``: a Gaussian that sums to 1.

    Its standard deviation is a quarter of each side, so that photographers' habit of putting the
    object in the middle is what a map has to beat.
    """
    rows, cols = subject.layout.grid
    y, x = (
        ((torch.arange(side, dtype=torch.float64) + 0.5) / side - 0.5) / 0.25
        for side in (rows, cols)
    )
    heights = torch.exp(-0.5 * (y[:, None].square() + x.square())).flatten()
    return heights / heights.sum()


CENTRE = Method(
    name="centre",
    title="Centre prior",
    short="centre",
    abbreviation="mid",
    description=(
        "The middle of the picture, whatever is in it: objects mostly are there, so a map that "
        "points no better has found nothing."
    ),
    source="baseline, as in salience benchmarks (Judd, Durand & Torralba 2012)",
    unit="share",
    compute=centre,
    share=True,
    needs="nothing",
    baseline=True,
    passes="0",
)

UNIFORM = Method(
    name="uniform",
    title="Uniform",
    compared=False,
    description="The same for every patch: what a map looks like that says nothing.",
    source="baseline, as in SaCo (Wu et al., CVPR 2024)",
    unit="share",
    compute=uniform,
    share=True,
    needs="nothing",
    baseline=True,
    passes="0",
)

RANDOM = Method(
    name="random",
    title="Random",
    short="random",
    abbreviation="rnd",
    description="A random map: a method that does no better than this explains nothing.",
    source="baseline, as in SaCo (Wu et al., CVPR 2024)",
    unit="share",
    compute=random,
    share=True,
    needs="nothing",
    baseline=True,
    options={"seed": Option(0, "Seed of the random numbers.", low=0, high=2**31 - 1, shown=False)},
    passes="0",
)
