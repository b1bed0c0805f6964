"""A training step as it is, in mixed precision, and with checkpointing, timed on one module."""

from __future__ import annotations

import statistics
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from attnlib.capture.passes import admitted, choose_device
from attnlib.complexity.architecture import Architecture
from attnlib.complexity.build import build
from attnlib.complexity.cost import cost
from attnlib.complexity.matmul_rate import repeat
from attnlib.complexity.measure import check_memory
from attnlib.complexity.problem import ArchitectureError, Problem

STEPS = ("plain", "mixed_precision", "checkpointing")


@dataclass(frozen=True)
class StepTime:
    """Seconds of one forward and backward pass, without the optimiser's step; the median."""

    form: str
    seconds: float
    repeats: int


def benchmark_training(
    architecture: Architecture, batch: int = 1, device: str = "cpu", seconds: float = 0.5
) -> list[StepTime]:
    """Time a step in each of :data:`STEPS`, ``seconds`` for each, on random images and weights.

    All from float32 weights: mixed precision is autocast to bfloat16, checkpointing recomputes
    every block in the backward pass.

    Raises:
        ArchitectureError: the batch is impossible, or timm cannot build or checkpoint the model.
        OutOfMemory: the step would not fit.
    """
    where = choose_device(device)
    check_memory(cost(architecture, batch, "float32", training=True), where)
    module = build(architecture, where).train()
    checkpoint = getattr(module, "set_grad_checkpointing", None)
    if checkpoint is None:
        raise ArchitectureError(
            [Problem("name", "timm offers no checkpointing for this model, so it is not timed.")]
        )
    pixels = torch.randn(batch, architecture.channels, *architecture.image, device=where)

    def step(mixed: bool) -> None:
        half = torch.autocast(where.type, torch.bfloat16) if mixed else nullcontext()
        with admitted(), torch.enable_grad():
            with half:
                output = module(pixels)
            output.float().mean().backward()
            module.zero_grad(set_to_none=True)

    found = []
    for form in STEPS:
        checkpoint(form == "checkpointing")
        mixed = form == "mixed_precision"
        times = repeat(lambda mixed=mixed: step(mixed), where, seconds, warm_up=1)  # type: ignore[misc]
        found.append(StepTime(form, statistics.median(times), len(times)))
    return found
