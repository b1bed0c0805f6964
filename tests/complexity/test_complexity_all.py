"""The formulas against a sample of the ViT, DeiT, BEiT, EVA and DINO models that timm knows.

Each model is built without its weights. `python -m benchmarks.complexity_sweep` goes through every
name, with materialised attention too, and fails where this test would.
"""

from __future__ import annotations

import random

import pytest
import timm

from attnlib.complexity import Architecture, macs, parameters
from attnlib.complexity.timm_models import build_meta
from benchmarks.complexity_sweep import FAMILIES, TOLERANCE, counted_flops

# Far below what timm knows today; a family that vanished from the list would pass unseen.
LEAST = {"vision_transformer": 150, "deit": 15, "beit": 7, "eva": 50}
SAMPLED = {"vision_transformer": 6, "deit": 3, "beit": 3, "eva": 4}
SAMPLE = [
    name
    for family, count in SAMPLED.items()
    for name in random.Random(0).sample(timm.list_models(module=family), count)
]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_has_vanished_from_timm(family: str) -> None:
    assert len(timm.list_models(module=family)) >= LEAST[family]
    assert SAMPLED[family] > 0


@pytest.mark.parametrize("name", SAMPLE)
def test_parameters_to_the_last_digit_and_flops_within_a_thousandth(name: str) -> None:
    module = build_meta(name)
    architecture = Architecture.from_module(module)
    assert parameters(architecture).total == sum(p.numel() for p in module.parameters())
    real = counted_flops(module, architecture.image, fused=True)
    assert macs(architecture).flops == pytest.approx(real, rel=TOLERANCE)
