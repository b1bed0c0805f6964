"""Loading: a name, a checkpoint or a ready module -> a :class:`attnlib.model.vit.Vit`."""

from __future__ import annotations

import difflib
import socket
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import huggingface_hub
import timm
import torch
from torch import nn

from attnlib.capture import passes
from attnlib.capture.support import examine
from attnlib.data import labels
from attnlib.data.image import Transform
from attnlib.errors import ModelError
from attnlib.model import checkpoint as checkpoints
from attnlib.model import classes, demo
from attnlib.model.preparation import own_config, preprocessing, size_of
from attnlib.model.vit import Vit

HUB = ("hf-hub:", "hf_hub:", "local-dir:")
OFFLINE_HINT = (
    "Without a network these work: the demo model, a checkpoint file of your own, an uploaded "
    "safetensors file, or an architecture with random weights (pretrained=False)."
)


def load(
    source: str | nn.Module,
    *,
    checkpoint: str | Path | checkpoints.StateDict | None = None,
    class_names: Sequence[str] | str | Path | None = None,
    num_classes: int | None = None,
    img_size: int | tuple[int, int] | None = None,
    pretrained: bool | None = None,
    device: str = "auto",
    precision: passes.Precision = "float32",
    transform: Transform | Any = None,
) -> Vit:
    """Load a Vision Transformer.

    Args:
        source: ``"demo"``; a timm name; ``"hf-hub:org/name"``; or a ready module of timm,
            torchvision or transformers, which is used as it is (in evaluation mode).
        checkpoint: ``.safetensors`` or ``.pth`` file with weights for the architecture
            ``source``, or a state dict. This, ``num_classes`` and ``pretrained`` are refused for
            the demo and for a ready module, which are used as they are.
        class_names: one per class: a list, or a text file (one per line) or JSON file.
        num_classes: size of the classifier; read off ``class_names`` or ``checkpoint`` if None.
        img_size: input size in pixels, one number or ``(height, width)``; the model's own if
            None.
        pretrained: fetch timm's weights; by default if no checkpoint is given.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        precision: ``"float32"``, or ``"bfloat16"`` or ``"float16"`` for autocast.
        transform: PIL image -> ``(3, h, w)`` tensor, or an image processor of transformers;
            needed for a ready module that does not carry its own data configuration.

    Raises:
        ModelError: the model cannot be had or the parts do not fit; the message says why.
        CaptureError: the model has no attention between tokens.
        LabelError: the class names cannot be read or their number does not fit.
    """
    place = passes.choose_device(device)
    if precision not in passes.PRECISIONS:
        raise ModelError(
            f"precision must be one of {', '.join(passes.PRECISIONS)}, not {precision!r}."
        )
    _refuse_idle(source, checkpoint=checkpoint, num_classes=num_classes, pretrained=pretrained)
    names = _read_names(class_names)
    config: dict[str, Any] = {}
    if isinstance(source, nn.Module):
        name, module = type(source).__name__, source
        config = own_config(module)
    elif source == "demo":
        name, module = "demo", demo.build()
        names, config = names or demo.CLASS_NAMES, dict(demo.DATA_CONFIG)
    else:
        state = _state(checkpoint)
        if num_classes is None and names is not None:
            num_classes = len(names)
        if num_classes is None and state is not None:
            num_classes = checkpoints.num_classes(state)
        if pretrained is None:
            pretrained = state is None
        name, module = source, _create(source, pretrained, num_classes, img_size)
        if state is not None:
            _check_names(names, checkpoints.num_classes(state))
            checkpoints.load_into(module, state, source)
        config = own_config(module)
    module = _to(module.eval(), place)
    size = size_of(img_size, transform, config, module)
    prepare, mean, std = preprocessing(transform, config, size)
    layout, support = examine(module, size)
    count = _count_classes(module, size)
    if names is None:
        names = _known_names(module, count)
    _check_names(names, count)
    return Vit(name, module, prepare, layout, support, names, size, mean, std, precision)


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


def model_names(pretrained: bool = True) -> list[str]:
    """timm's model names, pretrained ones with their weights' tag."""
    return list(timm.list_models(pretrained=pretrained))


def _create(
    name: str, pretrained: bool, num_classes: int | None, img_size: int | tuple[int, int] | None
) -> nn.Module:
    if not name.startswith(HUB) and not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
        hint = f" Did you mean {', '.join(close)}?" if close else ""
        raise ModelError(f"timm has no model {name!r}.{hint}")
    if (pretrained or name.startswith(HUB[:2])) and not (_cached(name) or _online()):
        raise ModelError(
            f"The weights of {name} could not be fetched: there is no network. {OFFLINE_HINT}"
        )
    extra: dict[str, Any] = {}
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


def _to(module: nn.Module, device: torch.device) -> nn.Module:
    try:
        return module.to(device)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"The model does not fit into the memory of {device}. Choose the CPU or a smaller one."
        ) from error


def _read_names(names: Sequence[str] | str | Path | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    if isinstance(names, str | Path):
        path = Path(names)
        if not path.is_file():
            raise ModelError(f"There is no file of class names {str(path)!r}.")
        return tuple(labels.read_class_names(path.read_bytes(), path.name))
    return tuple(names)


def _check_names(names: Sequence[str] | None, count: int | None) -> None:
    if names is not None and count is not None:
        labels.check_class_count(names, count)


def _known_names(module: nn.Module, count: int) -> tuple[str, ...]:
    """Names that come with the module: its configuration's, else ImageNet's, else numbers."""
    table = getattr(getattr(module, "config", None), "id2label", None)
    if isinstance(table, Mapping) and len(table) == count:
        return tuple(str(table[i]) for i in sorted(table))
    given = (getattr(module, "pretrained_cfg", None) or {}).get("label_names")
    if given and len(given) == count:
        return tuple(str(name) for name in given)
    return classes.imagenet_names(count) or classes.default_names(count)


def _count_classes(module: nn.Module, size: tuple[int, int]) -> int:
    parameter = next(module.parameters())
    pixels = torch.zeros(1, 3, *size, dtype=parameter.dtype, device=parameter.device)
    with torch.inference_mode(), passes.admitted():
        logits, _ = passes.forward(module, pixels)
    return int(logits.shape[1])
