"""Attribution methods against plain references: full T x T matrices in float64.

The references take their attention from a copy of the model built without fused attention; the
formulas are written out here as the papers have them, with whole matrices and no short cuts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import timm
import timm.layers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import attnlib
from attnlib.capture.call import AttentionCall
from attnlib.capture.mixing import discard, rollout_row
from attnlib.capture.tokens import Readout, TokenLayout
from attnlib.capture.trace import Trace, carry
from attnlib.errors import AttnlibError, CaptureError
from attnlib.methods import METHODS

Matrix = NDArray[np.float64]
SIDE, GRID, CLASSES, LAYERS = 64, 4, 5, 3
CLOSE = 1e-6


@dataclass(frozen=True)
class Case:
    """One kind of readout: how to build the model, and its prefix tokens."""

    name: str
    prefix: int
    readout: Readout
    options: dict[str, Any]


CASES = {
    "cls": Case("vit_tiny_patch16_224", 1, "cls", {}),
    "distilled": Case("deit_tiny_distilled_patch16_224", 2, "cls+dist", {}),
    "average": Case("vit_tiny_patch16_224", 1, "average", {"global_pool": "avg"}),
    "siglip": Case("vit_base_patch16_siglip_224", 0, "pool", {}),
    "registers": Case("vit_so150m_patch16_reg4_map_256", 4, "pool", {}),
    "cait": Case("cait_xxs24_224", 0, "class attention", {"num_heads": 3}),
}
GRADIENT_CASES = [name for name in CASES if name != "cait"]


@dataclass(frozen=True)
class Built:
    """A loaded model, its unfused copy, and the explicit attention of one image.

    Attributes:
        layers: one matrix ``(H, T, T)`` per layer.
        readout: ``(T,)``.
    """

    case: Case
    vit: attnlib.Vit
    plain: nn.Module
    layers: list[Matrix]
    readout: Matrix


def picture(seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def make(case: Case) -> nn.Module:
    options = {"depth": LAYERS, "embed_dim": 48, "num_heads": 3, **case.options}
    return timm.create_model(
        case.name, pretrained=False, img_size=SIDE, num_classes=CLASSES, **options
    ).eval()


def explicit(plain: nn.Module, pixels: Tensor) -> list[Tensor]:
    """Softmax results of the unfused model, in order."""
    found: list[Tensor] = []
    original = torch.Tensor.softmax

    def softmax(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        found.append(original(tensor, *args, **kwargs))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(torch.Tensor, "softmax", softmax)
        plain(pixels)
    return found


def build(key: str) -> Built:
    case = CASES[key]
    module = make(case)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.15)
    timm.layers.set_fused_attn(False)
    try:
        plain = make(case)
    finally:
        timm.layers.set_fused_attn(True)
    plain.load_state_dict(module.state_dict())
    plain = plain.double()
    vit = attnlib.load(module.double())
    maps = explicit(plain, vit.pixels(picture()))
    tokens = case.prefix + GRID * GRID
    layers = [m[0].numpy() for m in maps if m.shape[-2:] == (tokens, tokens)]
    readout = np.zeros(tokens)
    if case.readout == "cls":
        readout[0] = 1
    elif case.readout == "cls+dist":
        readout[:2] = 0.5
    elif case.readout == "average":
        readout[case.prefix :] = 1 / (GRID * GRID)
    else:
        # The last call pools. CaiT's class token is its first key and is no token of the layers;
        # a model with registers pools over its patches alone.
        row = maps[-1][0].numpy().mean(axis=(0, 1))[-tokens:]
        readout[-len(row) :] = row / row.sum()
    assert len(layers) == LAYERS
    return Built(case, vit, plain, layers, readout)


@pytest.fixture(scope="module")
def built() -> Callable[[str], Built]:
    made: dict[str, Built] = {}

    def get(key: str) -> Built:
        if key not in made:
            made[key] = build(key)
        return made[key]

    return get


FUSE = {"mean": np.mean, "max": np.max, "min": np.min}


def expected_rollout(
    layers: list[Matrix], readout: Matrix, fusion: str, ratio: float, start: int, protected: int
) -> Matrix:
    """Abnar & Zuidema with whole matrices: the readout's row of the product, ``(T,)``."""
    count = layers[0].shape[-1]
    product = np.eye(count)
    for matrix in layers[start:]:
        fused = FUSE[fusion](matrix, axis=0)
        if ratio > 0:
            ordered = np.sort(fused, axis=None)
            low = fused < ordered[int(ratio * fused.size)]
            low[:, :protected] = False
            fused = np.where(low, 0.0, fused)
        mixed = 0.5 * fused + 0.5 * np.eye(count)
        product = (mixed / mixed.sum(axis=1, keepdims=True)) @ product
    return readout @ product


def expected_relevance(
    subject: Built, target: int, start: int = 0, against: int | None = None
) -> Matrix:
    """Chefer et al. with explicit attention matrices and their gradients, ``(T,)``.

    Of the target's logit, or of its margin above another one's.
    """
    held: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        inputs[0].retain_grad()
        held.append(inputs[0])

    drops = [m for name, m in subject.plain.named_modules() if name.endswith("attn.attn_drop")]
    handles = [drop.register_forward_pre_hook(keep) for drop in drops]
    try:
        logits = subject.plain(subject.vit.pixels(picture()))[0]
        (logits[target] - (0 if against is None else logits[against])).backward()
    finally:
        for handle in handles:
            handle.remove()
    assert len(held) == LAYERS
    count = held[0].shape[-1]
    relevance = torch.eye(count, dtype=torch.float64)
    for attention in held[start:]:
        assert attention.grad is not None
        weighted = (attention.grad * attention)[0].clamp(min=0).mean(dim=0)
        relevance = relevance + weighted @ relevance
    row = torch.from_numpy(subject.readout) @ relevance
    return row.detach().numpy() - subject.readout


def patches(vector: Matrix) -> Matrix:
    return vector[-GRID * GRID :].reshape(GRID, GRID)


# -- against the references ------------------------------------------------------------------


@pytest.mark.parametrize("key", CASES)
def test_readout_and_layout(key: str, built: Callable[[str], Built]) -> None:
    subject = built(key)
    assert subject.vit.layout.readout == subject.case.readout
    assert len(subject.vit.layout.prefix) == subject.case.prefix
    trace = subject.vit.trace(subject.vit.pixels(picture()))
    np.testing.assert_allclose(trace.readout().numpy(), subject.readout, atol=CLOSE)


@pytest.mark.parametrize("key", CASES)
@pytest.mark.parametrize("fusion", FUSE)
def test_raw(key: str, fusion: str, built: Callable[[str], Built]) -> None:
    subject = built(key)
    for layer in range(LAYERS):
        rows = np.einsum("t,htk->hk", subject.readout, subject.layers[layer])
        heat = subject.vit.attribute(picture(), "raw", layer=layer, head_fusion=fusion)
        np.testing.assert_allclose(heat.values, patches(FUSE[fusion](rows, axis=0)), atol=CLOSE)
        heat = subject.vit.attribute(picture(), "raw", layer=layer, head=1)
        np.testing.assert_allclose(heat.values, patches(rows[1]), atol=CLOSE)
    heat = subject.vit.attribute(picture(), "raw", query=5, head=2)
    np.testing.assert_allclose(heat.values, patches(subject.layers[-1][2, 5]), atol=CLOSE)
    assert heat.query == subject.vit.layout.token_name(5)


@pytest.mark.parametrize("key", CASES)
@pytest.mark.parametrize("fusion", FUSE)
@pytest.mark.parametrize(("ratio", "start"), [(0.0, 0), (0.0, 1), (0.1, 0), (0.9, 1)])
def test_rollout(
    key: str, fusion: str, ratio: float, start: int, built: Callable[[str], Built]
) -> None:
    subject = built(key)
    heat = subject.vit.attribute(
        picture(), "rollout", head_fusion=fusion, discard_ratio=ratio, start_layer=start
    )
    protected = {"cls": 1, "cls+dist": 2}.get(subject.case.readout, 0)
    row = expected_rollout(subject.layers, subject.readout, fusion, ratio, start, protected)
    np.testing.assert_allclose(heat.values, patches(row), atol=CLOSE, rtol=1e-5)
    assert heat.share and not heat.signed and heat.target is None


@pytest.mark.parametrize("key", CASES)
def test_record(key: str, built: Callable[[str], Built]) -> None:
    subject = built(key)
    record = subject.vit.inspect(picture())
    rows = np.stack([np.einsum("t,htk->hk", subject.readout, m) for m in subject.layers])
    np.testing.assert_allclose(record.rows, rows, atol=CLOSE)
    assert record.rollout is not None
    whole = expected_rollout(subject.layers, subject.readout, "mean", 0.0, 0, 0)
    np.testing.assert_allclose(record.rollout, whole, atol=CLOSE)
    assert record.self_check <= 1e-10


@pytest.mark.parametrize("key", GRADIENT_CASES)
def test_relevance(key: str, built: Callable[[str], Built]) -> None:
    subject = built(key)
    for target, start in ((0, 0), (3, 0), (3, 1)):
        heat = subject.vit.attribute(picture(), "relevance", target, start_layer=start)
        expected = patches(expected_relevance(subject, target, start))
        assert expected.max() > 1e-6
        np.testing.assert_allclose(heat.values, expected, rtol=1e-5, atol=1e-8 * expected.max())
        assert heat.target == target


@pytest.mark.parametrize("key", GRADIENT_CASES)
def test_contrast(key: str, built: Callable[[str], Built]) -> None:
    subject = built(key)
    for target, against, start in ((1, 2, 0), (2, 1, 0), (4, 0, 1)):
        heat = subject.vit.attribute(
            picture(), "contrast", target, against=against, start_layer=start
        )
        expected = patches(expected_relevance(subject, target, start, against))
        assert expected.max() > 1e-6
        np.testing.assert_allclose(heat.values, expected, rtol=1e-5, atol=1e-8 * expected.max())
        assert heat.target == target and not heat.signed


def test_predicted_class_is_the_default_target(built: Callable[[str], Built]) -> None:
    subject = built("cls")
    heat = subject.vit.attribute(picture(), "relevance")
    assert heat.target == subject.vit.inspect(picture()).predicted


def test_baselines(built: Callable[[str], Built]) -> None:
    vit = built("cls").vit
    np.testing.assert_array_equal(
        vit.attribute(picture(), "uniform").values, np.full((GRID, GRID), 1 / 16, np.float32)
    )
    first, again, other = (vit.attribute(picture(), "random", seed=s).values for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.min() >= 0
    assert first.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("key", CASES)
def test_images_of_a_batch_do_not_mix(key: str, built: Callable[[str], Built]) -> None:
    vit = built(key).vit
    single = [vit.pixels(picture(seed)) for seed in (0, 1)]
    alone = [vit.inspect_pixels(pixels)[0] for pixels in single]
    together = vit.inspect_pixels(torch.cat(single))
    for one, other in zip(alone, together, strict=True):
        for field in ("logits", "rows", "rollout"):
            np.testing.assert_allclose(
                getattr(one, field), getattr(other, field), atol=CLOSE, rtol=0
            )
    assert not np.allclose(alone[0].rows, alone[1].rows, atol=1e-4)


# -- properties ------------------------------------------------------------------------------


def trace_of(layers: list[Tensor], readout: Readout, grid: tuple[int, int]) -> Trace:
    prefix = {"cls": ("cls",), "cls+dist": ("cls", "dist")}.get(readout, ())
    layout = TokenLayout(prefix, grid, (16, 16), readout)
    calls = tuple(
        AttentionCall("", "", None, None, None, None, weights=matrix[None]) for matrix in layers
    )
    return Trace(layout, calls)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    readout = draw(st.sampled_from(["cls", "cls+dist", "average"]))
    grid = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    tokens = grid[0] * grid[1] + {"cls": 1, "cls+dist": 2}.get(readout, 0)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    spread = draw(st.sampled_from([0.1, 1.0, 30.0]))
    shape = (draw(st.integers(1, 4)), tokens, tokens)
    layers = [
        (torch.randn(shape, generator=generator, dtype=torch.float64) * spread).softmax(-1)
        for _ in range(draw(st.integers(1, 4)))
    ]
    return trace_of(layers, readout, grid)


options = st.fixed_dictionaries(
    {"head_fusion": st.sampled_from(["mean", "max", "min"]), "discard_ratio": st.just(0.0)}
)


@settings(deadline=None, max_examples=60)
@given(traces(), options, st.sampled_from([0.0, 0.3, 0.9]))
def test_rollout_row_is_a_distribution(trace: Trace, given_: dict[str, Any], ratio: float) -> None:
    row = rollout_row(trace, **{**given_, "discard_ratio": ratio})
    assert float(row.min()) >= 0
    assert float(row.sum()) == pytest.approx(1, abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(traces(), options, st.randoms(use_true_random=False))
def test_order_of_heads_is_irrelevant(trace: Trace, given_: dict[str, Any], random: Any) -> None:
    heads = list(range(trace.layers[0].shape[1]))
    random.shuffle(heads)
    moved = tuple(
        replace(call, weights=None if call.weights is None else call.weights[:, heads])
        for call in trace.layers
    )
    row, other = rollout_row(trace, **given_), rollout_row(replace(trace, layers=moved), **given_)
    torch.testing.assert_close(row, other, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("readout", ["cls", "cls+dist", "average"])
@pytest.mark.parametrize("fusion", FUSE)
@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_uniform_attention_stays_uniform(readout: Readout, fusion: str, ratio: float) -> None:
    tokens = 6 + {"cls": 1, "cls+dist": 2}.get(readout, 0)
    layers = [torch.full((2, tokens, tokens), 1 / tokens, dtype=torch.float64)] * 3
    trace = trace_of(layers, readout, (2, 3))
    row = rollout_row(trace, head_fusion=fusion, discard_ratio=ratio)[-6:]
    torch.testing.assert_close(row, row.mean().expand(6), atol=1e-9, rtol=1e-9)
    assert float(row.min()) > 0


@settings(deadline=None, max_examples=60)
@given(
    st.integers(2, 12),
    st.floats(0.01, 0.99),
    st.sampled_from([(0,), (0, 1), (1,), ()]),
    st.integers(0, 2**31),
)
def test_discard_drops_exactly_the_lowest(
    tokens: int, ratio: float, carriers: tuple[int, ...], seed: int
) -> None:
    order = torch.randperm(tokens * tokens, generator=torch.Generator().manual_seed(seed))
    fused = (order.double() + 1).reshape(tokens, tokens)
    lowest = fused <= int(ratio * tokens * tokens)
    lowest[:, list(carriers)] = False
    result = discard(fused, ratio, carriers)
    assert torch.equal(result == 0, lowest)
    assert torch.equal(result[~lowest], fused[~lowest])


@settings(deadline=None, max_examples=30)
@given(traces(), st.integers(1, 3), st.booleans())
def test_carry_is_the_product(trace: Trace, count: int, first_only: bool) -> None:
    call = trace.layers[0]
    assert call.weights is not None
    vectors = torch.rand(count, call.shape[2], dtype=torch.float64)
    if first_only:
        vectors[:, 1:] = 0
    expected = torch.einsum("kq,hqt->hkt", vectors, call.weights[0])
    torch.testing.assert_close(carry(call, vectors), expected)

    def squared(heads: slice, rows: slice, block: Tensor) -> Tensor:
        return block**2

    expected = torch.einsum("kq,hqt->hkt", vectors, call.weights[0] ** 2)
    torch.testing.assert_close(carry(call, vectors, squared), expected)


def test_carry_through_a_large_layer_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(5)
    query, key = (
        torch.randn(1, 3, 20, 4, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    call = AttentionCall("", "", query, key, None, None, scale=0.5)
    vectors = torch.rand(2, 20, dtype=torch.float64)
    whole = carry(call, vectors)
    monkeypatch.setattr("attnlib.capture.call._BLOCK_ELEMENTS", 60)
    torch.testing.assert_close(carry(call, vectors), whole)
    torch.testing.assert_close(whole, torch.einsum("kq,hqt->hkt", vectors, call.rows()[0]))


# -- messages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("nope", {}, f"There is no method 'nope'. The methods: {', '.join(METHODS)}."),
        (
            "rollout",
            {"heads": 1},
            "The method 'rollout' has no option 'heads'. Its options: "
            "head_fusion, discard_ratio, residual_weight, start_layer.",
        ),
        ("uniform", {"seed": 1}, "The method 'uniform' has no option 'seed'. Its options: none."),
        (
            "rollout",
            {"head_fusion": "median"},
            "head_fusion must be one of mean, max, min, not 'median'.",
        ),
        ("rollout", {"discard_ratio": 1.0}, "discard_ratio must be at most 0.99, not 1.0."),
        ("rollout", {"discard_ratio": "a"}, "discard_ratio must be a number, not 'a'."),
        ("rollout", {"start_layer": -1}, "start_layer must be at least 0, not -1."),
        ("rollout", {"start_layer": 3}, "start_layer must be from 0 to 2, not 3."),
        ("relevance", {"start_layer": 3}, "start_layer must be from 0 to 2, not 3."),
        ("relevance", {"target": 5}, "target must be a class from 0 to 4, not 5."),
        ("relevance", {"target": -1}, "target must be a class from 0 to 4, not -1."),
        ("contrast", {}, "Contrast compares two classes: give target and against."),
        ("contrast", {"target": 1, "against": 1}, "Contrast compares two classes: both are 1."),
        ("contrast", {"against": 9}, "target must be a class from 0 to 4, not 9."),
        ("raw", {"layer": 3}, "layer must be from 0 to 2 (or -1 for the last)."),
        ("raw", {"layer": 1.5}, "layer must be a whole number, not 1.5."),
        ("raw", {"head": 3}, "head must be from 0 to 2, not 3."),
        ("raw", {"head": -1}, "head must be at least 0, not -1."),
        ("raw", {"query": 17}, "query must be a token from 0 to 16, not 17."),
    ],
)
def test_messages(
    method: str, options: dict[str, Any], message: str, built: Callable[[str], Built]
) -> None:
    with pytest.raises(AttnlibError) as caught:
        built("cls").vit.attribute(picture(), method, **options)
    assert str(caught.value) == message


def test_undefined_map_says_why(built: Callable[[str], Built]) -> None:
    with pytest.raises(CaptureError) as caught:
        built("cait").vit.attribute(picture(), "relevance")
    assert str(caught.value) == (
        "Gradient-weighted relevance is not defined for Cait: heads are mixed after the softmax, "
        "so a gradient does not belong to one head. Occlusion, RISE and integrated gradients ask "
        "the model's answer alone."
    )
