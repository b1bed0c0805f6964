"""The names of a model's classes, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

import timm
from timm.data import ImageNetInfo, infer_imagenet_subset
from torch import nn

from attnlib.capture.outputs import Outputs
from attnlib.data import labels
from attnlib.errors import LabelError

if TYPE_CHECKING:
    from attnlib.model.built import Built


# What transformers writes where nobody named the classes.
_UNNAMED = re.compile(r"LABEL_[0-9]+", re.ASCII)
# In names of weights of timm and of the hub.
_TRAINED_ON_IMAGENET = re.compile(r"in1k|in12k|in21k|in22k|imagenet", re.IGNORECASE)
_TITLES = {"imagenet-1k": "ImageNet-1k", "imagenet-12k": "ImageNet-12k"}
IMAGENET: Final = "imagenet"


@dataclass(frozen=True)
class ClassNames:
    """One name per class.

    Attributes:
        names: in the order of the classes.
        source: where they come from, in words.
        question: what only a person can say, as a question; "" where nothing is open.
        numbered: whether they are mere numbers, since nothing names the classes.
    """

    names: tuple[str, ...]
    source: str
    question: str = ""
    numbered: bool = False


def names_of(
    module: nn.Module,
    built: Built,
    outputs: Outputs,
    logits: int,
    given: Sequence[str] | Literal["imagenet"] | None,
) -> ClassNames:
    """Those given, else those that came with the model, else numbers.

    ImageNet's are given to weights that are known to come from it. To others with as many classes
    they are not: their ``question`` asks.

    Args:
        given: one name per class, or ``"imagenet"`` for those of the label set of this size.

    Raises:
        LabelError: their number is not that of the classes.
    """
    count = outputs.names(logits)
    if given is not None and given != IMAGENET:
        named = _both(tuple(given), outputs)
        labels.check_class_count(named, count)
        return ClassNames(named, "given by you")
    known = imagenet_names(count)
    if given == IMAGENET:
        if known is None:
            raise LabelError(
                f"None of ImageNet's label sets has {count} classes: give the names of the classes "
                "themselves."
            )
        return ClassNames(known, "ImageNet's, said by you")
    if built.class_names is not None:
        named = _both(built.class_names, outputs)
        labels.check_class_count(named, count)
        return ClassNames(named, built.names_source)
    for size in dict.fromkeys((count, logits)):
        brought = _id2label(module, size) or _label_names(module, size)
        if brought is not None:
            return replace(brought, names=_both(brought.names, outputs))
    if known is not None and built.imagenet and outputs.kind == "classes":
        return ClassNames(known, built.imagenet)
    numbers = "numbers: the model brings no names"
    question = ""
    if known is not None and outputs.kind == "classes":
        question = f"This model has as many classes as {_title(count)}: use its names?"
    plain = default_names(count) if outputs.classifies else output_names(count)
    return ClassNames(plain, numbers, question, numbered=outputs.classifies)


def _both(names: tuple[str, ...], outputs: Outputs) -> tuple[str, ...]:
    """The names of both classes of one logit, of which often the second alone has one."""
    if outputs.kind == "binary" and len(names) == 1:
        return (f"not {names[0]}", *names)
    return names


def imagenet_reason(source: str, module: nn.Module) -> str:
    """What says that weights fetched by name were trained on ImageNet's classes; "" if nothing.

    Args:
        source: a timm name, or an id of the hub.
    """
    config = getattr(module, "pretrained_cfg", None) or {}
    if config.get("num_classes") != getattr(module, "num_classes", None):
        return ""  # the classifier was replaced
    if timm.is_model(source):
        return "ImageNet's, on which timm's weights were trained"
    if _TRAINED_ON_IMAGENET.search(source):
        return "ImageNet's, which the name of the weights says"
    return ""


def _id2label(module: nn.Module, count: int) -> ClassNames | None:
    """The names in the configuration of a model of transformers."""
    table = getattr(getattr(module, "config", None), "id2label", None)
    if not isinstance(table, Mapping):
        return None
    try:
        # From JSON the keys are texts, and "10" comes before "2".
        names = {int(key): str(name) for key, name in table.items()}
    except (TypeError, ValueError):
        return None
    if sorted(names) != list(range(count)) or all(map(_UNNAMED.fullmatch, names.values())):
        return None
    return ClassNames(tuple(names[i] for i in range(count)), "the model's id2label")


def _label_names(module: nn.Module, count: int) -> ClassNames | None:
    """The names in timm's configuration, in words where it has them."""
    config = getattr(module, "pretrained_cfg", None) or {}
    brought, words = config.get("label_names"), config.get("label_descriptions")
    if not brought or len(brought) != count:
        return None
    words = words if isinstance(words, Mapping) else {}
    named = tuple(str(words.get(name, name)) for name in brought)
    if len(set(named)) < count:
        named = tuple(str(name) for name in brought)
    return ClassNames(named, "timm's configuration")


def _title(count: int) -> str:
    subset = infer_imagenet_subset({"num_classes": count}) or ""
    return _TITLES.get(subset, "ImageNet-21k")


@lru_cache(maxsize=8)
def imagenet_names(num_classes: int) -> tuple[str, ...] | None:
    """Names for a classifier over an ImageNet label set, told by its size; None if none fits."""
    subset = infer_imagenet_subset({"num_classes": num_classes})
    if subset is None:
        return None
    info = ImageNetInfo(subset)
    return tuple(info.index_to_description(i) for i in range(num_classes))


def output_names(count: int) -> tuple[str, ...]:
    """``output 0``, ``output 1``, … for a model without classes."""
    return tuple(f"output {i}" for i in range(count))


def default_names(num_classes: int) -> tuple[str, ...]:
    """``class 0``, ``class 1``, … for a model that comes without names."""
    return tuple(f"class {i}" for i in range(num_classes))
