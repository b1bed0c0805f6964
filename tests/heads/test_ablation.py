"""Taking heads away, against a copy of the model whose projection ignores them."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import attnlib
from attnlib.capture.mode import Capture
from attnlib.capture.replay import Tape
from attnlib.errors import AttnlibError, CaptureError
from attnlib.heads.ablation import head_effects, mean_effects, without_heads
from attnlib.heads.intervention import at_temperature

FAMILIES = {
    "vit": ("vit_tiny_patch16_224", {}),
    "distilled": ("deit_tiny_distilled_patch16_224", {}),
    "layer scale": ("deit3_small_patch16_224", {"depth": 3}),
    "relative position": ("beit_base_patch16_224", {"depth": 3}),
    "rotary, swiglu": ("eva02_tiny_patch14_224", {"depth": 3, "img_size": 56}),
    "parallel": (
        "vit_tiny_patch16_224",
        {"block_fn": timm.models.vision_transformer.ParallelScalingBlock},
    ),
    "average": ("vit_tiny_patch16_224", {"global_pool": "avg"}),
    "pooled by attention": ("vit_base_patch16_siglip_224", {}),
}


def build(family: str) -> attnlib.Vit:
    torch.manual_seed(3)
    name, options = FAMILIES[family]
    options = {"img_size": 64, "depth": 3, "num_classes": 5, **options}
    return attnlib.load(timm.create_model(name, **options).double().eval(), device="cpu")


def crippled(vit: attnlib.Vit, removed: list[tuple[int, int]]) -> nn.Module:
    """A copy whose output projections have zero columns for some heads: an independent way."""
    module = copy.deepcopy(vit.module)
    for layer, head in removed:
        block = module.blocks[layer]
        parallel = hasattr(block, "attn_out_proj")
        projection = block.attn_out_proj if parallel else block.attn.proj
        dim = projection.in_features // vit.support.shapes[0][1]
        projection.weight.data[:, head * dim : (head + 1) * dim] = 0
    return module


def image(vit: attnlib.Vit, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    dtype = next(vit.module.parameters()).dtype
    return torch.randn(1, 3, *vit.size, generator=generator).to(dtype)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_head_alone_is_exact(family: str) -> None:
    vit = build(family)
    pixels = image(vit)
    found = head_effects(vit, pixels, label=2)
    with torch.no_grad():
        plain = vit.module(pixels)[0]
        assert found.predicted == int(plain.argmax())
        assert found.margin == pytest.approx(float(plain[found.predicted] - plain[found.against]))
        for layer, head in np.ndindex(found.change.shape):
            logits = crippled(vit, [(layer, head)])(pixels)[0]
            margin = float(logits[found.predicted] - logits[found.against])
            assert found.change[layer, head] == pytest.approx(margin - found.margin, abs=2e-6)
            assert found.now[layer, head] == int(logits.argmax())


@pytest.mark.parametrize("family", ["vit", "relative position"])
def test_a_set_of_heads(family: str) -> None:
    vit = build(family)
    pixels = torch.cat([image(vit, 1), image(vit, 2)])
    removed = [(0, 1), (2, 0), (2, 2)]
    with torch.no_grad():
        expected = crippled(vit, removed)(pixels)
    torch.testing.assert_close(without_heads(vit, pixels, removed), expected, atol=1e-12, rtol=0)
    with torch.no_grad():
        plain = vit.module(pixels)
    torch.testing.assert_close(without_heads(vit, pixels, []), plain, atol=1e-12, rtol=0)


def test_torchvision_hides_its_heads_behind_a_projection() -> None:
    torch.manual_seed(0)
    module = torchvision.models.VisionTransformer(32, 16, 2, 2, 24, 48, num_classes=4)
    nn.init.normal_(module.heads.head.weight)
    transform = torchvision.transforms.Compose(
        [torchvision.transforms.Resize((32, 32)), torchvision.transforms.ToTensor()]
    )
    vit = attnlib.load(module.double().eval(), transform=transform, img_size=32, device="cpu")
    pixels = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    found = head_effects(vit, pixels)
    for layer, head in np.ndindex(found.change.shape):
        copied = copy.deepcopy(module)
        weight = copied.encoder.layers[layer].self_attention.out_proj.weight
        weight.data[:, head * 12 : (head + 1) * 12] = 0
        with torch.no_grad():
            logits = copied(pixels)[0]
        margin = float(logits[found.predicted] - logits[found.against])
        assert found.change[layer, head] == pytest.approx(margin - found.margin, abs=2e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("hidden", [True, False], ids=["torchvision", "timm"])
def test_models_of_every_type_lose_heads_and_temper(dtype: torch.dtype, hidden: bool) -> None:
    """The whole model in half precision, against the same weights in float64."""
    torch.manual_seed(0)
    if hidden:
        module: nn.Module = torchvision.models.VisionTransformer(
            32, 16, 2, 2, 24, 48, num_classes=4
        )
        nn.init.normal_(module.heads.head.weight, std=0.2)
    else:
        module = timm.create_model(
            "vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=24, num_heads=2, num_classes=4
        )
    wide = copy.deepcopy(module.to(dtype)).double().eval()
    transform = torchvision.transforms.Compose(
        [torchvision.transforms.Resize((32, 32)), torchvision.transforms.ToTensor()]
    )
    vit = attnlib.load(module.eval(), transform=transform, img_size=32, device="cpu")
    pixels = torch.randn(1, 3, 32, 32).to(dtype)
    projections = [
        child for name, child in wide.named_modules() if name.endswith(("out_proj", "attn.proj"))
    ]
    kept = [projection.weight.data.clone() for projection in projections]
    # Eight bits of mantissa, through two layers.
    room = 0.05 if dtype != torch.float64 else 1e-6
    with torch.no_grad():
        plain = wide(pixels.double())[0]
        found = head_effects(vit, pixels)
        for layer, head in np.ndindex(found.change.shape):
            projections[layer].weight.data[:, head * 12 : (head + 1) * 12] = 0
            expected = wide(pixels.double())[0]
            projections[layer].weight.data.copy_(kept[layer])
            without = without_heads(vit, pixels, [(layer, head)])[0]
            torch.testing.assert_close(without.double(), expected, atol=room, rtol=room)
            margin = expected[found.predicted] - expected[found.against]
            margin = margin - plain[found.predicted] + plain[found.against]
            assert found.change[layer, head] == pytest.approx(float(margin), abs=2 * room)
        assert at_temperature(vit, pixels, 1e6).dtype == dtype


def test_what_lies_below_a_head_is_not_computed_again() -> None:
    vit = attnlib.load(timm.create_model("vit_tiny_patch16_224", img_size=64).eval(), device="cpu")
    pixels = image(vit)

    def flops(run) -> int:  # type: ignore[no-untyped-def]
        with FlopCounterMode(display=False) as counter:
            run()
        return counter.get_total_flops()

    whole = flops(lambda: without_heads(vit, pixels, []))
    assert flops(lambda: head_effects(vit, pixels)) <= 0.57 * 36 * whole


def test_a_small_memory_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    vit = build("vit")
    pixels = image(vit)
    expected = head_effects(vit, pixels).change
    monkeypatch.setattr("attnlib.heads.ablation._TAPE_BYTES", 1)
    np.testing.assert_allclose(head_effects(vit, pixels).change, expected, atol=1e-9)


class Inplace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.linear(x)
        x += nn.functional.scaled_dot_product_attention(x, x, x)
        return x


def test_a_change_in_place_is_found_out() -> None:
    module = Inplace()
    tape = Tape()
    with torch.no_grad(), tape, Capture(module, lambda call: tape.mark()):
        module(torch.randn(1, 2, 3, 4))
    with pytest.raises(CaptureError, match="in place"):
        tape.finish()


def test_without_a_tape_the_numbers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    vit = build("vit")
    pixels = image(vit)
    expected = head_effects(vit, pixels).change

    def refuse(*args: object) -> None:
        raise CaptureError("no tape")

    monkeypatch.setattr("attnlib.heads.ablation._recorded", refuse)
    np.testing.assert_allclose(head_effects(vit, pixels).change, expected, atol=1e-9)


def test_threads_do_not_mix() -> None:
    vit = build("vit")
    images = [image(vit, seed) for seed in range(6)]
    expected = [head_effects(vit, pixels).change for pixels in images]
    found: dict[int, np.ndarray] = {}

    def run(i: int) -> None:
        found[i] = head_effects(vit, images[i]).change

    threads = [threading.Thread(target=run, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(6):
        np.testing.assert_array_equal(found[i], expected[i])


def test_repairs_and_means() -> None:
    vit = build("vit")
    each = [head_effects(vit, image(vit, seed), label=1) for seed in range(3)]
    change, repaired, count = mean_effects(iter(each))
    assert count == 3
    np.testing.assert_allclose(change, np.mean([e.change for e in each], axis=0), atol=1e-6)
    np.testing.assert_allclose(repaired, np.mean([e.now == e.against for e in each], axis=0))
    for effects in each:
        assert all(effects.now[head] == effects.against for head in effects.repairs)
        assert len(effects.repairs) == int((effects.now == effects.against).sum())


def test_refusals() -> None:
    vit = build("vit")
    with pytest.raises(AttnlibError, match="no head 9 in layer 0"):
        without_heads(vit, image(vit), [(0, 9)])
    with pytest.raises(AttnlibError, match="no images"):
        mean_effects([])
    swin = timm.create_model("swin_tiny_patch4_window7_224", img_size=56).eval()
    windows = attnlib.load(swin, device="cpu")
    with pytest.raises(CaptureError, match="window"):
        head_effects(windows, image(windows))
    cait = attnlib.load(timm.create_model("cait_xxs24_224", depth=2, img_size=64).eval())
    with pytest.raises(CaptureError, match="TalkingHeadAttn"):
        head_effects(cait, image(cait))
