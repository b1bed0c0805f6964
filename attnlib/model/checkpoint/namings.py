"""State dicts of other libraries under timm's names: torchvision, CLIP's and MONAI."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from timm.data.constants import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)
from torch import Tensor, nn

from attnlib.model.checkpoint.weights import StateDict

Rules = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Naming:
    """How another library names the weights of a Vision Transformer.

    Attributes:
        title: the library and its model.
        mark: a name that no other library uses.
        rules: regular expressions and what they become, each tried on every name.
        unused: names of weights that take no part in its own forward pass.
        change: what to change of a tensor, by its new name.
        options: how timm's architecture must be built to compute the same.
        note: what shapes do not show.
        data: how its models' images are usually prepared, in timm's words.
        data_source: what says so.
        embeds: whether its models end in an embedding of the image instead of classes.
    """

    title: str
    mark: str
    rules: Rules
    unused: str = r"(?!)"
    change: Callable[[str, Tensor], Tensor] = lambda name, tensor: tensor
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    data_source: str = ""
    embeds: bool = False

    def convert(self, state: Mapping[str, Tensor]) -> StateDict | None:
        """The state under timm's names, or None if it is not of this library."""
        if self.mark not in state:
            return None
        made: StateDict = {}
        for name, tensor in state.items():
            if re.match(self.unused, name):
                continue
            for pattern, replacement in self.rules:
                name = re.sub(pattern, replacement, name)
            made[name] = self.change(name, tensor)
        return made


# The settings of its own weights' transforms: 224 of 256 pixels for most.
_TORCHVISION: Mapping[str, Any] = {
    "mean": IMAGENET_DEFAULT_MEAN,
    "std": IMAGENET_DEFAULT_STD,
    "crop_pct": 224 / 256,
    "crop_mode": "center",
    "interpolation": "bilinear",
}
_TORCHVISION_VIT = Naming(
    title="torchvision's VisionTransformer",
    mark="encoder.layers.encoder_layer_0.ln_1.weight",
    rules=(
        (r"^class_token$", "cls_token"),
        (r"^conv_proj\.", "patch_embed.proj."),
        (r"^encoder\.pos_embedding$", "pos_embed"),
        (r"^encoder\.ln\.", "norm."),
        (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
        (r"\.ln_([12])\.", r".norm\1."),
        (r"\.self_attention\.in_proj_", ".attn.qkv."),
        (r"\.self_attention\.out_proj\.", ".attn.proj."),
        (r"\.mlp\.(0|linear_1)\.", ".mlp.fc1."),
        (r"\.mlp\.(3|linear_2)\.", ".mlp.fc2."),
        (r"^heads\.(head|0)\.", "head."),
    ),
    data=_TORCHVISION,
    data_source="torchvision's usual preparation",
)
_TORCHVISION_SWIN = Naming(
    title="torchvision's SwinTransformer",
    mark="features.1.0.attn.relative_position_bias_table",
    rules=(
        (r"^features\.0\.0\.", "patch_embed.proj."),
        (r"^features\.0\.2\.", "patch_embed.norm."),
        *((rf"^features\.{2 * s + 1}\.(\d+)\.", rf"layers.{s}.blocks.\1.") for s in range(4)),
        *((rf"^features\.{2 * s}\.", f"layers.{s}.downsample.") for s in range(1, 4)),
        (r"\.mlp\.0\.", ".mlp.fc1."),
        (r"\.mlp\.3\.", ".mlp.fc2."),
        (r"^head\.", "head.fc."),
    ),
    data={**_TORCHVISION, "crop_pct": 224 / 232, "interpolation": "bicubic"},
    data_source="torchvision's usual preparation",
)


def _patches(name: str, tensor: Tensor) -> Tensor:
    """MONAI's linear layer over ``(p, p, channels)`` as a convolution ``(D, channels, p, p)``."""
    if name == "patch_embed.proj.weight" and tensor.ndim == 2:
        width, inputs = tensor.shape
        side = round((inputs / 3) ** 0.5)
        if 3 * side * side == inputs:
            return tensor.reshape(width, side, side, 3).permute(0, 3, 1, 2)
    return tensor


_MONAI = Naming(
    title="MONAI's ViT",
    mark="patch_embedding.position_embeddings",
    rules=(
        (r"^patch_embedding\.position_embeddings$", "pos_embed"),
        (r"^patch_embedding\.cls_token$", "cls_token"),
        (r"^patch_embedding\.patch_embeddings\.(1\.)?", "patch_embed.proj."),
        (r"\.attn\.out_proj\.", ".attn.proj."),
        (r"\.mlp\.linear([12])\.", r".mlp.fc\1."),
        (r"^classification_head\.(0\.)?", "head."),
    ),
    unused=r"blocks\.\d+\.(cross_attn|norm_cross_attn)\.",
    change=_patches,
    options={"norm_layer": partial(nn.LayerNorm, eps=1e-5)},
    note=(
        "MONAI's ViT ends in a Tanh unless it was built with post_activation other than “Tanh”; "
        "the logits shown here are those before it."
    ),
    # It scales intensities (ScaleIntensity) and has no weights for photographs.
    data={
        "mean": (0.0,) * 3,
        "std": (1.0,) * 3,
        "crop_pct": 1.0,
        "crop_mode": "center",
        "interpolation": "bilinear",
    },
    data_source="assumed, since MONAI has no usual one: values from 0 to 1",
)
# timm's own filter knows these names where they begin with “visual”.
_CLIP = Naming(
    title="CLIP's image tower",
    mark="visual.class_embedding",
    rules=(),
    note=(
        "The activation is quick GELU in CLIP's first models (…_quickgelu_…), which shapes do not "
        "show."
    ),
    data={
        "mean": OPENAI_CLIP_MEAN,
        "std": OPENAI_CLIP_STD,
        "crop_pct": 1.0,
        "crop_mode": "center",
        "interpolation": "bicubic",
    },
    data_source="CLIP's usual preparation",
    embeds=True,
)
_CLIP_TOWER = replace(_CLIP, mark="class_embedding", rules=((r"^", "visual."),))
# Its preparation is that of the tower, which timm knows.
_CLIP_OF_TIMM = Naming(
    title="open_clip's around an image tower of timm",
    mark="visual.trunk.pos_embed",
    rules=(),
    embeds=True,
)
NAMINGS = (_TORCHVISION_VIT, _TORCHVISION_SWIN, _MONAI, _CLIP, _CLIP_TOWER, _CLIP_OF_TIMM)
