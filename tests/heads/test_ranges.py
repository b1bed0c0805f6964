"""Early, middle and late layers, against loops over whole matrices."""

from __future__ import annotations

import numpy as np
import pytest
import timm
from PIL import Image

import attnlib
from attnlib.errors import CaptureError
from attnlib.heads import head_statistics, pattern
from attnlib.heads.ranges import head_patterns, layer_ranges, thirds


def test_thirds_hold_every_layer_once_and_are_even() -> None:
    assert thirds(12) == {"early": range(0, 4), "middle": range(4, 8), "late": range(8, 12)}
    assert thirds(1) == {"early": range(0, 1)}
    assert thirds(2) == {"early": range(0, 1), "late": range(1, 2)}
    for layers in range(3, 50):
        found = thirds(layers)
        assert [i for part in found.values() for i in part] == list(range(layers))
        sizes = [len(part) for part in found.values()]
        assert max(sizes) - min(sizes) <= 1


def test_ranges_are_means_over_their_layers(vit: attnlib.Vit) -> None:
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (48, 48, 3), np.uint8))
    subject = vit.subject(image)
    calls = []
    found = head_patterns(subject, progress=lambda done, total: calls.append((done, total)))
    matrices = np.stack([vit.attention(image, layer) for layer in range(len(found))])
    layers, heads, tokens, _ = matrices.shape
    assert found == [[pattern(m, vit.layout).name for m in layer] for layer in matrices]
    assert calls == [(i, layers) for i in range(layers)]
    ranges = layer_ranges(head_statistics(vit, subject.pixels), found, vit.layout)
    (rows, cols), (height, width) = vit.layout.grid, vit.layout.patch_size
    first = tokens - rows * cols
    between = matrices[:, :, first:, first:].astype(np.float64)
    between /= between.sum(-1, keepdims=True)
    place = [(r * height, c * width) for r in range(rows) for c in range(cols)]
    apart = np.array([[np.hypot(a - c, b - d) for c, d in place] for a, b in place])
    readout = matrices[:, :, 0, first:].astype(np.float64)
    readout /= readout.sum(-1, keepdims=True)
    entropy = -(readout * np.log(readout)).sum(-1) / np.log(rows * cols)
    for one in ranges:
        distance = (between[one.layers] * apart).sum(-1).mean()
        assert one.distance == pytest.approx(distance, rel=1e-4)
        assert one.relative == pytest.approx(distance / apart.mean(), rel=1e-4)
        assert one.entropy == pytest.approx(entropy[one.layers].mean(), abs=1e-4)
        assert sum(one.patterns.values()) == len(one.layers) * heads
        counts = list(one.patterns.values())
        assert counts == sorted(counts, reverse=True)
        named = [name for layer in one.layers for name in found[layer]]
        assert all(named.count(name) == count for name, count in one.patterns.items())


def test_a_model_of_windows_is_refused_with_the_reason() -> None:
    module = timm.create_model("swin_tiny_patch4_window7_224", img_size=56, depths=(1, 1, 1, 1))
    swin = attnlib.load(module.eval(), device="cpu")
    with pytest.raises(CaptureError, match="between all tokens"):
        head_patterns(swin.subject(Image.new("RGB", (56, 56))))
