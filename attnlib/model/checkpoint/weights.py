"""Reading a checkpoint: the weights that were chosen, and what the file says besides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attnlib.errors import ModelError, brief
from attnlib.model.checkpoint.arguments import arguments, class_names, strangers
from attnlib.model.checkpoint.files import Content, nowhere, open_file
from attnlib.model.checkpoint.meanings import Stored
from attnlib.model.checkpoint.places import Found, choose, places, whole_model

StateDict = dict[str, Tensor]
# Tensors of a classifier that is kept apart: two layers at most.
_FEW = 4

_WRAPPERS = re.compile(r"(?<=\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")


@dataclass(frozen=True)
class Weights:
    """The weights of a checkpoint, under the names that the file gives them.

    Attributes:
        tensors: name -> tensor, on the CPU.
        file: what the checkpoint is called, for messages.
        where: the place in the checkpoint (``"state_dict_ema"``); "" for the top.
        others: other places that hold about as many weights.
        small: places that hold fewer weights, such as a head that is kept apart.
        choice: the part of a place's or tensor's name that a person asked for.
        arguments: what the training says about itself, flat.
        class_names: in the order of the classes, if the checkpoint has them.
        names_entry: the checkpoint's entry that holds them.
        skipped: classes of objects in the checkpoint that were left aside.
        apart: the weights of those of ``small`` that hold one or two layers, by place and name.
    """

    tensors: Mapping[str, Tensor]
    file: str = "The checkpoint"
    where: str = ""
    others: tuple[str, ...] = ()
    small: tuple[str, ...] = ()
    choice: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] | None = None
    names_entry: str = ""
    skipped: tuple[str, ...] = ()
    apart: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the reading, in sentences."""
        said = []
        if self.others:
            others = ", ".join(f"“{path or 'top'}”" for path in self.others)
            said.append(
                f"{self.file} holds weights in several places: taken are those in "
                f"“{self.where or 'top'}”; {others} can be chosen instead (weights=…)."
            )
        if self.small:
            small = ", ".join(f"“{path or 'top'}”" for path in self.small[:12])
            said.append(f"{self.file} holds other weights too, which were not taken: {small}.")
        if self.skipped:
            said.append(
                f"Left aside unread, as they are no weights: {', '.join(self.skipped[:20])}."
            )
        return tuple(said)


def read(
    source: str | Path | bytes | Mapping[str, Any] | Weights, choose_from: str | None = None
) -> Weights:
    """The weights in a file, in the bytes of an upload, or in a checkpoint already in memory.

    Files are judged by their bytes: safetensors, and PyTorch's own format, old and new. No code
    of the file runs, whatever it holds.

    Args:
        choose_from: which of several weights to take, by a word of their place or of their
            names: ``"ema"``, ``"teacher"``, ``"student"``. By default an average over training
            comes first.

    Raises:
        ModelError: no such file, a damaged one or one of another kind, one that would run code
            on opening, or no weights inside.
    """
    if isinstance(source, Weights):
        return source
    if not isinstance(source, str | Path | bytes | Mapping):
        raise ModelError(
            "A checkpoint is a file, its bytes or a state dict (model.state_dict()), not an object "
            f"of the class {type(source).__name__}."
        )
    if isinstance(source, Mapping):
        content = Content("The checkpoint", source, nowhere, 0)
    else:
        content = open_file(source)
    try:
        return _weights(content, choose_from)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"{content.name} is damaged ({type(error).__name__}: {brief(error)}): copy or save "
            "it again."
        ) from error


def _weights(content: Content, choice: str | None) -> Weights:
    name, root = content.name, content.root
    skipped, acting = strangers(root)
    if acting:
        raise ModelError(
            f"{name} would run code on opening: it calls {', '.join(acting[:3])}. None of it was "
            "run, and the file was refused. Save the weights alone, best as safetensors: "
            "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')."
        )
    if any("_rebuild_qtensor" in kind for kind in skipped):
        raise ModelError(
            f"{name} holds quantised weights, which have no exact attention to show: save the "
            "weights from before quantisation."
        )
    if "torch.storage._load_from_bytes" in skipped:
        raise ModelError(
            f"{name} was written by pickle, not by torch.save. Where it was written, run:\n"
            f"import pickle, torch; weights = pickle.load(open({name!r}, 'rb'))\n"
            "torch.save(weights, 'weights.pth')"
        )
    found = places(root)
    if not found and (whole := whole_model(root)) is not None:
        kind, path = whole
        raise ModelError(
            f"{name} is a whole model, pickled with its code ({kind}), and code is not opened "
            "here. Where that code is installed, run:\n"
            f"import torch; model = torch.load({name!r}, weights_only=False){path}\n"
            "torch.save(model.state_dict(), 'weights.pth')"
        )
    where, others = choose(found, choice, name)
    asked = sum(t.size for t in found[where].values() if isinstance(t, Stored))
    # Tied weights share one storage; no model shares all of them several times.
    if asked > 4 * content.size:
        raise ModelError(
            f"{name} asks for {asked / 2**30:.1f} GB out of a file of {content.size / 2**20:.1f} "
            "MB: it is damaged, or made to fill this machine's memory."
        )
    tensors = _opened(found[where], content)
    small = tuple(path for path in found if path not in (where, *others))
    # Beside tensors a safetensors file holds nothing but such texts: all of them are settings.
    about = {"meta": content.metadata, **content.metadata} if content.metadata else root
    named = class_names(about)
    said = arguments(about)
    if any(key.rpartition(".")[2] == "pos_weight" for key in tensors):
        # The only loss of PyTorch's that keeps weights of that name.
        said.setdefault("criterion", "BCEWithLogitsLoss, whose pos_weight is beside the weights")
    return Weights(
        tensors=_unwrapped(tensors),
        file=name,
        where=where,
        others=others,
        small=small,
        choice=choice,
        arguments=said,
        class_names=None if named is None else named[0],
        names_entry="" if named is None else named[1],
        skipped=skipped,
        apart={
            f"{path}.{key}": value
            for path in small
            if len(found[path]) <= _FEW
            for key, value in _opened(found[path], content).items()
        },
    )


def _opened(place: Mapping[str, Found], content: Content) -> StateDict:
    return {
        key: (value.tensor(content.storages) if isinstance(value, Stored) else value).detach()
        for key, value in place.items()
    }


def _unwrapped(tensors: StateDict) -> StateDict:
    """Names without what compiling, sharding and recomputing put between their parts."""
    names = [_WRAPPERS.sub("", name) for name in tensors]
    if len(set(names)) < len(names):
        return tensors
    return dict(zip(names, tensors.values(), strict=True))


def check_finite(state: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not finite.

    Raises:
        ModelError: which one is the first.
    """
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
            raise ModelError(
                f"The checkpoint has values that are not finite (first in {name!r}): the training "
                "diverged or the file is damaged. Use an earlier checkpoint."
            )
