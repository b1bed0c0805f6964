"""The cost formulas against timm's own modules, PyTorch's counters and its allocator."""

from __future__ import annotations

import dataclasses
import itertools
import weakref
from typing import Any

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers import DiffAttention
from timm.models.beit import Beit
from timm.models.eva import Eva, EvaBlock
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from attnlib.complexity import Architecture, ArchitectureError, cost, crossover, macs, sweep
from attnlib.complexity.alternatives import alternatives
from attnlib.complexity.attention_benchmark import benchmark_attention, linear, windowed
from attnlib.complexity.build import Materialised, attention, build
from attnlib.complexity.measure import MeasurementCancelled, measure
from attnlib.complexity.memory import Dtype, checkpointed_activations, memory
from attnlib.complexity.parameters import parameters
from attnlib.complexity.savings import Options
from attnlib.errors import AttnlibError, OutOfMemory

# One model of every combination of switches that timm's ViT, DeiT, BEiT and EVA files contain;
# benchmarks/complexity_sweep.py goes through every name at full depth.
SWITCHES = [
    "aimv2_large_patch14_224",
    "beit3_base_patch16_224",
    "eva_large_patch14_196",
    "flexivit_small",
    "test_vit",
    "test_vit2",
    "test_vit3",
    "test_vit4",
    "vit_small_patch14_dinov2",
    "vit_small_patch14_reg4_dinov2",
    "vit_small_patch16_18x2_224",
    "vit_base_patch16_224_miil",
    "vit_medium_patch32_clip_224",
    "vit_base_patch16_gap_224",
    "vit_base_patch32_plus_256",
    "vit_base_patch16_radio_v3",
    "vit_base_patch16_reg4_gap_256",
    "vit_base_patch16_rpn_224",
    "vit_base_patch32_siglip_256",
    "vit_base_patch32_siglip_gap_256",
    "vit_base_patch16_xp_224",
    "vit_medium_patch16_gap_240",
    "vit_wee_patch16_reg1_gap_256",
    "vit_dwee_patch16_reg1_gap_256",
    "vit_dpwee_patch16_reg1_gap_256",
    "vit_giant_patch14_dinov2",
    "vit_giant_patch14_reg1_tipsv2",
    "vit_so400m_patch16_radio_v4",
    "vit_intern300m_patch14_448",
    "vit_pwee_patch16_reg1_gap_256",
    "vit_so150m2_patch16_reg1_gap_256",
    "vit_so150m_patch16_reg4_gap_256",
    "vit_so150m_patch16_reg4_map_256",
    "vit_so400m_patch14_siglip_384",
    "deit3_small_patch16_224",
    "deit_tiny_distilled_patch16_224",
    "beit_base_patch16_224",
    "eva02_base_patch14_224",
    "eva02_base_patch14_448",
    "eva02_base_patch16_clip_224",
    "eva02_enormous_patch14_clip_224",
    "eva_giant_patch14_clip_224",
    "eva02_tiny_patch14_224",
    "eva02_tiny_patch14_336",
    "eva_giant_patch14_224",
    "vit_large_patch16_sapiens2",
    "vit_small_plus_patch16_dinov3",
    "vit_small_patch16_dinov3",
    "vit_tiny_patch16_dinov3_qkvb",
    "vit_small_patch16_lingbot",
    "vit_small_patch16_rope_224",
    "vit_small_patch16_rope_ape_224",
    "vit_small_patch16_rope_mixed_224",
    "vit_small_patch16_rope_mixed_ape_224",
    "vit_medium_patch16_rope_reg1_gap_256",
    "vit_giant_patch16_lingbot",
    "vit_small_plus_patch16_dinov3_qkvb",
    "vit_mediumd_patch16_rope_reg1_gap_256",
    "vit_pe_core_tiny_patch16_384",
    "vit_pe_core_gigantic_patch14_448",
    "vit_pe_lang_gigantic_patch14_448",
    "vit_pe_lang_large_patch14_448",
    "vit_pe_spatial_tiny_patch16_512",
]


def meta(name: str, **options: Any) -> nn.Module:
    with torch.device("meta"):
        return timm.create_model(name, **options).eval().requires_grad_(False)


def counted(module: nn.Module, image: tuple[int, int], fused: bool = True, batch: int = 1) -> int:
    """PyTorch's own count of FLOPs."""
    for part in module.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = fused
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.empty(batch, 3, *image, device="meta"))
    return int(counter.get_total_flops())


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_counts_as_pytorch_does(name: str) -> None:
    options: dict[str, Any] = {"depth": 2}
    if "sapiens2" in name:
        options["num_kv_heads"] = (16, 8)
    module = meta(name, **options)
    a = Architecture.from_module(module)
    # Only two blocks: the first and last terms must be right, not merely small.
    assert parameters(a).total == sum(p.numel() for p in module.parameters())
    assert macs(a).flops == counted(module, a.image)
    assert macs(a, materialised=True).flops == counted(module, a.image, fused=False)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("vit_tiny_patch16_224", (96, 160)),
        ("deit_tiny_distilled_patch16_224", (112, 64)),
        ("beit_base_patch16_224", (64, 128)),
        ("vit_small_patch16_dinov3", (128, 96)),
        ("vit_tiny_patch16_224", (170, 100)),
    ],
)
def test_other_image_sizes_and_batches(name: str, image: tuple[int, int]) -> None:
    module = meta(name, img_size=image)
    a = Architecture.from_timm(name, image)
    assert parameters(a).total == sum(p.numel() for p in module.parameters())
    assert macs(a).times(3).flops == counted(module, image, batch=3)
    assert dataclasses.replace(Architecture.from_timm(name).with_image(image)) == a


class TwoLambdas(DiffAttention):
    """Differential attention whose lambda is two scalars."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options, dual_lambda=True)


def gated(qkv_bias: bool) -> nn.Module:
    """An EVA whose attention has a sigmoid gate."""
    model = Eva(128, 16, embed_dim=64, depth=2, num_heads=4, qkv_bias=qkv_bias)
    blocks = [EvaBlock(64, 4, gated_attn=True, qkv_bias=qkv_bias) for _ in range(2)]
    model.blocks = nn.ModuleList(blocks)
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda: gated(True),
        lambda: gated(False),
        lambda: Beit(128, 16, embed_dim=64, depth=2, num_heads=4, use_shared_rel_pos_bias=True),
        lambda: VisionTransformer((100, 130), 16, embed_dim=64, depth=2, num_heads=4,
                                  dynamic_img_size=True, dynamic_img_pad=True,
                                  qkv_bias=False, proj_bias=False),
        lambda: VisionTransformer(128, 16, embed_dim=64, depth=2, num_heads=4,
                                  attn_layer=TwoLambdas, qk_norm=True, scale_attn_norm=True),
        lambda: VisionTransformer(128, 16, embed_dim=64, depth=2, num_heads=4, global_pool=""),
    ],
    ids=["gate", "gate without bias", "shared bias", "padding", "differential", "no pool"],
)  # fmt: skip
def test_switches_that_no_named_model_has(make: Any) -> None:
    with torch.device("meta"):
        module = make().eval().requires_grad_(False)
    a = Architecture.from_module(module)
    assert parameters(a).total == sum(p.numel() for p in module.parameters())
    assert macs(a).flops == counted(module, a.image)
    assert macs(a, materialised=True).flops == counted(module, a.image, fused=False)


def test_published_figures() -> None:
    """timm's tables give ViT-B/16 86.57 M parameters and 16.87 GMACs, the DeiT paper 17.6.

    The counter behind the former leaves Q Kᵀ and A V out and adds five operations per element of
    every layer norm, of which there are 25.
    """
    c = cost(Architecture.from_timm("vit_base_patch16_224"))
    assert round(c.parameters.total / 1e6, 2) == 86.57
    norms = 25 * 5 * 197 * 768
    assert round((c.macs.without_attention_products + norms) / 1e9, 2) == 16.87
    assert round(c.macs.total / 1e9, 1) == 17.6
    assert c.memory.attention_per_model == 12 * 12 * 197**2 * 4


def test_training_macs_equal_the_counter_of_a_backward_pass() -> None:
    a = Architecture.vit(64, 16, 64, 3, 4)
    with torch.device("meta"):
        module = build(a, "meta")
    with FlopCounterMode(display=False) as counter:
        module(torch.empty(2, 3, 64, 64, device="meta")).sum().backward()
    assert counter.get_total_flops() == 2 * cost(a, batch=2, training=True).training_macs


@settings(max_examples=25, deadline=None)
@given(
    dim=st.sampled_from([64, 96, 192, 384]),
    heads=st.sampled_from([2, 4, 8]),
    depth=st.integers(1, 12),
    registers=st.integers(0, 8),
    pool=st.sampled_from(["token", "avg"]),
)
def test_the_crossover_is_where_bisection_finds_it(
    dim: int, heads: int, depth: int, registers: int, pool: Any
) -> None:
    a = Architecture.vit(64, 16, dim, depth, heads, registers=registers, pool=pool)
    low, high = 1, 65_536 // 16

    def quadratic_leads(patches: int) -> bool:
        m = macs(dataclasses.replace(a, image=(16, 16 * patches)))
        return m.quadratic >= m.linear

    assert not quadratic_leads(low)
    assert quadratic_leads(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if quadratic_leads(middle) else (middle, high)
    found = crossover(a)
    assert low < found.patches <= high
    assert found.image[0] * found.image[1] == pytest.approx(found.patches * 256)


class LiveBytes(TorchDispatchMode):
    """Bytes of the storages that operators made and that still exist: a second accountant."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        owned = [*module.parameters(), *module.buffers()]
        self._live = {t.untyped_storage()._cdata: 0 for t in owned}
        self._now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if not isinstance(tensor, torch.Tensor):
                continue
            storage = tensor.untyped_storage()
            if storage._cdata not in self._live:
                self._live[storage._cdata] = storage.nbytes()
                self._now += storage.nbytes()
                self.peak = max(self.peak, self._now)
                weakref.finalize(storage, self._freed, storage._cdata)
        return out

    def _freed(self, key: int) -> None:
        self._now -= self._live.pop(key)


def kept_bytes(module: nn.Module, pixels: torch.Tensor) -> int:
    """Bytes of what autograd saves, each storage once, without the parameters."""
    owned = {p.untyped_storage()._cdata for p in module.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage()._cdata not in owned:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        module(pixels)
    return sum(t.untyped_storage().nbytes() for t in kept.values())


@pytest.mark.parametrize("materialised", [False, True])
@pytest.mark.parametrize(
    ("architecture", "close"),
    [
        (Architecture.vit(96, 8, 96, 4, 3), 0.03),
        (Architecture.vit(224, 16, 192, 3, 3), 0.03),
        (Architecture.vit((64, 160), 8, 96, 3, 3, layer_scale=True, registers=4), 0.03),
        (Architecture.vit(96, 8, 96, 3, 3, pool="avg", qk_norm=True), 0.13),
        (Architecture.vit(96, 8, 96, 3, 3, glu=True), 0.13),
    ],
    ids=["plain", "tiny", "layer scale", "q/k norm", "gated"],
)
def test_memory_is_what_pytorch_holds(
    architecture: Architecture, close: float, materialised: bool
) -> None:
    module = build(architecture).eval()
    for part in module.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = not materialised
    pixels = torch.randn(2, 3, *architecture.image)
    live = LiveBytes(module)
    with torch.no_grad(), live:
        module(pixels)
    at_most = memory(architecture, 2, materialised=materialised).activations
    assert at_most == pytest.approx(live.peak + pixels.nbytes, rel=close)
    kept = memory(architecture, 2, training=True, materialised=materialised).activations
    assert kept == pytest.approx(kept_bytes(module.train(), pixels), rel=max(close, 0.05))


@pytest.mark.parametrize("branches", [1, 2])
def test_only_fused_attention_keeps_softmax_sums(branches: int) -> None:
    """They are float32 whatever the model's type, so they alone do not halve with it."""
    a = dataclasses.replace(Architecture.vit(64, 8, 96, 3, 3), branches=branches)

    def kept(materialised: bool, dtype: Dtype) -> int:
        return memory(a, 2, dtype, training=True, materialised=materialised).activations

    assert kept(True, "float32") == 2 * kept(True, "bfloat16")
    sums = 4 * 2 * 3 * branches * 3 * 65  # bytes, images, blocks, branches, heads, queries
    assert 2 * kept(False, "bfloat16") - kept(False, "float32") == sums
    one = [checkpointed_activations(a, 2, dtype, True) for dtype in ("float32", "bfloat16")]
    assert one[0] == 2 * one[1]
    one = [checkpointed_activations(a, 2, dtype, False) for dtype in ("float32", "bfloat16")]
    assert 2 * one[1] - one[0] == sums / 3


def test_sweeps_are_the_costs_one_by_one() -> None:
    a = Architecture.vit(64, 8, 96, 2, 3)
    rows = sweep(a, "image", [64, (96, 64)])
    assert [row.tokens for row in rows] == [65, 97]
    assert [row.architecture.dim for row in sweep(a, "dimension", [48, 192])] == [48, 192]
    assert sweep(a, "dimension", [192])[0].architecture.mlp_hidden == 768
    assert [row.tokens for row in sweep(a, "patch", [4, 16])] == [257, 17]
    assert sweep(a, "batch", [4])[0].macs.total == 4 * cost(a).macs.total


@pytest.mark.parametrize(
    ("options", "field", "text"),
    [
        ({"image": 8}, "patch", "larger than the image"),
        ({"heads": 7}, "heads", "do not divide"),
        ({"dim": 0}, "dim", "from 1"),
        ({"dim": 10**5000}, "dim", "what was given"),
        ({"depth": True}, "depth", "whole numbers"),
        ({"image": "big"}, "image", "height, width"),
        ({"mlp_ratio": float("nan")}, "mlp_ratio", "above 0"),
        ({"class_token": False}, "pool", "class token"),
        ({"pool": "nonsense"}, "pool", "one of"),
    ],
)
def test_impossible_input_names_its_field(options: dict[str, Any], field: str, text: str) -> None:
    with pytest.raises(ArchitectureError, match=text) as caught:
        Architecture.vit(**options)
    assert caught.value.field == field
    assert isinstance(caught.value, AttnlibError)


anything = st.one_of(
    st.integers(-3, 70_000), st.none(), st.text(max_size=3), st.floats(), st.booleans(),
    st.lists(st.integers(), max_size=3), st.tuples(st.integers(1, 99), st.integers(1, 99)),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(
    st.sampled_from(["image", "patch", "dim", "depth", "heads", "mlp_ratio", "classes",
                     "registers", "class_token", "pool", "qk_norm", "glu"]), anything,
), anything, anything)  # fmt: skip
def test_nothing_but_an_architecture_error_is_raised(
    options: dict[str, Any], batch: Any, dtype: Any
) -> None:
    try:
        a = Architecture.vit(**options)
        cost(a)
        alternatives(a)
        cost(a, batch, dtype)
    except ArchitectureError as error:
        assert error.problems
        assert all(p.field and p.message for p in error.problems)


def test_terabytes_are_refused_with_the_amount() -> None:
    with pytest.raises(ArchitectureError, match=r"TiB") as caught:
        cost(Architecture.vit(8192, 4), materialised=True)
    assert caught.value.field == "image"
    with pytest.raises(ArchitectureError, match="TiB") as caught:
        cost(Architecture.vit(), batch=1_000_000)
    assert caught.value.field == "batch"


def test_pixels_cut_or_padded_are_said() -> None:
    cut = Architecture.vit((384, 224), 14)
    assert [p.message for p in cut.notes] == [
        "The patch size 14 does not divide the height 384: the image is cut by 6 pixels."
    ]
    padded = dataclasses.replace(cut, pads=True)
    assert "padded by 8 pixels" in padded.notes[0].message
    assert padded.grid == (28, 16)


@pytest.mark.parametrize("name", ["resnet50", "swin_tiny_patch4_window7_224", "xcit_nano_12_p8_224",
                                  "no_such_model", "vit_relpos_base_patch16_224",
                                  "vit_base_r26_s32_224"])  # fmt: skip
def test_what_is_not_covered_is_refused_by_name(name: str) -> None:
    with pytest.raises(ArchitectureError, match=name) as caught:
        Architecture.from_timm(name)
    assert caught.value.field == "name"


def test_a_size_that_the_model_itself_refuses_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="whole patches") as caught:
        Architecture.from_timm("test_vit", (170, 100))
    assert caught.value.field == "image"


def test_a_part_that_the_formulas_do_not_know_is_refused() -> None:
    module = meta("test_vit")
    module.extra = nn.Linear(3, 3, device="meta")
    with pytest.raises(ArchitectureError, match="do not cover"):
        Architecture.from_module(module)


TINY = Architecture.vit(64, 8, 64, 2, 4, classes=10)


@pytest.mark.parametrize("training", [False, True])
def test_measure_reports_what_it_ran(training: bool) -> None:
    shares: list[float] = []
    m = measure(
        TINY, 2, training=training, seconds=0.1, progress=lambda s: shares.append(s) or True
    )
    assert m.fastest <= m.latency <= m.slowest < 10
    assert m.throughput == pytest.approx(2 / m.latency)
    flops = 2 * (m.cost.training_macs if training else m.cost.macs.total)
    assert m.rate == pytest.approx(flops / m.latency)
    assert 0 < m.utilisation < 1.5
    assert shares[0] == 0
    assert shares == sorted(shares)


def test_measure_stops_and_refuses() -> None:
    with pytest.raises(MeasurementCancelled):
        measure(TINY, progress=lambda share: False)
    with pytest.raises(OutOfMemory, match="GiB free"):
        measure(Architecture.vit(512, 4), 8, materialised=True)
    with pytest.raises(ArchitectureError, match="cannot build"):
        measure(dataclasses.replace(TINY, attention_gate=True))


def test_a_module_is_measured_as_it_is_and_left_alone() -> None:
    module = build(TINY).eval()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    attributes = {id(m): dict(vars(m)) for m in module.modules()}
    assert measure(module, materialised=True, seconds=0.05).repeats >= 1
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert all(dict(vars(m)) == attributes[id(m)] for m in module.modules())


def test_materialised_attention_is_the_same_function() -> None:
    module = build(TINY).double().eval()
    pixels = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        fused = module(pixels)
        with Materialised():
            explicit = module(pixels)
    torch.testing.assert_close(explicit, fused, rtol=1e-10, atol=1e-12)


def test_attention_forms_against_their_definitions() -> None:
    q, k, v = torch.randn(3, 2, 3, 11, 4, dtype=torch.float64).unbind(0)
    mask = torch.block_diag(torch.ones(4, 4), torch.ones(4, 4), torch.ones(3, 3)).bool()
    torch.testing.assert_close(windowed(q, k, v, 4), attention(q, k, v, mask))
    weights = (torch.nn.functional.elu(q) + 1) @ (torch.nn.functional.elu(k) + 1).mT
    torch.testing.assert_close(linear(q, k, v), weights / weights.sum(-1, keepdim=True) @ v)


def test_alternatives_by_hand() -> None:
    a = Architecture.vit()
    found = {x.name: x for x in alternatives(a, 2, options=Options(merged=8, rank=64))}
    assert len(found) == 13
    full = 2 * macs(a).total
    assert found["fused"].macs_after == found["fused"].macs_before == full
    assert found["fused"].memory_ratio < 1
    assert found["sparse"].memory_ratio == pytest.approx(0.1, rel=1e-5)
    # Linformer on one block: 4 T k D instead of 2 T² D.
    saved = 2 * 12 * (2 * 197 * 197 * 768 - 4 * 197 * 64 * 768)
    assert found["low_rank"].macs_after == full - saved
    # Merging nothing is the model itself; merging 8 a block ends with 197 - 96 tokens.
    blocks = [197 - 8 * i for i in range(13)]
    expected = macs(a).patch_embedding + macs(a).head
    for t, after in itertools.pairwise(blocks):
        expected += 4 * t * 768**2 + 2 * t * t * 768 + 8 * after * 768**2
    assert found["merging"].macs_after == 2 * expected
    larger = 2 * macs(Architecture.vit(patch=32)).total
    assert found["larger_patches"].macs_after == larger
    kept = memory(a, 2, training=True).activations
    assert checkpointed_activations(a, 2, "float32", False) < kept / 4
    assert all(x.formula and x.assumption and x.source and x.accuracy for x in found.values())


def test_attention_benchmark_times_every_form() -> None:
    rows = benchmark_attention(TINY, seconds=0.02)
    assert [row.form for row in rows] == [
        "materialised", "fused", "windowed", "linear", "low_rank",
    ]  # fmt: skip
    assert all(row.seconds > 0 for row in rows)
