"""Captured attention against independent truths: timm's unfused path and plain formulas.

The truth comes from a second copy of each model, built without fused attention, whose softmax
results are recorded by replacing the softmax functions: nothing is shared with the capture.
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import timm
import timm.layers
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import attnlib
from attnlib.capture import call as call_module
from attnlib.capture import passes
from attnlib.capture.admission import Admission
from attnlib.capture.call import AttentionCall
from attnlib.capture.mode import Capture
from attnlib.capture.support import examine
from attnlib.errors import CaptureError

EXACT = 1e-10


def stir(module: nn.Module, seed: int = 0, amount: float = 0.05) -> nn.Module:
    """Move every parameter, so that attention is peaked and no bias table is zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise.to(parameter.dtype), alpha=amount)
    return module


def fused_and_not(name: str, **options: Any) -> tuple[nn.Module, nn.Module]:
    """The model as it is by default, and a copy with explicit attention, both in float64."""
    default = timm.layers.use_fused_attn()
    fused = stir(timm.create_model(name, pretrained=False, num_classes=7, **options).eval())
    timm.layers.set_fused_attn(False)
    try:
        plain = timm.create_model(name, pretrained=False, num_classes=7, **options).eval()
    finally:
        timm.layers.set_fused_attn(bool(default))
    plain.load_state_dict(fused.state_dict())
    return fused.double(), plain.double()


@contextmanager
def recorded_softmax() -> Iterator[list[Tensor]]:
    """Every softmax result ``(B, H, Tq, Tk)`` in the order in which they are computed."""
    found: list[Tensor] = []

    def recording(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def softmax(*args: Any, **kwargs: Any) -> Tensor:
            result = original(*args, **kwargs)
            found.append(result.detach().clone())
            return result

        return softmax

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "softmax", recording(torch.Tensor.softmax))
        patch.setattr(torch, "softmax", recording(torch.softmax))
        yield found


def observed(module: nn.Module, pixels: Tensor) -> tuple[Tensor, list[AttentionCall]]:
    calls: list[AttentionCall] = []
    with torch.inference_mode(), Capture(module, calls.append):
        output = module(pixels)
    return output, calls


def pixels_for(size: tuple[int, int], batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, *size, generator=generator, dtype=torch.float64)


def difference(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max())


SQUARE, OBLONG, DINO = (64, 64), (64, 96), (56, 56)
MODELS: dict[str, tuple[str, tuple[int, int], dict[str, Any]]] = {
    "vit with cls": ("vit_tiny_patch16_224", SQUARE, {}),
    "distilled deit": ("deit_tiny_distilled_patch16_224", SQUARE, {}),
    "deit-3": ("deit3_small_patch16_224", SQUARE, {}),
    "dinov2": ("vit_small_patch14_dinov2", DINO, {}),
    "dinov2 with registers": ("vit_small_patch14_reg4_dinov2", DINO, {}),
    "dinov3": ("vit_small_patch16_dinov3", SQUARE, {}),
    "beit": ("beit_base_patch16_224", SQUARE, {}),
    "eva-02": ("eva02_tiny_patch14_224", DINO, {}),
    "relative position": ("vit_relpos_small_patch16_224", SQUARE, {}),
    "siglip": ("vit_base_patch16_siglip_224", SQUARE, {}),
    "average": ("vit_tiny_patch16_224", SQUARE, {"global_pool": "avg"}),
    "clip": ("vit_base_patch16_clip_224", SQUARE, {}),
    "non-square": ("vit_tiny_patch16_224", OBLONG, {}),
    "swin": ("swin_tiny_patch4_window7_224", (56, 112), {"depths": (2, 2), "window_size": 7}),
    "class attention and talking heads": ("cait_xxs24_224", SQUARE, {}),
}


@pytest.mark.parametrize("case", MODELS)
def test_exact_against_the_unfused_model_and_output_unchanged(case: str) -> None:
    name, size, options = MODELS[case]
    depth = {} if "depths" in options else {"depth": 2}
    fused, plain = fused_and_not(name, img_size=size, **depth, **options)
    pixels = pixels_for(size)
    with torch.inference_mode():
        before = fused(pixels)
        with recorded_softmax() as truth:
            reference = plain(pixels)
    output, calls = observed(fused, pixels)
    assert torch.equal(output, before)
    assert difference(output, reference) < 1e-8
    assert len(calls) == len(truth) >= 2
    for call, expected in zip(calls, truth, strict=True):
        assert difference(call.rows(), expected) <= EXACT
        assert call.check().amax() <= EXACT
        assert call.rows().dtype == torch.float64
    # The weights were stirred enough for the comparison to mean something.
    assert float(truth[0].std()) > 1e-3


def test_class_attention_of_xcit_and_its_body_by_name() -> None:
    fused, plain = fused_and_not("xcit_nano_12_p16_224", img_size=64, depth=2)
    with torch.inference_mode(), recorded_softmax() as truth:
        plain(pixels_for(SQUARE))
    _, calls = observed(fused, pixels_for(SQUARE))
    kinds = [call.kind for call in calls]
    assert kinds == ["XCA", "XCA", "ClassAttn", "ClassAttn"]
    for call, expected in zip(calls, truth, strict=True):
        assert difference(call.rows(), expected) <= EXACT
    vit = attnlib.load(fused.float())
    assert vit.support.roles == ("refused", "refused", "pool", "pool")
    with pytest.raises(CaptureError, match=r"rollout is not defined.*channels against channels"):
        vit.attribute(picture(0), "rollout")


@pytest.mark.parametrize(
    ("kind", "size"), [("AttentionPool2d", "feat_size"), ("RotAttentionPool2d", "ref_feat_size")]
)
def test_pool_that_hands_on_its_first_query_alone(kind: str, size: str) -> None:
    factory = getattr(timm.layers, kind)
    options: dict[str, Any] = {size: (3, 4), "num_heads": 2, "pool_type": "token"}
    features = torch.randn(2, 16, 3, 4, dtype=torch.float64)
    pair = []
    for fused in (True, False):
        timm.layers.set_fused_attn(fused)
        pair.append(factory(16, **options).eval().double())
    timm.layers.set_fused_attn(True)
    module, plain = stir(pair[0], amount=0.3), pair[1]
    plain.load_state_dict(module.state_dict())
    with torch.inference_mode(), recorded_softmax() as truth:
        plain(features)
    _, (call,) = observed(module, features)
    assert call.shape == (2, 2, 1, 13)
    assert difference(call.rows(), truth[0][:, :, :1]) <= EXACT
    assert call.check().amax() <= EXACT


def test_names_and_kinds() -> None:
    fused, _ = fused_and_not("vit_tiny_patch16_224", img_size=64, depth=2)
    _, calls = observed(fused, pixels_for(SQUARE))
    assert [call.module for call in calls] == ["blocks.0.attn", "blocks.1.attn"]
    assert {call.kind for call in calls} == {"Attention"}
    assert calls[0].shape == (2, 3, 17, 17)


# -- torchvision and transformers ------------------------------------------------------------


def torchvision_vit() -> nn.Module:
    from torchvision.models.vision_transformer import VisionTransformer

    return stir(
        VisionTransformer(
            image_size=64,
            patch_size=16,
            num_layers=2,
            num_heads=4,
            hidden_dim=32,
            mlp_dim=64,
            num_classes=7,
        ).eval()
    )


def to_tensor(image: Image.Image) -> Tensor:
    small = np.asarray(image.resize((64, 64)), dtype=np.float32) / 255
    return torch.from_numpy(small).permute(2, 0, 1).contiguous()


def picture(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def test_torchvision() -> None:
    module = torchvision_vit().double()
    truth: list[Tensor] = []

    class Explicit(nn.MultiheadAttention):
        """Asks torch itself for the weights of every head."""

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            kwargs.update(need_weights=True, average_attn_weights=False)
            result = super().forward(*args, **kwargs)
            truth.append(result[1])
            return result

    plain = copy.deepcopy(module)
    for child in plain.modules():
        if type(child) is nn.MultiheadAttention:
            child.__class__ = Explicit
    pixels = pixels_for(SQUARE)
    with torch.inference_mode():
        before = module(pixels)
        plain(pixels)
    output, calls = observed(module, pixels)
    assert len(calls) == len(truth) == 2
    for call, expected in zip(calls, truth, strict=True):
        assert difference(call.rows(), expected) <= EXACT
        assert call.check().amax() <= EXACT
    # A function mode switches torch's native attention kernel off: the same up to rounding.
    assert difference(output, before) <= 1e-12
    vit = attnlib.load(module.float(), transform=to_tensor, class_names=list("abcdefg"))
    record = vit.inspect(picture(0))
    assert record.rows.shape == (2, 4, 17)
    assert record.query == "CLS token"
    with torch.inference_mode():
        expected_logits = module(vit.pixels(picture(0)))
    np.testing.assert_allclose(record.logits, expected_logits[0].numpy(), atol=1e-5)


SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 64,
    "patch_size": 16,
    "num_labels": 7,
}


@pytest.mark.parametrize(
    ("kind", "extra", "prefix", "readout"),
    [
        ("ViT", {}, ("cls",), "cls"),
        ("DeiT", {}, ("cls", "dist"), "cls"),
        (
            "Dinov2WithRegisters",
            {"num_register_tokens": 3},
            ("cls", "reg1", "reg2", "reg3"),
            "cls+average",
        ),
        ("Beit", {"use_relative_position_bias": True}, ("cls",), "average"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_transformers(
    kind: str, extra: dict[str, Any], prefix: tuple[str, ...], readout: str, dtype: Any
) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = getattr(transformers, f"{kind}Config")(**SMALL, **extra)
    factory = getattr(transformers, f"{kind}ForImageClassification")
    module = stir(factory(config).eval()).to(dtype)
    assert module.config._attn_implementation == "sdpa"
    plain_config = copy.deepcopy(config)
    plain_config._attn_implementation = "eager"
    plain = factory(plain_config).eval().to(dtype)
    plain.load_state_dict(module.state_dict())
    pixels = pixels_for(SQUARE).to(dtype)
    with torch.inference_mode():
        before = module(pixels).logits
        truth = plain(pixels, output_attentions=True).attentions
    output, calls = observed(module, pixels)
    assert torch.equal(output.logits, before)  # type: ignore[attr-defined]
    assert len(calls) == len(truth) == 2
    # The eager path of transformers takes its softmax in float32, whatever the model's type.
    tolerance = 1e-7 if dtype == torch.float64 else 1e-5
    for call, expected in zip(calls, truth, strict=True):
        assert difference(call.rows(), expected) <= tolerance
    vit = attnlib.load(module, transform=to_tensor, class_names=list("abcdefg"))
    assert vit.layout.prefix == prefix
    assert vit.layout.grid == (4, 4)
    assert vit.layout.readout == readout
    record = vit.inspect(picture(0))
    assert record.rows.shape == (2, 4, 16 + len(prefix))
    assert record.self_check <= 1e-5


# -- the arguments of scaled_dot_product_attention ---------------------------------------------


class Bare(nn.Module):
    """Calls the operator with whatever it is given."""

    def forward(self, *args: Tensor, **options: Any) -> Tensor:
        return F.scaled_dot_product_attention(*args, **options)


def seen(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> tuple[Tensor, AttentionCall]:
    module, calls = Bare(), list[AttentionCall]()
    with Capture(module, calls.append):
        output = module(query, key, value, **options)
    (call,) = calls
    return output, call


def tensors(
    *shape: int, keys: int | None = None, heads: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    batch, own, rows, width = shape
    other = (batch, heads or own, keys or rows, width)
    return tuple(  # type: ignore[return-value]
        torch.randn(s, generator=generator, dtype=torch.float64) for s in (shape, other, other)
    )


def formula(query: Tensor, key: Tensor, scale: float, bias: Tensor | None = None) -> Tensor:
    scores = torch.einsum("bhqd,bhkd->bhqk", query, key) * scale
    scores = scores if bias is None else scores + bias
    shifted = (scores - scores.amax(-1, keepdim=True)).exp()
    return shifted / shifted.sum(-1, keepdim=True)


def coins(*shape: int) -> Tensor:
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(3)) > 0.4
    mask[..., 0] = True
    return mask


@pytest.mark.parametrize("shape", [(5, 7), (1, 7), (3, 5, 7), (2, 1, 5, 7), (2, 3, 5, 7)])
@pytest.mark.parametrize("boolean", [True, False])
def test_masks(shape: tuple[int, ...], boolean: bool) -> None:
    query, key, value = tensors(2, 3, 5, 4, keys=7)
    mask = coins(*shape)
    bias = torch.zeros(shape, dtype=torch.float64).masked_fill(~mask, -math.inf)
    if not boolean:
        bias = bias + torch.randn(shape, dtype=torch.float64)
    given = mask if boolean else bias
    _, call = seen(query, key, value, attn_mask=given)
    expected = formula(query, key, 0.5, bias)
    assert difference(call.rows(), expected) <= EXACT
    assert difference(call.rows(slice(2, 4)), expected[:, :, 2:4]) <= EXACT
    assert call.check().amax() <= EXACT
    for index in range(2):
        assert difference(call.image(index).rows(), expected[index : index + 1]) <= EXACT


def test_causal_scale_and_grouped_queries() -> None:
    query, key, value = tensors(1, 4, 6, 8)
    below = torch.zeros(6, 6, dtype=torch.float64)
    below.masked_fill_(torch.ones(6, 6).triu(1).bool(), -math.inf)
    _, call = seen(query, key, value, is_causal=True)
    assert difference(call.rows(), formula(query, key, 8**-0.5, below)) <= EXACT
    _, call = seen(query, key, value, scale=0.3)
    assert difference(call.rows(), formula(query, key, 0.3)) <= EXACT
    query, key, value = tensors(1, 4, 6, 8, heads=2)
    _, call = seen(query, key, value, enable_gqa=True)
    doubled = key.repeat_interleave(2, dim=1)
    assert difference(call.rows(), formula(query, doubled, 8**-0.5)) <= EXACT
    assert call.check().amax() <= EXACT


@pytest.mark.parametrize("leading", [(3,), (2, 3, 2)])
def test_other_numbers_of_dimensions(leading: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(4)
    query, key, value = (
        torch.randn(*leading, 5, 4, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    bias = torch.randn(*leading, 5, 5, generator=generator, dtype=torch.float64)
    _, call = seen(query, key, value, attn_mask=bias)
    expected = torch.softmax(query @ key.transpose(-2, -1) * 0.5 + bias, dim=-1)
    # (B, T, d) has one head; in (B, H, W, T, d) the windows join the batch.
    four = expected[:, None] if expected.ndim == 3 else expected.transpose(1, 2).flatten(0, 1)
    assert difference(call.rows(), four) <= EXACT
    assert call.check().amax() <= EXACT


def test_autocast_is_rounded_as_the_operator_rounds() -> None:
    query, key, value = (tensor.float() for tensor in tensors(1, 2, 9, 8))
    with torch.autocast("cpu", torch.bfloat16):
        output, call = seen(query, key, value)
    assert output.dtype == torch.bfloat16
    rounded = (query.bfloat16().double(), key.bfloat16().double())
    rows = call.rows()
    assert rows.dtype == torch.float32
    assert difference(rows.double(), formula(*rounded, 8**-0.5)) <= 1e-6
    # Rounding is what makes the difference: the unrounded formula is much further away.
    assert difference(rows.double(), formula(query.double(), key.double(), 8**-0.5)) > 1e-5
    assert call.check().amax() <= 2e-2


def test_half_precision_logits_that_overflow() -> None:
    query, key, value = (tensor.half() * 60 for tensor in tensors(1, 2, 9, 64))
    call = AttentionCall("", "", query, key, value, None)
    assert torch.isinf(query @ key.transpose(-2, -1)).any()
    assert torch.isfinite(call.rows()).all()
    assert difference(call.rows().double(), formula(query.double(), key.double(), 1.0)) <= 1e-4


@pytest.mark.parametrize(
    "shape", [None, (23, 23), (3, 23, 23), (1, 1, 23, 23), (1, 3, 23, 23), (1, 1, 1, 23)]
)
def test_blocks_are_the_rows(
    shape: tuple[int, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, key, value = tensors(1, 3, 23, 8)
    bias = None if shape is None else torch.randn(shape, dtype=torch.float64)
    _, call = seen(query, key, value, attn_mask=bias)
    rows = call.rows()[0]
    monkeypatch.setattr(call_module, "_BLOCK_ELEMENTS", 23 * 5)
    pieced = torch.full_like(rows, math.nan)
    pieces = 0
    for heads, queries, block in call.blocks():
        pieced[heads, queries] = block
        pieces += 1
    assert pieces == 3 * 5
    assert difference(pieced, rows) <= 1e-14


def test_blocks_take_one_image() -> None:
    _, call = seen(*tensors(2, 3, 5, 4))
    with pytest.raises(CaptureError, match="this call holds 2"):
        next(call.blocks())


def test_the_check_can_fail() -> None:
    _, call = seen(*tensors(1, 3, 9, 8))
    assert call.check().amax() <= EXACT
    call.scale *= 1.5
    assert call.check().amax() > 1e-2
    _, call = seen(*tensors(1, 3, 9, 8))
    assert call.check(rows=call.rows().roll(1, dims=-1)).amax() > 1e-1


# -- threads, traces, refusals -----------------------------------------------------------------


def small_vit(**options: Any) -> nn.Module:
    return stir(
        timm.create_model(
            "vit_tiny_patch16_224",
            pretrained=False,
            **{"img_size": 64, "depth": 2, "num_classes": 7, **options},
        ).eval()
    )


def test_nothing_is_left_on_the_module() -> None:
    module = small_vit()

    def state() -> dict[str, tuple[tuple[str, ...], int]]:
        return {
            name: (
                tuple(child.__dict__),
                sum(len(v) for k, v in child.__dict__.items() if "_hooks" in k),
            )
            for name, child in module.named_modules()
        }

    before = state()
    vit = attnlib.load(module)
    vit.inspect(picture(0))
    vit.attribute(picture(0), "relevance")
    assert state() == before
    assert all(hooks == 0 for _, hooks in before.values())


def test_sixteen_threads_on_one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the queue in front of the model, so that passes really overlap.
    places = Admission(16)
    monkeypatch.setattr(passes, "_admission", lambda: places)
    vit = attnlib.load(small_vit())
    images = [picture(seed) for seed in range(16)]
    serial = [vit.inspect(image) for image in images]
    start = threading.Barrier(16)

    def work(index: int) -> list[attnlib.Record]:
        start.wait()
        return [vit.inspect(images[index]) for _ in range(3)]

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(work, range(16)))
    for expected, records in zip(serial, results, strict=True):
        for record in records:
            for field in ("logits", "rows", "rollout", "embedding"):
                assert np.array_equal(getattr(record, field), getattr(expected, field))
    assert not np.array_equal(serial[0].rows, serial[1].rows)


def test_another_thread_sees_nothing() -> None:
    module, calls = Bare(), list[AttentionCall]()
    with Capture(module, calls.append):
        other = threading.Thread(target=lambda: module(*tensors(1, 2, 3, 4)))
        other.start()
        other.join()
    assert calls == []


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_traced_model_is_refused_with_the_reason() -> None:
    traced = torch.jit.trace(small_vit(), torch.zeros(1, 3, 64, 64))
    with pytest.raises(CaptureError, match=r"traced or scripted \(torch\.jit\)"):
        examine(traced, (64, 64))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet18", "convolutional or MLP model"),
        ("test_efficientnet", "convolutional or MLP model"),
        ("gcresnext26ts", "global context block"),
        ("lambda_resnet26t", "lambda layer"),
        ("edgenext_xx_small", "cross-covariance"),
    ],
)
def test_what_is_no_token_attention_is_refused_by_name(name: str, message: str) -> None:
    module = timm.create_model(name, pretrained=False).eval()
    with pytest.raises(CaptureError, match=message):
        examine(module, (64, 64))
