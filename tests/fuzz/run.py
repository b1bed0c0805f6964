"""The loop: a file, damaged, into one way in; and what must not happen then."""

from __future__ import annotations

import hashlib
import resource
import signal
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from attnlib.errors import AttnlibError
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, Target

SECONDS = 10.0
# That one call may add to what the process holds. A picture of 64 megapixels alone takes 256 MB,
# and laying it on white a second and a third copy.
MEGABYTES = 1536
# Beyond this the system refuses, so that a wild request ends as an error and not as a dead machine.
ADDRESS_SPACE = 8 << 30


class TooLong(BaseException):
    """The call did not end in time. No `except Exception` holds it."""


@dataclass
class Tally:
    """What was tried and what was found.

    Attributes:
        tried: calls by target.
        refused: of those, how many ended in the library's own error.
        finds: one example each of what must not be, by what and where it was.
    """

    tried: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    finds: dict[str, bytes] = field(default_factory=dict)
    slowest: float = 0.0
    largest: float = 0.0


def run(seconds: float, seed: int, only: str | None = None, keep: Path | None = None) -> Tally:
    """Try for some time.

    Args:
        only: one target alone.
        keep: folder for the files that found something.
    """
    warnings.simplefilter("ignore")
    rng, tally = Random(seed), Tally()
    _limit_address_space()
    signal.signal(signal.SIGALRM, _too_long)
    targets = {name: target for name, target in TARGETS.items() if only in (None, name)}
    for name, target in targets.items():
        for data in target.seeds():
            _try(name, target, data, tally, keep, valid=target.takes)
    names = list(targets)
    weights = [targets[name].weight for name in names]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        name = rng.choices(names, weights)[0]
        target = targets[name]
        files = target.seeds()
        _try(name, target, mutated(rng.choice(files), files, rng), tally, keep)
    return tally


def _try(
    name: str, target: Target, data: bytes, tally: Tally, keep: Path | None, valid: bool = False
) -> None:
    tally.tried[name] += 1
    before, start, what = _resident(), time.monotonic(), ""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        target.call(data)
    except AttnlibError as error:
        tally.refused[name] += 1
        what = f"a valid file refused: {error}" if valid else _bad_words(error)
    except TooLong as error:
        what = f"longer than {SECONDS} s at {_place(error)}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        what = f"{type(error).__name__} at {_place(error)}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    taken, grown = time.monotonic() - start, (_peak() - before) / 2**20
    tally.slowest, tally.largest = max(tally.slowest, taken), max(tally.largest, grown)
    if not what and taken > SECONDS:
        what = "longer than the limit in one step"
    if not what and grown > MEGABYTES:
        what = f"more than {MEGABYTES} MB"
    if what and (key := f"{name}: {what}") not in tally.finds:
        tally.finds[key] = data
        print(f"FOUND {key} ({len(data)} bytes, {taken:.1f} s, {grown:.0f} MB)", flush=True)
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            path = keep / f"{name.replace(' ', '_')}-{hashlib.sha256(data).hexdigest()[:12]}"
            path.write_bytes(data)
            print(f"  kept as {path}", flush=True)


def _bad_words(error: AttnlibError) -> str:
    """Whether a refusal says nothing, or says a whole file."""
    text = str(error)
    if len(text) < 10:
        return f"a refusal without words ({text!r})"
    if len(text) > 5000:
        return f"a refusal of more than 5000 characters at {_place(error)}"
    return ""


def _place(error: BaseException) -> str:
    """The innermost line of the library, or of whatever else there is."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/attnlib/" in frame.filename] or list(frames)
    return f"{own[-1].filename.rpartition('/attnlib/')[2]}:{own[-1].lineno}"


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TooLong


def _limit_address_space() -> None:
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ADDRESS_SPACE, resource.RLIM_INFINITY))


def _resident() -> int:
    """Bytes resident now; the peak counts from here on."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise KeyError(key)
