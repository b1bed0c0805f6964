"""Images that are held already, such as those that somebody uploaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from attnlib.data.collection import Sample
from attnlib.data.sets.entry import Entry
from attnlib.errors import AttnlibError


@dataclass(frozen=True)
class Held:
    """Samples under their names.

    Attributes:
        labels: by name, of those that have one.
    """

    samples: tuple[Sample, ...]
    labels: Mapping[str, str]

    def entries(self) -> Iterator[Entry]:
        for place, one in enumerate(self.samples):
            # The listing of an audit then says which pictures they were.
            yield Entry(one.name, self.labels.get(one.name), one.sha256, place)

    def read(self, entries: Sequence[Entry]) -> Iterator[bytes | Exception]:
        for entry in entries:
            try:
                yield self.samples[entry.place].data
            except AttnlibError as error:
                yield error
