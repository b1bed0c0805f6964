"""Compare the cost formulas with every ViT, DeiT, BEiT, EVA and DINO model of timm.

    python -m benchmarks.complexity_sweep [--only PATTERN]

Parameters against ``sum(p.numel())`` of every name; FLOPs against ``FlopCounterMode`` on the meta
device, batch 1, fused and unfused, for every distinct configuration. About four minutes of one
core. Ends with a list of differences, and with the switches that were met; fails where a model is
refused, parameters differ, or FLOPs differ by more than a thousandth. The tests take a sample.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import sys

import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from attnlib.complexity import Architecture, ArchitectureError, macs, parameters
from attnlib.complexity.timm_models import build_meta

# The largest share by which FLOPs may differ from PyTorch's count.
TOLERANCE = 1e-3
FAMILIES = ("vision_transformer", "deit", "beit", "eva")
SIZES: tuple[str, ...] = (
    "image",
    "patch",
    "dim",
    "depth",
    "heads",
    "mlp_hidden",
    "head_dim",
    "pool_heads",
)
SIZES += ("pool_mlp_hidden", "registers", "classes", "name", "kv_heads")


def counted_flops(module: nn.Module, image: tuple[int, int], fused: bool) -> int:
    """What PyTorch's own counter finds in one pass of our own module on the meta device."""
    module.eval().requires_grad_(False)
    for part in module.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = fused  # type: ignore[assignment]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.empty(1, 3, *image, device="meta"))
    return int(counter.get_total_flops())


def main() -> int:
    """Sweep, and print what was found.

    Returns:
        The exit status: 1 where a formula fails, else 0.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="*", help="a pattern of timm names")
    only = parser.parse_args().only
    names = [n for family in FAMILIES for n in timm.list_models(only, module=family)]
    seen: set[Architecture] = set()
    worst, exact, miscounted = 0.0, 0, 0
    differ, refused = [], []
    switches: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for name in names:
        module = build_meta(name)
        try:
            a = Architecture.from_module(module)
        except ArchitectureError as error:
            refused.append(f"{name}: {error}")
            continue
        if parameters(a).total != sum(p.numel() for p in module.parameters()):
            differ.append(f"{name}: parameters")
            miscounted += 1
        if a in seen:
            continue
        seen.add(a)
        for field in dataclasses.fields(a):
            if field.name not in SIZES:
                switches[field.name][getattr(a, field.name)] += 1
        for fused in (True, False):
            real = counted_flops(module, a.image, fused)
            ours = macs(a, materialised=not fused).flops
            worst = max(worst, abs(ours / real - 1))
            exact += ours == real
            if ours != real:
                differ.append(f"{name}: FLOPs {ours:,} against {real:,} (fused: {fused})")
    print(f"{len(names)} names, {len(refused)} refused, {len(seen)} distinct configurations")
    print(f"FLOPs equal to the last digit in {exact} of {2 * len(seen)}, worst {worst:.2e}")
    print("\n".join([*refused, *differ]) or "no difference")
    for field_name, values in switches.items():
        print(f"  {field_name}: {dict(values)}")
    return int(bool(refused or miscounted or worst > TOLERANCE))


if __name__ == "__main__":
    sys.exit(main())
