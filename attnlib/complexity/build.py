"""A timm module of an architecture, with random weights, and attention in its explicit form."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnlib.complexity.architecture import Architecture
from attnlib.complexity.problem import ArchitectureError, Problem
from attnlib.complexity.timm_models import build_meta, read_module


def build(architecture: Architecture, device: str | torch.device = "cpu") -> nn.Module:
    """The module that the formulas describe, with random weights.

    Raises:
        ArchitectureError: timm has no constructor for this combination of switches.
    """
    a = architecture
    # Without storage first: whether timm can build it is known before memory is spent.
    meta = build_meta(a.name, a.image) if a.name else _free(a, "meta")
    if dataclasses.replace(read_module(meta), name="") != spelled_out(a):
        raise ArchitectureError(
            [Problem("name", "timm cannot build this combination of switches, so it cannot be "
                             "measured. The formulas hold all the same.")]
        )  # fmt: skip
    if not a.name:
        return _free(a, device)
    import timm

    with torch.device(device):
        return timm.create_model(a.name, pretrained=False, img_size=a.image)


def spelled_out(a: Architecture) -> Architecture:
    """Without its name, and with what :func:`read_module` finds written out."""
    return dataclasses.replace(a, name="", head_dim=a.head_width)


def _free(a: Architecture, device: str | torch.device) -> nn.Module:
    from timm.layers import GluMlp, Mlp
    from timm.models.vision_transformer import VisionTransformer

    # The packed gate counts both halves as hidden; half a unit keeps int() from rounding down.
    hidden = (1 + a.glu) * a.mlp_hidden
    mlp: Any = partial(GluMlp, act_layer=nn.SiLU, gate_last=False) if a.glu else Mlp
    with torch.device(device):
        return VisionTransformer(
            img_size=a.image,
            patch_size=a.patch,
            in_chans=a.channels,
            num_classes=a.classes,
            global_pool="" if a.pool == "none" else a.pool,
            embed_dim=a.dim,
            depth=a.depth,
            num_heads=a.heads,
            mlp_ratio=(hidden + 0.5) / a.dim,
            qkv_bias=a.qkv_bias == "qkv",
            qk_norm=a.qk_norm,
            init_values=1e-5 if a.layer_scales == 2 else None,
            class_token=a.class_token,
            reg_tokens=a.registers,
            no_embed_class=a.position == "patches",
            pos_embed="none" if a.position == "none" else "learn",
            pre_norm=a.pre_norm,
            fc_norm=a.pooled_norm,
            dynamic_img_pad=a.pads,
            mlp_layer=mlp,
        )


class Materialised(TorchFunctionMode):
    """Inside it, fused attention is replaced by softmax(Q Kᵀ) V in its explicit form.

    It belongs to the thread that entered it; nothing is set on the model.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is F.scaled_dot_product_attention:
            return attention(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``(..., Tq, d), (..., Tk, d), (..., Tk, dv) -> (..., Tq, dv)``, the matrix being formed."""
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = (t.repeat_interleave(groups, dim=-3) for t in (key, value))
    scores = query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale) @ key.mT
    if is_causal:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
        scores = scores.masked_fill(~allowed, -math.inf)
    elif attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return F.dropout(scores.softmax(dim=-1), dropout_p) @ value
