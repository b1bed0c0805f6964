"""How much memory a result really holds: every array and tensor in it, each memory once."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from attnlib.model.vit import Vit

# What the objects around the arrays take, roughly; it keeps a store of tiny results bounded too.
OVERHEAD = 1024
_LEAVES = (str, int, float, complex, bool, type(None), type, torch.dtype, torch.device)


def nbytes(value: object) -> int:
    """Bytes of the arrays, tensors and byte strings that a result holds, at any depth.

    Views share their memory, which counts once. An autograd graph counts with all that it saved
    for a backward pass. Models do not count, nor does what shares their weights: they are held
    elsewhere.
    """
    found = _Memories()
    found.visit(value)
    return OVERHEAD + found.total


class _Memories:
    """Walks through objects and notes each piece of memory by its address."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._elsewhere: set[int] = set()
        # The objects themselves, lest an address be used again while we walk.
        self._seen: dict[int, object] = {}

    @property
    def total(self) -> int:
        return sum(size for at, size in self._sizes.items() if at not in self._elsewhere)

    def visit(self, value: object) -> None:
        waiting: list[object] = [value]
        while waiting:
            found = waiting.pop()
            if isinstance(found, _LEAVES) or id(found) in self._seen:
                continue
            self._seen[id(found)] = found
            waiting.extend(self._inside(found))

    def _inside(self, value: Any) -> Iterable[object]:
        """Notes the memory of one object, and gives the objects that it holds."""
        if isinstance(value, Vit):
            value = value.module
        if isinstance(value, nn.Module):
            self._elsewhere.update(
                tensor.untyped_storage().data_ptr()
                for tensor in (*value.parameters(), *value.buffers())
            )
            return ()
        if isinstance(value, Tensor):
            storage = value.untyped_storage()
            self._sizes[storage.data_ptr()] = storage.nbytes()
            return (value.grad_fn,)
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, bytes | bytearray):
            self._sizes[id(value)] = len(value)
            return ()
        if isinstance(value, Mapping):
            return (*value.keys(), *value.values())
        if isinstance(value, list | tuple | set | frozenset):
            return value
        if isinstance(value, torch.autograd.graph.Node):
            return _saved(value)
        return _attributes(value)

    def _array(self, array: np.ndarray) -> Iterable[object]:
        if array.base is not None:
            return (array.base,)
        self._sizes[array.__array_interface__["data"][0]] = array.nbytes
        return array.tolist() if array.dtype.hasobject else ()


def _attributes(value: Any) -> Iterable[object]:
    if isinstance(value, functools.partial):
        return (value.func, value.args, value.keywords)
    if callable(getattr(value, "__func__", None)):
        return (value.__self__,)
    return (*getattr(value, "__dict__", {}).values(), *_enclosed(value))


def _enclosed(function: Any) -> Iterator[object]:
    """What a function took along from where it was defined."""
    for cell in getattr(function, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:
            # Not filled yet.
            continue


def _saved(node: Any) -> Iterable[object]:
    """What a node of an autograd graph holds, and the nodes that it leads to."""
    yield from (before for before, _ in node.next_functions)
    yield getattr(node, "variable", None)
    yield from getattr(node, "saved_tensors", ())
    for name in _names(cast(Hashable, type(node))):
        try:
            yield getattr(node, name)
        except RuntimeError:
            # The graph was freed by a backward pass: the node holds nothing any more.
            continue


@functools.lru_cache(maxsize=256)
def _names(kind: Hashable) -> tuple[str, ...]:
    return tuple(name for name in dir(kind) if name.startswith("_saved_"))
