"""AttnLRP and CP-LRP beside the authors' own code, lxt, on a ViT of transformers.

    python -m pip install --no-deps lxt==2.1 && python -m benchmarks.lrp

lxt's table of models does not import beside transformers 5, so its patches are loaded without it.
They change functions of the whole process: ours, which change nothing, are computed before.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import ViTConfig, ViTForImageClassification
from transformers.activations import GELUActivation
from transformers.models.vit import modeling_vit

import attnlib
from attnlib.methods import Subject

TARGET = 2


def patches() -> Any:
    """lxt's patches."""
    found = importlib.util.find_spec("lxt")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("lxt is not installed: python -m pip install --no-deps lxt==2.1")
    package = types.ModuleType("lxt.efficient")
    package.__path__ = [str(Path(found.submodule_search_locations[0]) / "efficient")]
    sys.modules["lxt.efficient"] = package
    return importlib.import_module("lxt.efficient.patches")


def model() -> nn.Module:
    """A small one in float64, whose attention is spelled out for lxt."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"num_labels": 5, "attn_implementation": "eager"}
    config = ViTConfig(
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=96,
        image_size=64,
        **options,
    )
    module: nn.Module = ViTForImageClassification(config).double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return module


def theirs(module: nn.Module, pixels: Tensor) -> Tensor:
    """Pixels times their gradient in a patched model, summed per patch, ``(rows, cols)``."""
    x = pixels.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(module(x).logits[0, TARGET], x)
    each = (x.detach() * gradient).sum(1)[0]
    summed: Tensor = each.unflatten(0, (-1, 16)).unflatten(2, (-1, 16)).sum((1, 3))
    return summed


def main() -> None:
    module = model()
    statistics = {"mean": 0.5, "std": 0.5}
    vit = attnlib.load(module, device="cpu", img_size=64, preprocessing=statistics)
    pixels = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    ours = {
        name: torch.tensor(vit.explain(Subject(vit, pixels), name, TARGET).values)
        for name in ("attnlrp", "cplrp")
    }
    lxt = patches()
    plain = theirs(module, pixels)
    lxt.patch_method(lxt.layer_norm_forward, nn.LayerNorm)
    lxt.patch_method(lxt.non_linear_forward, GELUActivation, keep_original=True)
    eager = modeling_vit.eager_attention_forward
    wraps = {"attnlrp": lxt.wrap_attention_forward, "cplrp": lxt.cp_wrap_attention_forward}
    for name, wrap in wraps.items():
        modeling_vit.eager_attention_forward = wrap(eager)
        expected = theirs(module, pixels)
        difference = float((ours[name] - expected).abs().max() / expected.abs().max())
        apart = float((plain - expected).abs().max() / expected.abs().max())
        print(f"{name}: {difference:.1e} of the largest value apart (plain gradients {apart:.1e})")


if __name__ == "__main__":
    main()
