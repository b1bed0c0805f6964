"""Numbers as people read them."""

from __future__ import annotations

_SI = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def si(value: float, unit: str = "") -> str:
    """``17_563_828_224`` as ``"17.56 G"``; small whole numbers stay as they are."""
    for factor, prefix in _SI:
        if abs(value) >= factor and (factor > 1e3 or abs(value) >= 1e4):
            return f"{_digits(value / factor)} {prefix}{unit}".rstrip()
    shown = f"{value:,}" if isinstance(value, int) else _digits(value)
    return f"{shown} {unit}".rstrip()


def memory(value: float) -> str:
    """Bytes as ``"12.3 MiB"``."""
    for factor, unit in _BINARY:
        if abs(value) >= factor:
            return f"{_digits(value / factor)} {unit}"
    return f"{value:.0f} B"


def duration(seconds: float) -> str:
    """``0.0123`` as ``"12.3 ms"``."""
    if seconds >= 1:
        return f"{_digits(seconds)} s"
    return f"{_digits(1e3 * seconds)} ms" if seconds >= 1e-3 else f"{_digits(1e6 * seconds)} µs"


def times(ratio: float) -> str:
    """A ratio, with more digits near and below one."""
    return f"× {ratio:.2f}" if ratio >= 0.095 else f"× {ratio:.2g}"


def _digits(value: float) -> str:
    """Four significant digits, never in exponents; thousands are set apart."""
    size = abs(value)
    places = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 3
    return f"{value:,.{places}f}"
