"""Everything that reads what a person brings, as one call of some bytes.

Each raises the library's own errors alone, whatever the bytes are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

import attnlib
from attnlib.complexity import ArchitectureError
from attnlib.dashboard.cost import configuration
from attnlib.dashboard.parts import checkpoint_form, codecs
from attnlib.data import annotation, image, labels, masks
from attnlib.data.collection import Sample, collect
from attnlib.data.near import near
from attnlib.errors import AttnlibError
from attnlib.model import checkpoint
from attnlib.model.build import build
from attnlib.model.checkpoint.moment import moment
from tests.fuzz import seeds

CLASSES = ("cat", "dog", "bird, fowl")


@dataclass(frozen=True)
class Target:
    """One way in.

    Attributes:
        seeds: valid files for it.
        call: raises nothing but AttnlibError.
        weight: how often it is tried, beside the others.
        takes: whether it takes its seeds.
    """

    seeds: Callable[[], tuple[bytes, ...]]
    call: Callable[[bytes], object]
    weight: int = 4
    takes: bool = True


def _image(data: bytes) -> None:
    image.check(data)
    for decoding, channels in (("upright", 3), ("as loaded", 1), ("upright", 4)):
        image.read(data, decoding, channels)  # type: ignore[arg-type]


def _collected(name: str) -> Callable[[bytes], None]:
    def call(data: bytes) -> None:
        found = collect([(name, data), ("cat/x.png", seeds.images()[0])])
        kept, _ = masks.set_apart(found.samples)
        tables = []
        for _, table in found.tables:
            try:
                tables.append(labels.read_label_table(table))
            except AttnlibError:
                continue
        joined = labels.LabelTable.joined(tables, ())
        for several in (False, True):
            labels.match_labels(kept, joined, CLASSES, several=several)
        masks.read(found.annotations, kept, None, masks.Objects())

    return call


def _table(data: bytes) -> None:
    table = labels.read_label_table(data)
    samples = [Sample(name, b"", name, name) for name in ("a.png", "b/c.png", "cat/1.jpg")]
    for several in (False, True):
        found = labels.match_labels(samples, table, CLASSES, several=several)
        near(found.unknown_names, CLASSES)


def _mask(data: bytes) -> None:
    masks.read([("a_mask.png", data)], [Sample("a.png", seeds.images()[0], "0", None)], None,
               masks.Objects())  # fmt: skip
    annotation.read_mask(data, (24, 18))


def _coco(data: bytes) -> None:
    found = annotation.read_coco(data)
    for name, size in list(found.sizes.items())[:5]:
        if 0 < size[0] * size[1] <= image.MAX_PIXELS and min(size) > 0:
            found.mask(name, size)


def _names(data: bytes) -> None:
    names = labels.read_class_names(data, "x.json" if data[:1] in (b"[", b"{") else "x.txt")
    labels.resolve_class("cat", names)
    near(["catt"], names)


def _checkpoint(data: bytes) -> None:
    moment("epoch=3.pth", data)
    weights = checkpoint.read(data)
    _built(weights)


def _built(weights: checkpoint.Weights) -> None:
    build(
        seeds.ARCHITECTURE,
        checkpoint=weights,
        weights=None,
        num_classes=None,
        img_size=32,
        pretrained=None,
        model_args={"depth": 1, "embed_dim": 12, "num_heads": 1},
        class_count=None,
    )


def _auto(data: bytes) -> None:
    attnlib.load("auto", checkpoint=data, device="cpu")


def _folder(**files: bytes) -> None:
    names = {"config": "config.json", "weights": "model.safetensors",
             "processor": "preprocessor_config.json"}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for kind, data in files.items():
            (Path(folder) / names[kind]).write_bytes(data)
        attnlib.load(folder, device="cpu")


def _config(data: bytes) -> None:
    _folder(config=data, weights=seeds.transformers_weights(), processor=seeds.PROCESSOR)


def _timm_config(data: bytes) -> None:
    _folder(config=data, weights=seeds.checkpoints()[0])


def _processor(data: bytes) -> None:
    _folder(config=seeds.CONFIG, weights=seeds.transformers_weights(), processor=data)


def _words(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for codec in (codecs.Number(0, 9), codecs.Number(0.0, 9.0), codecs.YesNo(), codecs.Text(),
                  codecs.Decimals(), codecs.Size(), codecs.OneOf(["a", "b"])):  # fmt: skip
        for texts in ([text], [text, text], []):
            try:
                codec.read(texts)
            except ValueError as refused:  # what codecs raise by contract
                assert str(refused), "a refusal without words"
    for parse in (checkpoint_form.parse_size, checkpoint_form.parse_options):
        try:
            parse(text)
        except AttnlibError:
            continue
    found = configuration.decode(text)
    configuration.resolve(found, torch.nn.Identity(), "x")
    try:
        configuration.architecture(found, torch.nn.Identity())
    except ArchitectureError:
        return


def _fixed(*data: bytes) -> Callable[[], tuple[bytes, ...]]:
    return lambda: data


TARGETS: dict[str, Target] = {
    "image": Target(seeds.images, _image, 8),
    "zip": Target(seeds.archives, _collected("x.zip"), 8),
    "files": Target(seeds.images, _collected("cat/a.png"), 2),
    "table": Target(_fixed(*seeds.TABLES), _table, 8),
    "mask": Target(seeds.masks, _mask, 4),
    "coco": Target(_fixed(seeds.COCO), _coco, 6),
    "names": Target(_fixed(*seeds.NAMES), _names, 8),
    "checkpoint": Target(seeds.checkpoints, _checkpoint, 10),
    "auto": Target(seeds.checkpoints, _auto, 1, takes=False),
    "config": Target(_fixed(seeds.CONFIG), _config, 2),
    "timm config": Target(_fixed(seeds.TIMM_CONFIG), _timm_config, 2),
    "processor": Target(_fixed(seeds.PROCESSOR), _processor, 2),
    "words": Target(_fixed(*seeds.WORDS), _words, 4),
}
