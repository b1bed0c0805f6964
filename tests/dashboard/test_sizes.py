"""What a result is said to hold, against closed forms and the memory of the process."""

from __future__ import annotations

import functools
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import attnlib
from attnlib.dashboard.state import results, sizes
from attnlib.dashboard.state.models import ModelChoice
from attnlib.data.collection import Sample
from attnlib.data.image import sha256
from attnlib.lessons.walkthrough import follow
from attnlib.model import demo

ROOT = Path(__file__).parents[2]
OVERHEAD = sizes.OVERHEAD


@dataclass
class Nested:
    first: Any
    rest: Any = ()


ARRAY = np.zeros((50, 40), np.float64)
TENSOR = torch.zeros(30, 20)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.5, 0),
        ("words", 0),
        (b"12345", 5),
        (ARRAY, 16_000),
        (ARRAY[::2, :5], 16_000),
        (TENSOR, 2_400),
        (TENSOR[3:], 2_400),
        (TENSOR.numpy(), 2_400),
        ([ARRAY, ARRAY[1:], ARRAY.T], 16_000),
        ([TENSOR, TENSOR.view(-1), TENSOR.detach()], 2_400),
        ({"a": (ARRAY, [TENSOR])}, 18_400),
        (Nested(Nested(ARRAY), {"x": [Nested(TENSOR)]}), 18_400),
        (lambda: ARRAY, 0),
        (functools.partial(print, ARRAY), 16_000),
        (np.array([ARRAY, None], dtype=object), 16 + 16_000),
    ],
)
def test_each_memory_counts_once(value: object, expected: int) -> None:
    assert sizes.nbytes(value) - OVERHEAD == expected


def test_what_a_function_encloses_is_held() -> None:
    inner = np.ones(100)
    assert sizes.nbytes(lambda: inner) - OVERHEAD == 800


def test_circles_end() -> None:
    circle: list[Any] = [ARRAY]
    circle.append(circle)
    assert sizes.nbytes(circle) - OVERHEAD == 16_000


def test_a_model_and_its_weights_are_held_elsewhere(vit: attnlib.Vit) -> None:
    assert sizes.nbytes(vit) == OVERHEAD
    weight = next(vit.module.parameters())
    assert sizes.nbytes([vit, weight.detach().numpy(), weight.T]) == OVERHEAD
    assert sizes.nbytes([weight]) - OVERHEAD == weight.numel() * 4


def test_a_graph_holds_what_torch_packs_for_it() -> None:
    """Against the hooks that torch itself calls for every tensor that it saves."""
    packed: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        packed[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(0)
    start = torch.randn(64, 32, requires_grad=True)
    net = torch.nn.Sequential(
        torch.nn.Linear(32, 48), torch.nn.GELU(), torch.nn.LayerNorm(48), torch.nn.Linear(48, 8)
    )
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        net(start).softmax(-1)
    out = net(start).softmax(-1)
    own = sum(p.numel() * 4 for p in net.parameters())
    saved = sum(packed.values()) - sum(
        size for at, size in packed.items() if at in {p.data_ptr() for p in net.parameters()}
    )
    assert saved > 64 * 48 * 4
    # The input is saved too; weights count where the model does not come along.
    assert sizes.nbytes([net, out]) - OVERHEAD == pytest.approx(saved, rel=0.05)
    assert sizes.nbytes(out) - OVERHEAD == pytest.approx(saved + own, rel=0.05)


GROWTH = """
import gc, timm, numpy as np, attnlib
from PIL import Image
from pathlib import Path
from attnlib.dashboard.state import sizes

def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

vit = attnlib.load(timm.create_model("vit_small_patch16_224", depth=6), device="cpu")
pictures = np.random.default_rng(0).integers(0, 256, (7, 224, 224, 3), dtype=np.uint8)
first, *subjects = [vit.subject(Image.fromarray(picture)) for picture in pictures]
for stage in ("trace", "differentiable"):
    # The first pass leaves scratch memory behind, which the next ones use again.
    getattr(first, stage)
    before, said = resident(), sum(map(sizes.nbytes, subjects))
    for subject in subjects:
        getattr(subject, stage)
    print(resident() - before, sum(map(sizes.nbytes, subjects)) - said)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux for its memory")
def test_subjects_hold_what_the_process_grew_by() -> None:
    """Six subjects of a ViT-S/16 at 224 px, in a process that takes all memory from the system."""
    run = subprocess.run(
        [sys.executable, "-c", GROWTH],
        cwd=ROOT,
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "16384", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    trace, graph = ([int(word) for word in line.split()] for line in run.stdout.splitlines())
    assert trace[0] > 6 * 6 * 2 * 197 * 384 * 4 * 0.9, "q and k of every layer"
    assert trace[1] == pytest.approx(trace[0], rel=0.2)
    assert graph[0] > 4 * trace[0]
    assert graph[1] == pytest.approx(graph[0], rel=0.2)


@pytest.fixture
def small_store(
    monkeypatch: pytest.MonkeyPatch, setting: Callable[..., Any]
) -> Callable[[int], results.Results]:
    """A store of its own, of so many megabytes in all."""

    def make(megabytes: int) -> results.Results:
        setting(cache_mb=megabytes)
        made: results.Results = results.store.__wrapped__()  # type: ignore[attr-defined]
        monkeypatch.setattr(results, "store", lambda: made)
        return made

    return make


def samples() -> list[Sample]:
    return [Sample(i.name, i.data, sha256(i.data), None) for i in demo.images()]


def test_subjects_that_grow_are_dropped_in_time(
    vit: attnlib.Vit, small_store: Callable[[int], results.Results]
) -> None:
    kept = small_store(16).subjects
    for sample in samples()[:12]:
        subject = results.subject(ModelChoice(), vit, sample)
        assert subject.differentiable is not None
    results.subject(ModelChoice(), vit, samples()[20])
    held = sum(sizes.nbytes(value) for value, _ in kept._values.values())
    assert held <= kept.limit
    assert kept.nbytes == held
    assert 1 < len(kept) < 13


def test_many_subjects_fit_where_only_their_trace_is_asked_for(
    vit: attnlib.Vit, small_store: Callable[[int], results.Results]
) -> None:
    """By the bound that the estimate used to be, this store held none of them."""
    kept = small_store(16).subjects
    for sample in samples()[:5]:
        assert results.subject(ModelChoice(), vit, sample).trace is not None
    results.subject(ModelChoice(), vit, samples()[0])
    layers, tokens, width = 6, 65, vit.width
    for sample in samples()[:5]:
        assert (ModelChoice(), sample.sha256) in kept
    plain = 5 * (layers * 2 * tokens * width * 4)
    assert plain <= kept.nbytes <= 1.5 * plain


def test_a_nested_result_counts_with_all_that_is_in_it(
    small_store: Callable[[int], results.Results],
) -> None:
    store = small_store(48)
    results.keep("nested", Nested([Nested(np.zeros(2**20, np.uint8))]))
    assert 2**20 <= store.numbers.nbytes <= 2**20 + 2 * OVERHEAD
    results.keep("too large", [np.zeros(2**21, np.uint8)])
    assert results.kept("too large") is None


def test_a_followed_layer_counts_without_the_models_weights(
    vit: attnlib.Vit,
) -> None:
    followed = follow(vit, vit.pixels(Image.open(io.BytesIO(demo.images()[0].data))), 3)
    tokens, width = vit.layout.tokens, vit.width
    # q, k, v (one tensor), A V, the projection's output, the stream twice, its normalisation.
    most = 9 * tokens * width * 4
    assert 4 * tokens * width * 4 < sizes.nbytes(followed) - OVERHEAD <= most
