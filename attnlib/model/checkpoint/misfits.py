"""Why weights are not those of a module, in words."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

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
