"""Weights under the names that a file gives them -> the same under a module's names."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from attnlib.model.checkpoint.heads import Head, beside, joined
from attnlib.model.checkpoint.misfits import misfits
from attnlib.model.checkpoint.namings import NAMINGS, Naming
from attnlib.model.checkpoint.places import named_by, rank
from attnlib.model.checkpoint.weights import StateDict, Weights


@dataclass(frozen=True)
class Alignment:
    """Weights of a file under the names of a module, whether or not they fit.

    Attributes:
        state: name in the module -> tensor, shaped for it where timm knows how.
        before: the same before timm's own filter for the architecture.
        prefix: what stood before the names in the file.
        prefixes: other prefixes under which the file has about as many of the names.
        naming: the other library that the names are of, if any.
        head: the classifier, where it stands outside the rest of the model.
        heads: layers that may be the classifier, where none is known to be.
    """

    state: StateDict
    before: StateDict
    prefix: str
    prefixes: tuple[str, ...] = ()
    naming: Naming | None = None
    head: Head | None = None
    heads: tuple[Head, ...] = ()

    @property
    def embeds(self) -> bool:
        """Whether what stands for a classifier is another library's projection to an embedding."""
        return self.naming is not None and self.naming.embeds and self.head is None

    @property
    def interpolated(self) -> list[str]:
        """Names of the weights that timm's filter computed anew, for another size."""
        # Another name, a part or another order of the file's own numbers is no interpolation.
        own = {tensor.untyped_storage().data_ptr() for tensor in self.before.values()}
        return [
            name
            for name, tensor in self.state.items()
            if name in self.before
            and self.before[name].shape != tensor.shape
            and tensor.untyped_storage().data_ptr() not in own
        ]


def align(module: nn.Module, weights: Weights) -> Alignment:
    """Find what stands before the names, whose names they are, and what timm makes of them.

    Args:
        module: the architecture; its own weights are not looked at (it may be on the meta
            device).
    """
    expected = module.state_dict()
    best: tuple[tuple[int, ...], Alignment] | None = None
    for prefix, others, naming, state in _variants(weights, expected):
        for made in (state, _filtered(module, state)):
            if made is None:
                continue
            head, heads = beside(module, weights, prefix, state, made)
            candidate = made if head is None else joined(module, head, made)
            before = state if head is None else joined(module, head, state)
            found = Alignment(candidate, before, prefix, others, naming, head, heads)
            names = expected.keys() & candidate.keys()
            shapes = sum(expected[n].shape == candidate[n].shape for n in names)
            told = misfits(module, candidate)
            if not told and made is state:
                return found
            score = (not told, len(names), shapes, -len(told))
            if best is None or score > best[0]:
                best = score, found
    assert best is not None  # the first variant is the file as it is
    return best[1]


def _variants(
    weights: Weights, expected: Mapping[str, Tensor]
) -> Iterator[tuple[str, tuple[str, ...], Naming | None, StateDict]]:
    tensors = dict(weights.tensors)
    prefix, others = _prefix(weights, expected)
    tried = set()
    # Of what fits equally well the shortest names count: they show the most.
    for cut in [*([prefix] if prefix else []), *reversed(list(_dominant(tensors)))]:
        if cut in tried:
            continue
        tried.add(cut)
        state = {n[len(cut) :]: t for n, t in tensors.items() if n.startswith(cut)}
        same = others if cut == prefix else ()
        # First: a file whose names are its library's says more than the names alone.
        for naming in NAMINGS:
            if (converted := naming.convert(state)) is not None:
                yield cut, same, naming, converted
        yield cut, same, None, state


def _prefix(weights: Weights, expected: Mapping[str, Tensor]) -> tuple[str, tuple[str, ...]]:
    """The prefix under which most of the expected names stand, and others as good."""
    counts: Counter[str] = Counter()
    for name in weights.tensors:
        parts = name.split(".")
        for i in range(min(len(parts), 12)):
            if ".".join(parts[i:]) in expected:
                counts["".join(f"{part}." for part in parts[:i])] += 1
    if not counts:
        return "", ()
    most = max(counts.values())
    good = sorted((p for p, count in counts.items() if 10 * count > 9 * most), key=rank)
    if weights.choice is not None:
        good.sort(key=lambda prefix: named_by(prefix, weights.choice or ""))
    return good[0], tuple(good[1:])


def _dominant(tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """The prefixes that at least half of all names share, from none to the longest."""
    cut = ""
    for _ in range(6):
        yield cut
        inside = [name[len(cut) :] for name in tensors if name.startswith(cut)]
        word, count = Counter(name.partition(".")[0] for name in inside).most_common(1)[0]
        if 2 * count < len(tensors) or f"{word}." not in inside[0] + ".":
            return
        cut += f"{word}."
        if not any(name.startswith(cut) for name in tensors):
            return


def _filtered(module: nn.Module, state: StateDict) -> StateDict | None:
    """What timm's own filter for checkpoints of the architecture makes of the weights."""
    home = sys.modules.get(type(module).__module__)
    known = getattr(home, "checkpoint_filter_fn", None)
    if known is None:
        return None
    try:
        made = known(dict(state), module)
    except Exception:
        # It is written for particular files, and fails in its own ways on others.
        return None
    if not isinstance(made, dict):
        return None
    # DeiT III and others name the scale of a layer as the parameter that it once was.
    made = {_scale(name): tensor for name, tensor in made.items()}
    return {name: tensor for name, tensor in made.items() if isinstance(tensor, Tensor)}


def _scale(name: str) -> str:
    for old, new in ((".gamma_1", ".ls1.gamma"), (".gamma_2", ".ls2.gamma")):
        if name.startswith("blocks.") and name.endswith(old):
            return name.removesuffix(old) + new
    return name
