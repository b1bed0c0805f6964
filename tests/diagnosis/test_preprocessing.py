"""Preprocessing: the fault is named by its factor; a mark that another crop removes is none."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import attnlib
from attnlib.diagnosis import diagnose, preprocessing
from attnlib.diagnosis.examined import examine
from attnlib.diagnosis.preparations import Tried
from attnlib.diagnosis.preprocessing import amend, find, rival
from attnlib.evaluation.truth import Score
from tests.diagnosis.test_label_noise import silent

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
Pictures = dict[str, Image.Image]


def pictures(count: int = 60) -> Pictures:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (count, 7, 7, 3), dtype=np.uint8)
    return {
        f"{i:02d}": Image.fromarray(p).resize((96, 72), Image.Resampling.BICUBIC)
        for i, p in enumerate(small)
    }


@cache
def trained() -> attnlib.Vit:
    """A model that is right on all its images as prepared here, by its labels."""
    torch.manual_seed(1)
    module = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=1, num_classes=6
    ).eval()
    torch.nn.init.normal_(module.head.weight, std=0.5)
    vit = attnlib.load(module, device="cpu", preprocessing={**IMAGENET, "crop_pct": 1.0})
    records = list(vit.inspect_many(list(pictures().values()), rollout=False))
    mean = torch.from_numpy(np.mean([record.logits for record in records], axis=0))
    with torch.no_grad():
        module.head.bias -= mean  # every class is as likely as the others
    return vit


@cache
def answers() -> dict[str, int]:
    shown = pictures()
    records = trained().inspect_many(list(shown.values()), rollout=False)
    return {name: record.predicted for name, record in zip(shown, records, strict=True)}


@pytest.mark.parametrize(
    ("fault", "factor"),
    [
        ({"channels": "BGR"}, "channels"),
        ({"mean": 0.0, "std": 1 / 255}, "scale"),
        ({"crop_pct": 0.5}, "crop"),
        ({"mean": 0.0, "std": 1.0}, "statistics"),
    ],
)
def test_the_factor_is_named_and_its_remedy_repairs(fault: dict[str, Any], factor: str) -> None:
    wrong = trained().prepared(fault)
    one = examine(wrong, pictures(), answers())
    assert one.wrong.sum() >= 6
    (finding,) = find(one, silent)
    assert finding.detail["factor"] == factor
    right = amend(one, [finding])
    # The labels are what the model says of images as it was "trained".
    assert right.wrong.mean() <= 0.1
    assert finding.mistakes > 0.6 * one.wrong.sum()
    assert set(finding.images) <= {one.names[i] for i in np.flatnonzero(one.wrong)}


def test_blue_first_is_found_where_the_training_had_it() -> None:
    blue, shown = trained().prepared({"channels": "BGR"}), pictures()
    records = blue.inspect_many(list(shown.values()), rollout=False)
    labels = {name: record.predicted for name, record in zip(shown, records, strict=True)}
    one = examine(trained(), shown, labels)
    (finding,) = find(one, silent)
    assert finding.detail["use"] == {"channels": "BGR"}
    assert not amend(one, [finding]).wrong.any()


def test_a_model_that_is_right_has_no_fault() -> None:
    labels = answers()
    rng = np.random.default_rng(0)
    some = {name: int(rng.integers(6)) if rng.random() < 0.2 else c for name, c in labels.items()}
    report = diagnose(trained(), pictures(), some, kinds=["preprocessing"])
    assert report.mistakes > 3
    assert not report.findings


def test_too_few_labels_are_said() -> None:
    few = dict(list(answers().items())[:10])
    report = diagnose(trained(), pictures(), few, kinds=["preprocessing"])
    assert "fewer than 20" in report.left_out["preprocessing"]


def right_on(vit: attnlib.Vit) -> float:
    """The share of the answers that a model gives as well, image by image."""
    given = answers()
    return float(
        np.mean([vit.inspect(image).predicted == given[n] for n, image in pictures().items()])
    )


def test_what_each_factor_is_worth_is_what_is_lost_without_it() -> None:
    """Against the accuracies of three preparations, each told image by image."""
    wrong = {"channels": "BGR", "crop_pct": 0.5}
    (finding,) = find(examine(trained().prepared(wrong), pictures(), answers()), silent)
    remedy = finding.detail["use"]
    assert remedy["channels"] == "RGB" and remedy["crop_pct"] > 0.5
    best = trained().prepared({**wrong, **remedy})
    blue = best.prepared({"channels": "BGR"})
    narrow = trained().prepared({**wrong, "channels": "RGB"})
    assert finding.detail["factors"] == pytest.approx(
        {"channels": right_on(best) - right_on(blue), "crop": right_on(best) - right_on(narrow)}
    )
    assert finding.value == pytest.approx(right_on(best) - right_on(trained().prepared(wrong)))


@pytest.mark.parametrize(("name", "factor", "shift"), [("mean", 1.0, 0.002), ("std", 1.04, 0.0)])
def test_a_setting_that_helps_little_is_no_part_of_the_remedy(
    name: str, factor: float, shift: float
) -> None:
    """A mean a hundredth of a deviation off; a spread that changes losses and no prediction."""
    off = {name: tuple(factor * one + shift for one in IMAGENET[name])}
    wrong = trained().prepared({"channels": "BGR", **off})
    (finding,) = find(examine(wrong, pictures(), answers()), silent)
    assert finding.detail["use"] == {"channels": "RGB"}
    assert list(finding.detail["factors"]) == ["channels"]
    assert finding.detail["factors"]["channels"] == finding.value > 0


def test_a_better_preparation_that_is_not_proved_is_still_the_rival() -> None:
    one = examine(trained().prepared({"channels": "BGR"}), pictures(), answers())
    other = rival(one, silent)
    assert other is not None and other.preparation.channels == "RGB"
    assert rival(examine(trained(), pictures(), answers()), silent) is None


@pytest.mark.parametrize(("gain", "better"), [(3, False), (4, True)])
def test_a_rival_gains_four_points(
    monkeypatch: pytest.MonkeyPatch, gain: int, better: bool
) -> None:
    now, best = (Tried(changes, score) for changes, score in _scores(gain))
    trial = SimpleNamespace(now=now, labels=range(100))
    monkeypatch.setattr(preprocessing, "_best", lambda given, progress: (trial, best))
    other = rival(examine(trained(), dict(list(pictures().items())[:1])), silent)
    assert (other is not None) == better


def _scores(gain: int) -> list[tuple[dict[str, str], Score]]:
    """Of 100 images 50 are right, and so many more with the channels exchanged."""
    return [
        (changes, Score(np.arange(100) < right, np.ones(100), np.ones(100)))
        for changes, right in (({}, 50), ({"channels": "BGR"}, 50 + gain))
    ]
