"""Models that pool by maximum: layers of attention, and no row that stands for the prediction."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import attnlib
from attnlib.errors import AttnlibError, CaptureError
from attnlib.evaluation import agreement, faithfulness, randomisation
from attnlib.heads import rows


@pytest.fixture(scope="module", params=["max", "avgmax"])
def pooled(request: pytest.FixtureRequest) -> attnlib.Vit:
    torch.manual_seed(0)
    module = timm.create_model(
        "vit_tiny_patch16_224", img_size=64, depth=2, num_classes=5, global_pool=request.param
    )
    return attnlib.load(module.eval(), device="cpu")


def test_the_record_says_that_there_is_no_row(pooled: attnlib.Vit, noise: Image.Image) -> None:
    record = pooled.inspect(noise)
    assert rows.layer_shape(pooled) == (2, 3)
    assert record.rollout is None
    for layer in (0, 1, 5):
        with pytest.raises(CaptureError, match="Choose a token as the query"):
            record.row(layer)


def test_a_row_is_the_layers_own(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    record = vit.inspect(pictures[0])
    np.testing.assert_array_equal(record.row(2), record.rows[2])
    np.testing.assert_array_equal(record.row(99), record.rows[5])


def test_every_method_gives_a_map_or_a_reason(pooled: attnlib.Vit, noise: Image.Image) -> None:
    given, refused = set(), set()
    for name in attnlib.methods():
        options = {"against": 2} if "contrast" in name else {}
        try:
            assert pooled.attribute(noise, name, 1, **options).values.shape == (4, 4)
            given.add(name)
        except AttnlibError as error:
            assert "no attention row stands" in str(error)
            refused.add(name)
    assert given == {
        *("occlusion", "rise", "integrated", "integrated_contrast"),
        *("attnlrp", "attnlrp_contrast", "cplrp"),
        *("random", "uniform", "centre"),
    }
    assert refused == set(attnlib.methods()) - given


def test_what_is_given_is_measured_and_compared(pooled: attnlib.Vit, noise: Image.Image) -> None:
    heats = [pooled.attribute(noise, name, 1) for name in ("occlusion", "random")]
    assert np.isfinite(agreement.spearman([heat.values for heat in heats])).all()
    found = faithfulness.evaluate(pooled, pooled.pixels(noise), heats, [1], steps=4, draws=2)
    assert len(found.methods) == 2
    assert len(list(randomisation.cascade(pooled, noise, heats[0]))) >= 4
