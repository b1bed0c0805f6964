"""Whether LRP conserves the logit of models of windows or a pyramid, of timm's.

    python -m benchmarks.lrp_stages         # prints the table; --write puts it into README.md

Weights are random. All that adds a constant (biases, running means) is zero, so that relevance,
where it is conserved, sums to the logit; what is said is how far from it the sum is, as a share of
the logit, median over the classes with the largest logits.
"""

from __future__ import annotations

import statistics
import time

import timm
import torch
from torch import Tensor, nn

import attnlib
from attnlib.capture import passes
from attnlib.errors import AttnlibError
from attnlib.methods.lrp_rules import Rules
from benchmarks.capture import show

# Windows, shifted windows, pooled keys, pooled queries, units of a mask, with and without a class
# token: one of the smallest names of each.
NAMES = (
    *("swin_tiny_patch4_window7_224", "swinv2_cr_tiny_224", "swinv2_tiny_window8_256"),
    *("pvt_v2_b0", "twins_pcpvt_small", "twins_svt_small", "hiera_tiny_224", "hieradet_small"),
    *("mvitv2_tiny", "mvitv2_small_cls"),
)
CLASSES = 3


def without_offsets(name: str) -> nn.Module:
    """The model in float64 with random weights, and nothing that adds a constant."""
    torch.manual_seed(0)
    module: nn.Module = timm.create_model(name, pretrained=False).double().eval()
    with torch.no_grad():
        for key, value in module.state_dict().items():
            last = key.rpartition(".")[2]
            if last in ("bias", "running_mean", "q_bias", "v_bias", "qkv_bias"):
                value.zero_()
            elif "head" in key and value.ndim == 2:
                value.normal_()
            elif "pos_embed" in key or "token" in last or "gamma" in last:
                value.fill_(1.0 if "gamma" in last else 0.0)
    return module


def conserved(vit: attnlib.Vit, *, through_weights: bool) -> float:
    """Median over classes of |sum of relevance - logit| / |logit|.

    Raises:
        AttnlibError: an operation has no rule.
    """
    _, height, width = vit.module.pretrained_cfg["input_size"]  # type: ignore[index]
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(1, 3, height, width, generator=generator, dtype=torch.float64)
    pixels.requires_grad_()
    with torch.enable_grad(), Rules(through_weights=through_weights):
        logits, _ = passes.forward(vit.module, pixels)
    return statistics.median(
        _gap(pixels, logits[0, int(target)]) for target in logits[0].abs().topk(CLASSES).indices
    )


def _gap(pixels: Tensor, logit: Tensor) -> float:
    (gradient,) = torch.autograd.grad(logit, pixels, retain_graph=True)
    total, given = float((pixels.detach() * gradient).sum()), float(logit.detach())
    return abs(total - given) / abs(given)


def row(name: str) -> str:
    """One line of the table."""
    try:
        vit = attnlib.load(without_offsets(name), device="cpu")
    except AttnlibError as error:
        return f"| `{name}` | – | – | not loaded: {error} |"
    cells, reason = [], ""
    for through_weights in (False, True):
        try:
            cells.append(f"{conserved(vit, through_weights=through_weights):.0e}")
        except AttnlibError as error:
            cells.append("–")
            reason = str(error)
    return f"| `{name}` | {' | '.join(cells)} | {reason or '–'} |"


def table() -> str:
    """The measured table, in Markdown."""
    lines = ["| model | CP-LRP, off by | AttnLRP, off by | refused |", "|---|---:|---:|---|"]
    for name in NAMES:
        start = time.perf_counter()
        lines.append(row(name))
        print(f"{lines[-1]}  {time.perf_counter() - start:.0f} s", flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    show("lrp-stages", table, __doc__)
