"""Where in a checkpoint the weights are, and which of several to take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from attnlib.errors import ModelError
from attnlib.model.checkpoint.meanings import Stored, stored, table
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
            entries = table(value)
            if entries is None or id(entries) in seen:
                continue
            seen.add(id(entries))
            here = {name: t for name, t in _tensors(entries).items() if name}
            if any(name.endswith(("weight", "kernel", "bias")) for name in here):
                found[path] = here
            deeper += [
                (f"{path}.{key}" if path else key, inner)
                for key, inner in entries.items()
                if isinstance(key, str) and table(inner) is not None
            ]
        level = deeper
    return found


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


def names_it(path: str, choice: str) -> bool:
    """Whether a path or a tensor's name is of the place that a person chose."""
    path, choice = f".{path.lower()}.", choice.lower().strip(".")
    return f".{choice}." in path or any(
        choice in part.split("_") for part in path.strip(".").split(".")
    )


def choose(
    found: Mapping[str, Mapping[str, Found]], choice: str | None, name: str
) -> tuple[str, tuple[str, ...]]:
    """The place to take, and the others that hold about as many weights.

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
    fitting = [path for path in full if names_it(path, choice)]
    if fitting:
        return fitting[0], tuple(path for path in full if path != fitting[0])
    inside = [path for path in full if any(names_it(key, choice) for key in found[path])]
    if inside:
        return inside[0], tuple(path for path in full if path != inside[0])
    raise ModelError(
        f"{name} has no weights called {choice!r}; it has {', '.join(repr(path) for path in full)}."
    )


def whole_model(root: Any) -> str | None:
    """The class of a model that was pickled as a whole, at the top or one step below it."""
    below = list((table(root) or {}).values())
    for value in [root, *below]:
        if isinstance(value, Thing) and isinstance(value.state, dict):
            if "_modules" in value.state and "_parameters" in value.state:
                return value.kind
            # A learner of fastai, a trainer: something that has the model among its fields.
            if isinstance(value.state.get("model"), Thing):
                return value.kind
    return None
