"""How a module's images are prepared, setting by setting, each with what says so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import Tensor, nn
from torchvision.transforms import Compose

from attnlib.capture.geometry import input_channels
from attnlib.data.image import MODES, Transform
from attnlib.errors import ModelError
from attnlib.model.inputs import per_channel
from attnlib.model.settings import settings
from attnlib.model.transforms import Normalise, callable_of, told_by

if TYPE_CHECKING:
    from attnlib.model.built import Built

INTERPOLATIONS: Final = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
CROP_MODES: Final = ("center", "squash", "border")
Channels = Literal["RGB", "BGR"]
CHANNELS: Final[tuple[Channels, ...]] = ("RGB", "BGR")
# What can be changed of a preparation, and what is taken where nothing says it.
DEFAULTS: Final[Mapping[str, Any]] = {
    "mean": None,
    "std": None,
    "crop_pct": 1.0,
    "crop_mode": "center",
    "interpolation": "bilinear",
    "channels": "RGB",
}
ASSUMED = "assumed, since nothing says it"
OWN = "your own transform"
SAID = "said by you"


@dataclass(frozen=True)
class Preparation:
    """How an image becomes the model's input.

    It is resized so that the crop is ``crop_pct`` of it, cropped at the centre, scaled to 0..1,
    and normalised: ``(value - mean) / std``. For pixels from 0 to 255 the std is 1/255.

    Attributes:
        size: ``(height, width)`` of the input in pixels.
        mean, std: per channel, in the model's order of channels, of values from 0 to 1.
        crop_pct: share of the resized image's side that is kept, above 0 and up to 1.
        crop_mode: ``"center"`` (the shorter side is resized), ``"squash"`` (both sides are,
            whatever the shape) or ``"border"`` (the longer side is, and borders are added).
        interpolation: of the resizing, one of :data:`INTERPOLATIONS`.
        channels: ``"RGB"``, or ``"BGR"`` for models trained on images of OpenCV or Caffe.
        sources: what says so, in words, by the names above.
        own: a transform that is applied instead; what it does not tell of the above is None.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_pct: float | None = 1.0
    crop_mode: str | None = "center"
    interpolation: str | None = "bilinear"
    channels: Channels = "RGB"
    sources: Mapping[str, str] = field(default_factory=dict)
    own: Transform | None = None

    @cached_property
    def transform(self) -> Transform:
        """PIL image -> ``(C, h, w)`` float32 tensor."""
        if self.own is not None:
            return self.own
        made: Transform = create_transform(
            (len(self.mean), *self.size),
            interpolation=self.interpolation or DEFAULTS["interpolation"],
            mean=self.mean,
            std=self.std,
            crop_pct=self.crop_pct,
            crop_mode=self.crop_mode,
            is_training=False,
            normalize=False,
        )
        made = Compose([made, Normalise(self.mean, self.std)])
        if self.channels == "RGB":
            return made

        def swapped(image: Image.Image) -> Tensor:
            bands = image.split()
            return made(Image.merge(image.mode, (*bands[2::-1], *bands[3:])))

        return swapped

    @property
    def resize(self) -> tuple[int, int] | None:
        """``(height, width)`` that the crop is taken of, for an image of the crop's shape."""
        if self.crop_pct is None:
            return None
        return math.floor(self.size[0] / self.crop_pct), math.floor(self.size[1] / self.crop_pct)

    def changed(self, changes: Mapping[str, Any], source: str = SAID) -> Preparation:
        """The same with other settings; a transform of one's own is replaced by them.

        Args:
            changes: by the names of :data:`DEFAULTS`.
            source: what says so.

        Raises:
            ModelError: no such setting, or no such value of it.
        """
        if not changes:
            return self
        given = {name: _checked(name, value, len(self.mean)) for name, value in changes.items()}
        sources = {**self.sources, **dict.fromkeys(given, source)}
        for name, default in DEFAULTS.items():
            if getattr(self, name) is None and name not in given:
                given[name], sources[name] = default, ASSUMED
        return replace(self, **given, sources=sources, own=None)


def own_config(module: nn.Module) -> dict[str, Any]:
    """timm's data configuration of the module: input size, mean, std, crop, interpolation."""
    if getattr(module, "pretrained_cfg", None):
        return dict(resolve_data_config(model=module))
    return {}


def size_of(
    img_size: int | tuple[int, int] | None,
    transform: Any,
    config: Mapping[str, Any],
    module: nn.Module,
) -> tuple[int, int]:
    """``(height, width)`` of the input in pixels: as given, else the model's, else the transform's.

    What is inside the module comes last: whoever built around it may resize its images.

    Raises:
        ModelError: nothing says it, or it is not positive.
    """
    if img_size is None:
        img_size = _embedded(module)
    if img_size is None and "input_size" in config:
        img_size = config["input_size"][1:]
    inner = next(filter(None, map(_embedded, module.modules())), None)
    if img_size is None and transform is not None:
        mode = MODES.get(input_channels(module) or 3, "RGB")
        made = [callable_of(transform)(Image.new(mode, (side, side))) for side in (64, 160)]
        small, large = ((int(m.shape[-2]), int(m.shape[-1])) for m in made)
        # One that leaves images as large as they are tells nothing.
        img_size = small if small == large else inner or small
    img_size = img_size or inner
    if img_size is None:
        raise ModelError("Give the module's input size (img_size) or its transform.")
    if isinstance(img_size, int):
        img_size = (img_size, img_size)
    height, width = int(img_size[0]), int(img_size[1])
    if min(height, width) < 1:
        raise ModelError(f"img_size must be positive, not {height} x {width}.")
    return height, width


def _embedded(module: nn.Module) -> Any:
    """The size that timm's patch embedding of a module is made for; None where it has none."""
    return getattr(getattr(module, "patch_embed", None), "img_size", None)


def prepare(
    built: Built,
    module: nn.Module,
    transform: Any,
    changes: Mapping[str, Any] | None,
    img_size: int | tuple[int, int] | None,
) -> Preparation:
    """The preparation of a built module's images.

    Later ones win: the model's own configuration, what the training said in the checkpoint, a
    transform or image processor, and what is to be changed of all that.

    Args:
        transform: as given to :func:`attnlib.load`; it replaces all that is known of the model.
        changes: what to change of what is known (``mean``, ``std``, ``crop_pct``, …).

    Raises:
        ModelError: neither a transform nor a configuration is there, or a change is none.
    """
    changes = dict(changes or {})
    source = OWN
    if transform is None and built.processor is not None:
        transform, source = built.processor, built.data_source or "its image processor"
    size = size_of(img_size, transform, built.data, module)
    channels = input_channels(module) or 3
    said = SAID if img_size is not None else "the model" if transform is None else source
    if transform is not None:
        told = told_by(transform)
        sources = {"size": said, "mean": ASSUMED, "std": ASSUMED, **dict.fromkeys(told, source)}
        found = {"mean": (0.0,), "std": (1.0,), **_unsaid(), **told}
        found, sources = _fitted(found, sources, channels)
        own = Preparation(size, sources=sources, own=callable_of(transform), **found)
        return own.changed(changes)
    if not built.data and not {"mean", "std"} <= changes.keys():
        raise ModelError(
            "This module does not say how its images are prepared: give a transform "
            "(PIL image -> tensor of shape (3, h, w)), or preprocessing with its mean and std."
        )
    found = {**DEFAULTS, "mean": (0.0,), "std": (1.0,)}
    found |= {name: built.data[name] for name in DEFAULTS if built.data.get(name) is not None}
    sources = {name: built.data_source if name in built.data else ASSUMED for name in DEFAULTS}
    told = _of_training(built)
    found, sources = found | told, sources | dict.fromkeys(told, "the checkpoint's arguments")
    found, sources = _fitted(found, {"size": said, **sources}, channels)
    checked = {name: _checked(name, found[name], channels) for name in told}
    return Preparation(size, sources=sources, **{**found, **checked}).changed(changes)


def _of_training(built: Built) -> dict[str, Any]:
    """What a training's arguments say of the preparation; means above 2 are of 0 to 255."""
    found = dict(settings(built.arguments).data)
    whole = 255 if max(found.get("mean", (0.0,))) > 2 else 1
    for name in ("mean", "std"):
        if name in found:
            found[name] = tuple(value / whole for value in found[name])
    return found


def _fitted(
    found: Mapping[str, Any], sources: Mapping[str, str], channels: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """Mean and std for each of the channels, and the sources, which say so where they changed.

    What is configured is of the weights' three channels, however many the model was built with.
    """
    values, said = dict(found), dict(sources)
    for name in ("mean", "std"):
        count = len(values[name])
        values[name] = per_channel(values[name], channels)
        if count == 3 > channels:
            said[name] += ", averaged over its three channels"
        elif count == 3 < channels:
            said[name] += ", with their average for what is beyond three channels"
    return values, said


def _unsaid() -> dict[str, Any]:
    return {"crop_pct": None, "crop_mode": None, "interpolation": None}


def _checked(name: str, value: Any, count: int) -> Any:
    """A setting's value in the type that it has here.

    Args:
        count: how many channels there are; 0 if that is not known.

    Raises:
        ModelError: no such setting, or no such value of it.
    """
    if name in ("mean", "std"):
        return _numbers(name, value, count)
    options: Mapping[str, Sequence[str]] = {
        "crop_mode": CROP_MODES,
        "interpolation": INTERPOLATIONS,
        "channels": CHANNELS,
    }
    if name in options:
        if value not in options[name]:
            raise ModelError(f"{name} must be one of {', '.join(options[name])}, not {value!r}.")
        return value
    if name == "crop_pct":
        if not _is_number(value) or not 0 < value <= 1:
            raise ModelError(f"crop_pct must be a share above 0 and up to 1, not {value!r}.")
        return float(value)
    more = " The input size is img_size." if "size" in name else ""
    raise ModelError(f"preprocessing has {', '.join(DEFAULTS)}, but no {name!r}.{more}")


def _numbers(name: str, value: Any, count: int) -> tuple[float, ...]:
    if _is_number(value):
        value = [value]
    if isinstance(value, torch.Tensor) or hasattr(value, "tolist"):
        value = value.tolist()
    fits = isinstance(value, list | tuple) and len(value) in ({1, count} if count else {1, 3})
    if not fits or not all(map(_is_number, value)):
        raise ModelError(f"{name} must be one number, or one for each channel, not {value!r}.")
    if name == "std" and not all(number > 0 for number in value):
        raise ModelError(f"std must be positive, not {value!r}.")
    numbers = tuple(float(number) for number in value)
    return numbers * (count or 3) if len(numbers) == 1 else numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
