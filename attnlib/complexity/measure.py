"""What a pass really costs on this machine: latency, throughput, memory, share of the peak rate."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from attnlib.capture.passes import admitted, choose_device
from attnlib.complexity.architecture import Architecture
from attnlib.complexity.build import Materialised, build
from attnlib.complexity.cost import Cost, cost
from attnlib.complexity.matmul_rate import matmul_rate, synchronise
from attnlib.complexity.memory import Dtype
from attnlib.complexity.problem import ArchitectureError, Problem, is_number
from attnlib.errors import AttnlibError, OutOfMemory

Progress = Callable[[float], bool]


class MeasurementCancelled(AttnlibError):
    """The caller's progress function asked to stop."""


@dataclass(frozen=True)
class Measurement:
    """One configuration as measured.

    Attributes:
        cost: what the formulas say of the same thing.
        device: "cpu", "cuda:0", ...
        latency: seconds of one pass over the batch, the median of ``repeats``.
        fastest, slowest: seconds.
        repeats: passes after warm-up.
        peak_memory: bytes. CUDA: allocated by tensors, weights included. CPU: growth of the
            process's resident set during the passes, without weights; None if not measurable.
        memory_note: how ``peak_memory`` was taken, or why it was not.
        rate: FLOPs per second that the pass reached.
        peak_rate: FLOPs per second of a large matrix product on this device and dtype.
    """

    cost: Cost
    device: str
    latency: float
    fastest: float
    slowest: float
    repeats: int
    peak_memory: int | None
    memory_note: str
    rate: float
    peak_rate: float

    @property
    def throughput(self) -> float:
        """Images per second."""
        return self.cost.batch / self.latency

    @property
    def utilisation(self) -> float:
        """The rate over that of a large matrix product; about 0 to 1."""
        return self.rate / self.peak_rate


def measure(
    subject: Architecture | nn.Module,
    batch: int = 1,
    dtype: Dtype = "float32",
    device: str = "cpu",
    training: bool = False,
    materialised: bool = False,
    seconds: float = 5.0,
    progress: Progress | None = None,
) -> Measurement:
    """Time passes over random images: one to warm up, then repeats until ``seconds`` are over.

    Passes queue with all others of the process. With ``training`` a pass is forward and backward,
    without the optimiser's step. A module is only run, never changed; in training mode it must be
    one's own, since its gradients are used (they are set back to None).

    Args:
        subject: an architecture, built with random weights, or a ready timm module.
        materialised: replace fused attention by its explicit form.
        progress: called with the share done, 0 to 1, between passes; False stops.

    Raises:
        ArchitectureError: what is asked for is impossible, or the formulas do not cover it.
        OutOfMemory: by the estimate it would not fit, or it did not.
        MeasurementCancelled: ``progress`` returned False.
    """
    a = subject if isinstance(subject, Architecture) else Architecture.from_module(subject)
    expected = cost(a, batch, dtype, training, materialised)
    if not is_number(seconds) or not 0 < seconds <= 600:
        raise ArchitectureError([Problem("seconds", "Measure between 0 and 600 seconds.")])
    where = choose_device(device)
    check_memory(expected, where)
    module = subject if isinstance(subject, nn.Module) else build(a, where)
    kind = getattr(torch, dtype)
    parameter = next(module.parameters())
    if isinstance(subject, nn.Module) and (parameter.dtype, parameter.device) != (kind, where):
        raise ArchitectureError(
            [Problem("dtype", f"The module is {parameter.dtype} on {parameter.device}; it is "
                              "measured as it is, so ask for that.")]
        )  # fmt: skip
    if not isinstance(subject, nn.Module):
        module = module.to(kind).train(training)
    with torch.inference_mode(not training):
        pixels = torch.randn(batch, a.channels, *a.image, device=where).to(kind)

    def one_pass() -> None:
        grads = torch.enable_grad() if training else torch.inference_mode()
        with admitted(), grads, Materialised() if materialised else nullcontext():
            output = module(pixels)
            if training:
                output.float().mean().backward()
                module.zero_grad(set_to_none=True)
            synchronise(where)

    _tell(progress, 0.0)
    peak_rate = matmul_rate(str(where), dtype)
    # From before the first pass: afterwards the allocator reuses what it has, unseen.
    memory = _PeakMemory(where)
    one_pass()
    times = _timed(one_pass, seconds, progress)
    peak, note = memory.read()
    latency = statistics.median(times)
    flops = 2 * (expected.training_macs if training else expected.macs.total)
    return Measurement(
        cost=expected,
        device=str(where),
        latency=latency,
        fastest=min(times),
        slowest=max(times),
        repeats=len(times),
        peak_memory=peak,
        memory_note=note,
        rate=flops / latency,
        peak_rate=peak_rate,
    )


def check_memory(expected: Cost, device: torch.device) -> None:
    """Refuse what would not fit, before anything is allocated.

    Raises:
        OutOfMemory: by the estimate; the message gives both numbers.
    """
    free = available_memory(device)
    needed = expected.memory.peak - expected.memory.optimiser
    if free is not None and needed > 0.9 * free:
        raise OutOfMemory(
            f"This needs about {needed / 2**30:.1f} GiB and {device} has {free / 2**30:.1f} GiB "
            "free. Use a smaller batch, image or model, or fused attention."
        )


def available_memory(device: torch.device) -> int | None:
    """Bytes that can still be allocated, or None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line for line in lines if line.startswith("MemAvailable:")]
    return 1024 * int(found[0].split()[1]) if found else None


def _timed(one_pass: Callable[[], None], seconds: float, progress: Progress | None) -> list[float]:
    times: list[float] = []
    begin = time.perf_counter()
    while not times or (time.perf_counter() - begin < seconds and len(times) < 1000):
        # The wait for a place is not the pass's time.
        with admitted():
            start = time.perf_counter()
            one_pass()
            times.append(time.perf_counter() - start)
        _tell(progress, min(1.0, (time.perf_counter() - begin) / seconds))
    return times


def _tell(progress: Progress | None, share: float) -> None:
    if progress is not None and not progress(share):
        raise MeasurementCancelled("The measurement was stopped.")


class _PeakMemory:
    """The peak from its making to :meth:`read`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before: int | None = None
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        elif device.type == "cpu":
            try:
                # Resets the high-water mark of this process (proc(5)).
                Path("/proc/self/clear_refs").write_text("5")
                self._before = _status("VmRSS")
            except OSError:
                pass

    def read(self) -> tuple[int | None, str]:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device), "allocated by tensors"
        if self._before is None:
            return None, "not measured: this system does not tell the peak of a process"
        growth = _status("VmHWM") - self._before
        return growth, "growth of the resident set; other work in this process counts too"


def _status(field: str) -> int:
    """Bytes of a line of this process's status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"no {field} in the status of this process")
