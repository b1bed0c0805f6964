"""Whole audits beside a plain loop over the same JPEGs, per CPU-second, and one worker beside two.

    python -m benchmarks.audit --model vit_tiny_patch16_224 --images 2048
    python -m benchmarks.audit --engines --images 2048        # needs Ray

The plain loop is timm's own: its loader, its preprocessing, one pass a batch and the probabilities;
nothing is kept. It loads in a process beside it or within its own, and ratios are to the better of
the two. Ours writes every column of its parts. The runs take turns over chunks of the images;
ratios are of medians, and CPU-seconds are those of all processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_dataset, create_loader, resolve_model_data_config

from attnlib.audit.runs import Engine, ModelWanted, Wanted, begin, heap, run
from attnlib.model.vit import Vit

BATCH, CHUNKS, SIDES, SHARD = 32, 8, (400, 300), 64
# Of a plain loop that waits for the others.
READY: Any = None
Spent = tuple[float, float]


def jpegs(root: Path, count: int) -> None:
    """Smooth pictures with some noise, 30 KB each, in folders by chunk and class."""
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        picture = np.asarray(Image.fromarray(coarse).resize(SIDES, Image.Resampling.BICUBIC), int)
        noisy = (picture + rng.normal(0, 6, picture.shape)).clip(0, 255).astype(np.uint8)
        place = root / f"{number * CHUNKS // count}" / f"class {number % 2}" / f"{number}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy).save(place, quality=88)


def spent(work: Callable[[], object]) -> Spent:
    """Seconds on the wall and of the processors, those of processes that ended within included."""

    def used() -> float:
        both = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(one.ru_utime + one.ru_stime for one in both)

    began, before = time.perf_counter(), used()
    work()
    return time.perf_counter() - began, used() - before


def plain(module: torch.nn.Module, folder: Path, workers: int) -> None:
    """timm's loader, in so many processes beside this one, and a pass."""
    config = resolve_model_data_config(module)
    loader = create_loader(
        create_dataset("", root=str(folder)),
        batch_size=BATCH,
        is_training=False,
        use_prefetcher=False,
        num_workers=workers,
        persistent_workers=False,
        device=torch.device("cpu"),
        **{name: config[name] for name in
           ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")},
    )  # fmt: skip
    with torch.inference_mode():
        for pixels, _ in loader:
            module(pixels).softmax(-1)


def ours(model: ModelWanted, vit: Vit, folder: Path, *maps: str) -> None:
    """A whole audit of a folder."""
    with tempfile.TemporaryDirectory() as out:
        wanted = Wanted(str(folder), maps=tuple(maps))
        audit = begin(model, wanted, out, vit=vit)
        run(audit, model, wanted, Engine(batch_size=BATCH), lambda images: None, vit=vit)


def beside_plain(model: ModelWanted, root: Path) -> None:
    """Ours without and with rollout beside the plain loop."""
    vit = model.load("cpu")
    module = timm.create_model(model.model, checkpoint_path=model.checkpoint or "").eval()
    ways: dict[str, Callable[[Path], None]] = {
        "plain, loader beside": lambda folder: plain(module, folder, 1),
        "plain, loader within": lambda folder: plain(module, folder, 0),
        "records": lambda folder: ours(model, vit, folder),
        "with rollout": lambda folder: ours(model, vit, folder, "rollout"),
    }
    found: dict[str, list[Spent]] = {name: [] for name in ways}
    chunks = sorted(root.iterdir())
    for way in ways.values():
        way(chunks[0])
    for turn, chunk in enumerate(chunks):
        for name in sorted(ways, key=lambda name: (list(ways).index(name) + turn) % len(ways)):
            found[name].append(spent(partial(ways[name], chunk)))
    images = sum(1 for _ in chunks[0].rglob("*.jpg"))
    base = min(statistics.median(cpu for _, cpu in found[name]) for name in list(ways)[:2])
    for name, times in found.items():
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        print(
            f"{name:20} {images / wall:7.1f} images/s, {images / cpu:7.1f} per CPU-second, "
            f"{base / cpu:.2f} of plain"
        )


def engines(model: ModelWanted, root: Path, turns: int) -> None:
    """Ray's workers on one core and on two, and as many plain loops, in turns.

    Everything of a run has as many cores as there are workers: a single one would else decode on
    the core that the second is to have.
    """
    cores = sorted(os.sched_getaffinity(0))[:2]
    found: dict[tuple[str, int], list[float]] = {}
    begun: dict[int, list[float]] = {}
    for _ in range(turns):
        for count in (1, 2):
            os.sched_setaffinity(0, cores[:count])
            rate, start = of_ray(model, root, count)
            found.setdefault(("Ray", count), []).append(rate)
            begun.setdefault(count, []).append(start)
            found.setdefault(("plain", count), []).append(of_plain(model, root, count))
    for (name, count), rates in found.items():
        print(f"{name}, {count}: {statistics.median(rates):.1f} images/s {rates}")
    for name in ("Ray", "plain"):
        one, two = (statistics.median(found[name, count]) for count in (1, 2))
        print(f"{name}: two are {two / one:.2f} times one")
    print("seconds to the first shard:", begun)


def of_ray(model: ModelWanted, root: Path, count: int) -> tuple[float, float]:
    """Images a second once all workers are at work, and seconds until then."""
    shards: list[float] = []
    with tempfile.TemporaryDirectory() as out:
        wanted = Wanted(str(root), shard_size=SHARD)
        audit = begin(model, wanted, out)
        began = time.perf_counter()
        run(audit, model, wanted, Engine("ray", workers=count, batch_size=BATCH),
            lambda images: shards.append(time.perf_counter()))  # fmt: skip
    # Each has ended a shard: they are at work, and stay so but for the last one of each.
    first, last = shards[count - 1], shards[-count]
    return SHARD * (len(shards) - 2 * count + 1) / (last - first), first - began


def of_plain(model: ModelWanted, root: Path, count: int) -> float:
    """Images a second of so many plain loops at once, each over some chunks."""
    context = get_context("spawn")
    ready = context.Barrier(count)
    with ProcessPoolExecutor(count, context, _begin, (ready,)) as pool:
        chunks = sorted(root.iterdir())
        seconds = list(pool.map(partial(_loop, model), [chunks[i::count] for i in range(count)]))
    images = sum(1 for _ in root.rglob("*.jpg"))
    return images / max(seconds)


def _begin(ready: Any) -> None:
    global READY
    READY = ready
    torch.set_num_threads(1)
    heap.keep()


def _loop(model: ModelWanted, chunks: list[Path]) -> float:
    module = timm.create_model(model.model, checkpoint_path=model.checkpoint or "").eval()
    plain(module, chunks[0], 0)
    READY.wait()
    began = time.perf_counter()
    for chunk in chunks:
        plain(module, chunk, 0)
    return time.perf_counter() - began


def main() -> None:
    """Make the pictures, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vit_tiny_patch16_224")
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--engines", action="store_true", help="one and two workers of Ray")
    parser.add_argument("--turns", type=int, default=2, help="of the workers")
    given = parser.parse_args()
    # One thread a process: what another thread of a pass costs is not the pipeline's doing.
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    # As `attnlib audit` does; the plain loop has it too.
    heap.keep()
    with tempfile.TemporaryDirectory() as folder:
        root, weights = Path(folder) / "set", Path(folder) / "random.safetensors"
        save_file(timm.create_model(given.model).state_dict(), weights)
        model = ModelWanted(given.model, checkpoint=str(weights))
        jpegs(root, given.images)
        engines(model, root, given.turns) if given.engines else beside_plain(model, root)


if __name__ == "__main__":
    main()
