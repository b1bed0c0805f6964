"""The check of the preprocessing: what it finds, and that it stays silent without a reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform
from torchvision import transforms as T  # type: ignore[import-untyped]

import attnlib
from attnlib.errors import ModelError
from attnlib.evaluation.preprocessing import Check, Tried, check
from attnlib.evaluation.truth import Score

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def pictures(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (count, 9, 12, 3), dtype=np.uint8)
    return [Image.fromarray(p).resize((80, 60), Image.Resampling.BICUBIC) for p in small]


@cache
def model() -> torch.nn.Module:
    torch.manual_seed(1)
    made = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=10).eval()
    torch.nn.init.normal_(made.head.weight, std=0.5)
    return made


def answers(made: torch.nn.Module, images: list[Image.Image], **used: object) -> list[int]:
    """What the model says under the preparation of its training."""
    transform = create_transform(64, **used)
    with torch.inference_mode():
        return [int(made(transform(image)[None]).argmax()) for image in images]


def lazy(images: list[Image.Image]) -> list[Callable[[], Image.Image]]:
    return [lambda image=image: image for image in images]


def test_it_finds_the_preparation_of_the_training() -> None:
    made, images = model(), pictures(40)
    labels = answers(made, images, **IMAGENET, crop_pct=1.0, interpolation="bilinear")
    vit = attnlib.load(made, device="cpu")
    steps: list[tuple[int, int]] = []
    found = check(vit, lazy(images), labels, lambda done, most: steps.append((done, most)))
    assert vit.mean == (0.5,) * 3
    best = found.best
    assert best is not None and best.accuracy == 1.0
    changed = vit.prepared(dict(best.changes)).preparation
    assert (changed.mean, changed.crop_pct) == (IMAGENET["mean"], 1.0)
    assert "is right on 40 of 40 images instead of" in found.sentence
    assert "more than chance" in found.sentence
    # Under it there is nothing left to find.
    again = check(vit.prepared(dict(best.changes)), lazy(images), labels)
    assert again.best is None
    done = [step for step, _ in steps]
    assert done == sorted(done) and done[-1] <= steps[-1][1]


def test_every_row_is_what_the_model_says_under_that_preparation() -> None:
    made, images = model(), pictures(20)
    vit = attnlib.load(made, device="cpu")
    labels = [vit.inspect(p).predicted if i % 3 else i % 10 for i, p in enumerate(images)]
    for tried in check(vit, lazy(images), labels).tried:
        loaded = vit.prepared(dict(tried.changes))
        logits = torch.cat([made(loaded.pixels(image)) for image in images]).double()
        shares = logits.softmax(dim=1).detach()
        assert tried.right.tolist() == (shares.argmax(dim=1) == torch.tensor(labels)).tolist()
        assert np.allclose(tried.confidence, shares.amax(dim=1), atol=1e-5)
        # At the best temperature, by a plain search.
        scales = torch.linspace(-5, 3, 4000, dtype=torch.float64).exp()
        logs = (logits.detach() * scales[:, None, None]).log_softmax(dim=2)
        losses = -logs[:, torch.arange(len(labels)), torch.tensor(labels)]
        best = losses[losses.mean(dim=1).argmin()]
        assert np.allclose(tried.loss, best, atol=0.01)


def test_labels_that_mean_nothing_are_no_reason() -> None:
    """The best of some nine tries is not announced, nor that one makes the model less sure."""
    made, images = model(), pictures(24)
    vit = attnlib.load(made, device="cpu")
    first = check(vit, lazy(images), [0] * 24)
    assert len(first.tried) > 5
    for seed in range(3):
        labels = np.random.default_rng(seed).integers(0, 10, 24).tolist()
        assert check(vit, lazy(images), labels).best is None


def test_the_models_own_settings_are_tried_where_they_were_changed() -> None:
    made, images = model(), pictures(30)
    vit = attnlib.load(made, device="cpu")
    labels = [vit.inspect(image).predicted for image in images]
    wrong = vit.prepared({"mean": 0.0, "std": 1 / 255, "crop_pct": 0.6})
    found = check(wrong, lazy(images), labels, own=vit.preparation)
    assert found.tried[1].title == "its own settings"
    assert found.tried[1].accuracy == 1.0
    assert found.best is found.tried[1]


def tried(right: list[bool], loss: list[float]) -> Tried:
    count = len(right)
    return Tried("other", (), Score(np.array(right), np.full(count, 0.5), np.array(loss)))


def test_p_values_are_exact_and_corrected() -> None:
    now = tried([True] * 10 + [False] * 10, [1.0] * 20)
    seven = tried([True] * 17 + [False] * 3, [1.0] * 20)
    mixed = tried([False] * 2 + [True] * 17 + [False], [1.0] * 20)
    found = Check((now, seven, mixed))
    # McNemar: twice the probability of 7 heads of 7, and of at most 2 of 11.
    assert found.p_value(seven) == pytest.approx(2 * 2 * 0.5**7)
    tail = sum(math.comb(11, k) for k in range(3)) / 2**11
    assert found.p_value(mixed) == pytest.approx(2 * 2 * tail)
    # Equal numbers right: 20 losses, all of them lower, by Wilcoxon's signed ranks.
    lower = tried([True] * 10 + [False] * 10, [1 - i / 100 for i in range(1, 21)])
    found = Check((now, lower))
    assert found.p_value(lower) == pytest.approx(2 * 0.5**20, rel=1e-6)
    assert found.best is lower
    assert Check((now, tried([True] * 10 + [False] * 10, [1.0] * 20))).best is None


def test_what_may_be_chance_is_said_to_be() -> None:
    now = tried([True] * 10 + [False] * 3, [1.0] * 13)
    other = tried([True] * 13, [0.5] * 13)
    found = Check((now, other))
    assert found.best is None
    assert found.leading is other
    assert "can be chance (p 0.25, corrected for 1 tries)" in found.sentence


def test_what_cannot_be_checked_is_refused() -> None:
    vit = attnlib.load(model(), device="cpu")
    with pytest.raises(ModelError, match="there are none"):
        check(vit, [], [])
    numbers = attnlib.load(model(), device="cpu", outputs="regression")
    with pytest.raises(ModelError, match="has no classes"):
        check(numbers, lazy(pictures(1)), [0])


def test_it_finds_the_preparation_for_independent_labels() -> None:
    made, images = model(), pictures(30)
    transform = create_transform(64, **IMAGENET, crop_pct=1.0, interpolation="bilinear")
    with torch.inference_mode():
        shares = [made(transform(image)[None])[0].sigmoid() for image in images]
    sets = [frozenset(torch.nonzero(p >= 0.3).flatten().tolist()) for p in shares]
    vit = attnlib.load(made, device="cpu", outputs="labels")
    found = check(vit, lazy(images), sets, threshold=0.3)
    assert found.best is not None and found.best.accuracy == 1.0
    assert vit.prepared(dict(found.best.changes)).mean == IMAGENET["mean"]
    assert found.now.accuracy < 0.9
    # One row by hand: right, sureness, and the loss at the best temperature by a plain search.
    z = torch.cat([made(vit.pixels(image)) for image in images]).double().detach()
    has = torch.tensor([[i in labels for i in range(10)] for labels in sets])
    said = z.sigmoid() >= 0.3
    assert found.now.right.tolist() == (said == has).all(dim=1).tolist()
    sure = torch.where(said, z.sigmoid(), 1 - z.sigmoid()).mean(dim=1)
    assert np.allclose(found.now.confidence, sure, atol=1e-5)
    bce = torch.nn.BCEWithLogitsLoss(reduction="none")
    scales = torch.linspace(-5, 3, 4000, dtype=torch.float64).exp()
    lost = torch.stack([bce(z * s, has.double()).mean(dim=1) for s in scales])
    assert np.allclose(found.now.loss, lost[lost.mean(dim=1).argmin()], atol=0.01)


def test_the_models_own_settings_come_first_unless_another_is_better_than_they() -> None:
    now = tried([False] * 30, [2.0] * 30)
    own = tried([True] * 20 + [False] * 10, [1.0] * 30)
    luckier = tried([True] * 22 + [False] * 8, [0.9] * 30)
    better = tried([True] * 30, [0.1] * 30)
    assert Check((now, own, luckier), own).best is own
    assert Check((now, own, luckier)).best is luckier
    assert Check((now, own, luckier, better), own).best is better


def test_a_transform_that_keeps_the_shape_is_checked_too() -> None:
    """Images of several sizes cannot go into one batch."""
    torch.manual_seed(1)
    made = timm.create_model(
        "vit_tiny_patch16_224", img_size=64, depth=2, num_classes=10, dynamic_img_size=True
    ).eval()
    shapes = ((96, 64), (64, 96), (64, 64))
    images = [image.resize(shapes[i % 3]) for i, image in enumerate(pictures(6))]
    vit = attnlib.load(made, transform=T.ToTensor(), img_size=64, device="cpu")
    found = check(vit, lazy(images), [0] * 6)
    with torch.inference_mode():
        shares = [made(T.ToTensor()(image)[None]).softmax(dim=1) for image in images]
    assert np.allclose(found.now.confidence, [float(share.max()) for share in shares], atol=1e-5)
    assert len(found.tried) > 5


@pytest.mark.parametrize("channels", [1, 4])
def test_models_of_other_channels_are_checked_too(channels: int) -> None:
    torch.manual_seed(1)
    made = timm.create_model(
        "vit_tiny_patch16_224", img_size=64, depth=2, num_classes=10, in_chans=channels
    ).eval()
    images = pictures(4)
    found = check(attnlib.load(made, device="cpu"), lazy(images), [0] * 4)
    titles = [tried.title for tried in found.tried]
    assert "ImageNet's mean and std" in titles
    assert any("BGR" in title for title in titles) == (channels == 4), "of one there is no order"
