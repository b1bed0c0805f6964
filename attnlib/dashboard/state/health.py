"""What must work before this server takes visitors: checks by name."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

# Raises where the thing does not work.
Check = Callable[[], object]

_CHECKS: dict[str, Check] = {}
_LOCK = threading.Lock()


def register(name: str, check: Check) -> None:
    """Ask this from now on, too. A check that is there by this name is replaced."""
    with _LOCK:
        _CHECKS[name] = check


def unready() -> list[str]:
    """Names of the checks that fail now; why, the log says."""
    with _LOCK:
        checks = dict(_CHECKS)
    return [name for name, check in checks.items() if not _works(name, check)]


def _works(name: str, check: Check) -> bool:
    try:
        check()
    except Exception as error:
        log.warning("The check of the %s fails: %s", name, error)
        return False
    return True
