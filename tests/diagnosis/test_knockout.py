"""Attention to a region knocked out, against scores masked before the softmax."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray

import attnlib
from attnlib.diagnosis.knockout import Who, askable, knock_out, ways
from attnlib.errors import AttnlibError
from tests.heads.test_intervention import build, masked

REGION = np.array([[False, True, True, False], [False, False, True, False]])
OTHER = np.array([[True, False, True, False], [False, False, False, False]])
# Tokens of 2 x 4 patches behind CLS.
INSIDE = [2, 3, 7]
EXPECTED: dict[Who, tuple[list[int], list[int]]] = {
    "outside": ([0, 1, 4, 5, 6, 8], INSIDE),
    "readout": ([0], INSIDE),
    "region": (INSIDE, [0, 1, 4, 5, 6, 8]),
    "other": ([1, 3], INSIDE),
}


def tokens(places: list[int]) -> NDArray[np.bool_]:
    found = np.zeros(9, dtype=bool)
    found[places] = True
    return found


@pytest.mark.parametrize("who", list(EXPECTED))
@pytest.mark.parametrize("layers", [[1], None])
def test_it_is_the_model_with_masked_scores(who: Who, layers: list[int] | None) -> None:
    vit = build()
    vit.module.head.weight.data /= 10  # no probability is all but 0 or 1
    pixels = torch.randn(1, 3, 32, 64, dtype=torch.float64)
    found = knock_out(vit, pixels, REGION, who, layers, other=OTHER)
    queries, keys = (tokens(places) for places in EXPECTED[who])
    cut = torch.from_numpy(queries[:, None] & keys)
    with torch.no_grad():
        after = masked(vit.module, cut, layers or [0, 1, 2])(pixels).softmax(-1)
        before = vit.module(pixels).softmax(-1)
    np.testing.assert_allclose(found.after, after[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(found.before, before[0].numpy(), atol=1e-6)
    assert np.abs(found.after - found.before).max() > 1e-4
    assert found.pixels is pixels
    np.testing.assert_array_equal(found.region, REGION.repeat(16, 0).repeat(16, 1))


def test_who_can_be_asked_follows_from_the_readout() -> None:
    assert "readout" in askable(build())
    pooled = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, depth=1, global_pool="avg", class_token=False,
        num_classes=3,
    )  # fmt: skip
    average = attnlib.load(pooled.eval(), device="cpu")
    assert askable(average) == ["outside", "region", "other"]
    with pytest.raises(AttnlibError, match="average over patches"):
        ways(average.layout, np.ones((2, 2), dtype=bool), "readout")
    windows = timm.create_model("swin_tiny_patch4_window7_224", img_size=56, depths=(1, 1, 1, 1))
    assert askable(attnlib.load(windows.eval(), device="cpu")) == []


def test_what_does_not_fit_is_refused() -> None:
    vit = build()
    with pytest.raises(AttnlibError, match="2 x 4 patches, not 4 x 2"):
        ways(vit.layout, REGION.T, "outside")
    with pytest.raises(AttnlibError, match="4 x 2"):
        ways(vit.layout, REGION, "other", OTHER.T)
    with pytest.raises(AttnlibError, match="other patches"):
        ways(vit.layout, REGION, "other")
