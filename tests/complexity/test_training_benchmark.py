"""Training steps that are timed: each does what its name says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attnlib.complexity import Architecture, ArchitectureError, training_benchmark
from attnlib.complexity.training_benchmark import STEPS, benchmark_training

SMALL = Architecture.vit(32, 16, 24, 2, 3, classes=5)


def test_each_step_is_what_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    noted: dict[str, Any] = {}
    attention = torch.nn.functional.scaled_dot_product_attention

    def watched(query: Tensor, *rest: Any, **more: Any) -> Tensor:
        noted["attention"] += 1
        noted["types"].add(query.dtype)
        return attention(query, *rest, **more)

    def once(run: Any, device: Any, seconds: float, **_: Any) -> list[float]:
        noted.update(attention=0, types=set())
        run()
        seen.append(dict(noted))
        return [0.5, 0.25, 1.0]

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", watched)
    monkeypatch.setattr(training_benchmark, "repeat", once)
    found = benchmark_training(SMALL, batch=2)
    assert [step.form for step in found] == list(STEPS)
    assert {(step.seconds, step.repeats) for step in found} == {(0.5, 3)}
    plain, mixed, again = seen
    assert plain == {"attention": 2, "types": {torch.float32}}
    assert mixed == {"attention": 2, "types": {torch.bfloat16}}
    # Every block runs once more in the backward pass.
    assert again == {"attention": 4, "types": {torch.float32}}


def test_a_model_without_checkpointing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare(torch.nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            return pixels

    monkeypatch.setattr(training_benchmark, "build", lambda *_: Bare())
    with pytest.raises(ArchitectureError, match="no checkpointing"):
        benchmark_training(SMALL)


def test_real_times_are_positive() -> None:
    assert all(step.seconds > 0 for step in benchmark_training(SMALL, seconds=0.01))
