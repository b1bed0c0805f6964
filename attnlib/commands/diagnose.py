"""``attnlib diagnose SOURCE``: what is wrong with a model on some images, in words."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path

import attnlib
from attnlib import audit
from attnlib.audit.report import ReportEntry, html_report
from attnlib.capture.passes import PRECISIONS
from attnlib.commands import files, models, sources
from attnlib.data.annotation import read_coco
from attnlib.diagnosis import FINDERS, Examined, Report, examine, report
from attnlib.diagnosis.words import lines, printable, sections
from attnlib.diagnosis.written import as_json
from attnlib.errors import AttnlibError
from attnlib.pictures.encoding import png_bytes

HELP = "say what is wrong with a model on some images, with evidence"
FOUND = 3
# Mistakes in the HTML report, the most confident first, and their pictures' longest side.
ENTRIES, SIDE = 60, 264


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Ends with 0 if there is no finding, with 3 if there are some, and with 2 if something "
        "cannot be read or run. Labels are the folders' names, or a table's; masks are PNG files "
        "beside the images (cat_mask.png, or a folder “masks”), or come with --coco."
    )
    parser.add_argument(
        "source", help="a folder, a zip or an image; demo or demo-objects: embedded images"
    )
    models.arguments(parser)
    parser.add_argument("--labels", type=Path, help="a CSV file of file names and labels")
    parser.add_argument("--coco", type=Path, help="COCO annotations (JSON): where the objects are")
    parser.add_argument("--kinds", nargs="+", choices=tuple(FINDERS), help="what to look for")
    parser.add_argument("--limit", type=int, help="at most so many images, drawn at random")
    parser.add_argument("--json", type=Path, help="write the findings as JSON into this file")
    parser.add_argument("--html", type=Path, help="write a report with pictures into this file")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")


def run(given: argparse.Namespace) -> int:
    """Print the findings; the code to end with.

    Raises:
        AttnlibError: the images, the labels or the model cannot be used, or a file not written.
    """
    if given.limit is not None and given.limit < 1:
        raise AttnlibError(f"--limit must be at least 1 image, not {given.limit}.")
    vit = attnlib.load(
        given.model,
        checkpoint=given.checkpoint,
        weights=given.weights,
        outputs=given.outputs,
        class_names=models.class_names(given),
        device=given.device,
        precision=given.precision,
    )
    coco = None if given.coco is None else read_coco(files.read(given.coco))
    source = sources.read(given.source, given.labels, vit, given.limit, coco)
    for note in (*vit.notes, *source.notes):
        print(printable([f"note: {note}"]), file=sys.stderr)
    examined = examine(vit, source.images, source.labels, source.masks)
    wanted = [one for kind, one in FINDERS.items() if given.kinds is None or kind in given.kinds]
    found = report(examined, wanted)
    print(printable([f"{vit.name} on {given.source}", *lines(found)]))
    if given.json is not None:
        _write(given.json, f"{as_json(found)}\n")
    if given.html is not None:
        _write(given.html, page(examined, found, f"Diagnosis of {given.source}"))
    return FOUND if found.findings else 0


def page(examined: Examined, found: Report, title: str) -> str:
    """The report with the findings, and the mistakes, as one HTML page."""
    vit = examined.vit
    predictions = [
        audit.Prediction(
            name,
            int(label) if label >= 0 else None,
            record.probabilities,
            float(record.entropy.mean()) if record.entropy.size else float("nan"),
            vit.outputs.kind,
        )
        for name, label, record in zip(
            examined.names, examined.labels, examined.records, strict=True
        )
    ]
    images = dict(zip(examined.names, examined.images, strict=True))
    wrong = sorted((p for p in predictions if p.wrong), key=lambda p: -p.confidence)
    entries = []
    for one in wrong[:ENTRIES]:
        picture = images[one.name].convert("RGB")
        picture.thumbnail((SIDE, SIDE))
        top = [(examined.class_name(index), share) for index, share in one.top(5)]
        true = examined.class_name(one.label or 0)
        said = examined.class_name(one.predicted)
        entries.append(ReportEntry(one.name, true, said, top, [("image", png_bytes(picture))]))
    return html_report(
        title,
        vit.name,
        audit.summarise(audit.predictions(predictions, vit.class_names)),
        entries,
        datetime.now().astimezone(),
        vit.outputs,
        sections=sections(found, images),
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise AttnlibError(f"{path} cannot be written: {error.strerror}.") from error
