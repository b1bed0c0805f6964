"""What the garbage collector looks at: not at what never dies, but at all that visitors leave."""

from __future__ import annotations

import atexit
import gc
import threading
import time

# Seconds after which what became garbage out of the collector's sight is found all the same.
EVERY_S = 300.0


def settle() -> None:
    """Collect what is garbage, and move all that lives out of the collector's sight.

    Streamlit collects garbage after every run; with torch loaded that takes a third of a second
    each time unless the objects that will never die are frozen. Frozen with them are those of the
    visitors who are here: only thawing them lets a session that ended be found.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def keep_settled() -> None:
    """Settle now and every few minutes, until the process ends."""
    settle()
    threading.Thread(target=_often, name="garbage", daemon=True).start()
    # Extensions that look for leaks when the process ends would report all that is frozen.
    atexit.register(gc.unfreeze)


def _often() -> None:
    while True:
        time.sleep(EVERY_S)
        settle()
