"""Loading: a name, a checkpoint or a ready module -> a :class:`attnlib.model.vit.Vit`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from torch import nn

from attnlib.capture import passes
from attnlib.capture.ending import ends_normalised
from attnlib.capture.facts import noise
from attnlib.capture.outputs import Kind
from attnlib.capture.support import examine
from attnlib.data import labels
from attnlib.data.image import Transform
from attnlib.errors import AttnlibError, ModelError, brief
from attnlib.model import checkpoint as checkpoints
from attnlib.model import memory
from attnlib.model.build import build
from attnlib.model.built import Built
from attnlib.model.classes import IMAGENET, names_of
from attnlib.model.outputs import outputs_of
from attnlib.model.preparation import prepare
from attnlib.model.vit import Vit
from attnlib.model.wrappers import unwrapped


def load(
    source: str | nn.Module,
    *,
    checkpoint: str | Path | bytes | Mapping[str, Any] | checkpoints.Weights | None = None,
    weights: str | None = None,
    class_names: Sequence[str] | str | Path | None = None,
    num_classes: int | None = None,
    img_size: int | tuple[int, int] | None = None,
    pretrained: bool | None = None,
    device: str = "auto",
    precision: passes.Precision = "float32",
    transform: Transform | Any = None,
    preprocessing: Mapping[str, Any] | None = None,
    outputs: Kind | None = None,
    model_args: Mapping[str, Any] | None = None,
) -> Vit:
    """Load a Vision Transformer.

    Args:
        source: ``"demo"`` or ``"demo-objects"``; a timm name; ``"hf-hub:org/name"``; ``"auto"``,
            which finds the architecture of ``checkpoint`` by its arguments or shapes; or a ready
            module of timm, torchvision or transformers, which is used as it is (in evaluation
            mode).
        checkpoint: a file with weights for the architecture ``source`` as training writes it
            (safetensors, or whatever ``torch.save`` wrote: no code of it is run), its bytes, or
            its content. This, ``num_classes`` and ``pretrained`` are refused for a demo and
            for a ready module, which are used as they are.
        weights: which weights of several in the checkpoint: ``"ema"``, ``"student"``, …; an
            average over training by default.
        class_names: one per class: a list, or a text or JSON file (see
            :func:`attnlib.data.labels.read_class_names`); or ``"imagenet"``.
        num_classes: size of the classifier; read off ``class_names`` or ``checkpoint`` if None.
        img_size: input size in pixels, one number or ``(height, width)``; the model's own if
            None.
        pretrained: fetch timm's weights; by default if no checkpoint is given.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        precision: ``"float32"``, or ``"bfloat16"`` or ``"float16"`` for autocast.
        transform: PIL image -> ``(3, h, w)`` tensor, or an image processor of transformers;
            needed for a ready module that does not carry its own data configuration.
        preprocessing: what to change of the model's own preparation of images: see
            :class:`attnlib.model.preparation.Preparation`.
        outputs: what the logits mean, one of :data:`attnlib.capture.outputs.KINDS`; found out
            if None.
        model_args: options of the architecture (``global_pool``, ``reg_tokens``, …).

    Raises:
        ModelError: the model cannot be had or the parts do not fit; the message says why.
        CaptureError: the model has no attention between tokens.
        LabelError: the class names cannot be read or their number does not fit.
    """
    names = _read_names(class_names)
    if isinstance(source, nn.Module):
        source = unwrapped(source)
    built = build(
        source,
        checkpoint=checkpoint,
        weights=weights,
        num_classes=num_classes,
        img_size=img_size,
        pretrained=pretrained,
        model_args=model_args,
        class_count=None if names is None or names == IMAGENET else len(names),
    )
    return assemble(
        built,
        class_names=names,
        img_size=img_size,
        device=device,
        precision=precision,
        transform=transform,
        preprocessing=preprocessing,
        outputs=outputs,
    )


def assemble(
    built: Built,
    *,
    class_names: Sequence[str] | Literal["imagenet"] | None = None,
    img_size: int | tuple[int, int] | None = None,
    device: str = "auto",
    precision: passes.Precision = "float32",
    transform: Transform | Any = None,
    preprocessing: Mapping[str, Any] | None = None,
    outputs: Kind | None = None,
) -> Vit:
    """A built module with all that :func:`load` finds out about it; the weights are shared.

    Args and errors as of :func:`load`.
    """
    place = passes.choose_device(device)
    if precision not in passes.PRECISIONS:
        raise ModelError(
            f"precision must be one of {', '.join(passes.PRECISIONS)}, not {precision!r}."
        )
    with _explained(built.name):
        if place.type != "cpu":
            memory.check(built.name, memory.Need(memory.weights_of(built.module), 0), place)
        module = _to(built.module.eval(), place)
        preparation = prepare(built, module, transform, preprocessing, img_size)
        layout, support = examine(module, preparation.size)
        normalised = support.normalised
        if normalised is None:
            normalised = _ends_normalised(module, support.channels, preparation.size)
        meaning = outputs_of(
            module,
            built.arguments,
            support.logits,
            outputs,
            built.imagenet,
            embeds=built.embeds,
            normalised=normalised,
        )
        return Vit(
            built.name,
            module,
            layout,
            support,
            preparation=preparation,
            outputs=meaning,
            names=names_of(module, built, meaning, support.logits, class_names),
            precision=precision,
            notes=(*built.notes, *support.notes),
        )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """A module of anybody's making can fail in any way: for a person these are one."""
    try:
        yield
    except AttnlibError:
        raise
    except Exception as error:
        raise ModelError(
            f"{name} does not run on one image of three channels ({type(error).__name__}: "
            f"{brief(error)}). Try module(torch.zeros(1, 3, height, width)) by itself."
        ) from error


def model_names(pretrained: bool = True) -> list[str]:
    """timm's model names, pretrained ones with their weights' tag."""
    return list(timm.list_models(pretrained=pretrained))


def _to(module: nn.Module, device: torch.device) -> nn.Module:
    try:
        return module.to(device)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"The model does not fit into the memory of {device}. Choose the CPU or a smaller one."
        ) from error


def _read_names(
    names: Sequence[str] | str | Path | None,
) -> tuple[str, ...] | Literal["imagenet"] | None:
    if names is None:
        return None
    if names == IMAGENET:
        return "imagenet"
    if isinstance(names, str | Path):
        path = Path(names)
        if not path.is_file():
            raise ModelError(f"There is no file of class names {str(path)!r}.")
        return tuple(labels.read_class_names(path.read_bytes(), path.name))
    return tuple(names)


def _ends_normalised(module: nn.Module, channels: int, size: tuple[int, int]) -> bool:
    """Whether the logits of an image of noise come from a normalisation."""
    with torch.enable_grad(), passes.admitted():
        pixels = noise(module, channels, size)
        logits, _ = passes.forward(module, pixels, lambda call: None, graph=True)
    return ends_normalised(logits)
