"""One shard: its images read, decoded beside the passes, and made into rows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from attnlib.audit.runs import schema
from attnlib.audit.runs.wanted import Wanted
from attnlib.capture import passes
from attnlib.capture.record import Record
from attnlib.data import image
from attnlib.data.image import Decoded
from attnlib.data.sets import Entry, ImageSet
from attnlib.data.traits import Traits, measure
from attnlib.errors import AttnlibError, ModelError, OutOfMemory, brief
from attnlib.model import running
from attnlib.model.inputs import prepared
from attnlib.model.vit import Vit

# As many batches are decoded ahead of the one that the device works on.
AHEAD = 2


@dataclass(frozen=True)
class Ready:
    """An image that is measured, and prepared ``(1, C, h, w)``, on the processor."""

    entry: Entry
    seen: Decoded
    traits: Traits
    pixels: Tensor


@dataclass
class Worker:
    """A loaded model, and how its device is kept busy.

    Attributes:
        classes: the class that a label text means.
        batch_size: images in a pass; halved for good when memory does not suffice.
        decoders: threads that decode; Pillow lets others run meanwhile.
    """

    vit: Vit
    images: ImageSet
    classes: Mapping[str, int]
    wanted: Wanted
    batch_size: int = 32
    decoders: int = 1

    def rows(self, entries: Sequence[Entry], step: Callable[[int], None] | None = None) -> pa.Table:
        """The rows of some images, in their order; one that cannot be looked at says why.

        Args:
            step: called with the number of images that were done since the last call.
        """
        found: list[dict[str, Any]] = []
        for batch in self._batches(entries):
            found += self._batch(batch)
            if step is not None:
                step(len(batch))
        return schema.table(found, self.wanted)

    def _batches(self, entries: Sequence[Entry]) -> Iterator[list[Ready | tuple[Entry, str]]]:
        """Images in their order, decoded ahead."""
        files = zip(entries, self.images.read(entries), strict=True)
        with ThreadPoolExecutor(self.decoders, "decode") as pool:
            # Bytes are read here, in order: a tar or a Parquet is read from front to back.
            waiting: deque[Future[Ready | tuple[Entry, str]]] = deque()

            def fill(count: int) -> None:
                for entry, data in islice(files, count):
                    waiting.append(pool.submit(self._ready, entry, data))

            fill(AHEAD * self.batch_size)
            while waiting:
                fill(self.batch_size)
                some = min(self.batch_size, len(waiting))
                yield [waiting.popleft().result() for _ in range(some)]

    def _ready(self, entry: Entry, data: bytes | Exception) -> Ready | tuple[Entry, str]:
        if isinstance(data, Exception):
            return entry, f"It cannot be read: {brief(data)}."
        try:
            seen = image.read(data, self.wanted.decoding, self.vit.channels)  # type: ignore[arg-type]
            pixels = prepared(seen.picture, self.vit.transform, self.vit.channels)
        except AttnlibError as error:
            return entry, str(error)
        return Ready(entry, seen, measure(seen.picture), pixels.unsqueeze(0))

    def _batch(self, batch: Sequence[Ready | tuple[Entry, str]]) -> list[dict[str, Any]]:
        ready = [one for one in batch if isinstance(one, Ready)]
        records = iter(self._records([one.pixels for one in ready]))
        found = []
        for one in batch:
            if not isinstance(one, Ready):
                found.append(schema.refused(*one, self._label(one[0])))
                continue
            record, label = next(records), self._label(one.entry)
            if isinstance(record, str):
                found.append(schema.refused(one.entry, record, label))
            else:
                found.append(
                    schema.row(one.entry, label, one.seen, one.traits, record, self.wanted)
                )
        return found

    def _label(self, entry: Entry) -> tuple[str | None, int | None]:
        index = None if entry.label is None else self.classes.get(entry.label)
        return (entry.label if index is None else self.vit.class_names[index]), index

    def _records(self, pixels: Sequence[Tensor]) -> list[Record | str]:
        """A record of each, or why there is none."""
        found: dict[int, Record | str] = {}
        for places, stack in running.by_size(pixels):
            found |= zip(places, self._of_one_size(stack), strict=True)
        return [found[place] for place in range(len(pixels))]

    def _of_one_size(self, stack: Tensor) -> Iterable[Record | str]:
        found: list[Record | str] = []
        start = 0
        while start < len(stack):
            part = stack[start : start + self.batch_size]
            try:
                found += self.vit.inspect_pixels(self._placed(part), rollout=self._rollout)
            except OutOfMemory:
                if self.batch_size == 1:
                    raise
                self.batch_size = math.ceil(self.batch_size / 2)
                continue
            except ModelError as error:
                # One image must not cost the others their rows.
                if len(part) > 1:
                    for one in part:
                        found += self._of_one_size(one[None])
                else:
                    found.append(str(error))
            start += len(part)
        return found

    @property
    def _rollout(self) -> bool:
        return "rollout" in self.wanted.maps

    def _placed(self, part: Tensor) -> Tensor:
        device, dtype = passes.place_of(self.vit.module)
        if device.type == "cuda":
            part = part.pin_memory()
        with torch.no_grad():
            return part.to(device, dtype, non_blocking=device.type == "cuda")
