"""The names of a model's classes, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from timm.data import ImageNetInfo, infer_imagenet_subset
from torch import nn

from attnlib.capture.outputs import Outputs
from attnlib.data import labels

if TYPE_CHECKING:
    from attnlib.model.built import Built


@dataclass(frozen=True)
class ClassNames:
    """One name per class.

    Attributes:
        names: in the order of the classes.
        source: where they come from, in words.
    """

    names: tuple[str, ...]
    source: str


def names_of(
    module: nn.Module, built: Built, outputs: Outputs, logits: int, given: Sequence[str] | None
) -> ClassNames:
    """Those given, else those that came with the model, else ImageNet's, else numbers.

    Raises:
        LabelError: their number is not that of the classes.
    """
    count = outputs.names(logits)
    if given is not None:
        labels.check_class_count(given, count)
        return ClassNames(tuple(given), "given by you")
    if built.class_names is not None:
        labels.check_class_count(built.class_names, count)
        return ClassNames(built.class_names, built.names_source)
    table = getattr(getattr(module, "config", None), "id2label", None)
    if isinstance(table, Mapping) and len(table) == count:
        return ClassNames(tuple(str(table[i]) for i in sorted(table)), "the model's id2label")
    brought = (getattr(module, "pretrained_cfg", None) or {}).get("label_names")
    if brought and len(brought) == count:
        return ClassNames(tuple(str(name) for name in brought), "timm's configuration")
    known = imagenet_names(count)
    if known is not None:
        return ClassNames(known, "ImageNet's classes, which are as many")
    return ClassNames(default_names(count), "numbers: the model brings no names")


@lru_cache(maxsize=8)
def imagenet_names(num_classes: int) -> tuple[str, ...] | None:
    """Names for a classifier over an ImageNet label set, told by its size; None if none fits."""
    subset = infer_imagenet_subset({"num_classes": num_classes})
    if subset is None:
        return None
    info = ImageNetInfo(subset)
    return tuple(info.index_to_description(i) for i in range(num_classes))


def default_names(num_classes: int) -> tuple[str, ...]:
    """``class 0``, ``class 1``, … for a model that comes without names."""
    return tuple(f"class {i}" for i in range(num_classes))
