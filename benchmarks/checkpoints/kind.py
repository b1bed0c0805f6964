"""One way to bring a model: what is loaded, and what the original says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

TINY = "vit_tiny_patch16_224"
# A tiny ViT made smaller: what has to be said of it where the file does not.
SHORT: dict[str, Any] = {"img_size": 64, "depth": 2}
NAMES = ("cat", "dog", "fox")


@dataclass(frozen=True)
class Made:
    """A kind, made once.

    Attributes:
        source: first argument of ``attnlib.load``; a path where it is a folder.
        options: its other arguments.
        module: the original; None where a refusal is right.
        logits: from pixels ``(1, C, h, w)`` to the original's logits ``(1, L)``.
        channels: C.
        upload: a file that the sidebar is given; None where it takes none.
        names: the class names that must be found; None where nothing names them.
        readout: what the prediction is read from, in our words; "" to leave it open.
        outputs: what the logits mean, one of ``attnlib.capture.outputs.KINDS``; "" to leave it
            open.
        mean: of the normalisation that must be found.
    """

    source: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    module: nn.Module | None = None
    logits: Callable[[Tensor], Tensor] | None = None
    channels: int = 3
    upload: Path | None = None
    names: tuple[str, ...] | None = None
    readout: str = ""
    outputs: str = ""
    mean: tuple[float, ...] | None = None


# A function that makes a kind in an empty folder, by its title.
Maker = Callable[[Path], Made]
KINDS: dict[str, Maker] = {}


def kind(title: str) -> Callable[[Maker], Maker]:
    """Enter a maker under its title."""

    def enter(maker: Maker) -> Maker:
        assert title not in KINDS, title
        KINDS[title] = maker
        return maker

    return enter


def filled(module: Any, seed: int = 0) -> Any:
    """With numbers in every weight, so that none that is lost goes unseen."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return module.eval()


def tiny(**options: Any) -> Any:
    """The tiny ViT, short, with three classes."""
    return filled(timm.create_model(TINY, **{**SHORT, "num_classes": 3, **options}))


def said(**options: Any) -> dict[str, Any]:
    """What is said of :func:`tiny` where its file says nothing."""
    return {"img_size": 64, "model_args": {"depth": 2, **options}}


def file(folder: Path, name: str, content: Any, **options: Any) -> Path:
    """``torch.save`` of some content."""
    path = folder / name
    torch.save(content, path, **options)
    return path


def saved(
    folder: Path,
    content: Any,
    module: nn.Module,
    name: str = "best.pth",
    **more: Any,
) -> Made:
    """A checkpoint of the tiny ViT."""
    path = file(folder, name, content)
    options = more.pop("options", said())
    return Made(TINY, {"checkpoint": path, **options}, module, upload=path, **more)
