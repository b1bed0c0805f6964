"""What loading has made before anything is found out by running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn


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
        embeds: whether its outputs are known to be an embedding of the image, not classes.
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
    embeds: bool = False
    processor: Any = None
    notes: tuple[str, ...] = ()
