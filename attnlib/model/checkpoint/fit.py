"""Weights under the names that a file gives them -> a state dict that a module takes."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from attnlib.errors import ModelError
from attnlib.model.checkpoint.namings import NAMINGS, Naming
from attnlib.model.checkpoint.places import named_by, rank
from attnlib.model.checkpoint.weights import StateDict, Weights, check_finite

# Weights beside the blocks that change what a model computes: without them it is another model.
_SPEAKING = {
    "cls_token",
    "dist_token",
    "reg_token",
    "register_tokens",
    "pos_embed",
    "norm_pre",
    "norm",
    "fc_norm",
    "attn_pool",
}


@dataclass(frozen=True)
class Alignment:
    """Weights of a file under the names of a module, whether or not they fit.

    Attributes:
        state: name in the module -> tensor, shaped for it where timm knows how.
        before: the same before timm's own filter for the architecture.
        prefix: what stood before the names in the file.
        prefixes: other prefixes under which the file has about as many of the names.
        naming: the other library that the names are of, if any.
    """

    state: StateDict
    before: StateDict
    prefix: str
    prefixes: tuple[str, ...] = ()
    naming: Naming | None = None

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
        filtered = _filtered(module, state)
        for candidate in (state, filtered):
            if candidate is None:
                continue
            names = expected.keys() & candidate.keys()
            shapes = sum(expected[n].shape == candidate[n].shape for n in names)
            told = misfits(module, candidate)
            score = (not told, len(names), shapes, -len(told))
            if best is None or score > best[0]:
                best = score, Alignment(candidate, state, prefix, others, naming)
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
        yield cut, others if cut == prefix else (), None, state
        for naming in NAMINGS:
            if (converted := naming.convert(state)) is not None:
                yield cut, (), naming, converted


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


def misfits(module: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Why a state dict is not that of a module, in parts of a sentence; empty if it is."""
    expected = module.state_dict()
    missing = sorted(n for n in expected.keys() - state.keys() if not _derived(module, n))
    extra = sorted(n for n in state.keys() - expected.keys() if _speaks(n, state[n], expected))
    common = sorted(expected.keys() & state.keys())
    shapes = [
        f"{name} is {tuple(state[name].shape)}, the model has {tuple(expected[name].shape)}"
        for name in common
        if state[name].shape != expected[name].shape
    ]
    kinds = [
        f"{name} holds {str(state[name].dtype).removeprefix('torch.')} numbers"
        for name in common
        if expected[name].is_floating_point() != state[name].is_floating_point()
    ]
    told = []
    if missing:
        told.append(f"{len(missing)} weights are missing ({some(missing)})")
    if extra:
        told.append(f"{len(extra)} are unknown to the model ({some(extra)})")
    if shapes:
        told.append(f"{len(shapes)} have another shape ({some(shapes)})")
    if kinds:
        told.append(
            f"{len(kinds)} are quantised, which means nothing without their scales: save the "
            f"weights in floating point ({some(kinds)})"
        )
    return told


def _derived(module: nn.Module, name: str) -> bool:
    """Whether a module computes the entry by itself: an index, a count."""
    owner, _, last = name.rpartition(".")
    buffer = dict(module.get_submodule(owner).named_buffers(recurse=False)).get(last)
    return buffer is not None and not buffer.is_floating_point()


def _speaks(name: str, tensor: Tensor, expected: Mapping[str, Tensor]) -> bool:
    """Whether a weight that the module lacks would change what it computes."""
    first = name.partition(".")[0]
    body = {known.partition(".")[0] for known in expected}
    inside = (first in body and "head" not in first) or first in _SPEAKING
    return tensor.is_floating_point() and inside and "num_batches" not in name


def fit(
    module: nn.Module, weights: Weights, aligned: Alignment | None = None
) -> tuple[StateDict, tuple[str, ...]]:
    """The state dict that the module takes, all of its weights, and what was left out.

    Args:
        module: on any device; its own weights are kept only where the file lacks an index
            that it computes by itself.

    Raises:
        ModelError: weights are missing, unknown, of other shapes, quantised or not finite.
    """
    aligned = aligned or align(module, weights)
    choice = weights.choice
    if choice is not None and named_by(f"{weights.where}.{aligned.prefix}", choice) == 2:
        raise ModelError(
            f"{weights.file} has something called {choice!r}, but not all weights of the model."
        )
    told = misfits(module, aligned.state)
    if told:
        raise ModelError(f"{'; '.join(told)}.")
    expected = module.state_dict()
    state = {
        name: aligned.state[name].to(tensor.dtype)
        for name, tensor in expected.items()
        if name in aligned.state
    }
    check_finite(state)
    return state, _notes(weights, aligned, state)


def _notes(weights: Weights, aligned: Alignment, state: StateDict) -> tuple[str, ...]:
    notes = list(weights.notes)
    if aligned.prefixes:
        others = ", ".join(f"“{p.strip('.') or 'no prefix'}”" for p in aligned.prefixes)
        taken = aligned.prefix.strip(".") or "no prefix"
        notes.append(
            f"{weights.file} holds these weights more than once: taken are those under “{taken}”; "
            f"those under {others} can be chosen instead (weights=…)."
        )
    if aligned.naming is not None:
        notes.append(
            f"The names are those of {aligned.naming.title}. {aligned.naming.note}".strip()
        )
    resized = [
        f"{name} from {tuple(aligned.before[name].shape)} to {tuple(aligned.state[name].shape)}"
        for name in aligned.interpolated
    ]
    if resized:
        notes.append(
            f"Resized by interpolation, as timm does, for another input size: {some(resized)}."
        )
    left = left_out(weights, aligned, state)
    if left:
        notes.append(
            f"Left out of {weights.file}, as the model has no use for it: {grouped(left, aligned.prefix)}."
        )
    kinds = {str(t.dtype).removeprefix("torch.") for t in aligned.state.values()}
    if "float64" in kinds:
        notes.append("The file's 64-bit numbers were rounded to the model's 32 bits.")
    return tuple(notes)


def left_out(weights: Weights, aligned: Alignment, state: StateDict) -> list[str]:
    """Names in the file of what the module did not take."""
    used = {aligned.state[name].data_ptr() for name in state}
    taken = {aligned.prefix + name for name in state}
    return [
        name
        for name, tensor in weights.tensors.items()
        if name not in taken and (tensor.data_ptr() not in used or tensor.numel() == 0)
    ]


def grouped(names: list[str], prefix: str, most: int = 12) -> str:
    """A list by name; where it is long, weights of one part of a model together.

    Args:
        prefix: what stands before the parts.
    """
    if len(names) <= most:
        return ", ".join(names)
    parts: dict[str, list[str]] = {}
    for name in names:
        parts.setdefault(name.removeprefix(prefix).partition(".")[0], []).append(name)
    words = [
        inside[0] if len(inside) == 1 else f"{part}.… ({len(inside)} weights)"
        for part, inside in parts.items()
    ]
    return some(words, most)


def some(names: list[str], most: int = 3) -> str:
    """The first few of a list, in words."""
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
