"""Tar files of images, as WebDataset writes them: ``key.jpg`` beside ``key.cls``, ``key.json``."""

from __future__ import annotations

import json
import posixpath
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attnlib.data.paths import IMAGE_ENDINGS, clean
from attnlib.data.sets.entry import Entry
from attnlib.data.sets.places import Place
from attnlib.errors import AttnlibError, brief

# Members that may say a label, and the most that they are read for it.
_LABELS = (".cls", ".cls.txt", ".txt", ".json")
_SHORT = 2**16
# Of a JSON, the fields that are labels, the first that is there.
_FIELDS = ("label", "cls", "class", "class_name")


@dataclass(frozen=True)
class Tars:
    """Members of tar files, in their order, by the byte that each begins at."""

    places: tuple[Place, ...]

    def entries(self) -> Iterator[Entry]:
        several = len(self.places) > 1
        for number, place in enumerate(self.places):
            images: dict[str, tuple[str, int, int]] = {}
            labels: dict[str, str] = {}
            try:
                with place.open() as file, tarfile.open(fileobj=file, mode="r:") as archive:
                    for member in archive:
                        path = clean(member.name) if member.isfile() else None
                        if path is None:
                            continue
                        base = posixpath.basename(path)
                        key = path[: len(path) - len(base)] + base.split(".", 1)[0]
                        ending = path[len(key) :].lower()
                        if ending.endswith(IMAGE_ENDINGS):
                            images.setdefault(key, (path, member.offset_data, member.size))
                        elif ending in _LABELS and member.size <= _SHORT:
                            given = archive.extractfile(member)
                            said = _label(ending, b"" if given is None else given.read())
                            if said and (key not in labels or ending.startswith(".cls")):
                                labels[key] = said
            except (tarfile.TarError, OSError, EOFError) as error:
                raise AttnlibError(
                    f"{place.path} is no tar that can be read ({brief(error)}). Packed tars "
                    "(.tar.gz) cannot be read from the middle: unpack them first."
                ) from error
            before = f"{posixpath.basename(place.path)}/" if several else ""
            for key, (name, offset, size) in images.items():
                folder = posixpath.basename(posixpath.dirname(name))
                label = labels.get(key, folder or None)
                yield Entry(before + name, label, str(number), offset, size)

    def read(self, entries: Sequence[Entry]) -> Iterator[bytes | Exception]:
        file, current = None, -1
        try:
            for entry in entries:
                if int(entry.file) != current:
                    if file is not None:
                        file.close()
                    current = int(entry.file)
                    file = self.places[current].open()
                assert file is not None
                try:
                    file.seek(entry.place)
                    data = file.read(entry.size)
                    yield data if len(data) == entry.size else EOFError("the tar ends too early")
                except OSError as error:
                    yield error
        finally:
            if file is not None:
                file.close()


def _label(ending: str, data: bytes) -> str:
    """What a member says of the label; "" where it says none."""
    text = data.decode("utf-8", "replace").strip()
    if ending != ".json":
        return text if len(text) <= 200 and "\n" not in text else ""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(said, dict):
        return ""
    return next((str(said[f]) for f in _FIELDS if isinstance(said.get(f), str | int)), "")
