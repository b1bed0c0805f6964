"""``attnlib audit SOURCE --out FOLDER``: what a model says of every image of a large set."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from attnlib.audit import runs
from attnlib.audit.numbers import wilson
from attnlib.audit.runs import MAPS, Audit, Count, Engine, ModelWanted, Wanted, begin, heap
from attnlib.capture.passes import PRECISIONS
from attnlib.commands import models
from attnlib.data.image import DECODINGS
from attnlib.diagnosis.words import printable
from attnlib.errors import AttnlibError

HELP = "run a model over a set of images of any size, into a folder that can be taken up again"
REFUSED = 3
# Seconds between two lines of progress.
EVERY = 5.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "Started again on the same folder it does what is missing. Ends with 0, with 3 if images "
        "were refused (each is a row that says why), with 2 if something cannot be read, run or "
        "written, with 130 if it was interrupted. The columns of the parts are described in "
        "attnlib.audit.runs.schema."
    )
    parser.add_argument(
        "source",
        help="a folder, zip, tars, Parquet files or a CSV of paths; any fsspec URL; {000..999} "
        "and * name several",
    )
    parser.add_argument("--out", required=True, help="the audit's folder: a path or fsspec URL")
    models.arguments(parser)
    parser.add_argument("--labels", type=Path, help="a CSV file of file names and labels")
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--limit", type=int, help="at most so many images, drawn at random")
    many.add_argument("--sample", type=int, help="so many images, of each label its share")
    parser.add_argument("--resume", action="store_true", help="take an audit up, begin none")
    parser.add_argument("--top", type=int, default=5, help="likeliest classes that are kept")
    parser.add_argument("--probabilities", action="store_true", help="keep those of all classes")
    parser.add_argument("--maps", nargs="+", choices=MAPS, default=[], help="maps that are kept")
    parser.add_argument("--decoding", choices=DECODINGS, default="upright")
    parser.add_argument("--shard-size", type=int, default=1024, help="images in a part")
    parser.add_argument("--engine", choices=("here", "ray"), default="here")
    parser.add_argument("--workers", type=int, default=1, help="processes, with --engine ray")
    parser.add_argument("--gpus", type=float, default=0.0, help="of each of them")
    parser.add_argument("--address", help="of a Ray cluster")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--decoders", type=int, default=1, help="threads that decode")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(given: argparse.Namespace) -> int:
    """Do what is missing and print a summary; the code to end with.

    Raises:
        AttnlibError: see :func:`attnlib.audit.runs.begin` and :func:`attnlib.audit.runs.run`.
    """
    for name in ("workers", "batch_size", "decoders"):
        if getattr(given, name) < 1:
            raise AttnlibError(f"--{name.replace('_', '-')} must be at least 1.")
    names = models.class_names(given)
    model = ModelWanted(
        given.model,
        given.checkpoint,
        given.weights,
        given.outputs,
        None if names is None else tuple(names),
        given.precision,
    )
    wanted = Wanted(
        given.source,
        "" if given.labels is None else str(given.labels),
        given.limit,
        given.sample,
        given.top,
        given.probabilities,
        tuple(given.maps),
        given.decoding,
        given.shard_size,
    )
    engine = Engine(
        given.engine,
        given.workers,
        given.device,
        given.batch_size,
        given.decoders,
        given.gpus,
        given.address,
    )
    heap.keep()
    vit = model.load(given.device)
    audit = begin(model, wanted, given.out, vit=vit, resume=given.resume)
    for note in (*vit.notes, *audit.notes):
        print(printable([f"note: {note}"]), file=sys.stderr)
    progress = Progress(audit)
    try:
        count = runs.run(audit, model, wanted, engine, progress, vit=vit)
    except KeyboardInterrupt:
        print(
            f"\nStopped; what is done is kept. Start it again to go on: {given.out}",
            file=sys.stderr,
        )
        raise
    progress.end()
    print(printable(_json(audit, count) if given.json else [summary(audit, count)]))
    return REFUSED if count.refused else 0


class Progress:
    """Rate, time left and running accuracy, as a line on standard error now and then."""

    def __init__(self, audit: Audit) -> None:
        self._audit, self._began = audit, time.monotonic()
        self._count = audit.count()
        self._before, self._done = self._count.images, 0
        self._said = self._began
        if self._before:
            print(f"{self._before} of {audit.manifest.images} are there already", file=sys.stderr)

    def __call__(self, images: int) -> None:
        self._done += images
        now = time.monotonic()
        if now - self._said >= EVERY:
            self._said = now
            print(self.line(now - self._began), file=sys.stderr)

    def line(self, seconds: float) -> str:
        """What is done after so many seconds."""
        total, done = self._audit.manifest.images, self._before + self._done
        rate = self._done / max(seconds, 1e-9)
        left = (total - done) / rate if rate else float("inf")
        count = self._count = self._audit.count(self._count)
        right = f", accuracy {count.right / count.labelled:.1%} so far" if count.labelled else ""
        return f"{done} of {total} images, {rate:.1f} a second, {_time(left)} left{right}"

    def end(self) -> None:
        """The last line."""
        seconds = time.monotonic() - self._began
        if self._done:
            print(f"{self._done} images in {_time(seconds)}", file=sys.stderr)


def summary(audit: Audit, count: Count) -> str:
    """The end of an audit in words."""
    said = [f"{count.images} images in {audit.folder.url}"]
    if count.labelled:
        low, high = wilson(count.right, count.labelled)
        said.append(
            f"{count.labelled - count.right} of {count.labelled} wrong: accuracy "
            f"{count.right / count.labelled:.1%} (95 %: {low:.1%} to {high:.1%})"
        )
    if count.refused:
        said.append(f"{count.refused} refused: see the column “error”")
    return "; ".join(said)


def _json(audit: Audit, count: Count) -> list[str]:
    found: dict[str, Any] = {
        "out": audit.folder.url,
        "images": count.images,
        "refused": count.refused,
        "labelled": count.labelled,
        "right": count.right,
        "accuracy": count.right / count.labelled if count.labelled else None,
        "shards": audit.manifest.shards,
        "model": audit.manifest.model,
    }
    return json.dumps(found, indent=1).splitlines()


def _time(seconds: float) -> str:
    if seconds == float("inf"):
        return "unknown time"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
