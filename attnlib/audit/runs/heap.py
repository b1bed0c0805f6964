"""Memory that one pass frees, kept for the next."""

from __future__ import annotations

import ctypes
import sys

# Parameters of glibc's mallopt, and the largest size that it takes here.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST = 1 << 30


def keep() -> bool:
    """Let this process keep what it frees, up to what it needed at once; whether it does.

    glibc gives large blocks back and takes them again page by page, in every layer of every
    pass: up to a tenth of an audit's time. Only for processes that do nothing else: they stay as
    large as they once were. Elsewhere than on Linux with glibc nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(name, _MOST) == 1 for name in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))
