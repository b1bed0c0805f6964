"""Inspecting many images beside the page: a thread that fills the store while people look."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from attnlib.capture.record import Record
from attnlib.dashboard.state import results
from attnlib.dashboard.state.models import ModelChoice
from attnlib.data.collection import Refusal, Sample
from attnlib.errors import AttnlibError
from attnlib.model.vit import Vit

log = logging.getLogger(__name__)

BATCH = 8


@dataclass(frozen=True)
class Outcome:
    """What a session keeps of every image, even after the shared store has dropped the rest.

    Attributes:
        probabilities: ``(C,)``.
        embedding: ``(D,)``.
        entropy: mean entropy of the readout's rows in units of log N; 0 where there are none.
    """

    probabilities: NDArray[np.float32]
    embedding: NDArray[np.float32]
    entropy: float

    @classmethod
    def of(cls, record: Record) -> Outcome:
        entropy = float(record.entropy.mean()) if record.entropy.size else 0.0
        return cls(record.probabilities, record.embedding, entropy)


# A page that shows progress comes back every second or so; a job that nobody has looked at for
# this long belongs to a visitor who left.
ABANDONED_S = 30.0


@dataclass
class InspectionJob:
    """Inspects samples that the store does not know yet. Start with :meth:`start`.

    Attributes:
        total: number of samples.
        done: number of samples inspected or refused so far.
        outcomes: by sample name, of those inspected so far.
        refusals: samples that could not be read, with the reason.
        failure: why the whole job stopped early, or "".
    """

    choice: ModelChoice
    vit: Vit
    samples: tuple[Sample, ...]
    done: int = 0
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    failure: str = ""
    finished: bool = False
    _seen: float = field(default_factory=time.monotonic)
    _cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def total(self) -> int:
        return len(self.samples)

    def start(self) -> None:
        threading.Thread(target=self.run, name="inspection", daemon=True).start()

    def cancel(self) -> None:
        self._cancelled.set()

    def look(self) -> None:
        """Say that somebody is still interested."""
        self._seen = time.monotonic()

    def run(self, seconds: float | None = None) -> None:
        """Work until done, cancelled or abandoned, or until ``seconds`` have passed."""
        start = time.monotonic()
        while self.done < self.total and not self._cancelled.is_set():
            if time.monotonic() - self._seen > ABANDONED_S:
                self.failure = "Stopped, since nobody was looking. Press “Continue” to go on."
                break
            batch = list(self.samples[self.done : self.done + BATCH])
            try:
                found = results.inspect(self.choice, self.vit, batch)
            except AttnlibError as error:
                self.failure = str(error)
                break
            except Exception:
                log.exception("inspection failed")
                self.failure = "The model failed on these images; the server's log says how."
                break
            for sample, result in zip(batch, found, strict=True):
                if isinstance(result, results.Inspected):
                    self.outcomes[sample.name] = Outcome.of(result.record)
                elif isinstance(result, AttnlibError):
                    self.refusals.append(Refusal(sample.name, str(result)))
                else:
                    log.error("could not read an image", exc_info=result)
                    self.refusals.append(Refusal(sample.name, "The image could not be read."))
            self.done += len(batch)
            if seconds is not None and time.monotonic() - start > seconds:
                return
        self.finished = True
