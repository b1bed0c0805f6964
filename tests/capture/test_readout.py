"""The readout is what the logits depend on, whatever stands around the model.

The reference is the gradient of one logit with respect to the last block's output, taken with a
hook, as the library never does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import timm
import torch
import transformers as tr
from PIL import Image
from torch import Tensor, nn

import attnlib
from attnlib.capture.support import examine
from tests.capture.plain_vit import Vit, prepare

WIDTH = 64


def backbone(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    sizes = {"img_size": 64, "depth": 3, "embed_dim": WIDTH, "num_heads": 2}
    return timm.create_model("vit_tiny_patch16_224", **{**sizes, "num_classes": 5, **options})


class Holds(nn.Module):
    """A wrapper that hands everything on."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x)
        return out


class Own(nn.Module):
    """A backbone with a pooling of the class's own, in its own forward."""

    def __init__(self, how: str, frozen: bool = False, **options: Any) -> None:
        super().__init__()
        self.backbone = backbone(num_classes=0, **options)
        width = WIDTH * (2 if how == "both" else 1)
        self.how, self.frozen, self.fc = how, frozen, nn.Linear(width, 5)
        self.shares = nn.Parameter(torch.linspace(0.5, 2, 17)[:, None])

    def forward(self, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            z = self.backbone.forward_features(x)  # type: ignore[operator]
        first = self.backbone.num_prefix_tokens
        pooled = {
            "cls": lambda: z[:, 0],
            "mean": lambda: z[:, first:].mean(1),
            "all": lambda: z.mean(1),
            "both": lambda: torch.cat([z[:, 0], z[:, first:].mean(1)], dim=1),
            "cls and patches": lambda: torch.cat([z[:, :1], z[:, first:]], dim=1).mean(1),
            "registers": lambda: z[:, 1:first].mean(1),
            "second register": lambda: z[:, 2],
            "transposed": lambda: z[:, first:].transpose(1, 2).mean(2),
            "max": lambda: z[:, first:].amax(1),
            "weighted": lambda: (z * torch.linspace(0.5, 2, z.shape[1])[:, None]).sum(1),
            "learned weights": lambda: (z * self.shares).sum(1),
            "by content": lambda: (z * z[..., :1].softmax(1)).sum(1),
            "some": lambda: z[:, first : first + 5].mean(1),
        }[self.how]()
        return self.fc(pooled)  # type: ignore[no-any-return]


class MeanOfLogits(Own):
    def forward(self, x: Tensor) -> Tensor:
        z = self.backbone.forward_features(x)  # type: ignore[operator]
        return self.fc(z[:, 1:]).mean(1)  # type: ignore[no-any-return]


def norms(module: nn.Module, block: nn.Module) -> Tensor:
    """Norm per token ``(T,)`` of a logit's gradient with respect to a block's output."""
    kept: list[Tensor] = []
    hook = block.register_forward_hook(
        lambda _, __, out: kept.append(out[0] if isinstance(out, tuple) else out)
    )
    with torch.enable_grad():
        out = module(torch.rand(1, 3, 64, 64))
        logit = getattr(out, "logits", out)[0, 1]
    hook.remove()
    return torch.autograd.grad(logit, kept[-1])[0][0].norm(dim=1)


REGISTERS = {"reg_tokens": 3}

# how it pools, options of the backbone, readout, words on screen
OWN = [
    ("cls", {}, "cls", "CLS token"),
    ("mean", {}, "average", "average over patches"),
    ("mean", REGISTERS, "average", "average over patches"),
    ("transposed", {}, "average", "average over patches"),
    ("all", {}, "average", "average over all tokens"),
    ("all", REGISTERS, "average", "average over all tokens"),
    ("cls and patches", REGISTERS, "average", "average over patches and cls"),
    ("both", {}, "cls+average", "CLS token and the average over patches"),
    ("both", REGISTERS, "cls+average", "CLS token and the average over patches"),
    ("registers", REGISTERS, "tokens", "mean of reg1 and reg2 and reg3"),
    ("second register", REGISTERS, "tokens", "reg2"),
    ("max", {}, "none", "no readout"),
    ("weighted", {}, "none", "no readout"),
    ("learned weights", {}, "none", "no readout"),
    ("by content", {}, "none", "no readout"),
    ("some", {}, "none", "no readout"),
]


@pytest.mark.parametrize(("how", "options", "readout", "words"), OWN)
def test_own_pooling(how: str, options: dict[str, Any], readout: str, words: str) -> None:
    module = Own(how, **options).eval()
    layout, support = examine(module, (64, 64))
    assert (layout.readout, layout.query, layout.grid) == (readout, words, (4, 4))
    true = norms(module, module.backbone.blocks[-1])  # type: ignore[union-attr, index]
    weights = layout.readout_weights()
    if readout == "none":
        assert weights is None
        assert "occlusion" not in support.maps
        assert any("not evenly" in note for note in support.notes)
    else:
        assert weights is not None
        assert ((true > 0).numpy() == (weights > 0)).all()
        assert weights.sum() == pytest.approx(1)
        assert not support.notes


@pytest.mark.parametrize("how", ["cls", "mean", "both"])
def test_a_frozen_backbone_is_read_too(how: str) -> None:
    open_, frozen = Own(how), Own(how, frozen=True)
    for parameter in frozen.backbone.parameters():
        parameter.requires_grad_(False)
    assert examine(frozen.eval(), (64, 64))[0] == examine(open_.eval(), (64, 64))[0]


def test_logits_of_every_token_averaged() -> None:
    assert examine(MeanOfLogits("mean").eval(), (64, 64))[0].readout == "average"


@pytest.mark.parametrize("global_pool", ["token", "avg", "map"])
def test_a_fresh_head_of_zeros(global_pool: str) -> None:
    module = backbone(global_pool=global_pool, class_token=global_pool == "token").eval()
    before = examine(module, (64, 64))
    with torch.no_grad():
        module.head.weight.zero_()  # type: ignore[union-attr, operator]
        module.head.bias.zero_()  # type: ignore[union-attr, operator]
    state = {name: value.clone() for name, value in module.state_dict().items()}
    assert examine(module, (64, 64)) == before
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


class Cut(Holds):
    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.inner(x).detach().numpy())


class Inferred(Holds):
    forward = torch.inference_mode()(Holds.forward)


def test_what_cannot_be_measured_is_said() -> None:
    layout, support = examine(Cut(backbone()).eval(), (64, 64))
    assert layout.readout == "cls"
    (note,) = support.notes
    assert "could not be measured" in note
    assert "attributes say: CLS token" in note


CONFIG = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 64,
    "patch_size": 16,
}


@pytest.mark.parametrize(
    ("model", "config", "readout"),
    [
        (tr.CLIPForImageClassification, tr.CLIPConfig, "average"),
        (tr.MetaClip2ForImageClassification, tr.MetaClip2Config, "average"),
        (tr.SiglipForImageClassification, tr.SiglipConfig, "average"),
        (tr.ViTForImageClassification, tr.ViTConfig, "cls"),
        (tr.Dinov2ForImageClassification, tr.Dinov2Config, "cls+average"),
        (tr.DeiTForImageClassificationWithTeacher, tr.DeiTConfig, "cls+dist"),
        (tr.DeiTForImageClassification, tr.DeiTConfig, "cls"),
    ],
)
def test_transformers(model: Any, config: Any, readout: str) -> None:
    torch.manual_seed(0)
    vision = "vision_config" in config().to_dict()
    sizes: dict[str, Any] = {"vision_config": CONFIG} if vision else CONFIG
    module = model(config(**sizes, num_labels=5)).eval()
    layout, support = examine(module, (64, 64))
    assert (layout.readout, support.notes) == (readout, ())
    trunk = module.vision_model if vision else module.base_model
    encoder = getattr(trunk, "encoder", trunk)
    layers = getattr(encoder, "layers", None) or encoder.layer
    weights = layout.readout_weights()
    assert weights is not None
    assert ((norms(module, layers[-1]) > 0).numpy() == (weights > 0)).all()


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_tokens_by_other_names(pool: str) -> None:
    layout, _ = examine(Vit(pool=pool).eval(), (64, 64))
    assert layout.tokens == 17
    assert layout.prefix == (("cls",) if pool == "cls" else ("token 1",))
    assert layout.readout == {"cls": "cls", "mean": "average"}[pool]


@pytest.mark.parametrize("pool", ["cls", "mean", "all"])
@pytest.mark.parametrize("places", [{"last": True}, {"by_column": True}])
def test_patches_in_other_places_are_refused(pool: str, places: dict[str, bool]) -> None:
    with pytest.raises(attnlib.CaptureError, match="not where they are looked for"):
        examine(Vit(pool, **places).eval(), (64, 64))


def wraps(name: str, bare: nn.Module) -> nn.Module:
    if name == "DataParallel":
        return nn.DataParallel(bare)
    if name == "compiled":
        return torch.compile(bare, backend="eager")  # type: ignore[no-any-return]
    if name == "inference mode":
        return Inferred(bare)
    if name == "twice":
        return Holds(Holds(bare))
    if name == "compiled inside":
        return Holds(torch.compile(bare, backend="eager"))  # type: ignore[arg-type]
    return Holds(bare)


BARE = {
    "token": {},
    "avg": {"global_pool": "avg"},
    "registers": {"reg_tokens": 4},
    "map": {"global_pool": "map", "class_token": False},
}


@pytest.mark.parametrize("options", BARE.values(), ids=BARE)
@pytest.mark.parametrize(
    "around", ["Holds", "twice", "DataParallel", "compiled", "compiled inside", "inference mode"]
)
def test_wrapped_as_bare(around: str, options: dict[str, Any]) -> None:
    bare = backbone(**options).eval()
    image = Image.effect_noise((70, 90), 80).convert("RGB")
    ours = attnlib.load(wraps(around, bare), transform=prepare, img_size=64)
    theirs = attnlib.load(bare, transform=prepare, img_size=64)
    assert (ours.layout, ours.support.maps) == (theirs.layout, theirs.support.maps)
    one, other = ours.inspect(image), theirs.inspect(image)
    assert np.array_equal(one.rows, other.rows)
    assert np.array_equal(one.logits, other.logits)
    assert one.rollout is not None
    assert other.rollout is not None
    assert np.array_equal(one.rollout, other.rollout)
    for method in ("rollout", "relevance", "gradcam"):
        maps = [vit.attribute(image, method).values for vit in (ours, theirs)]
        assert np.array_equal(*maps)


@pytest.mark.parametrize("how", ["cls", "mean"])
def test_a_frozen_backbone_has_the_maps_of_an_open_one(how: str) -> None:
    image = Image.effect_noise((70, 90), 80).convert("RGB")
    ours = attnlib.load(Own(how, frozen=True), transform=prepare, img_size=64)
    theirs = attnlib.load(Own(how), transform=prepare, img_size=64)
    ours.module.load_state_dict(theirs.module.state_dict())
    for method in ("rollout", "relevance", "gradcam"):
        maps = [vit.attribute(image, method, 1).values for vit in (ours, theirs)]
        assert np.array_equal(*maps)


def test_no_gradient_is_said() -> None:
    vit = attnlib.load(Cut(backbone()), transform=prepare, img_size=64)
    image = Image.effect_noise((64, 64), 80)
    assert vit.attribute(image, "rollout").values.shape == (4, 4)
    for method in ("relevance", "gradcam"):
        with pytest.raises(attnlib.CaptureError, match="gives no gradient"):
            vit.attribute(image, method, 1)
