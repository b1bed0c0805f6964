"""Weights that are a module's -> a state dict that it takes, and what was left out."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from attnlib.errors import ModelError
from attnlib.model.checkpoint.align import Alignment, align
from attnlib.model.checkpoint.misfits import grouped, misfits, some
from attnlib.model.checkpoint.places import named_by
from attnlib.model.checkpoint.weights import StateDict, Weights, check_finite


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
    head = aligned.head
    if head is not None and any(aligned.state[name] is head.weight for name in state):
        small = tuple(path for path in weights.small if not f"{head.name}.".startswith(f"{path}."))
        weights = replace(weights, small=small)
    else:
        head = None
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
    if head is not None:
        notes.append(
            f"The classifier is {head} of {weights.file}, which stands beside the rest of "
            "the model: it is taken to follow the features at once, as in timm's own. "
            "num_classes=0 leaves it out."
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
            f"Left out of {weights.file}, as the model has no use for it: "
            f"{grouped(left, aligned.prefix)}."
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
