"""Results of other tools: what an evaluation said of each image, read, checked and handed out.

>>> raw = read(at("predictions.csv"))  # a table as it came
>>> found = recognise(raw)  # what each column is taken for: a proposal
>>> results = take(raw, found)  # checked
"""

from attnlib.data.results.files import Files, at, given
from attnlib.data.results.raw import Raw, Reader, Writer
from attnlib.data.results.reading import KNOWN, READERS, WRITERS, read, write
from attnlib.data.results.recognised import Option, Recognised, recognise
from attnlib.data.results.roles import MEANING, ROLES, Role
from attnlib.data.results.shares import NotShares
from attnlib.data.results.table import Results
from attnlib.data.results.taken import take

__all__ = [
    "KNOWN",
    "MEANING",
    "READERS",
    "ROLES",
    "WRITERS",
    "Files",
    "NotShares",
    "Option",
    "Raw",
    "Reader",
    "Recognised",
    "Results",
    "Role",
    "Writer",
    "at",
    "given",
    "read",
    "recognise",
    "take",
    "write",
]
