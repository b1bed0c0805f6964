"""Ways to damage a file: blindly, and with its structure kept so that damage reaches further in."""

from __future__ import annotations

import io
import json
import pickletools
import re
import struct
import zipfile
import zlib
from random import Random
from typing import Any

TOKENS = (
    *(b"", b"\0", b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x80\x04.", b"}", b"]" * 50, b"[" * 2000),
    *(b"NaN", b"Infinity", b"-1", b"1e999", b"9" * 5000, b"0x10", "²".encode(), "१".encode()),
    *(b"null", b"true", b"{}", b"[]", b"\r\n", b"\t", b";", b"|", b"../../x", b"PK\x03\x04"),
    *(b'"', b"id2label", b"class_names", b"filename,label\n", b"IHDR",
      b"\xff\xda\x00\x0c\x03", b"II*\0"),
    *("\u202e".encode(), "\ud83d\ude00".encode("utf-16", "surrogatepass"),
      b"\xef\xbb\xbf", b"=1+1"),
)  # fmt: skip
EXTREMES: tuple[Any, ...] = (
    0, 1, -1, 2, 7, 255, 65536, 2**31 - 1, 2**31, 2**32, 2**53, 2**63, 2**64, 10**30, 10**400,
    0.0, -0.5, 1e-320, 1e308, float("inf"), float("nan"), True, False, None, "", "x", "0", "²",
    "9" * 5000, "a" * 100_000, "\0", [], {}, [[]], [0] * 2000, {"": None}, "../x", "/etc/passwd",
    "local-dir:/etc", "http://127.0.0.1:1/x", "\ud800", ["cat"] * 3, {"0": "a", "1": "a"},
)  # fmt: skip

DTYPES = (
    *("F64", "F16", "BF16", "I8", "U8", "BOOL", "F8_E4M3", "F4", "F6_E2M3", "F8_E8M0", "C64"),
    *("U64", "I64", "X", ""),
)
NAMES = (
    *("../x.png", "/x.png", "", "a" * 3000, "b/" * 200, "x.zip", "C:\\x.png", "é.csv"),
    *("__MACOSX/x", ".x", "cat/\u202ex.png", "<b>.png", "=1.csv"),
)
CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"tRNS", b"PLTE", b"fdAT", b"acTL", b"fcTL")
INSTRUCTIONS = (
    *(b"N", b"]", b"}", b")", b"(", b"0", b"2", b"R", b"b", b"K\xff", b"J\xff\xff\xff\xff"),
    *(b"\x8a\x09" + b"\xff" * 8 + b"\x7f", b"G\x7f\xf0" + b"\0" * 6, b"X\x01\0\0\0x"),
    *(b"I" + b"9" * 5000 + b"\n", b"h\x00", b"\x85", b"\x86", b"\x87", b"Q", b"u", b"e", b"s"),
)


def mutated(data: bytes, others: tuple[bytes, ...], rng: Random) -> bytes:
    """The file with some damage of one to four kinds."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        structured = _structured(data, rng) if rng.random() < 0.6 else None
        data = structured if structured is not None else _blind(data, others, rng)
    return data[: 4 << 20]


def _structured(data: bytes, rng: Random) -> bytes | None:
    """Damage inside of what the file is made of; None where nothing is known of it."""
    try:
        if data[:2] == b"PK":
            return _zip(data, rng)
        if data[:8] == b"\x89PNG\r\n\x1a\n":
            return _png(data, rng)
        if data[8:9] == b"{":
            return _safetensors(data, rng)
        if data[:1] == b"\x80":
            return _pickle(data, rng)
        if data.lstrip()[:1] in (b"{", b"["):
            return _json(data, rng)
        if data.isascii():
            return _text(data, rng)
    except Exception:  # it is damaged already
        return None
    return None


def _blind(data: bytes, others: tuple[bytes, ...], rng: Random) -> bytes:
    at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    kind = rng.randrange(8)
    if kind == 0 and data:
        raw = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 8, 64))):
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        return bytes(raw)
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + data[to:]
    if kind == 3:
        return data[:to] + data[at:to] * rng.choice((1, 2, 50)) + data[to:]
    if kind == 4:
        other = rng.choice(others)
        cut = rng.randrange(len(other) + 1)
        return data[:at] + other[cut : cut + to - at + 1] + data[to:]
    if kind == 5:
        return data[:at] + rng.choice(TOKENS) + data[at:]
    if kind == 6:
        size = rng.choice((1, 2, 4, 8))
        value = rng.choice(
            (0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
        )
        order = rng.choice(("little", "big"))
        return data[:at] + value.to_bytes(size, order) + data[at + size :]
    return data[:at] + rng.randbytes(to - at) + data[to:]


def _text(data: bytes, rng: Random) -> bytes:
    numbers = list(re.finditer(rb"[0-9]+", data))
    if numbers and rng.random() < 0.4:
        found = rng.choice(numbers)
        return data[: found.start()] + rng.choice(TOKENS) + data[found.end() :]
    lines = data.splitlines(keepends=True) or [b""]
    place = rng.randrange(len(lines))
    if rng.random() < 0.5:
        lines[place] *= rng.choice((0, 2, 3000))
    else:
        lines[place] = lines[place].replace(b",", rng.choice(TOKENS))
    return b"".join(lines)


def _json(data: bytes, rng: Random) -> bytes:
    return json.dumps(_tree(json.loads(data), rng)).encode("utf-8", "surrogatepass")


def _tree(root: Any, rng: Random) -> Any:
    """The value with one place in it changed, added, taken away or nested."""
    places: list[tuple[Any, Any]] = []
    waiting = [root]
    while waiting:
        value = waiting.pop()
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            places.append((value, key))
            if isinstance(value[key], dict | list):
                waiting.append(value[key])
    if not places or rng.random() < 0.02:
        return rng.choice(EXTREMES)
    holder, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[str(rng.choice(EXTREMES))[:200] if rng.random() < 0.5 else key + "x"] = holder[key]
    elif kind == 2:
        value = holder[key]
        for _ in range(rng.choice((1, 3, 300))):
            value = [value] if rng.random() < 0.5 else {"a": value}
        holder[key] = value
    elif kind == 3:
        holder[key] = rng.choice(rng.choice(places)[0:1]) if rng.random() < 0.1 else "x"
        if isinstance(holder[key], dict | list):
            holder[key] = json.loads(json.dumps(root)) if not _loops(root) else 0
    else:
        holder[key] = rng.choice(EXTREMES)
    return root


def _loops(value: Any) -> bool:
    try:
        json.dumps(value)
    except (ValueError, RecursionError):
        return True
    return False


def _safetensors(data: bytes, rng: Random) -> bytes:
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    for _ in range(rng.choice((1, 1, 3))):
        if rng.random() < 0.3:
            about = rng.choice([v for v in header.values() if "dtype" in v])
            about["dtype"] = rng.choice(DTYPES)
        else:
            header = _tree(header, rng)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    text += b" " * (-len(text) % 8)
    said = len(text) if rng.random() < 0.9 else rng.choice((0, 1, len(text) + 8, 2**40, 2**63))
    return struct.pack("<Q", said) + text + body


def _png(data: bytes, rng: Random) -> bytes:
    """With checksums that are right again, so that decoders go on."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append([data[at + 4 : at + 8], data[at + 8 : at + 8 + length]])
        at += 12 + length
    place = rng.randrange(len(chunks))
    kind = rng.randrange(4)
    if kind == 0:
        chunks.insert(rng.randrange(len(chunks)), list(rng.choice(chunks)))
    elif kind == 1 and len(chunks) > 1:
        del chunks[place]
    elif kind == 2:
        chunks.insert(1, [rng.choice(CHUNKS), rng.choice(chunks)[1]])
    else:
        chunks[place][1] = _blind(chunks[place][1], (b"\0" * 16,), rng)
    made = [struct.pack(">I", len(body) & 0xFFFFFFFF) + name + body
            + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks]  # fmt: skip
    return data[:8] + b"".join(made)


def _zip(data: bytes, rng: Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [[m.filename, archive.read(m), m.compress_type] for m in archive.infolist()]
    place = rng.randrange(len(members))
    kind = rng.randrange(6)
    if kind == 0:
        members.append(list(rng.choice(members)))
    elif kind == 1 and len(members) > 1:
        del members[place]
    elif kind == 2:
        name = rng.choice(NAMES)
        members[place][0] = name
    elif kind == 3:
        members[place][2] = rng.choice((0, 8, 12, 14))
    else:
        pickles = [m for m in members if m[0].endswith("data.pkl")]
        target = pickles[0] if pickles and rng.random() < 0.8 else members[place]
        target[1] = mutated(target[1], (data,), rng)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        for name, body, method in members:
            made.writestr(zipfile.ZipInfo(name), body, compress_type=method)
    return written.getvalue()


def _pickle(data: bytes, rng: Random) -> bytes:
    """Instructions repeated, left out, exchanged, or with other arguments."""
    starts = [place for _, _, place in pickletools.genops(data) if place is not None]
    end = data.index(b".", starts[-1]) + 1
    parts = [data[a:b] for a, b in zip(starts, [*starts[1:], end], strict=True)]
    for _ in range(rng.choice((1, 1, 2, 5))):
        one, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        kind = rng.randrange(5)
        if kind == 0:
            parts.insert(other, parts[one])
        elif kind == 1 and len(parts) > 1:
            del parts[one]
        elif kind == 2:
            parts[one], parts[other] = parts[other], parts[one]
        elif kind == 3:
            parts.insert(one, rng.choice(INSTRUCTIONS))
        else:
            parts[one] = _blind(parts[one], (data,), rng)
    return b"".join(parts) + data[end:]
