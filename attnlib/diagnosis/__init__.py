"""Why is it wrong? Findings in words, with evidence for and against."""

from attnlib.diagnosis.diagnose import Report, diagnose, report
from attnlib.diagnosis.examined import Examined, examine
from attnlib.diagnosis.finder import Finder
from attnlib.diagnosis.finders import FINDERS
from attnlib.diagnosis.finding import Certainty, Evidence, Finding

__all__ = [
    "FINDERS",
    "Certainty",
    "Evidence",
    "Examined",
    "Finder",
    "Finding",
    "Report",
    "diagnose",
    "examine",
    "report",
]
