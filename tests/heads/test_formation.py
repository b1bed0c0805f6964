"""How patterns form: means over images by layer, against loops over heads in float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import attnlib
from attnlib.errors import AttnlibError
from attnlib.heads import Formation


@pytest.fixture(scope="module")
def records() -> list[attnlib.Record]:
    torch.manual_seed(0)
    module = timm.create_model(
        "vit_tiny_patch16_224", img_size=(48, 64), depth=2, num_classes=3
    ).eval()
    vit = attnlib.load(module, device="cpu")
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (50, 70, 3), dtype=np.uint8)) for _ in range(3)]
    return [vit.inspect(image) for image in images]


def test_means_are_those_of_every_head_and_pair(records: list[attnlib.Record]) -> None:
    found = Formation()
    for record in records:
        found.add(record)
    layers, heads, patches = records[0].cls_rows.shape
    entropy, apart = np.zeros(layers), np.zeros(layers)
    for record in records:
        rows = record.cls_rows.astype(np.float64)
        for layer in range(layers):
            shares = rows[layer] / rows[layer].sum(axis=1, keepdims=True)
            each = -(shares * np.log(shares)).sum(axis=1) / np.log(patches)
            entropy[layer] += each.mean() / len(records)
            pairs = [
                1 - np.corrcoef(rows[layer, i], rows[layer, j])[0, 1]
                for i, j in itertools.combinations(range(heads), 2)
            ]
            apart[layer] += np.mean(pairs) / len(records)
    np.testing.assert_allclose(found.entropy, entropy, rtol=1e-5)
    np.testing.assert_allclose(found.diversity, apart, rtol=1e-5, atol=1e-9)
    assert found.images == 3


def test_without_images_there_is_no_mean(records: list[attnlib.Record]) -> None:
    with pytest.raises(AttnlibError, match="no images"):
        _ = Formation().entropy
