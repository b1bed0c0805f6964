"""Whether a loaded model is the original."""

from __future__ import annotations

import torch

import attnlib
from benchmarks.checkpoints.kind import Made

# Interpolated or rounded weights are never compared; what is left is the order of sums.
CLOSE = 1e-4


def compared(made: Made, vit: attnlib.Vit) -> tuple[list[str], float]:
    """What differs from the original, and the largest difference of a logit."""
    assert made.module is not None
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(1, made.channels, *vit.size, generator=generator)
    with torch.no_grad():
        expected = (made.logits or made.module)(pixels)[0]
    found = torch.from_numpy(vit.inspect_pixels(pixels)[0].logits.copy())
    problems = []
    if found.shape != expected.shape:
        return [f"{len(found)} logits, not {len(expected)}"], float("nan")
    difference = float((found - expected).abs().max())
    if not difference <= CLOSE * max(1.0, float(expected.abs().max())):
        problems.append(f"logits differ by {difference:.2g}")
    if made.names is not None and vit.class_names != made.names:
        problems.append(f"names {vit.class_names}")
    if made.readout and vit.layout.query != made.readout:
        problems.append(f"readout {vit.layout.query}")
    if made.outputs and vit.outputs.kind != made.outputs:
        problems.append(f"outputs {vit.outputs.kind}")
    if made.mean is not None and tuple(vit.mean) != made.mean:
        problems.append(f"mean {vit.mean}")
    return problems, difference
