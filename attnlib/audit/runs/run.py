"""An audit from the question to the parts: what is missing is done, whatever was done before."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow.compute as pc

from attnlib.audit.runs import here, on_ray
from attnlib.audit.runs.manifest import Folder, Manifest, digest
from attnlib.audit.runs.shard import Worker
from attnlib.audit.runs.wanted import Count, ModelWanted, Wanted, versions
from attnlib.data.collection import Sample
from attnlib.data.labels import read_label_table
from attnlib.data.matching import match_labels
from attnlib.data.sets import Entry, ImageSet, open_set
from attnlib.errors import AttnlibError
from attnlib.model.fingerprint import fingerprint
from attnlib.model.vit import Vit


@dataclass(frozen=True)
class Engine:
    """How the shards are done.

    Attributes:
        name: "here" or "ray".
        workers: processes of Ray.
        device: as :func:`attnlib.load` takes it.
        batch_size, decoders: see :class:`attnlib.audit.runs.shard.Worker`.
        gpus: of each process of Ray.
        address: of a Ray cluster; None starts one here.
    """

    name: str = "here"
    workers: int = 1
    device: str = "auto"
    batch_size: int = 32
    decoders: int = 1
    gpus: float = 0.0
    address: str | None = None


@dataclass(frozen=True)
class Audit:
    """An audit that is begun: its folder, what it is of, and the worker where it is loaded here."""

    folder: Folder
    manifest: Manifest
    notes: tuple[str, ...]

    def count(self, before: Count | None = None) -> Count:
        """Of the parts that are there; those that were counted before are not read again."""
        found = before or Count()
        for shard in sorted(self.folder.done() - found.shards):
            _add(found, self.folder, shard)
        return found


def begin(
    model: ModelWanted,
    wanted: Wanted,
    out: str,
    *,
    vit: Vit | None = None,
    images: ImageSet | None = None,
    resume: bool = False,
) -> Audit:
    """Begin an audit, or take one up again that was begun for the same images and model.

    Args:
        out: its folder, of any fsspec file system.
        vit, images: where they are loaded already.
        resume: take one up, and begin none.

    Raises:
        AttnlibError: the folder holds an audit of other images, of another model or another
            question; there is nothing to resume; or a source or model cannot be used.
    """
    folder = Folder(out)
    before = folder.manifest()
    if resume and before is None:
        raise AttnlibError(f"There is no audit in {out} to resume; leave --resume away to begin.")
    vit = model.load() if vit is None else vit
    images = open_set(wanted.source) if images is None else images
    entries = _chosen(_labelled(list(images.entries()), wanted), wanted)
    if not entries:
        raise AttnlibError(f"There is no image in {wanted.source}.")
    manifest = Manifest(
        wanted.to_dict(),
        {
            **asdict(model),
            "class_names": None,
            "outputs": vit.outputs.kind,
            "preprocessing": str(vit.preparation),
            "weights_sha256": fingerprint(vit.module),
        },
        digest(entries),
        tuple(vit.class_names),
        _classes(entries, vit),
        len(entries),
        -(-len(entries) // wanted.shard_size),
        versions(),
    )
    if before is None:
        folder.begin(manifest, entries, wanted.shard_size)
        return Audit(folder, manifest, _notes(manifest, entries))
    changed = before.changes(manifest)
    if changed:
        raise AttnlibError(
            f"The audit in {out} was begun otherwise; changed since: {'; '.join(changed)}. Its "
            "parts and new ones would not belong together: give another folder, or what it was "
            "begun with."
        )
    old = [f"{k} {v} then, {manifest.versions.get(k)} now" for k, v in before.versions.items()
           if v != manifest.versions.get(k)]  # fmt: skip
    notes = (f"It was begun with other versions: {', '.join(old)}.",) if old else ()
    return Audit(folder, before, (*notes, *_notes(manifest, entries)))


def run(
    audit: Audit,
    model: ModelWanted,
    wanted: Wanted,
    engine: Engine,
    step: Callable[[int], None],
    *,
    vit: Vit | None = None,
    images: ImageSet | None = None,
    before: Count | None = None,
) -> Count:
    """Do the shards that are missing.

    Args:
        step: called with the number of images done; what it raises ends the run, and what is
            written stays.
        vit, images: where they are loaded already, for the engine of this process.
        before: what was counted already; those parts are not read again.

    Raises:
        AttnlibError: something cannot be read, run or written.
    """
    audit.folder.tidy()
    missing = sorted(set(range(audit.manifest.shards)) - audit.folder.done())
    make = partial(_worker, model, wanted, audit.manifest, engine)
    if missing and engine.name == "ray":
        on_ray.run(
            make,
            audit.folder,
            missing,
            step,
            workers=engine.workers,
            gpus=engine.gpus,
            address=engine.address,
        )
    elif missing:
        here.run(make(vit, images), audit.folder, missing, step)
    return audit.count(before)


def _worker(
    model: ModelWanted,
    wanted: Wanted,
    manifest: Manifest,
    engine: Engine,
    vit: Vit | None = None,
    images: ImageSet | None = None,
) -> Worker:
    if vit is None:
        vit = model.load(engine.device)
        if fingerprint(vit.module) != manifest.model["weights_sha256"]:
            raise AttnlibError(f"The weights of {model.model} have changed since the audit began.")
    return Worker(
        vit,
        open_set(wanted.source) if images is None else images,
        manifest.classes,
        wanted,
        engine.batch_size,
        engine.decoders,
    )


def _labelled(entries: list[Entry], wanted: Wanted) -> list[Entry]:
    """With the labels of the table that was given beside the source."""
    if not wanted.labels:
        return entries
    try:
        with open(wanted.labels, "rb") as file:
            table = read_label_table(file.read()).labels
    except OSError as error:
        raise AttnlibError(f"{wanted.labels} cannot be read: {error.strerror}.") from error
    found = [
        Entry(
            e.name, table.get(e.name, table.get(os.path.basename(e.name))), e.file, e.place, e.size
        )
        for e in entries
    ]
    if not any(entry.label for entry in found):
        raise AttnlibError(f"No row of {wanted.labels} names an image of {wanted.source}.")
    return found


def _chosen(entries: list[Entry], wanted: Wanted) -> list[Entry]:
    """All, some at random, or some of each label."""
    rng = np.random.default_rng(0)
    count = wanted.limit or wanted.sample
    if count is None or count >= len(entries):
        return entries
    if wanted.limit is not None:
        places = rng.choice(len(entries), count, replace=False)
    else:
        places = _stratified([entry.label or "" for entry in entries], count, rng)
    return [entries[place] for place in sorted(int(place) for place in places)]


def _stratified(
    labels: Sequence[str], count: int, rng: np.random.Generator
) -> np.ndarray[Any, Any]:
    """Places, of each label its share of ``count`` (largest remainders), at least one."""
    order = rng.permutation(len(labels))
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    sizes = np.bincount(codes, minlength=len(names))
    shares = sizes * count / sizes.sum()
    quota = np.minimum(np.maximum(np.floor(shares).astype(int), 1), sizes)
    for place in np.argsort(-(shares - np.floor(shares)), kind="stable"):
        if quota.sum() >= count:
            break
        # One that has its first only by being the least of a label is no remainder any longer.
        quota[place] += quota[place] < sizes[place] and quota[place] <= shares[place]
    taken = np.zeros(len(names), dtype=int)
    found = []
    for place in order:
        if taken[codes[place]] < quota[codes[place]]:
            taken[codes[place]] += 1
            found.append(place)
    return np.asarray(found)


def _classes(entries: Sequence[Entry], vit: Vit) -> dict[str, int]:
    """The class that each label text means, of those that mean one."""
    texts = sorted({entry.label for entry in entries if entry.label})
    if not texts or not vit.outputs.classifies:
        return {}
    samples = [Sample(str(i), b"", "", text) for i, text in enumerate(texts)]
    labels = match_labels(samples, None, vit.class_names).labels
    return {texts[int(name)]: index for name, index in labels.items()}


def _notes(manifest: Manifest, entries: Sequence[Entry]) -> tuple[str, ...]:
    unknown = {e.label for e in entries if e.label and e.label not in manifest.classes}
    if not unknown:
        return ()
    shown = ", ".join(repr(text) for text in sorted(unknown)[:3])
    return (f"{len(unknown)} labels are no class of the model, {shown} for one.",)


def _add(count: Count, folder: Folder, shard: int) -> None:
    part = folder.part(shard, ["label_index", "predicted_index", "error"])
    known = pc.is_valid(part["label_index"])
    right = pc.equal(part["label_index"], part["predicted_index"])
    count.shards.add(shard)
    count.images += part.num_rows
    count.refused += part.num_rows - part["error"].null_count
    count.labelled += pc.sum(pc.and_(known, pc.is_valid(part["predicted_index"]))).as_py() or 0
    count.right += pc.sum(right).as_py() or 0
