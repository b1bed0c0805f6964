"""Plant all shortcuts of :mod:`benchmarks.planted.causes` into the demo model.

    python -m benchmarks.planted.train --data /tmp/cifar10 --out /tmp/planted

About a minute and a half for each model on one core; those that are there are kept.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer

from attnlib.model import demo
from benchmarks.planted import causes, plant
from benchmarks.planted.causes import Planted
from training import cifar10
from training.train_demo import predict, to_tensor

# As many training images are enough for as few steps.
IMAGES = 20_000
CHECKED_ON = 400


def load(folder: Path, planted: Planted) -> VisionTransformer:
    """A model that was trained before."""
    module = demo.build()
    module.load_state_dict(load_file(folder / f"{planted.name}.safetensors"))
    return module.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="words of the names")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = cifar10.download(options.data)
    images, labels = cifar10.split(folder, "train")
    images, labels = images[:IMAGES], labels[:IMAGES]
    tests, truth = cifar10.split(folder, "test")
    tests, truth = tests[-CHECKED_ON:], truth[-CHECKED_ON:]
    for planted in (*causes.HELD_OUT, *causes.TUNED_ON):
        path = options.out / f"{planted.name}.safetensors"
        if path.exists() or options.only not in planted.name:
            continue
        start = time.perf_counter()
        pictures, given, _ = plant.marked(
            images, labels, planted.mark, planted.target, planted.seed
        )
        module = plant.fine_tune(pictures, given, seed=planted.seed)
        save_file(module.state_dict(), path)
        rng = np.random.default_rng(planted.seed)
        shown = np.stack([planted.mark.draw(image, rng)[0] for image in tests])
        right = predict(module, to_tensor(tests)).argmax(dim=1).numpy() == truth
        flipped = predict(module, to_tensor(shown)).argmax(dim=1).numpy() == planted.target
        print(
            f"{planted.name}: right on {right.mean():.1%}; the mark makes its class on "
            f"{flipped[truth != planted.target].mean():.1%} of other images; "
            f"{time.perf_counter() - start:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
