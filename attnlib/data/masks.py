"""Masks and annotations that come with images: which belongs to which, kept by image."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image

from attnlib.data import annotation
from attnlib.data.annotation import Coco
from attnlib.data.collection import Refusal, Sample
from attnlib.data.image import HEAD_BYTES, decode, sha256, sniff
from attnlib.errors import AttnlibError

# A mask is a picture of few colours; a PNG of this size is none.
MAX_MASK_BYTES = 8 * 2**20
MAX_MASKS_BYTES = 64 * 2**20
# What tools add to an image's name for its mask.
SUFFIXES = ("_mask", "-mask", ".mask", "_segmentation", "-segmentation", "_seg", "-seg")
# And how they call the folder of masks beside that of the images.  Not "mask": data sets of faces
# have a class of that name.
FOLDERS = ("masks", "annotations", "segmentations", "segmentationclass", "segmentationobject")
# What a mask's pixels are: labels. A colour picture in such a folder is taken for an image.
_LABEL_MODES = ("1", "L", "P", "LA", "I", "I;16")


@dataclass
class Objects:
    """What one visitor said of where the objects are.

    Attributes:
        masks: PNG bytes by the SHA-256 of the image, so that the same picture finds its mask
            again under another name.
        coco: annotations of the loaded images, and the digest of their file.
        problems: files that could not be used, and why.
    """

    masks: dict[str, bytes] = field(default_factory=dict)
    coco: tuple[str, Coco] | None = None
    problems: list[Refusal] = field(default_factory=list)


def set_apart(samples: Sequence[Sample]) -> tuple[tuple[Sample, ...], dict[str, bytes]]:
    """Images, and the masks among them: PNG bytes by the SHA-256 of the image they belong to.

    A mask is a PNG named after one other image, with a suffix such as ``_mask`` in the same
    folder or a neighbouring one, or in a folder such as ``masks`` beside it.  Images that have
    one carry a note that says so.
    """
    masks: dict[str, bytes] = {}
    taken: set[str] = set()
    owners: set[str] = set()
    candidates = [sample for sample in samples if _is_mask(sample)]
    pictures = _Pictures(samples, {sample.name for sample in candidates})
    for sample in candidates:
        fits = pictures.near(sample)
        if len(fits) == 1 and len(sample.data) <= MAX_MASK_BYTES:
            masks[fits[0].sha256] = sample.data
            taken.add(sample.name)
            owners.add(fits[0].name)
    kept = tuple(
        replace(s, note=f"{s.note} With a mask.".strip()) if s.name in owners else s
        for s in samples
        if s.name not in taken
    )
    return kept, masks


def read(
    files: Iterable[tuple[str, bytes]],
    samples: Iterable[Sample],
    chosen: Sample | None,
    before: Objects,
) -> Objects:
    """What was there before, and what these files add; problems become refusals.

    A PNG belongs to the image of the same name, with or without a suffix such as ``_mask``; one
    that fits no name belongs to the chosen image if it comes alone. A JSON file is COCO's.
    """
    files, samples = tuple(files), tuple(samples)
    after = Objects(dict(before.masks), before.coco)
    masks = [name for name, _ in files if not name.lower().endswith(".json")]
    by_stem: dict[str, list[Sample]] = {}
    for sample in samples:
        by_stem.setdefault(_stem(sample.name), []).append(sample)
    held = sum(map(len, after.masks.values()))
    for name, data in files:
        try:
            if name.lower().endswith(".json"):
                after.coco = (sha256(data), _only(annotation.read_coco(data), samples))
                continue
            fits = by_stem.get(_bare(name), [])
            owner = fits[0] if len(fits) == 1 else chosen if len(masks) == 1 else None
            if owner is None:
                raise AttnlibError("no loaded image has this name.")
            held += len(data) - len(after.masks.get(owner.sha256, b""))
            try:
                _add(after, owner, data, held)
            except AttnlibError:
                held -= len(data) - len(after.masks.get(owner.sha256, b""))
                raise
        except AttnlibError as error:
            after.problems.append(Refusal(name, str(error)))
    return after


def _add(after: Objects, sample: Sample, data: bytes, held: int) -> None:
    """Keep a mask; ``held`` bytes are all of them then."""
    if len(data) > MAX_MASK_BYTES:
        raise AttnlibError(f"a mask may have {MAX_MASK_BYTES // 2**20} MiB at most.")
    if held > MAX_MASKS_BYTES:
        raise AttnlibError(f"all masks together may have {MAX_MASKS_BYTES // 2**20} MiB.")
    annotation.read_mask(data, decode(sample.data).size)
    after.masks[sample.sha256] = data


def _only(coco: Coco, samples: tuple[Sample, ...]) -> Coco:
    """The annotations of the loaded images; a session must not hold those of a whole data set."""
    names = {part for s in samples for part in (s.name, posixpath.basename(s.name))}
    sizes = {name: size for name, size in coco.sizes.items() if name in names}
    if not sizes:
        raise AttnlibError("none of its images is loaded here.")
    return Coco(sizes, {name: coco.objects[name] for name in sizes if name in coco.objects})


def _is_mask(sample: Sample) -> bool:
    named = _stem(sample.name).lower().endswith(SUFFIXES)
    folder = posixpath.basename(posixpath.dirname(sample.name)).lower()
    # Few files are called like masks: those alone are read.
    if not named and folder not in FOLDERS:
        return False
    # By its bytes: what a name ends in says nothing of them.
    if sniff(sample.data[:HEAD_BYTES]) != "PNG":
        return False
    if named:
        return True
    # The header alone says what the pixels are; that it can be read was seen at the upload.
    with Image.open(io.BytesIO(sample.data), formats=("PNG",)) as opened:
        return opened.mode in _LABEL_MODES


class _Pictures:
    """Images by their stem and folder, so that each mask looks at two of them at most."""

    def __init__(self, samples: Iterable[Sample], masks: Container[str]) -> None:
        self._in: dict[tuple[str, str], list[Sample]] = {}
        self._under: dict[tuple[str, str], list[Sample]] = {}
        for sample in samples:
            if sample.name not in masks:
                stem, folder = _stem(sample.name), posixpath.dirname(sample.name)
                self._in.setdefault((stem, folder), []).append(sample)
                self._under.setdefault((stem, posixpath.dirname(folder)), []).append(sample)

    def near(self, mask: Sample) -> list[Sample]:
        """Up to two images in its folder, in a neighbouring one, or one folder higher."""
        stem, place = _bare(mask.name), posixpath.dirname(mask.name)
        above = posixpath.dirname(place)
        groups = (
            self._in.get((stem, place)),
            self._in.get((stem, above)),
            self._under.get((stem, above)),
        )
        return list({s.name: s for group in groups for s in (group or [])[:2]}.values())[:2]


def _stem(name: str) -> str:
    return posixpath.splitext(posixpath.basename(name))[0]


def _bare(name: str) -> str:
    """The stem without the suffix of a mask."""
    stem = _stem(name)
    for suffix in SUFFIXES:
        if stem.lower().endswith(suffix):
            return stem[: -len(suffix)]
    return stem
