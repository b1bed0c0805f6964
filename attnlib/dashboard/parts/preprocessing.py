"""How images are prepared: every setting with what says so, open to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts.codecs import Decimals, Size
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import models
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.session import Session
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.image import DECODINGS, Decoding
from attnlib.errors import AttnlibError
from attnlib.model import embedded
from attnlib.model.preparation import CHANNELS, CROP_MODES, INTERPOLATIONS, Preparation
from attnlib.model.vit import Vit

DECODING_TITLES: Mapping[Decoding, str] = {
    "upright": "upright, on white",
    "as loaded": "as torchvision's loader does",
}
_CROPS: Mapping[str | None, str] = {
    "center": "centre of the image",
    "squash": "whole image, squashed",
    "border": "whole image, with borders",
    None: "as your transform does",
}


def choose(visitor: Session, vit: Vit) -> Vit:
    """The settings under the model; the model that prepares images so."""
    known, plain = vit.preparation, visitor.choice.plain
    with st.expander("Preprocessing", icon=":material/tune:"):
        place = st.container()
        if resizable(plain):
            controls.text(
                "pre_size",
                "Input size",
                codec=_SIZE,
                placeholder=f"{known.size[0]}x{known.size[1]}",
                help=(
                    "Pixels, as 384 or 224x448 (height x width); empty for the model's own. The "
                    "model is built anew for another size, its positions interpolated."
                ),
            )
        changes = _changes(known, plain)
        decoding = controls.choice(
            "decoding",
            "Files are decoded",
            DECODINGS,
            title=DECODING_TITLES.__getitem__,
            help=(
                "Upright: turned by EXIF, transparency on white, 16 bits scaled. As torchvision's "
                "loader: Image.open(file).convert('RGB'), as most evaluations do, which turns "
                "nothing and drops transparency."
            ),
        )
        if changes or decoding != "upright":
            st.button(
                "Back to the model's own",
                on_click=forget,
                args=(known,),
                help="Undo all changes of the preprocessing.",
                width="stretch",
            )
        try:
            visitor.choice = replace(
                visitor.choice, preprocessing=tuple(sorted(changes.items())), decoding=decoding
            )
            vit = models.get(visitor.choice, visitor.upload)
        except AttnlibError as error:
            visitor.choice = replace(visitor.choice, preprocessing=())
            st.warning(literal(str(error)))
        place.caption(_described(vit.preparation))
    return vit


def resizable(choice: ModelChoice) -> bool:
    """Whether a model is fetched by its name, so that it can be built for another input size."""
    return choice.source not in embedded.NAMES and not choice.checkpoint and not choice.digest


def size() -> tuple[int, int] | None:
    """The input size that the visitor asks for, before the model is loaded for it."""
    return _SIZE.sides(address.value("pre_size", "", _SIZE, label="Input size"))


def take(changes: Mapping[str, Any]) -> None:
    """Put settings into the controls, as if the visitor had; for a callback.

    Args:
        changes: by the names of :data:`attnlib.model.preparation.DEFAULTS`.
    """
    for name, value in changes.items():
        text = name in ("mean", "std")
        st.session_state[f"pre_{name}"] = listed(value) if text else value


def forget(known: Preparation) -> None:
    """Put the model's own settings into the controls; for a callback."""
    take({name: getattr(known, name) for name in _NAMES})
    st.session_state["decoding"] = "upright"


def marks(space: Workspace) -> None:
    """Which images are not as their files store them, and a crop that is in doubt."""
    outcomes = space.outcomes
    counts: dict[str, int] = {}
    for outcome in outcomes.values():
        for note in outcome.notes:
            kind = note.split(" (")[0]
            counts[kind] = counts.get(kind, 0) + 1
    if counts:
        said = "; ".join(f"{count} {literal(kind)}" for kind, count in counts.items())
        st.caption(f":material/info: Of {len(outcomes)} images: {said}.")
    doubt = next((outcome.doubt for outcome in outcomes.values() if outcome.doubt), "")
    if doubt:
        st.warning(literal(doubt))


def listed(values: tuple[float, ...]) -> str:
    """Numbers as they are typed: "0.485, 0.456, 0.406"; one where all are the same."""
    shown = [f"{value:.6g}" for value in values]
    return shown[0] if len(set(shown)) == 1 else ", ".join(shown)


_DECIMALS = Decimals()
_SIZE = Size()
_NAMES = ("mean", "std", "crop_pct", "crop_mode", "interpolation", "channels")


def _changes(known: Preparation, plain: ModelChoice) -> dict[str, Any]:
    """What the controls say that the model does not."""
    own = known.own is not None
    found: dict[str, Any] = {}
    for name, label in (("mean", "Mean"), ("std", "Standard deviation")):
        default = listed(getattr(known, name))
        typed = controls.text(
            f"pre_{name}",
            label,
            default,
            of=plain,
            codec=_DECIMALS,
            help=(
                "Of each channel, of values from 0 to 1: one number, or one for each channel "
                "between commas. For pixels from 0 to 255 the standard deviation is 0.00392157."
            ),
        )
        if typed != default:
            try:
                found[name] = _DECIMALS.numbers(typed)
            except ValueError as allowed:
                st.warning(f"{label} must be {allowed}: the model's own is used.")
    found["crop_mode"] = controls.choice(
        "pre_crop_mode",
        "The input shows",
        [*CROP_MODES, *([None] if own and known.crop_mode is None else [])],
        default=known.crop_mode,
        title=_CROPS.__getitem__,
        of=plain,
        help="How an image of another shape than the input's comes into it.",
    )
    found["crop_pct"] = controls.number(
        "pre_crop_pct",
        "Share of the side",
        1.0 if known.crop_pct is None else known.crop_pct,
        0.05,
        1.0,
        0.025,
        of=plain,
        help="The crop's side as a share of the resized image's: 0.875 is 224 of 256 pixels.",
    )
    found["interpolation"] = controls.choice(
        "pre_interpolation",
        "Interpolation",
        [*INTERPOLATIONS, *([None] if own and known.interpolation is None else [])],
        default=known.interpolation,
        title=lambda mode: "as your transform does" if mode is None else mode,
        of=plain,
        help="Of the resizing.",
    )
    found["channels"] = controls.segments(
        "pre_channels",
        "Order of the channels",
        CHANNELS,
        default=known.channels,
        of=plain,
        help="BGR for models that were trained on images of OpenCV or Caffe.",
    )
    if known.crop_pct is None and found["crop_pct"] == 1.0:
        del found["crop_pct"]
    return {name: value for name, value in found.items() if value != getattr(known, name)}


def _described(found: Preparation) -> str:
    """All settings, each with what says so, as a list."""
    height, width = found.size
    resize = found.resize
    rows = {
        "size": f"{height} × {width} pixels"
        + (f", of {resize[0]} × {resize[1]}" if resize not in (None, found.size) else ""),
        "crop_mode": _CROPS[found.crop_mode],
        "crop_pct": "as your transform does" if found.crop_pct is None else f"{found.crop_pct:g}",
        "interpolation": found.interpolation or "as your transform does",
        "mean": listed(found.mean),
        "std": listed(found.std),
        "channels": found.channels,
    }
    titles = {"crop_mode": "shows", "crop_pct": "share", "std": "std"}
    return "  \n".join(
        f"{titles.get(name, name)}: **{literal(shown)}** · "
        f"{literal(found.sources.get(name, 'your own transform'))}"
        for name, shown in rows.items()
        if shown
    )
