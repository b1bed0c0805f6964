"""Audits of sets that may be larger than memory: shards, parts and the engines that make them."""

from attnlib.audit.runs.manifest import Folder, Manifest
from attnlib.audit.runs.run import Audit, Engine, begin, run
from attnlib.audit.runs.wanted import MAPS, Count, ModelWanted, Wanted

__all__ = [
    "MAPS",
    "Audit",
    "Count",
    "Engine",
    "Folder",
    "Manifest",
    "ModelWanted",
    "Wanted",
    "begin",
    "run",
]
