"""Whether another preparation of images suits a model better, on labelled images.

A model gets worse without a word when its images are not prepared as in its training. The usual
preparations are few, so they are tried, and one that is better by more than chance is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from attnlib.errors import ModelError
from attnlib.evaluation.paired import mcnemar
from attnlib.evaluation.truth import Score, score
from attnlib.methods.base import Progress
from attnlib.model import running
from attnlib.model.inputs import per_channel
from attnlib.model.preparation import DEFAULTS, Preparation
from attnlib.model.vit import Vit

# Images are prepared and seen in batches of this size.
BATCH: Final = 8
LEVEL: Final = 0.05
OWN_SETTINGS: Final = "its own settings"
Changes = Mapping[str, Any]

_HALVES = (0.5, 0.5, 0.5)
NORMALISATIONS: Final[Mapping[str, Changes]] = {
    "ImageNet's mean and std": {"mean": IMAGENET_DEFAULT_MEAN, "std": IMAGENET_DEFAULT_STD},
    "mean and std of 0.5": {"mean": _HALVES, "std": _HALVES},
    "0 to 1, not normalised": {"mean": (0.0,) * 3, "std": (1.0,) * 3},
    "0 to 255, not normalised": {"mean": (0.0,) * 3, "std": (1 / 255,) * 3},
}
CHANNELS: Final[Mapping[str, Changes]] = {
    "BGR": {"channels": "BGR"},
    "RGB": {"channels": "RGB"},
}
CROPS: Final[Mapping[str, Changes]] = {
    "crop of the whole shorter side": {"crop_pct": 1.0, "crop_mode": "center"},
    "crop of 0.875": {"crop_pct": 0.875, "crop_mode": "center"},
    "squashed to the input": {"crop_pct": 1.0, "crop_mode": "squash"},
}
INTERPOLATIONS: Final[Mapping[str, Changes]] = {
    "bilinear": {"interpolation": "bilinear"},
    "bicubic": {"interpolation": "bicubic"},
}
ASPECTS: Final = (NORMALISATIONS, CHANNELS, CROPS, INTERPOLATIONS)


@dataclass(frozen=True)
class Tried:
    """One preparation and what became of the images.

    Attributes:
        title: what differs from the present one; "as now" for that itself.
        changes: the same for :meth:`attnlib.model.vit.Vit.prepared`.
        score: how right the model is on the images so prepared.
    """

    title: str
    changes: tuple[tuple[str, Any], ...]
    score: Score

    @property
    def right(self) -> NDArray[np.bool_]:
        """``(n,)``, see :class:`attnlib.evaluation.truth.Score`; so are the others."""
        return self.score.right

    @property
    def confidence(self) -> NDArray[np.float64]:
        return self.score.confidence

    @property
    def loss(self) -> NDArray[np.float64]:
        return self.score.loss

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    @property
    def rank(self) -> tuple[int, float]:
        """More is better: how many are right, and the mean loss where they are as many."""
        return int(self.right.sum()), -float(self.loss.mean())


@dataclass(frozen=True)
class Check:
    """The present preparation beside others.

    Attributes:
        tried: the present one first, then the others in the order in which they were tried.
        own: the model's own preparation among them, where it is not the present one.
    """

    tried: tuple[Tried, ...]
    own: Tried | None = None

    @property
    def now(self) -> Tried:
        return self.tried[0]

    def p_value(self, other: Tried, than: Tried | None = None) -> float:
        """That it differs so from the present one by chance, times the number of others tried.

        McNemar's exact test of the images that change sides; where as many become right as become
        wrong, Wilcoxon's signed-rank test of the losses. Both two-sided.

        Args:
            than: another one in the place of the present one.
        """
        now = than or self.now
        gained = int((other.right & ~now.right).sum())
        lost = int((now.right & ~other.right).sum())
        difference = now.loss - other.loss
        if gained != lost:
            p = mcnemar(gained, lost)
        else:
            p = float(stats.wilcoxon(difference).pvalue) if difference.any() else 1.0
        return min(1.0, (len(self.tried) - 1) * p)

    def better(self, other: Tried) -> bool:
        """Whether it is better than the present one by more than chance."""
        gain = int(other.right.sum()) - int(self.now.right.sum())
        lower = float(np.median(self.now.loss - other.loss)) > 0
        return (gain > 0 or (gain == 0 and lower)) and self.p_value(other) < LEVEL

    @property
    def best(self) -> Tried | None:
        """The best of those that are better by more than chance.

        The model's own preparation, unless another is better than it by more than chance too.
        """
        top = _first([other for other in self.tried[1:] if self.better(other)])
        if top is not None and self.own is not None and self.better(self.own):
            return top if self.p_value(top, self.own) < LEVEL else self.own
        return top

    @property
    def leading(self) -> Tried | None:
        """The best of those that look better, be it by chance."""
        now = self.now
        return _first([other for other in self.tried[1:] if other.rank > now.rank])

    @property
    def sentence(self) -> str:
        """What came of it, in words."""
        others, shown = len(self.tried) - 1, self.best or self.leading
        if shown is None:
            return f"None of {others} other preparations is better on {_images(self.now)}."
        found = (
            f"Prepared with {shown.title}, the model is right on {shown.right.sum()} of "
            f"{_images(self.now)} instead of {self.now.right.sum()}, with a mean loss of "
            f"{shown.loss.mean():.2f} instead of {self.now.loss.mean():.2f}."
        )
        p = self.p_value(shown)
        chance = "less than 0.001" if p < 0.001 else f"{p:.2g}"
        if self.best is not None:
            return f"{found} That is more than chance (p {chance}, corrected for {others} tries)."
        return (
            f"{found} That can be chance (p {chance}, corrected for {others} tries): more images "
            "with labels would tell."
        )


def _first(found: list[Tried]) -> Tried | None:
    return max(found, key=lambda tried: tried.rank, default=None)


def _images(tried: Tried) -> str:
    return "1 image" if len(tried.right) == 1 else f"{len(tried.right)} images"


def check(
    vit: Vit,
    images: Sequence[Callable[[], Image.Image]],
    labels: Sequence[int | Collection[int]],
    progress: Progress | None = None,
    *,
    own: Preparation | None = None,
    threshold: float = 0.5,
) -> Check:
    """Try the usual preparations on labelled images.

    Aspect by aspect (normalisation, order of channels, crop, interpolation) the values that are
    usual are tried, the other aspects being as they are or, where something was better, as the
    best so far. Each image is decoded once for each aspect.

    Args:
        images: functions that decode one image each, so that they need not all lie in memory.
        labels: class index of each; of independent labels those that it has.
        progress: called with (passes of one image done, most that there can be); what it raises
            ends the check.
        own: the model's own preparation, where the present one was changed: it is tried too.
        threshold: from which probability on an independent label counts as predicted.

    Raises:
        ModelError: the model gives no classes of which one is true, or there are no images.
    """
    if not vit.outputs.classifies:
        raise ModelError("Preprocessing is checked by labels, and this model has no classes.")
    if not images or len(images) != len(labels):
        raise ModelError("Preprocessing is checked on images with labels, and there are none.")
    most = len(images) * (2 + sum(map(len, ASPECTS)))
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(min(done, most), most)

    first: dict[str, Changes] = {"as now": {}}
    if own is not None and own.own is None:
        settings = {name: getattr(own, name) for name in DEFAULTS}
        if not _agrees(vit.preparation, settings):
            first[OWN_SETTINGS] = settings
    tried = _measure(vit, first, images, labels, step, threshold)
    best = max(tried, key=lambda t: t.rank)
    best_title = "" if best is tried[0] else best.title
    for aspect in ASPECTS:
        wanted: dict[str, Changes] = {}
        base = vit.preparation.changed(dict(best.changes))
        for title, usual in aspect.items():
            changes = _fitted(usual, len(base.mean))
            if aspect is CHANNELS and len(base.mean) < 3:
                continue
            if not _agrees(base, changes):
                whole = f"{best_title}, {title}" if best_title else title
                wanted[whole] = {**dict(best.changes), **changes}
        found = _measure(vit, wanted, images, labels, step, threshold)
        tried += found
        leading = max(found, key=lambda t: t.rank, default=best)
        if leading.rank > best.rank:
            best, best_title = leading, leading.title
    return Check(tuple(tried), next((t for t in tried if t.title == OWN_SETTINGS), None))


def _fitted(changes: Changes, channels: int) -> Changes:
    """The same with a mean and std for each channel."""
    return {
        name: per_channel(value, channels) if isinstance(value, tuple) else value
        for name, value in changes.items()
    }


def _agrees(preparation: Preparation, changes: Changes) -> bool:
    """Whether a preparation is so already, up to digits that make no difference."""
    for name, value in changes.items():
        now = getattr(preparation, name)
        if isinstance(value, tuple):
            if now is None or len(now) != len(value) or not np.allclose(now, value, atol=1e-3):
                return False
        elif isinstance(value, float):
            if now is None or not math.isclose(now, value, abs_tol=1e-3):
                return False
        elif now != value:
            return False
    return True


def _measure(
    vit: Vit,
    wanted: Mapping[str, Changes],
    images: Sequence[Callable[[], Image.Image]],
    labels: Sequence[int | Collection[int]],
    step: Callable[[int], None],
    threshold: float,
) -> list[Tried]:
    """All images under some preparations."""
    models = {title: vit.prepared(changes) for title, changes in wanted.items()}
    logits: dict[str, list[torch.Tensor]] = {title: [] for title in models}
    for start in range(0, len(images) if models else 0, BATCH):
        pictures = [decode() for decode in images[start : start + BATCH]]
        for title, model in models.items():
            logits[title].append(running.logits(model, [model.pixels(p) for p in pictures]))
            step(len(pictures))
    tried = []
    for title, parts in logits.items():
        found = score(vit.outputs, torch.cat(parts), labels, threshold)
        tried.append(Tried(title, tuple(wanted[title].items()), found))
    return tried
