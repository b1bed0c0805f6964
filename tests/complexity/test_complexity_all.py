"""The formulas against every ViT, DeiT, BEiT, EVA and DINO model that timm knows.

The longest test of all: each model is built once, without its weights. `benchmarks/
complexity_sweep.py` does the same for materialised attention too.
"""

from __future__ import annotations

import pytest
import timm

from attnlib.complexity import Architecture, macs, parameters
from attnlib.complexity.timm_models import build_meta
from benchmarks.complexity_sweep import FAMILIES, counted_flops

# Far below what timm knows today; a family that vanished from the list would pass unseen.
LEAST = {"vision_transformer": 150, "deit": 15, "beit": 7, "eva": 50}


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_to_the_last_digit_and_flops_within_a_thousandth(family: str) -> None:
    names = timm.list_models(module=family)
    assert len(names) >= LEAST[family]
    counted: set[Architecture] = set()
    for name in names:
        module = build_meta(name)
        architecture = Architecture.from_module(module)
        assert parameters(architecture).total == sum(p.numel() for p in module.parameters()), name
        if architecture in counted:
            continue
        counted.add(architecture)
        real = counted_flops(module, architecture.image, fused=True)
        assert macs(architecture).flops == pytest.approx(real, rel=1e-3), name
