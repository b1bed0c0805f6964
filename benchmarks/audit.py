"""Whole audits beside a plain loop over the same JPEGs, per CPU-second, and one worker beside two.

    python -m benchmarks.audit --model vit_tiny_patch16_224 --images 2048
    python -m benchmarks.audit --engines --images 2048        # needs Ray

The plain loop is timm's own: its loader in a process beside it, its preprocessing, one pass a batch
and the probabilities; nothing is kept. Ours writes every column of its parts. The runs take turns
over chunks of the images; ratios are of medians, and CPU-seconds are those of all processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_dataset, create_loader, resolve_model_data_config

from attnlib.audit.runs import Engine, ModelWanted, Wanted, begin, run
from attnlib.model.vit import Vit

BATCH, CHUNKS, SIDES = 32, 8, (400, 300)
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


def plain(module: torch.nn.Module, folder: Path) -> None:
    """timm's loader and a pass."""
    config = resolve_model_data_config(module)
    loader = create_loader(
        create_dataset("", root=str(folder)),
        batch_size=BATCH,
        is_training=False,
        use_prefetcher=False,
        num_workers=1,
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
        "plain": lambda folder: plain(module, folder),
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
    base = statistics.median(cpu for _, cpu in found["plain"])
    for name, times in found.items():
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        print(
            f"{name:13} {images / wall:7.1f} images/s, {images / cpu:7.1f} per CPU-second, "
            f"{base / cpu:.2f} of plain"
        )


def engines(model: ModelWanted, root: Path) -> None:
    """One and two workers of Ray over all, in turns; the time of one shard is their start."""
    few = root / "0" / "class 0"
    found: dict[tuple[int, str], list[float]] = {}
    for _ in range(2):
        for workers in (1, 2):
            for name, folder in (("start", few), ("all", root)):
                with tempfile.TemporaryDirectory() as out:
                    limit = 1 if name == "start" else None
                    wanted = Wanted(str(folder), shard_size=64, limit=limit)
                    audit = begin(model, wanted, out)
                    engine = Engine("ray", workers=workers, batch_size=BATCH)
                    wall, _ = spent(partial(run, audit, model, wanted, engine, lambda images: None))
                    found.setdefault((workers, name), []).append(wall)
    times = {key: statistics.median(walls) for key, walls in found.items()}
    count = sum(1 for _ in root.rglob("*.jpg"))
    for workers in (1, 2):
        whole, begun = times[workers, "all"], times[workers, "start"]
        print(f"Ray, {workers} workers: {whole:.1f} s for {count} images ({begun:.1f} s to start), "
              f"{count / whole:.1f} images/s")  # fmt: skip
    ratio = times[1, "all"] / times[2, "all"]
    net = (times[1, "all"] - times[1, "start"]) / (times[2, "all"] - times[2, "start"])
    print(f"two workers are {ratio:.2f} times one, {net:.2f} without their start")


def main() -> None:
    """Make the pictures, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vit_tiny_patch16_224")
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--engines", action="store_true", help="one and two workers of Ray")
    given = parser.parse_args()
    # One thread a process: what another thread of a pass costs is not the pipeline's doing.
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root, weights = Path(folder) / "set", Path(folder) / "random.safetensors"
        save_file(timm.create_model(given.model).state_dict(), weights)
        model = ModelWanted(given.model, checkpoint=str(weights))
        jpegs(root, given.images)
        (engines if given.engines else beside_plain)(model, root)


if __name__ == "__main__":
    main()
