"""State dicts of other libraries give the logits of the models they were saved from."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer
from torchvision.transforms._presets import ImageClassification

import attnlib
from attnlib.errors import ModelError


def randomised(model: nn.Module, std: float = 0.1) -> nn.Module:
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=std)
    return model.eval()


def images(side: int = 64) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def assert_logits(vit: attnlib.Vit, expected: Tensor, side: int = 64) -> None:
    with torch.inference_mode():
        logits = vit.module(images(side))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def load(name: str, state: Any, **options: Any) -> attnlib.Vit:
    return attnlib.load(name, checkpoint=state, device="cpu", **options)


@pytest.mark.parametrize("prefix", ["", "module.", "model.backbone."])
def test_torchvisions_vit(prefix: str) -> None:
    model = randomised(
        VisionTransformer(64, 16, num_layers=2, num_heads=3, hidden_dim=192, mlp_dim=768)
    )
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    vit = load("vit_tiny_patch16_224", state, model_args={"depth": 2})
    assert any("torchvision's VisionTransformer" in note for note in vit.notes)
    assert not any(note.startswith("Left out") for note in vit.notes)
    with torch.inference_mode():
        assert_logits(vit, model(images()))


def test_the_preparation_is_that_of_the_library_whose_names_they_are() -> None:
    """timm's configuration of the same architecture normalises with a mean and std of 0.5."""
    model = VisionTransformer(64, 16, num_layers=2, num_heads=3, hidden_dim=192, mlp_dim=768)
    usual = ImageClassification(crop_size=64)
    state = model.state_dict()
    found = load("vit_tiny_patch16_224", state, model_args={"depth": 2}).preparation
    assert (list(found.mean), list(found.std)) == (usual.mean, usual.std)
    assert found.interpolation == usual.interpolation.value == "bilinear"
    # Of 256 pixels as of torchvision's own weights for 224.
    assert found.crop_pct == 224 / 256
    for name in ("mean", "std", "crop_pct", "interpolation"):
        assert found.sources[name] == "torchvision's usual preparation"
    said = {"model": state, "args": {"mean": [0.1, 0.2, 0.3]}}
    found = load("vit_tiny_patch16_224", said, model_args={"depth": 2}).preparation
    assert (found.mean, list(found.std)) == ((0.1, 0.2, 0.3), usual.std)
    assert "arguments" in found.sources["mean"] and "torchvision" in found.sources["std"]


def test_torchvisions_swin() -> None:
    model = randomised(
        SwinTransformer([4, 4], 96, [1, 1, 1, 1], [3, 6, 12, 24], [7, 7], num_classes=5)
    )
    options = {"model_args": {"depths": (1, 1, 1, 1)}}
    vit = load("swin_tiny_patch4_window7_224", model.state_dict(), **options)
    with torch.inference_mode():
        assert_logits(vit, model(images(224)), 224)


class ClipBlock(nn.Module):
    """A block of CLIP's image tower as open_clip builds it, on torch's own attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width)
        layers = [("c_fc", nn.Linear(width, 4 * width)), ("gelu", nn.GELU())]
        self.mlp = nn.Sequential(
            OrderedDict([*layers, ("c_proj", nn.Linear(4 * width, width))])  # type: ignore
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class ClipTower(nn.Module):
    """CLIP's image tower in open_clip's names."""

    def __init__(self, side: int = 64, width: int = 192, heads: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 16, 16, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros((side // 16) ** 2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(ClipBlock(width, heads) for _ in range(2))
        self.proj = nn.Parameter(torch.zeros(width, 32))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1)
        x = self.ln_pre(x + self.positional_embedding)
        for block in self.transformer.resblocks:
            x = block(x)
        return self.ln_post(x[:, 0]) @ self.proj


CLIP = {"embed_dim": 192, "num_heads": 3, "depth": 2}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_open_clips_image_tower(prefix: str) -> None:
    tower = randomised(ClipTower())
    state = {f"{prefix}visual.{name}": tensor for name, tensor in tower.state_dict().items()}
    # The text tower has the same names without “visual”, and is larger than its brother here.
    for i in range(3):
        state |= {
            f"{prefix}transformer.resblocks.{i}.{name}": torch.ones_like(tensor)
            for name, tensor in tower.transformer.resblocks[0].state_dict().items()
        }
    state |= {f"{prefix}logit_scale": torch.ones(()), f"{prefix}ln_final.weight": torch.ones(192)}
    vit = load("vit_base_patch16_clip_224", state, model_args=CLIP)
    with torch.inference_mode():
        assert_logits(vit, tower(images()))
    said = " ".join(vit.notes)
    assert "CLIP's projection" in said and "logit_scale" in said
    assert vit.outputs.kind == "features" and "projection" in vit.outputs.source


@pytest.mark.parametrize("prefix", ["", "image_encoder."])
def test_clips_tower_alone_is_features_prepared_as_clip_does(prefix: str) -> None:
    tower = randomised(ClipTower())
    state = {prefix + name: tensor for name, tensor in tower.state_dict().items()}
    # An architecture with another preparation in timm.
    name = "vit_base_patch16_clip_224.openai"
    vit = load(name, state, model_args=CLIP)
    with torch.inference_mode():
        assert_logits(vit, tower(images()))
    assert vit.outputs.kind == "features"
    assert load(name, state, model_args=CLIP, outputs="classes").outputs.kind == "classes"
    # The numbers of OpenAI's own repository (clip.py, _transform).
    assert vit.preparation.mean == (0.48145466, 0.4578275, 0.40821073)
    assert vit.preparation.std == (0.26862954, 0.26130258, 0.27577711)
    assert (vit.preparation.interpolation, vit.preparation.crop_pct) == ("bicubic", 1.0)


def test_a_classifier_over_clips_features_gives_classes() -> None:
    tower = randomised(ClipTower())
    fc = nn.Linear(192, 5)
    state = {f"clip.visual.{n}": t for n, t in tower.state_dict().items() if n != "proj"}
    state |= {f"classifier.{name}": tensor for name, tensor in fc.state_dict().items()}
    vit = load("vit_base_patch16_clip_224", state, model_args=CLIP)
    tower.proj = nn.Parameter(torch.eye(192))
    with torch.inference_mode():
        assert_logits(vit, fc(tower(images())))
    assert vit.outputs.kind == "classes"
    assert not any("CLIP's projection" in note for note in vit.notes)


def test_a_ready_tower_of_clip_gives_features() -> None:
    tower = randomised(ClipTower())
    preparation = {"mean": 0.5, "std": 0.5}
    vit = attnlib.load(tower, img_size=64, preprocessing=preparation, device="cpu")
    assert vit.outputs.kind == "features"


class MonaiBlock(nn.Module):
    """A block of MONAI's ViT: its names, its order of queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.Module()
        self.attn.qkv = nn.Linear(width, 3 * width, bias=False)
        self.attn.out_proj = nn.Linear(width, width)
        self.mlp = nn.Module()
        self.mlp.linear1, self.mlp.linear2 = nn.Linear(width, 768), nn.Linear(768, width)
        self.norm_cross_attn = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, width = x.shape
        q, k, v = (
            part.reshape(b, n, self.heads, -1).transpose(1, 2)
            for part in self.attn.qkv(self.norm1(x)).split(width, dim=-1)
        )
        weights = (q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5).softmax(-1)
        x = x + self.attn.out_proj((weights @ v).transpose(1, 2).reshape(b, n, width))
        return x + self.mlp.linear2(nn.functional.gelu(self.mlp.linear1(self.norm2(x))))


@pytest.mark.parametrize("embedding", ["conv", "perceptron"])
def test_monais_vit(embedding: str) -> None:
    width = 192
    conv = embedding == "conv"
    patches = nn.Conv2d(3, width, 16, 16) if conv else nn.Linear(768, width)
    model = nn.Module()
    model.patch_embedding = nn.Module()
    model.patch_embedding.patch_embeddings = (
        patches if conv else nn.Sequential(nn.Identity(), patches)
    )
    model.patch_embedding.position_embeddings = nn.Parameter(torch.zeros(1, 16, width))
    model.cls_token = nn.Parameter(torch.zeros(1, 1, width))
    model.blocks = nn.ModuleList(MonaiBlock(width, 3) for _ in range(2))
    model.norm = nn.LayerNorm(width)
    model.classification_head = nn.Sequential(nn.Linear(width, 7), nn.Tanh())
    randomised(model)
    x = images()
    if conv:
        x = patches(x).flatten(2).transpose(1, 2)
    else:
        # "b c (h p1) (w p2) -> b (h w) (p1 p2 c)"
        x = x.reshape(2, 3, 4, 16, 4, 16).permute(0, 2, 4, 3, 5, 1).reshape(2, 16, 768)
        x = patches(x)
    x = x + model.patch_embedding.position_embeddings
    x = torch.cat([model.cls_token.expand(2, 1, width), x], dim=1)
    for block in model.blocks:
        x = block(x)
    expected = model.classification_head[0](model.norm(x)[:, 0]).detach()
    vit = load("vit_tiny_patch16_224", model.state_dict(), model_args={"depth": 2})
    assert_logits(vit, expected)
    said = " ".join(vit.notes)
    assert "Tanh" in said and "norm_cross_attn" in said


def test_dinov2_with_registers() -> None:
    """Its positions cover the class token; timm's architecture adds that one beforehand."""
    name, options = "vit_small_patch14_reg4_dinov2", {"depth": 2, "img_size": 56}
    model = randomised(timm.create_model(name, num_classes=0, **options))
    state = dict(model.state_dict())
    shift = torch.randn(1, 1, 384, generator=torch.Generator().manual_seed(2))
    state["register_tokens"] = state.pop("reg_token")
    state["pos_embed"] = torch.cat([shift, state["pos_embed"]], dim=1)
    state["cls_token"] = state["cls_token"] - shift
    state["mask_token"] = torch.zeros(1, 384)
    vit = load(
        name, {"teacher": {f"backbone.{n}": t for n, t in state.items()}}, model_args={"depth": 2}
    )
    assert vit.size == (56, 56)
    with torch.inference_mode():
        expected = model(images(56))
        torch.testing.assert_close(vit.module(images(56)), expected, rtol=1e-4, atol=1e-5)
    assert any("mask_token" in note for note in vit.notes)


def test_mae_before_and_after_fine_tuning() -> None:
    """The encoder of the pretraining gives features; its decoder is left out by name."""
    options = {"depth": 2, "img_size": 64}
    bare = randomised(timm.create_model("vit_tiny_patch16_224", num_classes=0, **options))
    state = {
        **bare.state_dict(),
        "mask_token": torch.zeros(1, 1, 512),
        "decoder_pos_embed": torch.zeros(1, 17, 512),
        "decoder_blocks.0.norm1.weight": torch.ones(512),
    }
    vit = load("vit_tiny_patch16_224", {"model": state}, model_args={"depth": 2})
    assert not vit.classifies
    with torch.inference_mode():
        assert_logits(vit, bare(images()))
    assert any("decoder_blocks.0.norm1.weight" in note for note in vit.notes)


def test_old_names_of_swin_are_understood() -> None:
    """Before 2023 a stage ended in its downsampling; today the next one begins with it."""
    name, options = "swin_tiny_patch4_window7_224", {"depths": (1, 1, 1, 1), "num_classes": 5}
    model = randomised(timm.create_model(name, **options))
    old = {}
    for key, tensor in model.state_dict().items():
        if ".downsample." in key:
            stage = int(key.split(".")[1])
            key = key.replace(f"layers.{stage}", f"layers.{stage - 1}")
        old[key.replace("head.fc.", "head.")] = tensor
    old["layers.0.blocks.0.attn.relative_position_index"] = torch.arange(4)
    old["layers.0.blocks.0.attn_mask"] = torch.zeros(2, 2)
    vit = load(name, {"model": old}, model_args={"depths": (1, 1, 1, 1)})
    with torch.inference_mode():
        assert_logits(vit, model(images(224)), 224)


def test_adapters_are_not_passed_over() -> None:
    state = dict(timm.create_model("vit_tiny_patch16_224", depth=2).state_dict())
    state["blocks.1.attn.qkv.lora_B.default.weight"] = torch.ones(576, 4)
    with pytest.raises(ModelError, match="lora_B"):
        load("vit_tiny_patch16_224", state, model_args={"depth": 2})
