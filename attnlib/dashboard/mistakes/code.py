"""The lines of Python that make a picture of the opened image, to paste into a notebook."""

from __future__ import annotations

from typing import Any

from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.parts.pictures import Style
from attnlib.dashboard.state import embedded
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.workspace import Workspace
from attnlib.methods import METHODS, Heat
from attnlib.pictures.colormaps import Scale


def lines(space: Workspace, name: str, heats: list[Heat], scale: Scale, style: Style) -> str:
    """Code that writes the same pixels as the button “Picture (PNG)”.

    Args:
        heats: the map, and those that share its scale.
    """
    made, stem = heats[0], stem_of(name)
    parts = ["import attnlib", "from PIL import Image"]
    parts += ["from attnlib.pictures.colormaps import Scale", ""]
    parts += _image(space, name)
    parts += [f"vit = attnlib.load({_arguments(space.choice)})"]
    target = "" if made.target is None else f", {made.target}"
    if made.target is not None:
        parts += [f"# {made.target} is {space.class_name(made.target)!r}"]
    shown = METHODS[made.method].options
    options = "".join(
        f", {key}={value!r}" for key, value in made.options.items() if shown[key].default != value
    )
    parts += [f"heat = vit.attribute(image, {made.method!r}{target}{options})"]
    if len(heats) > 1:
        parts += ["# The scale also covers the map for the true class, which stands beside it."]
    parts += [f"scale = {_scale(scale)}"]
    parts += [f"picture = heat.overlay(scale=scale{_style(style, made.signed)}, side=896)"]
    parts += [f"picture.save({f'{stem}-{made.method}.png'!r})"]
    return "\n".join(parts) + "\n"


def _image(space: Workspace, name: str) -> list[str]:
    if space.session.own:
        how = "" if space.choice.decoding == "upright" else f", {space.choice.decoding!r}"
        return [
            "from attnlib.data.image import decode",
            "",
            f"with open({name!r}, 'rb') as file:",
            f"    image = decode(file.read(){how})",
        ]
    demo = "demo" if space.session.demo == embedded.PHOTOGRAPHS else "objects"
    return [
        "import io",
        f"from attnlib.model import {demo}",
        "",
        f"data = next(one.data for one in {demo}.images() if one.name == {name!r})",
        "image = Image.open(io.BytesIO(data)).convert('RGB')",
    ]


def _arguments(choice: ModelChoice) -> str:
    """What `attnlib.load` takes for this choice; an uploaded file goes by its name."""
    given: dict[str, Any] = {"checkpoint": choice.checkpoint or choice.file}
    given |= {"weights": choice.taken, "img_size": choice.img_size}
    given |= {"class_names": list(choice.class_names), "model_args": dict(choice.model_args)}
    given |= {"outputs": choice.outputs, "preprocessing": dict(choice.preprocessing)}
    if choice.names is not None:
        given["class_names"] = list(choice.names.names)
    if choice.precision != "float32":
        given["precision"] = choice.precision
    if choice.device != "auto":
        given["device"] = choice.device
    said = "".join(f", {key}={value!r}" for key, value in given.items() if value)
    return f"{choice.source!r}{said}"


def _scale(scale: Scale) -> str:
    more = f", factor={scale.factor!r}" if scale.factor != 1.0 else ""
    more += f", mark={scale.mark!r}" if scale.mark is not None else ""
    return f"Scale({scale.low!r}, {scale.high!r}, {scale.signed!r}, {scale.label!r}{more})"


def _style(style: Style, signed: bool) -> str:
    """What differs from the default."""
    plain, said = Style(), ""
    for key in ("colormap", "opacity", "fade", "interpolation", "keep", "mode"):
        value = getattr(style, key)
        if value != getattr(plain, key) and not (key == "colormap" and signed):
            said += f", {key}={value!r}"
    return said
