"""What capture costs beside a plain forward pass and beside the alternatives.

    python -m benchmarks.capture            # prints the table; --write puts it into README.md

All variants of one model are timed in turn, round by round, in one process and one thread, and
compared by the ratio of their medians to that of the plain fused forward pass: absolute times
mean little on a shared machine. Peak memory is measured in one fresh process per variant.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from timm.layers import set_fused_attn
from timm.utils import AttentionExtract
from torch import Tensor, nn

import attnlib

# model, side in pixels, rounds
CASES = [
    ("vit_base_patch16_224", 224, 20),
    ("vit_small_patch16_224", 512, 10),
    ("vit_small_patch16_224", 1024, 3),
]
REACH = {  # side -> (CLS rows, CLS rows and rollout): what the ratios should stay under
    224: (1.08, 1.12),
    512: (1.08, 1.30),
    1024: (1.08, 1.55),
}
Variant = Callable[[Tensor], object]


def variants(name: str, side: int, device: str) -> dict[str, Variant]:
    """The same weights, looked at in six ways. Each takes pixels ``(1, 3, side, side)``."""
    torch.manual_seed(0)
    vit = attnlib.load(name, pretrained=False, img_size=side, device=device)
    unfused = _unfused(name, side, vit.module, device)
    extract = AttentionExtract(unfused, method="hook")

    def plain(pixels: Tensor) -> object:
        with torch.inference_mode():
            return vit.module(pixels)

    def record(pixels: Tensor) -> object:
        found = vit.inspect_pixels(pixels)[0]
        return found.entropy, found.cls_rows

    def timm_extract(pixels: Tensor) -> object:
        with torch.inference_mode():
            return extract(pixels)

    return {
        "plain fused forward": plain,
        "ours: CLS rows": lambda pixels: vit.inspect_pixels(pixels, rollout=False),
        "ours: CLS rows + rollout": lambda pixels: vit.inspect_pixels(pixels),
        "ours: whole record": record,
        "timm AttentionExtract": timm_extract,
        "qkv hook + N³ rollout": _hooked(vit.module),
    }


def _unfused(name: str, side: int, trained: nn.Module, device: str) -> nn.Module:
    set_fused_attn(False)
    try:
        model = timm.create_model(name, img_size=side).eval()
    finally:
        set_fused_attn(True)
    model.load_state_dict(trained.state_dict())
    return model.to(device)


def _hooked(module: nn.Module) -> Variant:
    """The usual tutorial: hooks on ``qkv``, weights recomputed, rollout by matrix products."""
    hooked = copy.deepcopy(module)
    seen: list[Tensor] = []
    for block in hooked.blocks:  # type: ignore[union-attr]
        block.attn.qkv.register_forward_hook(lambda _, __, output: seen.append(output))
    heads: int = hooked.blocks[0].attn.num_heads  # type: ignore[index,union-attr]

    def run(pixels: Tensor) -> object:
        seen.clear()
        with torch.inference_mode():
            hooked(pixels)
            rollout = None
            for qkv in seen:
                b, t, width = qkv.shape
                q, k, _ = qkv.reshape(b, t, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4)
                attention = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
                step = attention.mean(1) + torch.eye(t, device=qkv.device)
                step = step / step.sum(-1, keepdim=True)
                rollout = step if rollout is None else step @ rollout
        return rollout

    return run


def ratios(name: str, side: int, rounds: int, device: str) -> dict[str, float]:
    """Median time of each variant over that of the plain pass."""
    pixels = torch.randn(1, 3, side, side, device=device)
    made = variants(name, side, device)
    times: dict[str, list[float]] = {label: [] for label in made}
    for run in made.values():
        run(pixels)
    for _ in range(rounds):
        for label, run in made.items():
            start = time.perf_counter()
            run(pixels)
            if device == "cuda":
                torch.cuda.synchronize()
            times[label].append(time.perf_counter() - start)
    base = statistics.median(times["plain fused forward"])
    return {label: statistics.median(found) / base for label, found in times.items()}


def peak_mb(name: str, side: int, label: str, device: str) -> float:
    """Peak memory of one variant in a fresh process, in MB: resident, or allocated on a GPU."""
    command = [sys.executable, "-m", "benchmarks.capture", "--device", device]
    command += ["--peak", name, str(side), label]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _peak_here(name: str, side: int, label: str, device: str) -> float:
    pixels = torch.randn(1, 3, side, side, device=device)
    run = variants(name, side, device)[label]
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        run(pixels)
        return torch.cuda.max_memory_allocated() / 1e6
    run(pixels)
    # Not getrusage: what it counts is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def table(device: str) -> str:
    """The measured table, in Markdown."""
    labels: list[str] = []
    columns: dict[str, dict[str, float]] = {}
    for name, side, rounds in CASES:
        columns[f"{name.split('_patch')[0]} {side} px"] = found = ratios(name, side, rounds, device)
        labels = list(found)
        print(name, side, {label: round(value, 3) for label, value in found.items()}, flush=True)
    name, side, _ = CASES[-1]
    peaks = {label: peak_mb(name, side, label, device) for label in labels}
    print("peak memory, MB", {label: round(value) for label, value in peaks.items()}, flush=True)
    lines = [
        "| | " + " | ".join(columns) + f" | extra peak memory at {side} px |",
        "|---|" + "---:|" * (len(columns) + 1),
    ]
    for label in labels:
        extra = peaks[label] - peaks["plain fused forward"]
        cells = [f"{column[label]:.2f}" for column in columns.values()]
        lines.append(f"| {label} | " + " | ".join(cells) + f" | {extra:.0f} MB |")
    reach = [f"{side} px: {rows} and {rollout}" for side, (rows, rollout) in REACH.items()]
    lines += ["", f"To reach, CLS rows and CLS rows + rollout: {'; '.join(reach)}."]
    return "\n".join(lines)


def show(name: str, table: Callable[[], str], about: str | None) -> None:
    """A command that prints a table measured on one thread, and with --write keeps it."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = table()
    print(found)
    if args.write:
        write(name, found)


def write(name: str, table: str) -> None:
    """Put a table into README.md, between the comments that name it."""
    place = Path(__file__).parent / "README.md"
    start, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    before, _, rest = place.read_text(encoding="utf-8").partition(start)
    _, _, after = rest.partition(end)
    place.write_text(f"{before}{start}\n{table}\n{end}{after}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--peak", nargs=3, metavar=("MODEL", "SIDE", "VARIANT"))
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.peak:
        name, side, label = args.peak
        print(_peak_here(name, int(side), label, args.device))
        return
    found = table(args.device)
    print(found)
    if args.write:
        write("capture", found)


if __name__ == "__main__":
    main()
