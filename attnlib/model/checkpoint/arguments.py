"""What a training run says about itself in its checkpoint: settings and names of classes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from attnlib.model.checkpoint.meanings import Stored, harmful, scalar, sequence, stored, table
from attnlib.model.checkpoint.pickles import Thing

_ENTRIES = (
    "args",
    "hyper_parameters",
    "hparams",
    "config",
    "cfg",
    "opt",
    "arguments",
    "meta",
    "model_args",
    "model_kwargs",
    "model_config",
    "pretrained_cfg",
)
_LOOSE = ("arch", "architecture", "model_name", "img_size", "image_size", "num_classes", "mean")
_CLASSES = (
    "class_names",
    "classes",
    "CLASSES",
    "class_to_idx",
    "idx_to_class",
    "id2label",
    "label2id",
    "label_names",
    "labels",
    "vocab",
    "names",
)
_MOST = 20_000
# Not `isdigit`, which takes “²” for a number too; int() refuses thousands of digits.
_INDEX = re.compile(r"[0-9]{1,9}", re.ASCII)
_DEPTH = 6


def arguments(root: Any) -> dict[str, Any]:
    """The settings in a checkpoint, flat: ``{"img_size": 64, "model.name": …, "name": …}``.

    A nested setting has its whole path; its last word too, unless a shallower one has it.
    """
    entries = table(root) or {}
    found: dict[str, Any] = {}
    level: list[tuple[str, Any]] = [
        (key if key.startswith("model_") else "", entries[key])
        for key in _ENTRIES
        if key in entries
    ]
    for _ in range(_DEPTH):
        deeper: list[tuple[str, Any]] = []
        for path, value in level:
            inner = table(value)
            for key, item in (inner or {}).items():
                name = f"{path}.{key}" if path else str(key)
                if table(item) is not None:
                    deeper.append((name, item))
                elif (known := _plain(item) or _loss(item)) is not None:
                    found.setdefault(name, known)
                    found.setdefault(str(key), known)
                if len(found) > _MOST:
                    return found
        level = deeper
    for key in _LOOSE:
        known = _plain(entries.get(key))
        if known is not None:
            found.setdefault(key, known)
    return found


def class_names(root: Any) -> tuple[tuple[str, ...], str] | None:
    """The names of the classes in their order, and the entry that holds them; None if none does."""
    entries = table(root) or {}
    settings = [table(entries[key]) or {} for key in _ENTRIES if key in entries]
    for where in [entries, *settings]:
        for key in _CLASSES:
            names = _names(where.get(key))
            if names:
                return names, key
    return None


def _names(value: Any) -> tuple[str, ...] | None:
    pairs = table(value)
    if pairs is not None:
        if not 0 < len(pairs) <= _MOST:
            return None
        # Either way round: name -> number, or number -> name.
        items = [(_plain(key), _plain(item)) for key, item in pairs.items()]
        if all(isinstance(item, int) and 0 <= item < len(pairs) for _, item in items):
            items = [(item, key) for key, item in items]
        numbered = {int(n): str(name) for n, name in items if _INDEX.fullmatch(str(n))}
        if sorted(numbered) != list(range(len(pairs))):
            return None
        return tuple(numbered[i] for i in range(len(pairs)))
    listed = sequence(value)
    if not listed or len(listed) > _MOST:
        return None
    names = [_plain(item) for item in listed]
    return tuple(names) if all(isinstance(name, str) for name in names) else None


def _plain(value: Any) -> Any:
    """A plain value or a tuple of plain values; None for whatever else."""
    known, plain = _known(value)
    if known:
        return plain
    listed = sequence(value)
    if listed is None or len(listed) > _MOST:
        return None
    inner = [_known(item) for item in listed]
    return tuple(item for _, item in inner) if all(ok for ok, _ in inner) else None


def _loss(value: Any) -> str | None:
    """The name of one of PyTorch's losses, where a training kept it as an object."""
    if isinstance(value, Thing) and value.kind.startswith("torch.nn.modules.loss."):
        return value.kind.rpartition(".")[2]
    return None


def _known(value: Any) -> tuple[bool, Any]:
    try:
        return scalar(value)
    except (ValueError, TypeError, IndexError, AttributeError):
        return False, None


def strangers(root: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes of objects that were left aside, by name: harmless ones, and ones that would act."""
    aside: dict[str, None] = {}
    acting: dict[str, None] = {}
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor | str | bytes | int | float | None) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, Sequence):
            waiting.extend(value)
        elif isinstance(value, Thing):
            waiting.extend([*value.args, value.state, *value.items, *value.entries.values()])
            if harmful(value):
                acting[value.kind] = None
            elif not _understood(value):
                aside[value.kind] = None
    return tuple(aside), tuple(acting)


def _understood(value: Thing) -> bool:
    if table(value) is not None or sequence(value) is not None or _known(value)[0]:
        return True
    try:
        return isinstance(stored(value), Stored) or value.kind in _PARTS
    except (ValueError, TypeError, IndexError, AttributeError, KeyError):
        return False


# What others are made of, harmless and of no interest by itself.
_PARTS = {"numpy.dtype", "_codecs.encode", "torch.Size", "builtins.set", "builtins.frozenset"}
