"""What it costs to measure what an image is like, beside its decoding and one pass of a model.

python -m benchmarks.traits --model vit_tiny_patch16_224
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable

import numpy as np
import timm
import torch
from PIL import Image

from attnlib.data.image import read
from attnlib.data.traits import measure

SIZES = ((224, 224), (500, 375), (640, 480), (3000, 2000))


def photograph(width: int, height: int) -> bytes:
    """A JPEG of soft blots."""
    blots = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(blots).resize((width, height), Image.Resampling.BICUBIC).save(out, "JPEG")
    return out.getvalue()


def cost(work: Callable[[], object], times: int = 15) -> float:
    """Median milliseconds of processor time."""
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return 1000 * statistics.median(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vit_tiny_patch16_224")
    given = parser.parse_args()
    torch.set_num_threads(1)
    module, images = timm.create_model(given.model).eval(), torch.randn(16, 3, 224, 224)
    with torch.inference_mode():
        one_pass = cost(lambda: module(images), 7) / len(images)
    print(f"one pass: {one_pass:.1f} ms an image")
    for size in SIZES:
        data = photograph(*size)
        picture = read(data).picture
        decoding = cost(lambda data=data: read(data))  # type: ignore[misc]
        mine = cost(lambda picture=picture: measure(picture))  # type: ignore[misc]
        print(f"{size[0]} x {size[1]}: decoding {decoding:.2f} ms, traits {mine:.2f} ms, "
              f"{mine / one_pass:.1%} of a pass")  # fmt: skip


if __name__ == "__main__":
    main()
