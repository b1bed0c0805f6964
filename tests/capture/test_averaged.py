"""A layer of a batch, piece by piece, against the whole matrices in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from attnlib.capture import averaged as module
from attnlib.capture.averaged import averaged
from attnlib.capture.call import AttentionCall

B, H, T, D = 5, 3, 11, 4


def call_of(
    spread: float = 1.0, *, bias: Tensor | None = None, dtype: torch.dtype = torch.float32
) -> AttentionCall:
    """Queries, keys and values as views into one tensor, as most models have them."""
    torch.manual_seed(0)
    packed = (torch.randn(B, T, 3, H, D, dtype=torch.float64) * spread).to(dtype)
    query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)
    return AttentionCall("", "", query, key, value, None, bias=bias, scale=0.5)


def whole(call: AttentionCall) -> Tensor:
    """``(B, H, T, T)`` in float64."""
    assert call.query is not None and call.key is not None
    scores = torch.einsum("bhid,bhjd->bhij", call.query.double(), call.key.double()) * call.scale
    if call.bias is not None:
        scores = scores + call.bias
    shares = (scores - scores.amax(-1, keepdim=True)).exp()
    return shares / shares.sum(-1, keepdim=True)


def compare(call: AttentionCall, expected: Tensor, close: float = 2e-6) -> None:
    vectors = torch.rand(B, 2, T, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mean = torch.full((B, T, T), math.nan)
    carried = averaged(call, vectors, mean=mean)
    assert carried is not None
    torch.testing.assert_close(mean.double(), expected.mean(1), atol=close, rtol=0)
    product = torch.einsum("bki,bhij->bhkj", vectors, expected)
    torch.testing.assert_close(carried.double(), product, atol=close * T, rtol=0)


# Everything at once; some images; one image, all rows; some rows.
@pytest.mark.parametrize("elements", [1 << 20, 3 * T * T, T * T, 4 * T, 1])
@pytest.mark.parametrize("device", ["cpu", "none"])
def test_pieces_of_any_size_make_the_whole(
    elements: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ELEMENTS", {device: elements})
    monkeypatch.setattr(module, "_ELSEWHERE", elements)
    compare(call_of(), whole(call_of()))


@pytest.mark.parametrize("spread", [8.0, 60.0])
def test_scores_beyond_what_an_exponential_holds(spread: float) -> None:
    call = call_of(spread)
    assert call.query is not None and call.key is not None
    largest = float((call.query @ call.key.mT * call.scale).amax())
    assert largest > 89, "exp(89) is infinite in float32"
    compare(call, whole(call), close=2e-6 * spread**2)


@pytest.mark.parametrize("shift", [-95.0, -60.0, 60.0, 95.0])
def test_an_offset_of_all_scores_changes_nothing(shift: float) -> None:
    compare(call_of(bias=torch.full((T, T), shift)), whole(call_of()), close=2e-5)


@pytest.mark.parametrize("shape", [(T, T), (H, T, T), (1, 1, T, T), (B, 1, 1, T), (B, H, T, T)])
def test_biases_and_masks(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(3)
    bias = torch.randn(shape, generator=generator)
    bias[torch.rand(shape, generator=generator) < 0.2] = -math.inf
    bias[..., 0] = 0.0
    call = call_of(bias=bias)
    compare(call, whole(call))


def test_half_precision_is_widened() -> None:
    call = call_of(dtype=torch.bfloat16)
    compare(call, whole(call))


def test_weights_that_the_model_formed() -> None:
    weights = whole(call_of())
    compare(AttentionCall("", "", None, None, None, None, weights=weights.float()), weights)


def test_one_vector_for_all_images() -> None:
    vector = torch.rand(1, 1, T)
    carried = averaged(call_of(), vector)
    assert carried is not None
    expected = torch.einsum("i,bhij->bhj", vector[0, 0].double(), whole(call_of()))
    torch.testing.assert_close(carried[:, :, 0].double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(0, 2), slice(4, 5), slice(0, 3), slice(None)])
def test_few_rows_are_those_of_the_matrix(rows: slice) -> None:
    """Few are formed head by head."""
    call = call_of()
    assert call.value is not None
    found, expected = call.rows(rows), whole(call)[:, :, rows]
    torch.testing.assert_close(found.double(), expected, atol=2e-6, rtol=0)
    product = torch.einsum("bhij,bhjd->bhid", expected, call.value.double())
    torch.testing.assert_close(call.product(rows).double(), product, atol=1e-5, rtol=0)
    call.output = product.float()
    call.output[2, 1, 0, 3] += 0.25
    off = call.check(slice(0, found.shape[2]), found)
    torch.testing.assert_close(off, torch.tensor([0.0, 0, 0.25, 0, 0]), atol=1e-5, rtol=0)
