"""How often the diagnosis names a planted cause: rows of trials, one JSON object a line.

    python -m benchmarks.planted.run noise --turns 12 --data /tmp/cifar10 --models /tmp/planted \
        --out /tmp/planted/noise.jsonl
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from benchmarks.planted.trials import SECTIONS, Trials
from training import cifar10

# Thresholds were set on sets of the test images before this one.
TUNED = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, labels = cifar10.split(cifar10.download(options.data), "test")
    trials = Trials(images[TUNED:], labels[TUNED:], options.models, options.seed)
    start = time.process_time()
    with options.out.open("w", encoding="utf-8") as rows:
        for row in SECTIONS[options.section](trials, options.turns):
            seconds = round(time.process_time() - start, 1)
            rows.write(json.dumps({**row, "seconds": seconds}, default=float) + "\n")
            rows.flush()
            start = time.process_time()


if __name__ == "__main__":
    main()
