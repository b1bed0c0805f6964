"""Where in a checkpoint the weights are, and which of several to take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from attnlib.errors import ModelError
from attnlib.model.checkpoint.meanings import Stored, sequence, stored, table
from attnlib.model.checkpoint.pickles import Thing

Found = Tensor | Stored

# An average over training is what people evaluate; a student is what its teacher is made from.
PREFERRED = (
    "state_dict_ema",
    "model_state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema_model",
    "ema",
    "teacher",
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
    "student",
)
_DEPTH = 4


def places(root: Any) -> dict[str, dict[str, Found]]:
    """Path in the checkpoint (``"state_dict"``, ``"a.b"``, ``""``) -> name -> tensor there."""
    found: dict[str, dict[str, Found]] = {}
    level: list[tuple[str, Any]] = [("", root)]
    seen: set[int] = set()
    for _ in range(_DEPTH):
        deeper: list[tuple[str, Any]] = []
        for path, value in level:
            if id(value) in seen:
                continue
            seen.add(id(value))
            entries = _entries(value)
            here = {name: t for name, t in _tensors(entries).items() if name}
            if any(name.endswith(("weight", "kernel", "bias")) for name in here):
                found[path] = here
            deeper += [
                (f"{path}.{key}" if path else key, inner)
                for key, inner in entries.items()
                if isinstance(key, str) and _entries(inner)
            ]
        level = deeper
    return found


def _entries(value: Any) -> Mapping[Any, Any]:
    """The entries of a table, or of a short list by their numbers (``(state_dict, epoch)``)."""
    entries = table(value)
    if entries is None:
        listed = sequence(value) or []
        entries = {str(i): item for i, item in enumerate(listed[:10])}
    return entries


def _tensors(entries: Mapping[Any, Any]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for name, value in entries.items():
        tensor = value if isinstance(value, Tensor) else stored(value)
        if tensor is not None and isinstance(name, str):
            found[name] = tensor
    return found


def rank(path: str) -> tuple[int, int]:
    """How much a place or prefix is wanted: smaller is more."""
    parts = path.strip(".").lower().split(".")
    order = [i for i, word in enumerate(PREFERRED) if word in parts]
    return min(order, default=len(PREFERRED)), len(parts)


def named_by(path: str, choice: str) -> int:
    """How well a path or a tensor's name is meant by a word: 0 by a whole step of it, 1 by a part
    (``ema`` in ``model_ema``), 2 not at all."""
    path, choice = path.lower().strip("."), choice.lower().strip(".")
    if f".{choice}." in f".{path}.":
        return 0
    return 1 if any(choice in step.split("_") for step in path.split(".")) else 2


def choose(
    found: Mapping[str, Mapping[str, Found]], choice: str | None, name: str
) -> tuple[str, tuple[str, ...]]:
    """The place to take, and the others that hold about as many weights.

    Args:
        found: as of :func:`places`.
        choice: a word of its path, or of names in it; None for the one that is wanted most.
        name: of the file, for messages.

    Raises:
        ModelError: there is none, or none by the name that was chosen.
    """
    if not found:
        raise ModelError(
            f"{name} holds no weights. Save them with torch.save(model.state_dict(), ...) or as "
            "safetensors."
        )
    most = max(len(tensors) for tensors in found.values())
    # An optimiser's buffers or a list of metrics is never half as long as the names it is for.
    full = sorted((p for p in found if 2 * len(found[p]) > most), key=rank)
    if choice is None:
        return full[0], tuple(full[1:])
    full.sort(key=lambda path: named_by(path, choice))
    inside = [path for path in full if any(named_by(key, choice) < 2 for key in found[path])]
    for taken in [path for path in full[:1] if named_by(path, choice) < 2] or inside[:1]:
        return taken, tuple(path for path in full if path != taken)
    raise ModelError(
        f"{name} has no weights called {choice!r}; it has "
        f"{', '.join(repr(path) for path in sorted(full, key=rank))}."
    )


def whole_model(root: Any) -> tuple[str, str] | None:
    """The class of a model that was pickled as a whole, at the top or one step below it, and how
    it is reached from what ``torch.load`` gives (``""``, ``"['net']"``, ``".model"``)."""
    below = [(f"[{key!r}]", value) for key, value in (table(root) or {}).items()]
    for path, value in [("", root), *below]:
        if isinstance(value, Thing) and isinstance(value.state, dict):
            if "_modules" in value.state and "_parameters" in value.state:
                return value.kind, path
            # A learner of fastai, a trainer: something that has the model among its fields.
            if isinstance(value.state.get("model"), Thing):
                return value.kind, f"{path}.model"
    return None
