"""The inspection of many images, beside the page, as one work that can go on where it stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnlib.dashboard.state import presence, results
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.runner import Progress, Work
from attnlib.data.collection import Refusal, Sample
from attnlib.errors import AttnlibError
from attnlib.model.vit import Vit

log = logging.getLogger(__name__)

# A page's own pass queues behind a batch, so that a batch must not take long.
LARGEST_BATCH = 8
BATCH_S = 0.4


@dataclass(frozen=True)
class Outcome:
    """What a session keeps of every image, even after the shared store has dropped the rest.

    Attributes:
        probabilities: ``(C,)``.
        embedding: ``(D,)``.
        entropy: mean entropy of the readout's rows in units of log N; 0 where there are none.
        notes: what was done to what the image's file stores, each in a few words.
        doubt: as of :class:`attnlib.dashboard.state.results.Inspected`.
    """

    probabilities: NDArray[np.float32]
    embedding: NDArray[np.float32]
    entropy: float
    notes: tuple[str, ...] = ()
    doubt: str = ""

    @classmethod
    def of(cls, found: results.Inspected) -> Outcome:
        record = found.record
        entropy = float(record.entropy.mean()) if record.entropy.size else 0.0
        return cls(record.probabilities, record.embedding, entropy, found.notes, found.doubt)


class Inspection:
    """Inspects samples one batch after the other; the image that somebody looks at goes first.

    Args:
        clock: seconds that never go back, by which batches grow and shrink.
        before: an inspection by the same model, whose outcomes of the same images are kept.

    Attributes:
        first: name of the sample to inspect next, if it waits; may be set at any time.
        outcomes: by sample name, of those inspected so far.
        refusals: samples that could not be read or inspected, with the reason.
    """

    def __init__(
        self,
        choice: ModelChoice,
        vit: Vit,
        samples: tuple[Sample, ...],
        clock: Callable[[], float] = time.monotonic,
        before: Inspection | None = None,
    ) -> None:
        self.choice, self.samples = choice, samples
        self.first: str | None = None
        self.outcomes: dict[str, Outcome] = {}
        self.refusals: list[Refusal] = []
        self._vit: Vit | None = vit
        self._clock = clock
        self._waiting = {sample.name: sample for sample in samples}
        self._work = self._begin()
        if before is not None and before.choice == choice:
            self._go_on_from(before)

    @property
    def total(self) -> int:
        """Number of samples."""
        return len(self.samples)

    @property
    def done(self) -> int:
        """Number of samples inspected or refused so far."""
        return self.total - len(self._waiting)

    @property
    def finished(self) -> bool:
        """Whether it has ended, be it early."""
        return self._work.finished

    @property
    def waiting(self) -> bool:
        """Whether other computations of the same person have to end before it begins."""
        return self._work.waiting

    @property
    def failure(self) -> str:
        """Why it ended early, or ""."""
        return self._work.failure

    def waits(self, name: str) -> bool:
        """Whether this sample has neither an outcome nor a refusal yet."""
        return name in self._waiting

    def start(self, wait: float = 0.0) -> None:
        """Begin, or go on where it stopped; wait up to ``wait`` seconds for the end."""
        if self._work.finished:
            self._work = self._begin()
        self._work.start(wait)

    def run(self) -> None:
        """The same in this thread, to the end."""
        if self._work.finished:
            self._work = self._begin()
        self._work.run()

    def stop(self) -> None:
        """Say that nobody wants the rest."""
        self._work.stop()

    def _go_on_from(self, before: Inspection) -> None:
        """Keep what is known of images that are still there under the same name."""
        known = {(sample.name, sample.sha256) for sample in before.samples}
        refused = {refusal.name: refusal for refusal in list(before.refusals)}
        for sample in self.samples:
            if (sample.name, sample.sha256) not in known:
                continue
            if sample.name in before.outcomes:
                self.outcomes[sample.name] = before.outcomes[sample.name]
            elif sample.name in refused:
                self.refusals.append(refused[sample.name])
            else:
                continue
            del self._waiting[sample.name]

    def _begin(self) -> Work[None]:
        return Work(self._inspect, connected=presence.of_visitor(), person=presence.person())

    def _inspect(self, progress: Progress) -> None:
        size, seconds = 1, dict[int, float]()
        vit = self._vit
        while self._waiting and vit is not None:
            progress(self.done, self.total)
            batch = self._next(size)
            began = self._clock()
            self._note(batch, results.inspect(self.choice, vit, batch))
            if len(batch) == size:
                seconds[size] = self._clock() - began
                size = _next_size(size, seconds)
        # Nothing waits any longer: the weights need not stay for what was found.
        self._vit = None

    def _next(self, size: int) -> list[Sample]:
        """The next batch: alone, if it is the image that somebody looks at."""
        wanted = self._waiting.get(self.first or "")
        return [wanted] if wanted is not None else list(self._waiting.values())[:size]

    def _note(self, batch: list[Sample], found: list[results.Inspected | Exception]) -> None:
        for sample, result in zip(batch, found, strict=True):
            if isinstance(result, results.Inspected):
                self.outcomes[sample.name] = Outcome.of(result)
            elif isinstance(result, AttnlibError):
                self.refusals.append(Refusal(sample.name, str(result)))
            else:
                log.error("could not read an image", exc_info=result)
                self.refusals.append(Refusal(sample.name, "The image could not be read."))
            del self._waiting[sample.name]


def _next_size(size: int, seconds: dict[int, float]) -> int:
    """How many images to take next, from what a batch of each size took last.

    A batch stays within its time, except where fewer images would hardly take less: on a busy
    machine a pass costs its waiting, and one image at a time would make eight times the passes.
    """
    took, half, double = seconds[size], max(1, size // 2), min(LARGEST_BATCH, 2 * size)
    if took > BATCH_S and size > 1 and took > 1.5 * seconds.get(half, 0.0):
        return half
    if 2 * took <= BATCH_S or double not in seconds or seconds[double] < 1.5 * took:
        return double
    return size
