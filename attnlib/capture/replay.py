"""Run the upper part of a forward pass again without computing the lower part again."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attnlib.errors import CaptureError

# Operations that take nearly all the time, and how many of their first arguments have the images
# along the first dimension.
_BATCHED_INPUTS: dict[Callable[..., Any], int] = {
    F.linear: 1,
    F.layer_norm: 1,
    F.gelu: 1,
    F.silu: 1,
    F.conv2d: 1,
    F.scaled_dot_product_attention: 3,
}
# Their options that say nothing of single images.
_HARMLESS = {"dropout_p", "is_causal", "scale", "approximate", "eps", "weight", "bias"}


@dataclass(frozen=True)
class _Stub:
    """What is remembered of a result: enough to stand in for it where nobody reads it."""

    serial: int
    shape: torch.Size
    dtype: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class _Mark:
    """A place to start from: how many operations came before, and the tensors held then."""

    operations: int
    held: dict[int, tuple[Tensor, int]]


class Tape(TorchFunctionMode):
    """Every operation of one forward pass, so that later ones can start from the middle.

    ``with tape: module(pixels)`` records.  At each :meth:`mark` the tensors that the model still
    holds are kept; whatever else the pass made is let go.  After :meth:`finish`, ``with
    tape.after(i): module(pixels)`` runs the same Python code, but up to mark ``i`` every
    operation returns at once what it returned before (a tensor that nothing reads any more comes
    back as an empty one of its shape), and from there on the model computes as usual.

    Args:
        alike: how many images the pass has, all the same: the costly operations are then made
            for one of them and copied.  Whoever says so compares the outcome with a plain pass.

    No module is split and no layer is named: the lower part of any model is skipped operation by
    operation.  That is wrong only where the model takes another path the second time or changes
    a kept tensor in place after the mark; both are found out.
    """

    def __init__(self, alike: int = 1) -> None:
        super().__init__()
        self._alike = alike
        self._operations: list[tuple[Callable[..., Any], Any]] = []
        # By id: an id is only ever that of the last tensor that had it.
        self._known: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        self._last_read: dict[int, int] = {}
        self._marks: list[_Mark] = []
        self._serial = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        for tensor in _tensors((args, kwargs)):
            known = self._known.get(id(tensor))
            if known is not None:
                self._last_read[known[1]] = len(self._operations)
        result = self._made(func, args, kwargs or {})
        self._operations.append((func, _changed(result, self._stub)))
        return result

    def _made(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        inputs = _BATCHED_INPUTS.get(func, 0)
        batched = [isinstance(x, Tensor) and x.shape[0] == self._alike for x in args[:inputs]]
        if self._alike == 1 or not inputs or not all(batched) or kwargs.keys() - _HARMLESS:
            return func(*args, **kwargs)
        one = func(*(x[:1] for x in args[:inputs]), *args[inputs:], **kwargs)
        return one.expand(self._alike, *one.shape[1:]).contiguous()

    def _stub(self, tensor: Tensor) -> _Stub:
        known = self._known.get(id(tensor))
        if known is None or known[0]() is not tensor:
            self._serial += 1
            known = self._known[id(tensor)] = (weakref.ref(tensor), self._serial)
        return _Stub(known[1], tensor.shape, tensor.dtype, tensor.device)

    def mark(self) -> None:
        """A later pass may start after the operation that was recorded last."""
        self._known = {key: known for key, known in self._known.items() if known[0]() is not None}
        # Asking for a version is an operation too, which no replay makes.
        with torch._C.DisableTorchFunction():
            held = {
                serial: (tensor, tensor._version)
                for reference, serial in self._known.values()
                if (tensor := reference()) is not None
            }
        self._marks.append(_Mark(len(self._operations), held))

    def finish(self) -> None:
        """Keep, at each mark, only what is read after it.

        Raises:
            CaptureError: the model changed in place what a later pass would start from.
        """
        for mark in self._marks:
            for serial, (tensor, version) in list(mark.held.items()):
                if self._last_read.get(serial, -1) < mark.operations:
                    del mark.held[serial]
                elif tensor._version != version:
                    raise CaptureError("This model changes its tokens in place between layers.")

    def after(self, position: int) -> TorchFunctionMode:
        """A mode that skips all that was recorded before a mark."""
        mark = self._marks[position]
        held = {serial: tensor for serial, (tensor, _) in mark.held.items()}
        return _Replay(self._operations[: mark.operations], held)


class _Replay(TorchFunctionMode):
    def __init__(
        self, operations: list[tuple[Callable[..., Any], Any]], held: dict[int, Tensor]
    ) -> None:
        super().__init__()
        self._operations = operations
        self._held = held
        self._next = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if self._next >= len(self._operations):
            return func(*args, **(kwargs or {}))
        recorded, result = self._operations[self._next]
        # By equality: Tensor.shape is a new wrapper of the same getter each time.
        if recorded != func:
            raise CaptureError("This model takes another path from one pass to the next.")
        self._next += 1
        return _changed(result, self._tensor)

    def _tensor(self, stub: _Stub) -> Tensor:
        if stub.serial in self._held:
            return self._held[stub.serial]
        return torch.empty((), dtype=stub.dtype, device=stub.device).expand(stub.shape)


def _changed(result: Any, change: Callable[[Any], Any]) -> Any:
    """The result with every tensor, or every stub of one, replaced."""
    if isinstance(result, Tensor | _Stub):
        return change(result)
    if type(result) in (tuple, list):
        return type(result)(_changed(item, change) for item in result)
    return result


def _tensors(nested: Any) -> Iterator[Tensor]:
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, dict):
        yield from _tensors(tuple(nested.values()))
    elif isinstance(nested, tuple | list):
        for item in nested:
            yield from _tensors(item)
