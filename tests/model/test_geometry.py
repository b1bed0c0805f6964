"""Sizes and channels of the input: each image has the layout of its own size.

The reference is the same model made for that size alone, and a model without fused attention
whose matrices are read with hooks.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import timm
import torch
import transformers as tr
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms as T  # type: ignore[import-untyped]

import attnlib
from attnlib.heads.ablation import head_effects
from attnlib.heads.statistics import head_statistics
from tests.capture.plain_vit import Vit as Plain

# The shorter side only, without a crop: the shape of the picture stays.
KEEPS_SHAPE = T.Compose([T.Resize(64), T.ToTensor(), T.Normalize([0.5] * 3, [0.5] * 3)])
MAPS = ("raw", "rollout", "residual", "relevance", "gradcam", "occlusion", "flow", "random")
SHAPES = [(64, 128), (128, 64), (96, 64), (64, 64)]


def picture(size: tuple[int, int]) -> Image.Image:
    """Noise of ``(height, width)``."""
    values = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    return Image.fromarray(values)


def any_size(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    sizes = {"img_size": 64, "depth": 2, "embed_dim": 48, "num_heads": 3, "num_classes": 5}
    return timm.create_model(
        "vit_tiny_patch16_224", **{**sizes, "dynamic_img_size": True, **options}
    )


def dinov2() -> nn.Module:
    torch.manual_seed(0)
    config = tr.Dinov2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=64,
        patch_size=16,
        mlp_ratio=2,
        num_labels=5,
    )
    return tr.Dinov2ForImageClassification(config)  # type: ignore[no-any-return]


def unfused_layers(module: nn.Module, pixels: Tensor) -> list[np.ndarray]:
    """The attention ``(H, T, T)`` of every layer of a timm model, with hooks."""
    kept: list[np.ndarray] = []
    hooks = []
    for block in module.blocks:  # type: ignore[union-attr]
        block.attn.fused_attn = False
        hooks.append(
            block.attn.attn_drop.register_forward_hook(
                lambda _, __, out: kept.append(out[0].detach().numpy())
            )
        )
    module(pixels)
    for hook in hooks:
        hook.remove()
    return kept


@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("make", [any_size, dinov2])
def test_as_if_loaded_for_that_size(make: Callable[[], nn.Module], size: tuple[int, int]) -> None:
    module = make().eval()
    vit = attnlib.load(module, transform=KEEPS_SHAPE, img_size=64)
    alone = attnlib.load(module, transform=KEEPS_SHAPE, img_size=size)
    image = picture(size)
    record, expected = vit.inspect(image), alone.inspect(image)
    assert record.layout == expected.layout == vit.layout_for(size)
    assert record.grid == (size[0] // 16, size[1] // 16)
    assert np.array_equal(record.rows, expected.rows)
    assert record.rollout is not None
    assert expected.rollout is not None
    assert np.array_equal(record.rollout, expected.rollout)
    for method in MAPS:
        heat, reference = vit.attribute(image, method, 1), alone.attribute(image, method, 1)
        assert heat.values.shape == record.grid
        assert np.array_equal(heat.values, reference.values)
        assert heat.covers == (1, 1)
    assert np.array_equal(vit.attention(image, 1), alone.attention(image, 1))
    assert vit.layout.grid == (4, 4)


@pytest.mark.parametrize("size", SHAPES)
def test_against_hooks_on_the_unfused_model(size: tuple[int, int]) -> None:
    module = any_size().eval()
    vit = attnlib.load(module, transform=KEEPS_SHAPE, img_size=64)
    image = picture(size)
    found = [vit.attention(image, layer) for layer in range(2)]
    row = vit.inspect(image).rollout
    pixels = vit.pixels(image)
    true = unfused_layers(module, pixels)
    np.testing.assert_allclose(found, true, atol=1e-6)
    product = np.eye(true[0].shape[1])
    for layer in true:
        product = (0.5 * layer.mean(0) + 0.5 * np.eye(layer.shape[1])) @ product
    np.testing.assert_allclose(row, product[0], atol=1e-6)


def test_images_of_many_shapes_in_one_batch() -> None:
    padded = any_size(dynamic_img_pad=True)
    vit = attnlib.load(padded, transform=KEEPS_SHAPE, img_size=64)
    images = [picture(size) for size in (*SHAPES, *SHAPES[::-1], (64, 100))]
    together = [*vit.inspect_many(images, batch_size=5)]
    # timm pads what fills no whole patch.
    assert together[-1].grid == (4, 7)
    for image, record in zip(images, together, strict=True):
        alone = vit.inspect(image)
        assert record.layout == alone.layout
        np.testing.assert_allclose(record.logits, alone.logits, atol=1e-5)
        np.testing.assert_allclose(record.rows, alone.rows, atol=1e-6)


def test_heads_of_a_landscape() -> None:
    vit = attnlib.load(any_size(), transform=KEEPS_SHAPE, img_size=64)
    view = attnlib.load(any_size(), transform=KEEPS_SHAPE, img_size=(64, 128))
    pixels = vit.pixels(picture((64, 128)))
    found, expected = head_statistics(vit, pixels), head_statistics(view, pixels)
    assert np.array_equal(found.distance, expected.distance)
    assert np.array_equal(head_effects(vit, pixels).change, head_effects(view, pixels).change)


def test_threads_at_many_sizes() -> None:
    vit = attnlib.load(any_size(), transform=KEEPS_SHAPE, img_size=64)
    sizes = SHAPES * 6
    with ThreadPoolExecutor(8) as pool:
        grids = [*pool.map(lambda size: vit.inspect(picture(size)).grid, sizes)]
    assert grids == [(height // 16, width // 16) for height, width in sizes]


def test_a_size_that_does_not_fit_is_said() -> None:
    vit = attnlib.load(any_size(dynamic_img_size=False), transform=KEEPS_SHAPE, img_size=64)
    wide = picture((64, 128))
    asked: list[Callable[[], object]] = [
        lambda: vit.inspect(wide),
        lambda: vit.attention(wide, 0),
        lambda: [*vit.inspect_many([picture((64, 64)), wide])],
        *(lambda method=method: vit.attribute(wide, method, 1) for method in MAPS),
    ]
    for ask in asked:
        with pytest.raises(attnlib.ModelError, match=r"64 x 128 pixels.* loaded for 64 x 64"):
            ask()


class Drops(Plain):
    """Drops half of the tokens where the image is dark."""

    def forward(self, x: Tensor) -> Tensor:
        dark = bool(x.mean() < -0.9)
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls, x], dim=1) + self.place
        if dark:
            x = x[:, :9]
        for layer in self.layers:
            x = layer(x)
        return self.fc(self.norm(x)[:, 0])  # type: ignore[no-any-return]


def test_tokens_are_counted_at_every_call() -> None:
    vit = attnlib.load(Drops(), transform=KEEPS_SHAPE, img_size=64)
    assert vit.inspect(picture((64, 64))).grid == (4, 4)
    dark = Image.new("RGB", (64, 64))
    for ask in (vit.inspect, lambda image: vit.attribute(image, "relevance", 1)):
        with pytest.raises(attnlib.ModelError, match=r"9 and 9 tokens, where 17"):
            ask(dark)


class Resizes(nn.Module):
    """Whatever comes, the model inside sees 64 x 64 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = any_size(dynamic_img_size=False)

    def forward(self, x: Tensor) -> Tensor:
        small = nn.functional.interpolate(x, (64, 64), mode="bilinear")
        return self.inner(small)  # type: ignore[no-any-return]


def test_a_model_that_resizes_by_itself() -> None:
    vit = attnlib.load(Resizes(), transform=KEEPS_SHAPE, img_size=128)
    assert (vit.layout.grid, vit.layout.patch_size) == ((4, 4), (32, 32))
    # Its patches are no squares of this image any more; what cannot be placed is refused.
    with pytest.raises(attnlib.CaptureError, match="not where they are looked for"):
        vit.layout_for((64, 192))


class Around(nn.Module):
    """Somebody's class around a model of timm; it has no size of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.inner = any_size(**options)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)  # type: ignore[no-any-return]


def test_the_size_of_what_is_inside() -> None:
    images_as_they_are, half = T.ToTensor(), T.Normalize([0.5] * 3, [0.5] * 3)
    fixed = Around(img_size=96, dynamic_img_size=False)
    # A transform that leaves images as large as they are says nothing of the size.
    for options in ({"transform": images_as_they_are}, {"preprocessing": {"mean": 0.5, "std": 1}}):
        vit = attnlib.load(fixed, **options)
        assert vit.size == (96, 96) and vit.inspect(picture((96, 96))).grid == (6, 6)
    with pytest.raises(attnlib.ModelError, match="does not run on an image of 64 x 64 pixels"):
        attnlib.load(fixed, transform=T.Compose([T.Resize((64, 64)), T.ToTensor(), half]))
    # Any size: the transform's own, and the grid of each image.
    free = Around(img_size=96)
    vit = attnlib.load(free, transform=T.Compose([T.Resize((64, 128)), T.ToTensor(), half]))
    assert vit.size == (64, 128) and vit.layout.grid == (4, 8)
    inner = attnlib.load(free.inner, transform=vit.transform, img_size=(64, 128))
    found, expected = (v.inspect(picture((70, 90))) for v in (vit, inner))
    np.testing.assert_array_equal(found.cls_rows, expected.cls_rows)
    # One that the model resizes by itself keeps the transform's size.
    vit = attnlib.load(Resizes(), transform=T.Compose([T.Resize((128, 128)), T.ToTensor()]))
    assert vit.size == (128, 128) and vit.layout.patch_size == (32, 32)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (4, "RGBA")])
def test_pictures_of_other_channels(channels: int, mode: str) -> None:
    module = any_size(in_chans=channels)
    vit = attnlib.load(module, img_size=64)
    image = picture((64, 64))
    seen = np.asarray(image.convert(mode), np.float64).reshape(64, 64, channels) / 255
    mean, std = (np.array(numbers) for numbers in (vit.mean, vit.std))
    assert len(mean) == len(std) == channels
    expected = ((seen - mean) / std).transpose(2, 0, 1)
    assert vit.pixels(image).shape == (1, channels, 64, 64)
    # timm resizes to a little more than the crop, so only a picture of that size is compared.
    plain = attnlib.load(
        module,
        transform=T.Compose([T.ToTensor(), T.Normalize(vit.mean, vit.std)]),
        img_size=64,
    )
    np.testing.assert_allclose(plain.pixels(image)[0].numpy(), expected, atol=1e-5)
    shown = np.asarray(plain.crop(image))
    assert shown.shape == (64, 64, 3)
    whole = seen[..., :3] if channels == 4 else np.repeat(seen, 3, axis=2)
    np.testing.assert_allclose(shown, whole * 255, atol=1)
    for method in ("rollout", "relevance", "occlusion"):
        assert vit.attribute(image, method, 1).values.shape == (4, 4)


@pytest.mark.parametrize("channels", [2, 7])
def test_more_channels_than_a_picture_has(channels: int) -> None:
    vit = attnlib.load(any_size(in_chans=channels), img_size=64)
    with pytest.raises(attnlib.ModelError, match=f"{channels} channels, which no picture has"):
        vit.inspect(picture((64, 64)))
    values = np.random.default_rng(1).normal(size=(channels, 64, 64)).astype(np.float32)
    record = vit.inspect(values)
    (batched,) = vit.inspect_pixels(torch.from_numpy(values)[None])
    assert np.array_equal(record.logits, batched.logits)
    assert vit.attribute(values, "rollout").crop is not None
    with pytest.raises(attnlib.ModelError, match="not a tensor of shape"):
        vit.inspect(values[:1])
    with pytest.raises(attnlib.ModelError, match=f"{channels}, height, width"):
        vit.inspect_pixels(torch.zeros(1, 3, 64, 64))
