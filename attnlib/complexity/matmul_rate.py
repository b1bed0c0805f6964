"""The rate at which a device multiplies matrices: what a measured pass is compared with."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import lru_cache

import torch

from attnlib.capture.passes import admitted
from attnlib.complexity.memory import Dtype


@lru_cache(maxsize=32)
def matmul_rate(device: str, dtype: Dtype, seconds: float = 0.5) -> float:
    """FLOPs per second of one large square matrix product, the median of repeats.

    Measured once per process, on the threads that PyTorch uses, at a size whose product fits
    every device: 1024 on a CPU, 8192 on a GPU.
    """
    side = 1024 if device == "cpu" else 8192
    kind = getattr(torch, dtype)
    with torch.inference_mode():
        left = torch.randn(side, side, device=device).to(kind)
        right = torch.randn(side, side, device=device).to(kind)
        times = repeat(lambda: left @ right, torch.device(device), seconds, most=50)
    return 2 * side**3 / statistics.median(times)


def repeat(
    run: Callable[[], object],
    device: torch.device,
    seconds: float,
    most: int = 1000,
    warm_up: int = 2,
) -> list[float]:
    """Seconds of each run, after warm-up, until the time is over; at least one.

    Each asks for its own place among the forward passes; the wait for it is not its time.
    """
    for _ in range(warm_up):
        with admitted():
            run()
            synchronise(device)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or (len(times) < most and time.perf_counter() < end):
        with admitted():
            start = time.perf_counter()
            run()
            synchronise(device)
            times.append(time.perf_counter() - start)
    return times


def synchronise(device: torch.device) -> None:
    """Wait for the device: kernels run on after the call that started them."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
