"""One uploaded file opened: itself, or the members of a zip, each judged before it is kept."""

import io
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Final

from attnlib.data import image
from attnlib.data.content import Content
from attnlib.data.paths import MAX_DEPTH, MAX_LENGTH, clean, is_junk, is_long, is_text
from attnlib.errors import ImageError

# What one zip may hold, counted while it is unpacked: its own header may say anything.
MAX_MEMBERS: Final = 5000
MAX_TOTAL: Final = 2**30
# zipfile keeps about 500 bytes of objects for each entry, before any member can be looked at;
# macOS writes a second, hidden entry beside each file, and folders are entries too.
MAX_ZIP_ENTRIES: Final = 4 * MAX_MEMBERS

_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_ZIP_ENTRY = b"PK\x01\x02"
# What one member with a bad checksum can unpack without being charged for it.
_CHUNK = 2**16
_UNSAFE = "The path leads outside its folder: rename the file."
_LONG = (
    f"The path has more than {MAX_LENGTH} characters or {MAX_DEPTH} folders: move the file up, or "
    "rename it."
)
_NESTED = "A zip inside a zip is not opened: upload it by itself."
_TOO_LARGE = f"The file is too large: the limit is {image.MAX_BYTES // 2**20} MiB."


@dataclass(frozen=True)
class Refusal:
    """A file that was not taken, and why."""

    name: str
    reason: str


# A file under its clean name, or why it was not taken.
Item = tuple[str, Content] | Refusal


def is_zip(name: str, data: bytes) -> bool:
    """By its name or its first bytes."""
    return name.lower().endswith(".zip") or data.startswith(_ZIP_MAGICS)


def inspect(name: str, data: bytes) -> Item | None:
    """The file under its clean name, its refusal, or None for a file to skip silently."""
    path = clean(name)
    if path is None:
        return Refusal(name[:MAX_LENGTH], _UNSAFE)
    if is_long(path):
        return Refusal(f"{path[:60]}…", _LONG)
    if is_junk(path):
        return None
    if not is_text(path):
        try:
            image.check(data)
        except ImageError as error:
            return Refusal(path, str(error))
    return path, Content.of(data)


def unpack(zip_name: str, data: bytes, full: Callable[[], str]) -> Iterator[Item]:
    """The members of a zip, each as `inspect` gives it.

    Args:
        full: why nothing more can be taken, or ""; asked before each member is read.
    """
    if data.count(_ZIP_ENTRY) > MAX_ZIP_ENTRIES:
        yield Refusal(zip_name, f"The zip has more than {MAX_ZIP_ENTRIES} entries: split it.")
        return
    try:
        archive = _open_zip(data)
    except Exception:  # zipfile raises many built-in exceptions on hostile bytes
        yield Refusal(zip_name, "The zip is corrupt or not a zip: make or download it again.")
        return
    members = [
        (info, path)
        for info in archive.infolist()
        if not info.filename.endswith("/")  # is_dir() fails on an empty name
        and ((path := clean(info.filename)) is None or not is_junk(path))
    ]
    if not members:
        yield Refusal(zip_name, "The zip holds no files.")
    if len(members) > MAX_MEMBERS:
        yield Refusal(
            zip_name,
            f"The zip holds {len(members)} files, and the limit is {MAX_MEMBERS}: split it.",
        )
        return
    budget = _Budget(MAX_TOTAL)
    item: Item | None
    for index, (info, path) in enumerate(members):
        if path is None:
            yield Refusal(info.filename[:MAX_LENGTH], _UNSAFE)
            continue
        if is_long(path):
            yield Refusal(f"{path[:60]}…", _LONG)
            continue
        if reason := _refused(info) or full():
            yield Refusal(path, reason)
            continue
        try:
            item = inspect(path, _read(archive, info, path, budget))
        except ImageError as error:
            item = Refusal(path, str(error))
        except _Exhausted:
            yield Refusal(
                zip_name,
                f"The zip unpacks to more than {MAX_TOTAL // 2**20} MiB: "
                f"its last {len(members) - index} files were not read.",
            )
            return
        except Exception:  # as above, and a wrong checksum
            item = Refusal(path, "This member of the zip is corrupt: make the zip again.")
        if item:
            yield item


def _open_zip(data: bytes) -> zipfile.ZipFile:
    try:
        # macOS writes UTF-8 names without the flag that says so.
        return zipfile.ZipFile(io.BytesIO(data), metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(io.BytesIO(data))


def _refused(info: zipfile.ZipInfo) -> str:
    """Why a member is not read at all; empty if it is."""
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return "A symbolic link or special file in a zip is not followed."
    if info.flag_bits & 1:
        return "The member is encrypted: make the zip without a password."
    if info.file_size > image.MAX_BYTES:
        return _TOO_LARGE
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # An LZMA header alone can ask for 4 GiB.
        return "The compression method is not supported: make the zip with standard settings."
    return ""


class _Exhausted(Exception):
    """A zip has been unpacked up to its limit."""


@dataclass
class _Budget:
    """How many bytes may still be unpacked from one zip, whatever its header says."""

    left: int

    def read(self, stream: IO[bytes], size: int) -> bytes:
        """At most ``size`` bytes, charged as they come, so that a corrupt member is charged too."""
        chunks: list[bytes] = []
        while size > 0 and (chunk := stream.read(min(size, _CHUNK))):
            size -= len(chunk)
            self.left -= len(chunk)
            if self.left < 0:
                raise _Exhausted
            chunks.append(chunk)
        return b"".join(chunks)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, budget: _Budget) -> bytes:
    with archive.open(info) as stream:
        head = budget.read(stream, image.HEAD_BYTES)
        if head.startswith(_ZIP_MAGICS):
            raise ImageError(_NESTED)
        if not is_text(path):
            image.sniff(head)  # refuse what is no image before unpacking the rest
        rest = budget.read(stream, image.MAX_BYTES + 1 - len(head))
    if len(head) + len(rest) > image.MAX_BYTES:
        raise ImageError(_TOO_LARGE)
    return head + rest
