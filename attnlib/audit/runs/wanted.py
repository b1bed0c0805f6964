"""What a run is asked to do: which model, which images, what is kept of each."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from attnlib.errors import AttnlibError
from attnlib.model import load
from attnlib.model.vit import Vit

# Maps that a run may keep; each is one value for each patch.
MAPS = ("rollout", "attention")


@dataclass(frozen=True)
class ModelWanted:
    """A model by what :func:`attnlib.load` takes, so that any process can have it."""

    model: str
    checkpoint: str | None = None
    weights: str | None = None
    outputs: str | None = None
    class_names: tuple[str, ...] | None = None
    precision: str = "float32"

    def load(self, device: str = "auto") -> Vit:
        """The model.

        Raises:
            AttnlibError: it cannot be loaded.
        """
        names = None if self.class_names is None else list(self.class_names)
        return load(
            self.model,
            checkpoint=self.checkpoint,
            weights=self.weights,
            outputs=self.outputs,  # type: ignore[arg-type]
            class_names=names,
            device=device,
            precision=self.precision,  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class Wanted:
    """All that the rows of a run depend on beside the model and the images' bytes.

    Attributes:
        source: path or URL; see :func:`attnlib.data.sets.open_set`.
        labels: path of a CSV that goes before the source's own labels; "" for none.
        limit: at most so many images, drawn at random, the same ones each time.
        sample: so many images instead, as many of each label as its share of all (at least one).
        top: how many of the likeliest classes are kept.
        probabilities: whether all classes are.
        maps: of :data:`MAPS`.
        decoding: "upright", or "as loaded", as most evaluations do.
        shard_size: images in a part.
    """

    source: str
    labels: str = ""
    limit: int | None = None
    sample: int | None = None
    top: int = 5
    probabilities: bool = False
    maps: tuple[str, ...] = ()
    decoding: str = "upright"
    shard_size: int = 1024

    def __post_init__(self) -> None:
        for name in ("limit", "sample", "top", "shard_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise AttnlibError(f"{name.replace('_', ' ')} must be at least 1, not {value}.")
        if self.limit is not None and self.sample is not None:
            raise AttnlibError("Give a limit or a sample, not both: a sample is drawn by labels.")
        strangers = sorted(set(self.maps) - set(MAPS))
        if strangers:
            raise AttnlibError(f"There is no map {strangers[0]!r} here; choose {', '.join(MAPS)}.")

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "maps": list(self.maps)}


def versions() -> dict[str, str]:
    """Of what decides about numbers."""
    found = {name: version(name) for name in ("torch", "timm", "numpy", "pillow")}
    return {"python": platform.python_version(), **found}


@dataclass
class Count:
    """What is done by now, by this start and those before it."""

    images: int = 0
    refused: int = 0
    labelled: int = 0
    right: int = 0
    shards: set[int] = field(default_factory=set)
