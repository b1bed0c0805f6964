"""A diagnosis as text for the shell, and as sections of the HTML report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from PIL import Image

from attnlib.audit.report import Section
from attnlib.diagnosis.diagnose import Report
from attnlib.diagnosis.finding import Certainty, Finding
from attnlib.pictures.encoding import png_bytes

# Names that a line has room for, and pictures that a section shows.
NAMES, PICTURES, SIDE = 8, 6, 128


def lines(report: Report) -> Iterator[str]:
    """The diagnosis line by line."""
    yield counted(report)
    if not report.findings:
        yield f"Looked for: {', '.join(report.asked) or 'nothing'}."
    for number, finding in enumerate(report.findings, start=1):
        yield ""
        yield f"{number}. [{finding.kind}] {finding.sentence}"
        for title, sentence in parts(finding):
            yield f"   {title}: {sentence}"
    if report.left_out:
        yield ""
    for kind, why in report.left_out.items():
        yield f"Not looked for: {kind}, since {why}."


def counted(report: Report) -> str:
    """How many images, labels, mistakes and findings there are."""
    images = "1 image" if report.images == 1 else f"{report.images} images"
    wrong = "" if not report.labelled else f", of which {report.mistakes} are wrong"
    found = len(report.findings)
    what = "no finding" if not found else "1 finding" if found == 1 else f"{found} findings"
    return f"{images}, {report.labelled} with a label{wrong}: {what}."


def parts(finding: Finding) -> list[tuple[str, str]]:
    """All that a finding says beside its sentence: (what it is, sentence)."""
    found = [("For", one.sentence) for one in finding.evidence]
    found += [("Against", one.sentence) for one in finding.evidence_against]
    found.append(("How sure", certainty(finding.certainty)))
    value = f"{finding.value:.3g}, announced from {finding.threshold:.3g} on"
    found.append(("Value", f"{value} ({finding.threshold_source})."))
    found.append(("What to do", finding.next_steps))
    if finding.images:
        rest = len(finding.images) - NAMES
        more = f" and {rest} more" if rest > 0 else ""
        found.append(("Images", ", ".join(finding.images[:NAMES]) + more))
    return found


def certainty(one: Certainty) -> str:
    """How sure a finding is, in words."""
    said = []
    if one.p_value is not None:
        chance = "less than 0.001" if one.p_value < 0.001 else f"{one.p_value:.2g}"
        said.append(f"the chance of as much by accident is {chance}")
    if one.interval is not None:
        low, high = one.interval
        said.append(f"95 % interval {low:.3g} to {high:.3g}")
    tried = "1 thing" if one.tried == 1 else f"{one.tried} things"
    return f"{'; '.join(said) or 'by construction'}; {tried} tried."


def sections(report: Report, images: Mapping[str, Image.Image]) -> list[Section]:
    """The findings for :func:`attnlib.audit.report.html_report`, with pictures of some images."""
    found = []
    for finding in report.findings:
        named = [name for name in finding.images if name in images][:PICTURES]
        pictures = [(name, _thumbnail(images[name])) for name in named]
        found.append(Section(finding.sentence, parts(finding), pictures))
    return found


def _thumbnail(image: Image.Image) -> bytes:
    """As PNG, at most so large on screen."""
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    return png_bytes(small)


def printable(texts: Sequence[str]) -> str:
    """Lines for a terminal: names come from strangers, and control characters steer it."""
    return "\n".join("".join(c if c.isprintable() else "\ufffd" for c in text) for text in texts)
