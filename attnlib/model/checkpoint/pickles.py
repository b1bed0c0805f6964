"""A pickle read as data: nothing that it names is imported, and nothing is ever called.

Python's own unpickler imports what a file names and calls it. This one keeps a :class:`Thing` in
the place of every object, with the name of its class and what it was made of, and leaves it to
:mod:`attnlib.model.checkpoint.meanings` to read the few kinds that are harmless.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from attnlib.errors import ModelError

# A pickle beside tensors is small; without a limit a hostile one could keep us busy for hours.
LIMIT = 16 << 20


@dataclass(frozen=True)
class Name:
    """Something that a pickle would import: ``"argparse.Namespace"``."""

    path: str


@dataclass(eq=False)
class Thing:
    """An object of a pickle, not made: inert.

    Attributes:
        kind: what would have been called, ``"collections.OrderedDict"``.
        args: with what.
        state: what it would have been given as its state.
        items, entries: what would have been added to it, as to a list and as to a dict.
    """

    kind: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Reference:
    """What a pickle says lies outside of it: of torch, a storage."""

    content: Any


def read(stream: BinaryIO) -> Any:
    """The next pickle of a stream, of plain values, :class:`Thing` and :class:`Reference`.

    Dictionaries keep only keys that are plain values; sets become lists, so that nothing of
    the file's making is ever hashed or compared.

    Raises:
        ModelError: it is longer than :data:`LIMIT`.
        ValueError, IndexError, KeyError, TypeError: it is damaged.
    """
    machine = _Machine()
    start = stream.tell()
    for opcode, argument, _ in pickletools.genops(stream):
        if stream.tell() - start > LIMIT:
            raise ModelError(
                f"The part of the file that describes its tensors is larger than {LIMIT >> 20} MB, "
                "which no checkpoint needs: save the weights alone, as safetensors."
            )
        machine.step(opcode.name, argument)
        if opcode.name == "STOP":
            return machine.result
    raise ValueError("the pickle has no end")


_LITERALS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
# Sets are lists here, see `read`.
_EMPTY: dict[str, type] = {
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IDLE = ("PROTO", "FRAME")
_REFUSED = (
    "EXT1",
    "EXT2",
    "EXT4",
    "INST",
    "OBJ",
    "PERSID",
    "NEXT_BUFFER",
    "READONLY_BUFFER",
    "DUP",
)


class _Machine:
    """The stack, the marks on it and the memory of a pickle's program."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memory: dict[int, Any] = {}
        self.result: Any = None

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction.

        Raises:
            ValueError: the instruction is none that a checkpoint needs.
        """
        push, pop = self.stack.append, self.stack.pop
        if name in _REFUSED:
            raise ValueError(f"the instruction {name} has no place in a checkpoint")
        if name in _IDLE:
            return
        if name in _LITERALS:
            push(_LITERALS[name])
        elif name in _EMPTY:
            push(_EMPTY[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif name.endswith("BINPUT") or name in ("PUT", "MEMOIZE"):
            self.memory[len(self.memory) if name == "MEMOIZE" else argument] = self.stack[-1]
        elif name.endswith("BINGET") or name == "GET":
            push(self.memory[argument])
        elif name == "MARK":
            self.below.append(self.stack)
            self.stack = []
        elif name == "POP":
            pop()
        elif name == "STOP":
            self.result = pop()
        elif name in ("LIST", "FROZENSET", "TUPLE", "DICT", "POP_MARK"):
            self._collect(name)
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = [pop()] if name == "APPEND" else self._marked()
            target = self.stack[-1]
            (target.items if isinstance(target, Thing) else target).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            pairs = [pop(), pop()][::-1] if name == "SETITEM" else self._marked()
            _fill(self.stack[-1], pairs)
        elif name == "BINPERSID":
            push(Reference(pop()))
        elif name == "GLOBAL":
            push(Name(argument.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            attribute, module = pop(), pop()
            push(Name(f"{_text(module)}.{_text(attribute)}"))
        elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            named = pop() if name == "NEWOBJ_EX" else None
            args, called = pop(), pop()
            push(Thing(_called(called), tuple(args), named))
        elif name == "BUILD":
            state = pop()
            if isinstance(self.stack[-1], Thing):
                self.stack[-1].state = state
        else:
            push(argument)

    def _marked(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def _collect(self, name: str) -> None:
        items = self._marked()
        if name == "DICT":
            self.stack.append({})
            _fill(self.stack[-1], items)
        elif name != "POP_MARK":
            self.stack.append(tuple(items) if name == "TUPLE" else items)


def _fill(target: Any, pairs: list[Any]) -> None:
    entries = target.entries if isinstance(target, Thing) else target
    if not isinstance(entries, dict):
        raise ValueError("an entry is set on what is no dictionary")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if key is None or isinstance(key, str | bytes | int | float):
            entries[key] = value


def _called(what: Any) -> str:
    # Before PyTorch 1.6 a module's class lay outside, with the text of its program.
    if isinstance(what, Reference) and what.content[0] == "module":
        what = what.content[1]
    return what.path if isinstance(what, Name) else f"an object ({type(what).__name__})"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("the name of a class is no text")
    return value
