"""From a name, files or a ready module to a module with weights, and what is known about it."""

from __future__ import annotations

import difflib
import socket
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import huggingface_hub
import timm
from torch import nn

from attnlib.errors import ModelError
from attnlib.model import checkpoint as checkpoints
from attnlib.model import demo
from attnlib.model.classes import imagenet_reason
from attnlib.model.preparation import own_config

HUB = ("hf-hub:", "hf_hub:", "local-dir:")
OFFLINE_HINT = (
    "Without a network these work: the demo model, a checkpoint file of your own, an uploaded "
    "safetensors file, or an architecture with random weights (pretrained=False)."
)


@dataclass(frozen=True)
class Built:
    """A module with its weights, and what is known about it besides.

    Attributes:
        name: what it is called on screen.
        data: how its images are prepared, in timm's words (``mean``, ``std``, ``crop_pct``, …).
        data_source: what says so: ``"timm's configuration"``, ``"the checkpoint's arguments"``.
        arguments: what the training said about itself in the checkpoint (``args``,
            ``hyper_parameters``, ``config``), flat.
        class_names: those that came with it.
        names_source: where they come from, in words; "" where there are none.
        imagenet: what says that its classes are ImageNet's; "" where nothing does.
        processor: an image processor of transformers that belongs to it.
        notes: what a person should know: weights left out, options that shapes cannot tell.
    """

    name: str
    module: nn.Module
    data: Mapping[str, Any] = field(default_factory=dict)
    data_source: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] | None = None
    names_source: str = ""
    imagenet: str = ""
    processor: Any = None
    notes: tuple[str, ...] = ()


def build(
    source: str | nn.Module,
    *,
    checkpoint: str | Path | checkpoints.StateDict | None,
    num_classes: int | None,
    img_size: int | tuple[int, int] | None,
    pretrained: bool | None,
    model_args: Mapping[str, Any] | None,
    named: int | None,
) -> Built:
    """The module of :func:`attnlib.load`'s arguments, which see.

    Args:
        named: how many class names were given, if any.

    Raises:
        ModelError: it cannot be had, or the weights do not fit.
    """
    _refuse_idle(
        source,
        checkpoint=checkpoint,
        num_classes=num_classes,
        pretrained=pretrained,
        model_args=model_args,
    )
    if isinstance(source, nn.Module):
        return Built(type(source).__name__, source, own_config(source), "timm's configuration")
    if source == "demo":
        return Built(
            "demo",
            demo.build(),
            dict(demo.DATA_CONFIG),
            "the demo's model card",
            class_names=demo.CLASS_NAMES,
            names_source="the demo's model card",
        )
    state = _state(checkpoint)
    if num_classes is None:
        num_classes = (None if state is None else checkpoints.num_classes(state)) or named
    if pretrained is None:
        pretrained = state is None
    module = _create(source, pretrained, num_classes, img_size, model_args or {})
    if state is not None:
        checkpoints.load_into(module, state, source)
    imagenet = imagenet_reason(source, module) if pretrained and state is None else ""
    return Built(source, module, own_config(module), "timm's configuration", imagenet=imagenet)


def _refuse_idle(source: str | nn.Module, **given: object) -> None:
    """Refuse what only says how an architecture is built where none is built.

    Raises:
        ModelError: one of them is given for a ready module or the demo.
    """
    ready = isinstance(source, nn.Module)
    idle = [name for name, value in given.items() if value is not None]
    if idle and (ready or source == "demo"):
        what = "A ready module" if ready else "The demo model"
        out = (
            "load its weights into it before, with module.load_state_dict(...)"
            if ready
            else "give the name of an architecture instead"
        )
        raise ModelError(
            f"{what} is used as it is, so {' and '.join(idle)} would change nothing: leave "
            f"{'it' if len(idle) == 1 else 'them'} out, or {out}."
        )


def _create(
    name: str,
    pretrained: bool,
    num_classes: int | None,
    img_size: int | tuple[int, int] | None,
    model_args: Mapping[str, Any],
) -> nn.Module:
    if not name.startswith(HUB) and not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
        hint = f" Did you mean {', '.join(close)}?" if close else ""
        raise ModelError(f"timm has no model {name!r}.{hint}")
    if (pretrained or name.startswith(HUB[:2])) and not (_cached(name) or _online()):
        raise ModelError(
            f"The weights of {name} could not be fetched: there is no network. {OFFLINE_HINT}"
        )
    extra = dict(model_args)
    if num_classes is not None:
        extra["num_classes"] = num_classes
    if img_size is not None:
        extra["img_size"] = img_size
    try:
        return timm.create_model(name, pretrained=pretrained, **extra)
    except TypeError as error:
        if "img_size" in str(error):
            raise ModelError(f"{name} does not take another input size (img_size).") from error
        raise ModelError(f"{name} could not be built: {error}") from error
    except Exception as error:
        # Whatever a hub client raises (there are dozens of kinds) is one situation to the user.
        if not pretrained and not name.startswith(HUB):
            raise ModelError(f"{name} could not be built: {error}") from error
        raise ModelError(
            f"The weights of {name} could not be fetched ({type(error).__name__}). {OFFLINE_HINT}"
        ) from error


def _online() -> bool:
    """Whether the hub's name can be resolved; without this a client retries for a minute."""
    if urllib.request.getproxies():
        return True
    try:
        socket.getaddrinfo(urlsplit(huggingface_hub.constants.ENDPOINT).hostname, 443)
    except OSError:
        return False
    return True


def _cached(name: str) -> bool:
    """Whether some weights of a model lie in the hub's local cache."""
    config = None if name.startswith(HUB) else timm.get_pretrained_cfg(name)
    repo = name.partition(":")[2].partition("@")[0] if config is None else config.hf_hub_id
    files = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors")
    try:
        found = [huggingface_hub.try_to_load_from_cache(repo, file) for file in files if repo]
    except ValueError:
        return False
    return any(isinstance(path, str) for path in found)


def _state(checkpoint: str | Path | checkpoints.StateDict | None) -> checkpoints.StateDict | None:
    if checkpoint is None or isinstance(checkpoint, Mapping):
        return checkpoint
    return checkpoints.read(checkpoint)
