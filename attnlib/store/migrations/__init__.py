"""How a database of an earlier version becomes one of this version."""

from typing import Final

# The revision of `attnlib.store.tables`.
HEAD: Final = "0002"
