"""How fast the alternatives are on this device: what each was timed as, and the column it fills."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from attnlib.complexity import Cost
from attnlib.complexity.cost import cost
from attnlib.complexity.savings import Alternative, Options
from attnlib.dashboard.cost import timing, words
from attnlib.errors import AttnlibError

# Alternatives that are another form of one layer's attention.
FORMS = ("fused", "windowed", "linear", "low_rank")
STEPS = ("mixed_precision", "checkpointing")
ONE_LAYER, STEP, PASS = "one layer's attention", "a training step", "a whole pass"
UNTIMED = "not timed: it needs a kernel or a network of its own"


@dataclass(frozen=True)
class Timed:
    """One alternative on this device.

    Attributes:
        before, after: seconds, without it and with it.
        of: what was timed.
    """

    before: float
    after: float
    of: str

    @property
    def faster(self) -> float:
        """How many times as fast it is; below 1 it is slower."""
        return self.before / self.after


@dataclass(frozen=True)
class Speeds:
    """All alternatives that could be timed, by name, and why others could not."""

    timed: dict[str, Timed]
    refused: tuple[str, ...] = ()


def measure(
    now: Cost,
    device: str,
    allowed: timing.Limits,
    options: Options,
    progress: timing.Progress,
) -> Speeds:
    """Time what can be run; a group that is refused leaves the others.

    Raises:
        AttnlibError: all of them are refused; the message is the first one's.
    """
    timed: dict[str, Timed] = {}
    refused: list[AttnlibError] = []
    groups: tuple[Callable[[], dict[str, Timed]], ...] = (
        lambda: _forms(now, device, allowed, options, progress),
        lambda: _steps(now, device, allowed, progress),
        lambda: _larger(now, device, allowed, options, progress),
    )
    for done, group in enumerate(groups):
        progress(done, len(groups))
        try:
            timed |= group()
        except AttnlibError as error:
            refused.append(error)
    if not timed:
        raise refused[0]
    return Speeds(timed, tuple(dict.fromkeys(map(str, refused))))


def row(way: Alternative, found: Speeds | None) -> dict[str, object]:
    """A line of the table: what is saved on paper, and what of it arrives here."""
    timed = None if found is None else found.timed.get(way.name)
    here = {"speed here": "", "time here": "", "timed": UNTIMED}
    if timed is not None:
        here = {
            "speed here": words.times(timed.faster),
            "time here": f"{words.duration(timed.before)} → {words.duration(timed.after)}",
            "timed": timed.of,
        }
    elif way.name in (*FORMS, *STEPS, "larger_patches"):
        here["timed"] = "not yet" if found is None else "refused"
    return {
        "alternative": way.title,
        "MACs": words.times(way.macs_ratio),
        "memory": words.times(way.memory_ratio),
        **here,
    }


def _forms(
    now: Cost,
    device: str,
    allowed: timing.Limits,
    options: Options,
    progress: timing.Progress,
) -> dict[str, Timed]:
    times = {t.form: t.seconds for t in timing.forms(now, device, allowed, options, progress)}
    return {form: Timed(times["materialised"], times[form], ONE_LAYER) for form in FORMS}


def _steps(
    now: Cost, device: str, allowed: timing.Limits, progress: timing.Progress
) -> dict[str, Timed]:
    times = {t.form: t.seconds for t in timing.steps(now, device, allowed, progress)}
    return {form: Timed(times["plain"], times[form], STEP) for form in STEPS}


def _larger(
    now: Cost,
    device: str,
    allowed: timing.Limits,
    options: Options,
    progress: timing.Progress,
) -> dict[str, Timed]:
    a = now.architecture
    most = min(image // patch for image, patch in zip(a.image, a.patch, strict=True))
    factor = min(options.patch_factor, most)
    patch = (a.patch[0] * factor, a.patch[1] * factor)
    larger = cost(dataclasses.replace(a, patch=patch, name=""), now.batch, now.dtype)
    before, after = (
        timing.one(each, device, allowed, progress, timing.BRIEF).latency
        for each in (cost(a, now.batch, now.dtype), larger)
    )
    return {"larger_patches": Timed(before, after, PASS)}
