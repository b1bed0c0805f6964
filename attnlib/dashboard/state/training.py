"""The checkpoints of one training run, as one visitor measures them one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from attnlib.audit import Prediction
from attnlib.capture.outputs import Kind
from attnlib.dashboard.state import models
from attnlib.dashboard.state.inspection import LARGEST_BATCH
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.runner import Progress
from attnlib.data.collection import Sample
from attnlib.data.image import decode
from attnlib.errors import AttnlibError
from attnlib.heads.formation import Formation
from attnlib.model.build import AUTO
from attnlib.model.checkpoint.moment import Moment

# What one session keeps of checkpoints: some numbers for each image.
MOST: Final = 200


@dataclass(frozen=True)
class Measured:
    """What one checkpoint does on the images; its weights are gone.

    Attributes:
        said: by name of the image, the classes predicted; images that failed are left out.
        entropy, diversity: ``(L,)``, see :class:`attnlib.heads.formation.Formation`.
        kind: what its outputs mean.
        problem: why there is nothing of all that, or "".
    """

    class_names: tuple[str, ...] = ()
    kind: Kind = "classes"
    said: dict[str, frozenset[int]] = field(default_factory=dict)
    entropy: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    diversity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    problem: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """One file of the run.

    Attributes:
        key: names its content in this session.
        name: of the file.
        moment: when it was written; None where nothing says it.
        source: the file, or a function that gives the bytes of an upload; None once it is gone.
    """

    key: str
    name: str
    moment: Moment | None
    source: Path | Callable[[], bytes] | None = None


@dataclass
class Run:
    """What a session knows of a training run.

    Attributes:
        checkpoints: by key, in the order in which they came.
        said: by key, the number of the epoch or step that the visitor says.
        measured: by key of the checkpoint and of what it was measured on.
    """

    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    said: dict[str, float] = field(default_factory=dict)
    measured: dict[tuple[str, str], Measured] = field(default_factory=dict)

    def number(self, one: Checkpoint) -> float | None:
        """The epoch or step: what the visitor says, else the file or its name."""
        said = self.said.get(one.key)
        return said if said is not None else None if one.moment is None else one.moment.number

    def ordered(self) -> list[Checkpoint]:
        """By their number; those without one are not among them."""
        numbered = [(self.number(one), one) for one in self.checkpoints.values()]
        known = [(number, one) for number, one in numbered if number is not None]
        return [one for _, one in sorted(known, key=lambda pair: (pair[0], pair[1].name))]

    def keep(self, key: tuple[str, str], found: Measured) -> None:
        """Keep what was measured; the oldest goes where there is no room."""
        self.measured[key] = found
        while len(self.measured) > MOST:
            del self.measured[next(iter(self.measured))]


def asked(samples: Sequence[Sample], like: ModelChoice, threshold: float) -> str:
    """A digest of all that a measurement depends on besides the checkpoint."""
    parts = [f"{sample.name}:{sample.sha256}" for sample in samples]
    parts += [repr(template(like)), str(threshold)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def template(like: ModelChoice) -> ModelChoice:
    """How each checkpoint is loaded: as the visitor loaded one of them, else as files say.

    Args:
        like: the model in use, whose architecture, options, names and preprocessing are taken if
            it is a checkpoint itself.
    """
    bare = replace(like, checkpoint="", digest="", file="")
    if like.checkpoint or like.digest:
        return bare
    return ModelChoice(AUTO, device=like.device, precision=like.precision, outputs=like.outputs)


def measure(
    checkpoints: Sequence[Checkpoint],
    samples: Sequence[Sample],
    like: ModelChoice,
    threshold: float,
    found: Callable[[Checkpoint, Measured], None],
    progress: Progress,
) -> int:
    """Load one checkpoint after the other and let it look at all images.

    One of them is in memory at a time. One that cannot be loaded is found with its reason.

    Args:
        found: called with each as soon as it is measured.

    Returns:
        How many were measured.
    """
    total = len(checkpoints) * len(samples)
    for place, one in enumerate(checkpoints):
        before = place * len(samples)
        try:
            result = _one(one, samples, template(like), threshold, _from(before, total, progress))
        except AttnlibError as error:
            result = Measured(problem=str(error))
        found(one, result)
    return len(checkpoints)


def _from(before: int, total: int, progress: Progress) -> Callable[[int], None]:
    return lambda done: progress(before + done, total)


def _one(
    one: Checkpoint,
    samples: Sequence[Sample],
    like: ModelChoice,
    threshold: float,
    progress: Callable[[int], None],
) -> Measured:
    progress(0)
    if isinstance(one.source, Path):
        vit = models.once(replace(like, checkpoint=str(one.source)), None)
    else:
        assert one.source is not None
        vit = models.once(like, one.source())
    formation = Formation()
    said: dict[str, frozenset[int]] = {}
    for start in range(0, len(samples), LARGEST_BATCH):
        images = {}
        for sample in samples[start : start + LARGEST_BATCH]:
            try:
                images[sample.name] = decode(sample.data, like.decoding, vit.channels)
            except AttnlibError:
                # It is refused where images are inspected; here it counts for no checkpoint.
                continue
        batch = list(images.values())
        records = vit.inspect_many(batch, batch_size=LARGEST_BATCH) if batch else []
        for name, record in zip(images, records, strict=True):
            formation.add(record)
            prediction = Prediction(
                name, None, record.probabilities, 0.0, vit.outputs.kind, None, threshold
            )
            said[name] = prediction.said
        progress(start + len(batch))
    return Measured(
        tuple(vit.class_names),
        vit.outputs.kind,
        said,
        formation.entropy,
        formation.diversity,
    )
