"""Every method's time beside the nearest public alternative.

    python -m benchmarks.methods            # prints the table; --write puts it into README.md

Each method and its alternative start from the same pixels and run in turn, round by round, in
one process and one thread; what counts is the ratio of their medians. Max-flow solvers answer
one patch at a time: theirs is the time of one patch times the number of patches.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import captum.attr
import networkx
import numpy as np
import scipy.sparse
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from timm.utils import AttentionExtract
from torch import Tensor, nn

import attnlib
from attnlib.capture.lens import lens
from attnlib.capture.mixing import mixing_map
from attnlib.heads.ablation import head_effects
from attnlib.heads.direct import direct_effect
from attnlib.methods import Subject
from attnlib.methods.maxflow import layered
from benchmarks.capture import _hooked, _unfused, write

MODELS = ("vit_small_patch16_224", "vit_base_patch16_224")
TARGET = 7
Run = Callable[[], object]


def chefer(module: nn.Module, pixels: Tensor) -> Tensor:
    """Relevance as the paper's code has it: attention kept with its gradient, R as a matrix."""
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    blocks = list(module.blocks)  # type: ignore[arg-type]
    handles = [block.attn.attn_drop.register_forward_hook(keep) for block in blocks]
    module(pixels.clone().requires_grad_())[0, TARGET].backward()
    for handle in handles:
        handle.remove()
    total = torch.eye(kept[0].shape[-1])
    for attention in kept:
        assert attention.grad is not None
        weighted = (attention.grad * attention)[0].clamp(min=0).mean(0).detach()
        total = total + weighted @ total
    module.zero_grad()
    return total[0, 1:]


def pairs(name: str, pixels: Tensor) -> dict[str, tuple[Run, str, Run, float]]:
    """Method -> ours, what the alternative is, the alternative, and how often it is needed."""
    torch.manual_seed(0)
    vit = attnlib.load(name, pretrained=False, device="cpu")
    unfused = _unfused(name, 224, vit.module, "cpu")
    extract = AttentionExtract(unfused, method="hook")
    hooked = _hooked(vit.module)
    patches, (rows, cols) = vit.layout.patches, vit.layout.grid

    def ours(method: str, **options: Any) -> Run:
        return lambda: vit.explain(Subject(vit, pixels), method, TARGET, **options)

    def to_grid(tokens: Tensor) -> Tensor:
        return tokens[:, 1:].reshape(len(tokens), rows, cols, -1).permute(0, 3, 1, 2)

    cam = GradCAM(unfused, [unfused.blocks[-1].norm1], reshape_transform=to_grid)  # type: ignore[index,union-attr]
    occlude = captum.attr.Occlusion(lambda x: unfused(x).softmax(-1))

    def captum_occlusion() -> object:
        with torch.inference_mode():
            return occlude.attribute(
                pixels, (3, 16, 16), (3, 16, 16), 0, TARGET, perturbations_per_eval=16
            )

    def extracted() -> object:
        with torch.inference_mode():
            return extract(pixels)

    def single() -> object:
        with torch.inference_mode():
            return vit.module(pixels)

    def lensed(vit: attnlib.Vit, pixels: Tensor, logits: Tensor) -> object:
        with torch.no_grad():
            return lens(vit, pixels, expected=logits)

    with torch.no_grad():
        logits = vit.module(pixels)[0]
    trace = vit.trace(pixels)
    graph = [mixing_map(call, (0,), "mean", 0.0, 0.5) for call in trace.layers]
    heads = len(trace.layers) * trace.layers[0].shape[1]
    return {
        "raw attention": (ours("raw"), "timm AttentionExtract", extracted, 1),
        "rollout": (ours("rollout"), "qkv hook + N³ products", lambda: hooked(pixels), 1),
        "residual propagation": (ours("residual"), "as above", lambda: hooked(pixels), 1),
        "attention flow": (ours("flow"), "SciPy, a patch at a time", _scipy(graph), patches),
        "relevance": (
            ours("relevance"),
            "the paper's way: hooks, N³ products",
            lambda: chefer(unfused, pixels),
            1,
        ),
        "AttnLRP": (ours("attnlrp"), "relevance, of ours", ours("relevance"), 1),
        "Grad-CAM": (
            ours("gradcam"),
            "pytorch-grad-cam",
            lambda: cam(pixels, [ClassifierOutputTarget(TARGET)]),
            1,
        ),
        "occlusion": (ours("occlusion"), "captum Occlusion, batches of 16", captum_occlusion, 1),
        "direct effects": (lambda: direct_effect(vit, pixels, TARGET), "a plain pass", single, 1),
        "logit lens": (lambda: lensed(vit, pixels, logits), "a plain pass", single, 1),
        "zeroing every head": (
            lambda: head_effects(vit, pixels),
            "as many single passes",
            single,
            heads,
        ),
    }


def _edges(graph: list[np.ndarray], sink: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges (from, to, capacity) of the layered graph; level l starts at node l · T."""
    size = graph[0].shape[0]
    row, col = np.indices((size, size)).reshape(2, -1)
    parts = [
        (row + (level + 1) * size, col + level * size, capacities.ravel())
        for level, capacities in enumerate(graph)
    ]
    start, stop, capacity = (np.concatenate(column) for column in zip(*parts, strict=True))
    return start, stop, capacity


def _scipy(graph: list[np.ndarray]) -> Run:
    size, levels = graph[0].shape[0], len(graph) + 1
    start, stop, capacity = _edges(graph, 1)
    whole = (capacity * 2**30).astype(np.int32)
    matrix = scipy.sparse.csr_array((whole, (start, stop)), shape=(levels * size,) * 2)
    return lambda: scipy.sparse.csgraph.maximum_flow(matrix, (levels - 1) * size, 1)


def ratios(name: str, rounds: int, only: str = "") -> dict[str, tuple[str, float, float]]:
    """Method -> the alternative's name, our median in seconds, and ours over theirs."""
    pixels = torch.randn(1, 3, 224, 224)
    found = {}
    for method, (ours, title, theirs, times) in pairs(name, pixels).items():
        if only not in method:
            continue
        both: tuple[list[float], list[float]] = ([], [])
        for round_ in range(rounds + 1):
            for kept, run in zip(both, (ours, theirs), strict=True):
                start = time.perf_counter()
                run()
                kept.append(time.perf_counter() - start)
            # What takes a minute scatters little, and more rounds of it would take all day.
            if both[0][-1] > 20:
                break
            if round_ == 0:
                both = ([], [])
        mine, other = (statistics.median(kept) for kept in both)
        found[method] = (title, mine, mine / (other * times))
        print(f"{name} {method}: {mine:.3f} s, {mine / (other * times):.3g} of {title}", flush=True)
    return found


def worst_flow(
    sinks: int, share: float, tokens: int = 197, layers: int = 12
) -> tuple[float, float]:
    """Seconds for all patches, and for one patch with networkx, if sinks hold most attention."""
    rng = np.random.default_rng(0)
    graph = []
    for _ in range(layers):
        rest = rng.dirichlet(np.full(tokens, 0.1), size=tokens) * (1 - share)
        rest[:, 1 : 1 + sinks] += share * rng.dirichlet(np.ones(sinks), size=tokens)
        graph.append(0.5 * rest + 0.5 * np.eye(tokens))
    source = np.eye(tokens)[0]
    start = time.perf_counter()
    layered(graph, source, slice(1, tokens))
    ours = time.perf_counter() - start
    network = networkx.DiGraph()
    heads, tails, capacity = _edges(graph, 1)
    network.add_weighted_edges_from(
        zip(heads.tolist(), tails.tolist(), capacity.tolist(), strict=True), weight="capacity"
    )
    start = time.perf_counter()
    networkx.maximum_flow_value(network, layers * tokens, 1 + sinks)
    return ours, time.perf_counter() - start


def table(rounds: int) -> str:
    """The measured table, in Markdown."""
    columns = {name: ratios(name, rounds) for name in MODELS}
    lines = [
        "| method | alternative | " + " | ".join(n.split("_patch")[0] for n in MODELS) + " |",
        "|---|---|" + "---:|" * len(MODELS),
    ]
    for method in columns[MODELS[0]]:
        cells = [f"{columns[name][method][2]:.3g}" for name in MODELS]
        title = columns[MODELS[0]][method][0]
        lines.append(f"| {method} | {title} | " + " | ".join(cells) + " |")
    lines += ["", "Attention flow of all 196 patches where sink tokens hold most attention:", ""]
    lines += [
        "| sink tokens | their share | seconds | networkx, one patch |",
        "|---:|---:|---:|---:|",
    ]
    for sinks, share in ((20, 0.92), (4, 0.95), (1, 0.97)):
        ours, theirs = worst_flow(sinks, share)
        lines.append(f"| {sinks} | {share:.0%} | {ours:.1f} | {theirs:.1f} s |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    parser.add_argument("--only", help="methods with this in their name, without a table")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.only:
        for name in MODELS:
            ratios(name, args.rounds, args.only)
        return
    found = table(args.rounds)
    print(found)
    if args.write:
        write("methods", found)


if __name__ == "__main__":
    main()
