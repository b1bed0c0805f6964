"""How images are prepared, against torchvision's, timm's and transformers' own transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform
from torchvision import transforms
from torchvision.transforms import InterpolationMode, v2

import attnlib
from attnlib.errors import ModelError
from attnlib.model.built import Built
from attnlib.model.preparation import DEFAULTS, Preparation, prepare

transformers = pytest.importorskip("transformers")

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def picture(seed: int = 0, width: int = 100, height: int = 70) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def module() -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", img_size=64, depth=1, num_classes=5).eval()


def settings(**changes: Any) -> Preparation:
    return Preparation((64, 64), (0.5,) * 3, (0.5,) * 3).changed(changes)


@pytest.mark.parametrize(
    ("changes", "reference"),
    [
        (
            {**IMAGENET, "crop_pct": 0.8, "interpolation": "bicubic"},
            [
                transforms.Resize(80, InterpolationMode.BICUBIC),
                transforms.CenterCrop(64),
                transforms.ToTensor(),
                transforms.Normalize(**IMAGENET),
            ],
        ),
        (
            {"crop_mode": "squash", "mean": 0, "std": 1 / 255},
            [
                transforms.Resize((64, 64)),
                transforms.ToTensor(),
                transforms.Lambda(lambda t: t * 255),
            ],
        ),
        (
            {"channels": "BGR", **IMAGENET},
            [
                transforms.Resize(64),
                transforms.CenterCrop(64),
                transforms.ToTensor(),
                transforms.Lambda(lambda t: t[[2, 1, 0]]),
                transforms.Normalize(**IMAGENET),
            ],
        ),
    ],
    ids=["torchvision", "0 to 255, squashed", "BGR"],
)  # fmt: skip
def test_settings_are_what_torchvision_makes_of_them(
    changes: dict[str, Any], reference: list[Any]
) -> None:
    found, own = settings(**changes).transform(picture()), transforms.Compose(reference)(picture())
    assert found.shape == own.shape
    assert torch.allclose(found, own, atol=1e-4)


def test_a_borders_crop_is_timms() -> None:
    made = create_transform(64, mean=(0.5,) * 3, std=(0.5,) * 3, crop_pct=1.0, crop_mode="border")
    assert torch.equal(settings(crop_mode="border").transform(picture()), made(picture()))


def test_every_setting_has_a_source(module: torch.nn.Module) -> None:
    built = Built(
        "x", module, {"mean": (0.5,) * 3, "crop_pct": 0.9}, "timm's configuration",
        arguments={"std": (0.25, 0.25, 0.25), "mean": None, "interpolation": "random", "lr": 1},
    )  # fmt: skip
    found = prepare(built, module, None, {"crop_mode": "squash"}, None)
    assert found.std == (0.25,) * 3
    assert {name: found.sources[name] for name in ("size", *DEFAULTS)} == {
        "size": "the model",
        "mean": "timm's configuration",
        "std": "the checkpoint's arguments",
        "crop_pct": "timm's configuration",
        "crop_mode": "said by you",
        "interpolation": "assumed, since nothing says it",
        "channels": "assumed, since nothing says it",
    }


@pytest.mark.parametrize(
    ("channels", "mean", "said"),
    [
        (1, (0.4,), "timm's configuration, averaged over its three channels"),
        (
            4,
            (0.6, 0.4, 0.2, 0.4),
            "timm's configuration, with their average for what is beyond three channels",
        ),
        (3, (0.6, 0.4, 0.2), "timm's configuration"),
    ],
)
def test_what_is_made_of_three_channels_says_so(
    channels: int, mean: tuple[float, ...], said: str
) -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(channels, 8, 16, 16))
    data = {"mean": (0.6, 0.4, 0.2), "std": (0.25,), "input_size": (3, 64, 64)}
    built = Built("x", module, data, "timm's configuration")
    found = prepare(built, module, None, None, None)
    assert found.mean == pytest.approx(mean) and found.std == (0.25,) * channels
    assert found.sources["mean"] == said and found.sources["std"] == "timm's configuration"


def test_means_of_pixels_up_to_255_are_shares(module: torch.nn.Module) -> None:
    arguments = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
    built = Built("x", module, {"crop_pct": 1.0}, "", arguments=arguments)
    found = prepare(built, module, None, None, None)
    assert np.allclose(found.mean, IMAGENET["mean"], atol=1e-3)
    assert np.allclose(found.std, IMAGENET["std"], atol=1e-3)


COMPOSED = {
    "v1": transforms.Compose(
        [
            transforms.Resize(80, InterpolationMode.BICUBIC),
            transforms.CenterCrop(64),
            transforms.ToTensor(),
            transforms.Normalize(**IMAGENET),
        ]
    ),
    "v2": v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize(80, InterpolationMode.BICUBIC, antialias=True),
            v2.CenterCrop(64),
            v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(**IMAGENET)]),
        ]
    ),
    "transformers": transformers.ViTImageProcessor(
        size={"shortest_edge": 80},
        crop_size={"height": 64, "width": 64},
        do_center_crop=True,
        resample=3,
        image_mean=IMAGENET["mean"],
        image_std=IMAGENET["std"],
    ),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_a_transform_of_ones_own_tells_its_settings(name: str, module: torch.nn.Module) -> None:
    """Rebuilt from what it tells, with nothing changed but one setting back and forth."""
    vit = attnlib.load(module, transform=COMPOSED[name], device="cpu")
    found = vit.preparation
    assert found.own is not None
    assert np.allclose(found.mean, IMAGENET["mean"], atol=1e-6)
    assert np.allclose(found.std, IMAGENET["std"], atol=1e-6)
    assert found.interpolation == "bicubic"
    if name == "transformers" and found.crop_pct is None:
        pytest.skip("this release's ViT processor does not crop")
    assert (found.crop_pct, found.crop_mode) == (0.8, "center")
    again = found.changed({"crop_pct": 0.8})
    assert again.own is None and again.sources["crop_pct"] == "said by you"
    assert again.sources["mean"] == "your own transform"
    exact = vit.pixels(picture())[0]
    assert torch.allclose(again.transform(picture()), exact, atol=0.03)


def test_a_transform_that_says_nothing_is_not_explained(module: torch.nn.Module) -> None:
    def own(image: Image.Image) -> torch.Tensor:
        return transforms.functional.to_tensor(image.resize((64, 64))) * 4 - 2

    vit = attnlib.load(module, transform=own, device="cpu")
    assert vit.preparation.sources["mean"] == "assumed, since nothing says it"
    shown, note = vit.seen(picture())
    assert "do not lead back" in note
    # Stretched to its own range: a straight line from colours to colours, nothing cut off.
    colours = np.asarray(picture().resize((64, 64))).astype(float)
    low, high = colours.min(), colours.max()
    assert np.abs(np.asarray(shown) - (colours - low) / (high - low) * 255).max() <= 1
    assert vit.prepared({"mean": 0.5, "std": 0.25}).seen(picture())[1] == ""


@pytest.mark.parametrize("changes", [IMAGENET, {"channels": "BGR"}, {"mean": 0, "std": 1 / 255}])
def test_the_crop_is_in_the_images_colours(
    module: torch.nn.Module, changes: dict[str, Any]
) -> None:
    vit = attnlib.load(module, device="cpu").prepared({"crop_pct": 1.0, **changes})
    square = picture(width=64, height=64)
    assert np.array_equal(np.asarray(vit.crop(square)), np.asarray(square))


def test_a_changed_model_shares_its_weights_and_sees_the_same_as_a_loaded_one(
    module: torch.nn.Module,
) -> None:
    plain = attnlib.load(module, device="cpu")
    loaded = attnlib.load(module, device="cpu", preprocessing={**IMAGENET, "crop_pct": 1.0})
    changed = plain.prepared({**IMAGENET, "crop_pct": 1.0})
    assert changed.module is plain.module
    assert np.array_equal(changed.inspect(picture()).logits, loaded.inspect(picture()).logits)
    used = create_transform(64, **IMAGENET, crop_pct=1.0, interpolation="bicubic")
    logits = module(used(picture())[None])[0].detach().numpy()
    assert np.allclose(changed.inspect(picture()).logits, logits, atol=1e-5)
    assert not np.allclose(plain.inspect(picture()).logits, logits, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"crop": 1}, "mean, std, crop_pct, crop_mode, interpolation, channels, but no 'crop'"),
        ({"input_size": 224}, "input size is img_size"),
        ({"mean": (0.5, 0.5)}, "mean must be one number, or one for each channel"),
        ({"mean": "0.5"}, "mean must be"),
        ({"mean": float("nan")}, "mean must be"),
        ({"std": 0}, "std must be positive"),
        ({"std": (1, -1, 1)}, "std must be positive"),
        ({"crop_pct": 0}, "above 0 and up to 1"),
        ({"crop_pct": 1.5}, "above 0 and up to 1"),
        ({"crop_pct": True}, "above 0 and up to 1"),
        ({"crop_mode": "centre"}, "center, squash, border"),
        ({"interpolation": "cubic"}, "one of nearest"),
        ({"channels": "GRB"}, "RGB, BGR"),
    ],
)
def test_what_is_no_setting_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        settings(**changes)


@pytest.mark.parametrize(
    "options",
    [
        {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [63.75] * 3},
        {"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [0.5] * 3},
        {"do_normalize": False, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    ],
)
def test_a_processor_is_read_in_units_of_its_own_scale(
    module: torch.nn.Module, options: dict[str, Any]
) -> None:
    processor = transformers.ViTImageProcessor(size={"height": 64, "width": 64}, **options)
    vit = attnlib.load(module, transform=processor, device="cpu")
    square = picture(width=64, height=64)
    shown, note = vit.seen(square)
    assert note == ""
    assert np.abs(np.asarray(shown).astype(int) - np.asarray(square)).max() <= 1
