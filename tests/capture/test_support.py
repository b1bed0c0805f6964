"""What is said about a model: one small representative of every kind that is told apart."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

from attnlib.capture.support import Facts, Seen, Support, classify, examine, observe, readout_of
from attnlib.capture.tokens import TokenLayout
from attnlib.errors import CaptureError, ModelError

ALL = {"per layer", "readout rows", "rollout", "relevance"}
WINDOWS = "windows, to reduced keys or on another grid"


def look(name: str, size: tuple[int, int], **options: Any) -> tuple[TokenLayout, Support]:
    """On the meta device: shapes are all that classification rests on."""
    with torch.device("meta"):
        module = timm.create_model(name, pretrained=False, **options).eval()
    return examine(module, size)


# name, options, size, readout, prefix, grid, maps
PLAIN = [
    ("vit_tiny_patch16_224", {}, 64, "cls", ("cls",), ALL),
    ("vit_tiny_patch16_224", {"global_pool": "avg"}, 64, "average", ("cls",), ALL),
    ("vit_tiny_patch16_224", {"global_pool": "max"}, 64, "none", ("cls",), {"per layer"}),
    ("vit_base_patch16_gap_224", {}, 64, "average", (), ALL),
    ("deit_tiny_distilled_patch16_224", {}, 64, "cls+dist", ("cls", "dist"), ALL),
    ("vit_small_patch14_reg4_dinov2", {}, 56, "cls", ("cls", "reg1", "reg2", "reg3", "reg4"), ALL),
    ("vit_base_patch16_siglip_224", {}, 64, "pool", (), ALL),
    ("vit_so150m_patch16_reg4_map_256", {}, 64, "pool", ("reg1", "reg2", "reg3", "reg4"), ALL),
    ("vit_pe_core_tiny_patch16_384", {}, 64, "pool", ("cls",), ALL),
    ("cait_xxs24_224", {}, 64, "class attention", (), ALL - {"relevance"}),
    ("tnt_s_patch16_224", {}, 64, "cls", ("cls",), ALL),
    ("convit_tiny", {}, 64, "cls", (), {"per window"}),
]


@pytest.mark.parametrize(("name", "options", "side", "readout", "prefix", "maps"), PLAIN)
def test_layers_over_all_patches(
    name: str,
    options: dict[str, Any],
    side: int,
    readout: str,
    prefix: tuple[str, ...],
    maps: set[str],
) -> None:
    depth = {} if name == "convit_tiny" else {"depth": 2}
    layout, support = look(name, (side, side), img_size=side, **depth, **options)
    assert layout.grid == (4, 4)
    assert layout.patch_size == (side // 4, side // 4)
    assert support.maps == maps
    if name != "convit_tiny":
        assert layout.prefix == prefix
        assert layout.readout == readout
    assert bool(support.reason) == (support.maps != ALL)


@pytest.mark.parametrize(
    ("name", "size", "grid", "readout", "reason"),
    [
        ("xcit_nano_12_p16_224", 64, (4, 4), "class attention", "channels against channels"),
        ("volo_d1_224", 224, (14, 14), "class attention", WINDOWS),
        ("crossvit_9_240", 240, (20, 20), "class attention", WINDOWS),
        ("resnet50_clip", 224, (7, 7), "pool", "attention only pools here"),
    ],
)
def test_only_the_readout_row(
    name: str, size: int, grid: tuple[int, int], readout: str, reason: str
) -> None:
    layout, support = look(name, (size, size))
    assert "readout rows" in support.maps
    assert not support.maps & {"rollout", "relevance"}
    assert (layout.grid, layout.readout) == (grid, readout)
    assert reason in support.reason


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("swin_tiny_patch4_window7_224", 224),
        ("levit_128s", 224),
        ("mvitv2_tiny", 224),
        ("pvt_v2_b0", 224),
        ("nest_tiny", 224),
        ("twins_svt_small", 224),
        ("hiera_tiny_224", 224),
        ("maxvit_rmlp_pico_rw_256", 256),
        ("efficientvit_m0", 224),
        ("pit_ti_224", 224),
    ],
)
def test_windows_and_stages(name: str, size: int) -> None:
    _, support = look(name, (size, size))
    assert "per window" in support.maps
    assert not support.maps & {"rollout", "relevance", "readout rows"}
    assert WINDOWS in support.reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet18", "convolutional or MLP model"),
        ("mixer_s32_224", "convolutional or MLP model"),
        ("gcresnext26ts", "global context"),
        ("lambda_resnet26t", "lambda layer"),
        ("edgenext_xx_small", "cross-covariance"),
        ("coat_lite_tiny", "never forms weights between tokens"),
        ("efficientvim_m1", "state-space"),
        ("vit_dlittle_patch16_reg1_gap_256", "differential attention"),
    ],
)
def test_refused_with_the_reason(name: str, reason: str) -> None:
    size = 256 if name.endswith("256") else 224
    with pytest.raises(CaptureError, match=reason):
        look(name, (size, size))


def test_tokens_instead_of_logits_are_no_model_to_debug() -> None:
    with torch.device("meta"):
        module = timm.create_model(
            "vit_tiny_patch16_224", pretrained=False, depth=2, num_classes=0, global_pool=""
        )
    facts = observe(module.eval(), (224, 224))
    assert len(facts.calls) == 2
    assert classify(facts)[0].grid == (14, 14)
    with pytest.raises(ModelError, match="not logits"):
        examine(module, (224, 224))


def test_wrong_size() -> None:
    with pytest.raises(ModelError, match="does not run on an image of 48 x 64 pixels"):
        look("vit_tiny_patch16_224", (48, 64), depth=1)


def test_calls_by_role() -> None:
    _, support = look("vit_base_patch16_siglip_224", (64, 64), img_size=64, depth=2)
    assert support.roles == ("layer", "layer", "pool")
    assert support.calls("pool") == (2,)
    assert support.calls("layer", "pool") == (0, 1, 2)
    assert support.names[0] == "blocks.0.attn"
    assert support.shapes[2] == (1, 12, 1, 16)


@pytest.mark.parametrize(
    ("pooling", "both", "prefix", "readout"),
    [
        ("token", "", ("cls",), "cls"),
        ("token", "dist", ("cls", "dist"), "cls+dist"),
        (None, "", ("cls", "dist"), "cls"),
        (None, "average", ("cls",), "cls+average"),
        (None, "", (), "average"),
        ("avgmax", "", ("cls",), "none"),
        ("prr", "", (), "none"),
    ],
)
def test_readouts(pooling: str | None, both: str, prefix: tuple[str, ...], readout: str) -> None:
    call = Seen("a", "Attention", (1, 2, 5, 5), "softmax")
    facts = Facts(
        "Vit", (call,), frozenset(), False, (2, 2), (8, 8), prefix, pooling, False, True, both
    )
    assert readout_of(facts, prefix, pools=False) == (readout, False)
