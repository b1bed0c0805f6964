"""Reading an :class:`Architecture` out of a timm module: every switch from what is really there."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import torch
from torch import nn

from attnlib.complexity.architecture import Architecture, Size
from attnlib.complexity.parameters import parameters
from attnlib.complexity.problem import ArchitectureError, Problem
from attnlib.errors import brief

_MODELS = ("VisionTransformer", "VisionTransformerDistilled", "Beit", "Eva")
_BLOCKS = (
    "Block",
    "ResPostBlock",
    "EvaBlock",
    "EvaBlockPostNorm",
    "ParallelThingsBlock",
    "ParallelScalingBlock",
    "DiffParallelScalingBlock",
)


@lru_cache(maxsize=512)
def read_name(name: str, image: Size | None) -> Architecture:
    """:meth:`Architecture.from_timm`: built on the meta device, so that no weight is allocated."""
    return read_module(build_meta(name, image), name)


def build_meta(name: str, image: Size | None = None) -> nn.Module:
    """A timm model without storage.

    Raises:
        ArchitectureError: timm has no such model, or cannot build it at this size.
    """
    import timm

    if not isinstance(name, str) or not timm.is_model(name):
        raise _refusal(f"timm has no model named {name!r}. See timm.list_models('*vit*').")
    if image is not None:
        # timm would fail on these with a message of its own; ours names the field.
        Architecture(image, (1, 1), 1, 1, 1, 1)
    options: dict[str, Any] = {} if image is None else {"img_size": image}
    try:
        with torch.device("meta"):
            return timm.create_model(name, pretrained=False, **options).eval()
    except Exception as error:  # timm's builders raise whatever their arguments lead to
        size = "" if image is None else f" for images of {image[0]} x {image[1]} pixels"
        raise _refusal(f"timm cannot build {name}{size}: {brief(error)}") from error


def read_module(module: object, name: str = "") -> Architecture:
    """:meth:`Architecture.from_module`; the count of parameters must agree with the module's."""
    shown = name or type(module).__name__
    kind = type(module).__name__
    home = type(module).__module__
    if kind not in _MODELS or not home.startswith("timm."):
        raise _refusal(
            f"{shown} is a {kind}: the formulas cover plain token transformers of timm (ViT, "
            "DeiT, BEiT, EVA, DINO), not models with stages, windows or convolutions."
        )
    assert isinstance(module, nn.Module)
    architecture = _read(module, name, shown)
    counted, real = parameters(architecture).total, sum(p.numel() for p in module.parameters())
    if counted != real:
        raise _refusal(
            f"{shown} has {real:,} parameters where the formulas find {counted:,}: it has a part "
            "that they do not cover."
        )
    return architecture


def _read(m: Any, name: str, shown: str) -> Architecture:
    blocks = list(m.blocks)
    if not blocks:
        raise _refusal(f"{shown} has no blocks.")
    kinds = {type(block).__name__ for block in blocks}
    if len(kinds) > 1 or not kinds <= set(_BLOCKS):
        raise _refusal(f"{shown} has blocks of a kind that the formulas do not cover: {kinds}.")
    embed = m.patch_embed
    if type(embed).__name__ != "PatchEmbed" or embed.img_size is None:
        raise _refusal(f"{shown} embeds its patches by {type(embed).__name__}, not by one linear "
                       "layer.")  # fmt: skip
    rest = [side % patch for side, patch in zip(embed.img_size, embed.patch_size, strict=True)]
    if any(rest) and not embed.strict_img_size and not embed.dynamic_img_pad:
        raise ArchitectureError(
            [Problem("image", f"{shown} takes only whole patches of {embed.patch_size} pixels: "
                              f"{rest} pixels of height and width are left over.")]
        )  # fmt: skip
    pool: Any = m.global_pool or "none"
    if pool not in ("token", "avg", "max", "avgmax", "map", "none"):
        raise _refusal(f"{shown} pools by {pool!r}, which the formulas do not cover.")
    first = blocks[0]
    attention_pool = getattr(m, "attn_pool", None)
    distilled = getattr(m, "dist_token", None) is not None
    registers = getattr(m, "reg_token", None)
    head = m.head
    return Architecture(
        image=tuple(embed.img_size),
        patch=tuple(embed.patch_size),
        dim=m.embed_dim,
        depth=len(blocks),
        channels=embed.proj.in_channels,
        pads=bool(embed.dynamic_img_pad),
        class_token=m.cls_token is not None,
        distillation_token=distilled,
        registers=0 if registers is None else registers.shape[1],
        classes=head.out_features if isinstance(head, nn.Linear) else 0,
        norm="rms" if "Rms" in type(_any_norm(m)).__name__ else "layer",
        patch_bias=embed.proj.bias is not None,
        patch_norm=_present(embed.norm),
        position=_position(m),
        relative_position=_relative_position(m, first),
        rope=_rope(m),
        pre_norm=_present(getattr(m, "norm_pre", None)),
        final_norm=_present(m.norm),
        pooled_norm=_present(m.fc_norm),
        pool=pool,
        pool_prefix=bool(getattr(m, "pool_include_prefix", True)) or attention_pool is None,
        pool_heads=attention_pool.num_heads if attention_pool is not None else 0,
        pool_mlp_hidden=attention_pool.mlp.fc1.out_features if attention_pool is not None else 0,
        name=name,
        **_block(blocks),
    )


def _block(blocks: list[Any]) -> dict[str, Any]:
    """The fields that describe attention and MLP."""
    block = blocks[0]
    kind = type(block).__name__
    if kind in ("ParallelScalingBlock", "DiffParallelScalingBlock"):
        return _parallel_scaling(block)
    branches = 1
    attention: Any = getattr(block, "attn", None)
    mlp: Any = getattr(block, "mlp", None)
    if kind == "ParallelThingsBlock":
        branches = len(block.attns)
        attention, mlp = block.attns[0].attn, block.ffns[0].mlp
        scale = 2 * int(_present(block.attns[0].ls))
    else:
        names = ("ls1", "ls2", "gamma_1", "gamma_2")
        scale = sum(_present(getattr(block, n, None)) for n in names)
    kv = tuple(getattr(b.attn, "num_kv_heads", b.attn.num_heads) for b in blocks if branches == 1)
    first = mlp.fc1 if hasattr(mlp, "fc1") else mlp.fc1_g
    differential = hasattr(attention, "sub_norm")
    head_dim = attention.proj.in_features // attention.num_heads
    return {
        "heads": attention.num_heads,
        "head_dim": head_dim,
        "kv_heads": kv if any(n != attention.num_heads for n in kv) else None,
        "mlp_hidden": mlp.fc2.in_features,
        "glu": hasattr(mlp, "fc1_g") or first.out_features == 2 * mlp.fc2.in_features,
        "mlp_bias": (first.bias is not None, mlp.fc2.bias is not None),
        "mlp_norm": _present(mlp.norm),
        "branches": branches,
        "layer_scales": scale,
        "qkv_bias": _qkv_bias(attention),
        "out_bias": attention.proj.bias is not None,
        "qk_norm": _present(getattr(attention, "q_norm", None)),
        "attention_norm": _present(getattr(attention, "norm", None)),
        "attention_gate": getattr(attention, "gate", None) is not None,
        "differential": _differential(attention) if differential else "none",
    }


def _parallel_scaling(block: Any) -> dict[str, Any]:
    """Attention and MLP of one input and one projection in (Dehghani et al. 2023)."""
    hidden = block.in_split[0]
    dim = block.in_proj.in_features
    fused = block.out_proj is not None
    out = block.out_proj if fused else block.attn_out_proj
    bias = out.bias is not None
    return {
        "heads": block.num_heads,
        "head_dim": dim // block.num_heads,
        "mlp_hidden": hidden,
        "mlp_bias": (block.in_proj.bias is not None or block.mlp_bias is not None, bias),
        "block_norms": 1,
        "layer_scales": int(_present(block.ls)),
        "qkv_bias": "none" if block.in_proj.bias is None else "qkv",
        # One projection out of both has one bias, counted with the MLP.
        "out_bias": bias and not fused,
        "qk_norm": _present(block.q_norm),
        "differential": _differential(block) if hasattr(block, "sub_norm") else "none",
    }


def _differential(attention: Any) -> Literal["vectors", "scalars"]:
    return "vectors" if getattr(attention, "lambda_q1", None) is not None else "scalars"


def _qkv_bias(attention: Any) -> Literal["qkv", "qv", "none"]:
    if getattr(attention, "q_bias", None) is not None:
        return "qv"
    if getattr(attention, "qkv", None) is not None:
        return "none" if attention.qkv.bias is None else "qkv"
    if attention.q_proj.bias is None:
        return "none"
    return "qv" if attention.k_proj.bias is None else "qkv"


def _position(m: Any) -> Literal["all", "patches", "none"]:
    if m.pos_embed is None:
        return "none"
    return "patches" if m.pos_embed.shape[1] == m.patch_embed.num_patches else "all"


def _relative_position(m: Any, block: Any) -> Literal["none", "per layer", "shared"]:
    if getattr(m, "rel_pos_bias", None) is not None:
        return "shared"
    attention = getattr(block, "attn", None)
    table = getattr(attention, "relative_position_bias_table", None)
    return "none" if table is None else "per layer"


def _rope(m: Any) -> Literal["none", "fixed", "mixed"]:
    if getattr(m, "rope", None) is None:
        return "none"
    return "mixed" if m.rope_mixed else "fixed"


def _any_norm(m: nn.Module) -> nn.Module | None:
    for module in m.modules():
        if isinstance(module, nn.LayerNorm | nn.RMSNorm) or "Norm" in type(module).__name__:
            return module
    return None


def _present(part: object) -> bool:
    return part is not None and not isinstance(part, nn.Identity)


def _refusal(message: str) -> ArchitectureError:
    return ArchitectureError([Problem("name", message)])
