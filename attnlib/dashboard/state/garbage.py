"""What the garbage collector looks at: not at what never dies, but at all that visitors leave."""

from __future__ import annotations

import atexit
import gc
import threading
import time

# Seconds between two collections of what visitors leave, and after which what became garbage out
# of the collector's sight is found all the same.
SOON_S, EVERY_S = 15.0, 300.0


def settle() -> None:
    """Collect what is garbage, and move all that lives out of the collector's sight.

    With torch loaded a collection takes a third of a second, in which nobody gets an answer, unless
    the objects that will never die are frozen. Frozen with them are those of the visitors who are
    here: only thawing them lets a session that ended be found.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def keep_settled() -> None:
    """Settle now and every few minutes, and collect in between, until the process ends.

    In the place of Streamlit's own collection after each run (``runner.postScriptGC``), which
    thirty people's clicks would make twenty times a second.
    """
    settle()
    threading.Thread(target=_often, name="garbage", daemon=True).start()
    # Extensions that look for leaks when the process ends would report all that is frozen.
    atexit.register(gc.unfreeze)


def _often() -> None:
    while True:
        for _ in range(round(EVERY_S / SOON_S)):
            time.sleep(SOON_S)
            gc.collect()
        settle()
