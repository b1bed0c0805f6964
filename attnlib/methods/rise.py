"""RISE: the class's probability under many random masks, averaged where a patch is left."""

from __future__ import annotations

import math
import zlib

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.capture import passes
from attnlib.errors import AttnlibError, OutOfMemory
from attnlib.methods import perturbation
from attnlib.methods.base import Method, Option, Progress, asked
from attnlib.methods.perturbation import BATCH_SIZE, REPLACEMENTS, Replacement
from attnlib.methods.subject import Subject

# Cells of a mask along the shorter side, as in the paper.
CELLS = 7


def rise(
    subject: Subject,
    target: int | None,
    *,
    replacement: Replacement = "zero",
    count: int = 192,
    keep: float = 0.5,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Σ_k p_k m_kn / Σ_k m_kn per patch n, ``(N,)``: the mean probability where n is left.

    p_k is the target's probability on m_k · image + (1 − m_k) · replacement, m_kn the mean of
    mask k over the patch.  The paper divides by K · E[m], which is the same for every patch;
    the masks' own sum takes out how often each happened to be drawn.  Costs ``count`` passes.

    Args:
        keep: probability that a cell of a mask is left.
        seed: with the image's own pixels, of the masks.

    Raises:
        AttnlibError: there is no target, or the model's values are not finite.
        OutOfMemory: not even one pass fits into memory.
    """
    target = asked(target)
    pixels, vit = subject.pixels, subject.vit
    other = perturbation.reference(pixels, replacement)
    digest = zlib.crc32(pixels.float().cpu().numpy().tobytes(), seed)
    generator = torch.Generator().manual_seed(digest)
    height, width = pixels.shape[2:]
    weighted = torch.zeros(subject.layout.patches, dtype=torch.float64)
    drawn, part = torch.zeros_like(weighted), BATCH_SIZE
    for done in range(0, count, BATCH_SIZE):
        masks = draw(min(BATCH_SIZE, count - done), (height, width), keep, generator)
        found, start = torch.empty(len(masks), dtype=torch.float64), 0
        while start < len(masks):
            some = masks[start : start + part, None].to(pixels)
            try:
                with passes.admitted(), torch.no_grad():
                    logits, _ = passes.forward(
                        vit.module, other + some * (pixels - other), precision=vit.precision
                    )
                    shares = vit.outputs.probabilities(logits.cpu().double())[:, target]
            except OutOfMemory:
                if len(some) == 1:
                    raise
                part = math.ceil(len(some) / 2)
                continue
            found[start : start + len(some)] = shares
            start += len(some)
        cells = torch.stack(
            [perturbation.per_patch(subject.layout, mask[None]).cpu().double() for mask in masks]
        )
        weighted, drawn = weighted + found @ cells, drawn + cells.sum(dim=0)
        if progress is not None:
            progress(done + len(masks), count)
    if not weighted.isfinite().all():
        raise AttnlibError(
            "The model returned values that are not finite for a masked picture. If it runs in "
            "float16, use float32 or bfloat16."
        )
    return weighted / drawn.clamp_min(1e-12)


def draw(count: int, size: tuple[int, int], keep: float, generator: torch.Generator) -> Tensor:
    """Masks ``(count, h, w)`` from 0 to 1: random cells, enlarged smoothly and shifted at random.

    As in the paper: a grid of cells that are left with probability ``keep``, one cell more than
    fits on each side, enlarged bilinearly and cut at a place within the first cell.
    """
    height, width = size
    side = min(height, width) / CELLS
    rows, cols = max(1, round(height / side)), max(1, round(width / side))
    down, across = math.ceil(height / rows), math.ceil(width / cols)
    cells = (torch.rand(count, 1, rows + 1, cols + 1, generator=generator) < keep).float()
    large = F.interpolate(
        cells, size=((rows + 1) * down, (cols + 1) * across), mode="bilinear", align_corners=False
    )[:, 0]
    tops = torch.randint(0, down, (count,), generator=generator).tolist()
    lefts = torch.randint(0, across, (count,), generator=generator).tolist()
    return torch.stack(
        [
            mask[top : top + height, left : left + width]
            for mask, top, left in zip(large, tops, lefts, strict=True)
        ]
    )


RISE = Method(
    name="rise",
    title="RISE",
    description=(
        "The class's probability on hundreds of randomly masked pictures, averaged over those "
        "in which a patch is left. It asks the model's answer alone, so it is defined for any "
        "model; it is as rough as the number of masks."
    ),
    source="Petsiuk, Das & Saenko, BMVC 2018, eq. 6",
    unit="mean {quantity} where it is left",
    compute=rise,
    class_specific=True,
    needs="nothing",
    options={
        "replacement": Option(
            "zero",
            "What stands where a mask hides: the training mean (zero), the image's own mean, or "
            "the blurred image.",
            REPLACEMENTS,
        ),
        "count": Option(192, "Masks, a pass each.", low=1, high=20_000),
        "keep": Option(0.5, "Share of the picture that a mask leaves.", low=0.05, high=0.95),
        "seed": Option(0, "Seed of the masks.", low=0, high=2**31 - 1, shown=False),
    },
    slow=True,
    passes="192",
)
