"""WordNet's ids of classes, by which ImageNet's folders are called."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache

from timm.data import ImageNetInfo, infer_imagenet_subset

from attnlib.data.text import loose

_ID = re.compile(r"n[0-9]{8}", re.ASCII)
# A list of ImageNet's names need not be spelled as timm's is; another list agrees in few places.
_AGREES = 0.9


@lru_cache(maxsize=8)
def synonyms(class_names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Per class, what WordNet adds to its name: its id, or for an id its words.

    A list of ImageNet's names in ImageNet's order gets the ids by position, since two pairs of its
    classes have one name (crane, maillot); other names get the id of the only class of ImageNet-1k
    that is called so.
    """
    found = _in_order(class_names) or _by_name(class_names)
    return tuple(
        (*_words(name), *([wordnet_id] if wordnet_id and wordnet_id != name else []))
        for name, wordnet_id in zip(class_names, found, strict=True)
    )


def _words(name: str) -> tuple[str, ...]:
    if not _ID.fullmatch(name):
        return ()
    try:
        described = _info("imagenet-1k").label_name_to_description(name, detailed=False)
    except KeyError:  # an id that WordNet has given to nothing that ImageNet shows
        return ()
    return tuple(part.strip() for part in described.split(","))


def _in_order(class_names: tuple[str, ...]) -> tuple[str, ...] | None:
    subset = infer_imagenet_subset({"num_classes": len(class_names)})
    if subset is None:
        return None
    info = _info(subset)
    ids = info.label_names()
    agree = sum(
        _first(name) == _first(info.index_to_description(index))
        for index, name in enumerate(class_names)
    )
    return tuple(ids) if agree >= _AGREES * len(class_names) else None


def _by_name(class_names: tuple[str, ...]) -> tuple[str | None, ...]:
    ids = _ids_by_name()
    found = [ids.get(loose(name)) or ids.get(_first(name)) or set() for name in class_names]
    return tuple(next(iter(one)) if len(one) == 1 else None for one in found)


@lru_cache(maxsize=1)
def _ids_by_name() -> dict[str, set[str]]:
    """The ids of ImageNet-1k by whole name and by each synonym."""
    info = _info("imagenet-1k")
    ids: dict[str, set[str]] = defaultdict(set)
    for index, wordnet_id in enumerate(info.label_names()):
        name = info.index_to_description(index)
        for called in (name, *name.split(",")):
            ids[loose(called)].add(wordnet_id)
    return ids


@lru_cache(maxsize=4)
def _info(subset: str) -> ImageNetInfo:
    return ImageNetInfo(subset)


def _first(name: str) -> str:
    return loose(name.split(",")[0])
