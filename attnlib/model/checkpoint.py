"""Weights from a file that nobody vouches for: tensors only, never code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import load_file
from torch import Tensor, nn

from attnlib.errors import ModelError

StateDict = dict[str, Tensor]

# Where training scripts put the weights inside a larger checkpoint, most wanted first.
_NESTED = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "module")
_WRAPPERS = ("_orig_mod.", "module.", "model.", "net.", "backbone.", "vit.")
_HEADS = ("head.weight", "head.fc.weight", "fc.weight", "classifier.weight", "heads.head.weight")


def read(path: str | Path) -> StateDict:
    """The state dict in a ``.safetensors``, ``.pth``, ``.pt`` or ``.bin`` file.

    Raises:
        ModelError: no such file, a damaged one, a pickle that would run code, no weights
            inside, or weights that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no checkpoint file {str(path)!r}.")
    try:
        if path.suffix == ".safetensors":
            return _checked(load_file(path))
        return _checked(_unwrap(torch.load(path, map_location="cpu", weights_only=True)))
    except SafetensorError as error:
        raise ModelError(f"{path.name} is not a readable safetensors file: {error}") from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path.name} holds more than weights: opening it would run code from the file "
            "(pickle), so it was refused. Save the weights alone, best as safetensors: "
            "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path.name} is not a readable PyTorch checkpoint: {error}") from error


def read_safetensors(data: bytes) -> StateDict:
    """The state dict in the bytes of an uploaded safetensors file.

    Raises:
        ModelError: as :func:`read`.
    """
    try:
        return _checked(load_safetensors(data))
    except SafetensorError as error:
        raise ModelError(
            f"The upload is not a readable safetensors file ({error}). Convert the checkpoint "
            "with safetensors.torch.save_file(model.state_dict(), 'model.safetensors')."
        ) from error


def num_classes(state: Mapping[str, Tensor]) -> int | None:
    """The number of classes of the classifier in the state dict, or None if there is none."""
    for name in _HEADS:
        if name in state and state[name].ndim == 2:
            return int(state[name].shape[0])
    return None


def load_into(module: nn.Module, state: StateDict, architecture: str) -> None:
    """Load the weights, every one of them and no other.

    Raises:
        ModelError: names or shapes do not fit; the message counts and names them.
    """
    expected = module.state_dict()
    state = _strip(state, set(expected))
    missing = sorted(expected.keys() - state.keys())
    extra = sorted(state.keys() - expected.keys())
    shapes = [
        f"{name} is {tuple(state[name].shape)}, the model has {tuple(expected[name].shape)}"
        for name in sorted(expected.keys() & state.keys())
        if state[name].shape != expected[name].shape
    ]
    problems = []
    if missing:
        problems.append(f"{len(missing)} weights are missing ({_some(missing)})")
    if extra:
        problems.append(f"{len(extra)} are unknown to the model ({_some(extra)})")
    if shapes:
        problems.append(f"{len(shapes)} have another shape ({_some(shapes)})")
    if problems:
        hint = (
            " A different pos_embed means another img_size." if "pos_embed" in str(shapes) else ""
        )
        raise ModelError(
            f"The checkpoint does not belong to {architecture}: {'; '.join(problems)}. "
            f"Choose the architecture that it was trained with.{hint}"
        )
    module.load_state_dict(state)


def _unwrap(content: object) -> StateDict:
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds a {type(content).__name__}, not a table of weights")
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _checked(state: StateDict) -> StateDict:
    if not state:
        raise ModelError("The checkpoint holds no weights.")
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"The checkpoint has values that are not finite (first in {name!r}): the training "
                "diverged or the file is damaged. Use an earlier checkpoint."
            )
    return state


def _strip(state: StateDict, expected: set[str]) -> StateDict:
    """Take off the prefixes that wrappers put before every name."""
    stripped = True
    while stripped:
        stripped = False
        for prefix in _WRAPPERS:
            inside = all(name.startswith(prefix) for name in state)
            if inside and not any(name.startswith(prefix) for name in expected):
                state = {name[len(prefix) :]: value for name, value in state.items()}
                stripped = True
    return state


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
