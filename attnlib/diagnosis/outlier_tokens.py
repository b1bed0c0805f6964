"""Patch tokens of outlying norm, in a model: which patches, in which layers, and what it spoils."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.finder import Finder
from attnlib.diagnosis.finding import Certainty, Evidence, Finding
from attnlib.heads.outliers import NOISES, Norms, share_on, token_norms
from attnlib.heads.statistics import SINK_RATIO
from attnlib.methods.base import Progress

IMAGES = 24
SOURCE = "outliers of large models are 2 to 10 times as long as other tokens (Darcet et al. 2024)"


def find(examined: Examined, progress: Progress) -> list[Finding]:
    """One finding if a typical image has such tokens, else none."""
    vit, names = examined.vit, examined.names
    spread = np.linspace(0, len(names) - 1, min(IMAGES, len(names))).round().astype(int)
    typical = token_norms(vit, [vit.pixels(examined.images[i]) for i in spread[:4]])[0].typical
    found: list[Norms] = []
    for done, place in enumerate(spread):
        progress(done, len(spread))
        found += token_norms(vit, [vit.pixels(examined.images[place])], typical)
    # (images, L): the longest patch token of each.
    longest = np.stack([one.ratio.max(axis=1) for one in found])
    usual = np.nan_to_num(np.median(longest, axis=0), nan=0.0)
    layer = int(usual.argmax())
    if usual[layer] < SINK_RATIO:
        return []
    layers = np.flatnonzero(usual >= SINK_RATIO)
    outlying = [one.outlying for one in found]
    shown = [i for i in np.argsort(-longest[:, layer], kind="stable") if outlying[i].any()]
    alike = all(one.shape == outlying[0].shape for one in outlying)
    often = np.mean(outlying, axis=0) >= 0.5 if alike else None
    counts = [int(one.sum()) for one in outlying]
    maps, bright = _in_maps(examined, spread[shown].tolist(), [outlying[i] for i in shown])
    over = f"{len(spread)} images" if len(spread) > 1 else "1 image"
    return [
        Finding(
            kind="outlier-tokens",
            scope="model",
            sentence=(
                f"In {len(shown)} of {over} some patch tokens ({np.median(counts):g} in a typical "
                f"one) are up to {usual[layer]:.1f} times as long as the model's tokens usually "
                f"are in layer {layer} (counted from 0)."
            ),
            value=float(usual[layer]),
            threshold=SINK_RATIO,
            threshold_source=SOURCE,
            evidence=(
                Evidence(
                    f"They stand out in {len(layers)} of {len(usual)} layers.",
                    examined.named(spread[shown].tolist()),
                    outlying[shown[0]],
                ),
                *(maps if bright else ()),
            ),
            evidence_against=() if bright else maps,
            certainty=Certainty(
                interval=(
                    float(np.quantile(longest[:, layer], 0.025)),
                    float(np.quantile(longest[:, layer], 0.975)),
                ),
                tried=len(usual),
            ),
            next_steps=(
                "Do not read a bright place in a map there as a reason: compare with occlusion, "
                "which takes the patch itself away. Register tokens give a model another place for "
                "its notes (Darcet et al., ICLR 2024); a fault in one position's embedding looks "
                "like this too, always at the same patch."
            ),
            region=often if often is not None and often.any() else None,
            images=examined.named(spread[shown].tolist()),
            layer=int(layers[0]),
            detail={"layers": layers.tolist(), "ratio": float(usual[layer])},
        )
    ]


def _in_maps(
    examined: Examined, images: list[int], outlying: list[NDArray[np.bool_]]
) -> tuple[tuple[Evidence, ...], bool]:
    """How much of the last layer's attention stands on them, and whether it is twice their due."""
    if not len(examined.records[images[0]].rows):
        return (), False
    shares = []
    for place, where in zip(images, outlying, strict=True):
        record = examined.records[place]
        row = record.cls_rows[-1].mean(axis=0).reshape(record.grid)
        shares.append((share_on(row, where), float(where.mean())))
    seen, due = np.mean(shares, axis=0)
    sentence = (
        f"{seen:.0%} of the raw attention of the last layer stands on them, and they are "
        f"{due:.0%} of the patches."
    )
    return (Evidence(sentence, examined.named(images)),), bool(seen >= 2 * due)


def _lacks(examined: Examined) -> str:
    if examined.vit.support.calls("layer"):
        return ""
    return "the model has no layers of attention between all tokens"


FINDER = Finder(
    "outlier-tokens",
    "Outlier tokens",
    "Do some patches hold notes of the model's own, so that maps light up at them?",
    find,
    _lacks,
    lambda examined: min(IMAGES, len(examined.images)) + NOISES + 4,
)
