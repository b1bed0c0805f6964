"""A classifier that stands in a file beside the model: ``fc``, or ``head`` outside ``backbone``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnlib.model.checkpoint.options import classifier
from attnlib.model.checkpoint.weights import StateDict, Weights

# Steps in the names that people give to the layer that tells classes apart.
_WORDS = {"head", "heads", "fc", "classifier", "classification", "cls", "linear", "logits"}
# Those of layers that have one of these words in their name, or its shape, and are none.
_OTHERS = {"pre", "aux", "proj", "projector", "projection", "predictor", "decoder", "embed"}


@dataclass(frozen=True)
class Head:
    """A linear layer over the features of a model, by its name in the file.

    Attributes:
        name: without ``.weight``.
        weight: ``(C, D)``.
        bias: ``(C,)``, or None.
        plain: whether nothing stands beside it that would be computed too.
    """

    name: str
    weight: Tensor
    bias: Tensor | None
    plain: bool

    @property
    def titled(self) -> bool:
        """Whether its name is one that classifiers have."""
        words = set(re.split(r"[._]", self.name.lower()))
        square = self.weight.shape[0] == self.weight.shape[1]
        return bool(words & _WORDS) and not words & _OTHERS and not square

    @property
    def classes(self) -> int:
        """C."""
        return int(self.weight.shape[0])

    def __str__(self) -> str:
        return f"“{self.name}” ({self.classes} × {self.weight.shape[1]})"


def beside(
    module: nn.Module, weights: Weights, prefix: str, state: StateDict, taken: StateDict
) -> tuple[Head | None, tuple[Head, ...]]:
    """The classifier of a file whose body has none, and the layers that may be one.

    The nearest to the body counts: within it, then beside it, then in another place of the file.

    Args:
        module: the architecture, on any device.
        prefix: of the body in the file.
        state: what stands there, under the names of the file.
        taken: what was made of it, under those of the module.
    """
    own = classifier(module)
    if not own or any(name.startswith(f"{own}.") for name in taken):
        return None, ()
    expected = module.state_dict().keys()
    used = {tensor.data_ptr() for name, tensor in taken.items() if name in expected}
    possible: tuple[Head, ...] = ()
    for start, tensors in _levels(weights, prefix, state):
        left = {name: t for name, t in tensors.items() if t.data_ptr() not in used}
        found = _linear(module, start, left)
        head = _chosen(module, found)
        possible += tuple(found)
        if head is not None:
            return head, ()
    return None, possible


def joined(module: nn.Module, head: Head, taken: StateDict) -> StateDict:
    """Weights of a module together with a classifier, by the module's name for it."""
    own = classifier(module)
    bias = torch.zeros_like(head.weight[:, 0]) if head.bias is None else head.bias
    return {**taken, f"{own}.weight": head.weight, f"{own}.bias": bias}


def advice(heads: tuple[Head, ...]) -> str:
    """How to have one of some layers for a classifier, in sentences; "" where there is none."""
    said = []
    for head in [head for head in heads if head.plain][:4]:
        said.append(f"{head} may be one: say num_classes={head.classes} to have it taken.")
    several = [head for head in heads if not head.plain]
    # The layers of blocks that went unused are as wide.
    if several and len(several) < 4:
        said.append(
            f"{several[0]} is one of several layers that stand together, which the architecture "
            "does not have: to see its classes load the whole module (attnlib.load(module))."
        )
    return " ".join(said)


def _levels(weights: Weights, prefix: str, state: StateDict) -> Iterator[tuple[str, StateDict]]:
    """What stands before names, and tensors by the rest of their names; the nearest first."""
    yield prefix, state
    steps = prefix.split(".")[:-1]
    for count in reversed(range(len(steps))):
        start = "".join(f"{step}." for step in steps[:count])
        inner = f"{start}{steps[count]}."
        yield (
            start,
            {
                name.removeprefix(start): tensor
                for name, tensor in weights.tensors.items()
                if name.startswith(start) and not name.startswith(inner)
            },
        )
    yield "", dict(weights.apart)


def _linear(module: nn.Module, start: str, left: StateDict) -> list[Head]:
    """The linear layers over a module's features among weights that it does not take."""
    width = getattr(module, "head_hidden_size", None) or getattr(module, "num_features", None)
    found = []
    for name, weight in left.items():
        owner = name.removesuffix(".weight")
        if owner == name or weight.ndim != 2 or weight.shape[1] != width:
            continue
        if not weight.is_floating_point() or "decoder" in owner:
            continue
        own = {name, f"{owner}.bias"}
        first = f"{owner.partition('.')[0]}."
        plain = all(other in own or not other.startswith(first) for other in left)
        found.append(Head(start + owner, weight, left.get(f"{owner}.bias"), plain))
    return found


def _chosen(module: nn.Module, found: list[Head]) -> Head | None:
    """The one that is the classifier, if that is beyond doubt.

    It is the one by the architecture's own name for it, else the only one of as many classes as
    the module has, else the only one there is if its name is one that classifiers have.
    """
    own, classes = classifier(module), getattr(module, "num_classes", 0)
    plain = [head for head in found if head.plain]
    for fitting in (
        [head for head in plain if f".{head.name}".endswith(f".{own}")],
        [head for head in plain if head.classes == classes],
        [head for head in plain if head.titled and len(found) == 1],
    ):
        if len(fitting) == 1:
            return fitting[0]
    return None
