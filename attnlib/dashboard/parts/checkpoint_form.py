"""The form for weights of one's own: a file on this machine, or an upload."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from typing import Any

import streamlit as st
import timm

from attnlib.dashboard.parts import controls
from attnlib.dashboard.state import models, session
from attnlib.dashboard.state.models import ModelChoice
from attnlib.data.image import sha256
from attnlib.data.labels import read_class_names
from attnlib.errors import AttnlibError
from attnlib.model.build import AUTO, similar

# As training scripts name them; the bytes decide.
# timm and others write “.pth.tar”.
WEIGHT_TYPES = ["safetensors", "pth", "pt", "ckpt", "bin", "tar", "pkl"]
_SIZE = re.compile(r"\s*([0-9]{1,5})\s*(?:[x×]\s*([0-9]{1,5})\s*)?", re.ASCII | re.IGNORECASE)
_OPTION = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.+?)\s*", re.ASCII)
_LONGEST = 500


def local() -> ModelChoice | None:
    """A file or a folder on this machine; None while the form is not sent."""
    if not models.local_files_allowed():
        st.info(
            "This dashboard serves others too, so it opens no files of its own machine. "
            "Upload the weights instead."
        )
        return None
    with st.form("checkpoint", border=False):
        path = controls.text(
            "checkpoint_path",
            "Checkpoint file, or folder of transformers or timm",
            placeholder="runs/best.pth",
            linked=False,
            help=(
                "A file as training writes it, or a folder with config.json. Only weights are "
                "read from it, never code."
            ),
        ).strip()
        # As one path, so that two who name one file share its weights.
        return _submitted(
            path,
            lambda: {"checkpoint": os.path.abspath(path), "digest": models.local_digest(path)},
        )


def upload() -> tuple[ModelChoice | None, bytes | None]:
    """An uploaded file and its bytes; None while the form is not sent."""
    with st.form("upload", border=False):
        file = st.file_uploader(
            "Weights",
            type=WEIGHT_TYPES,
            help=(
                "A checkpoint as training writes it: safetensors, or whatever torch.save wrote. "
                "Only weights and plain settings are read from it, never code."
            ),
        )
        data = file.getvalue() if file is not None else None
        digest = sha256(data) if data is not None else ""
        name = file.name if file is not None else ""
        wish = _submitted(digest, lambda: {"digest": digest, "file": name})
    return wish, data


def _submitted(ready: str, rest: Callable[[], dict[str, Any]]) -> ModelChoice | None:
    """The common end of both forms."""
    visitor = session.current()
    name, size, options, taken, names = _said()
    if not st.form_submit_button("Load", type="primary", width="stretch"):
        return None
    visitor.failed = None
    if not ready:
        visitor.model_problem = "Give the file with the weights."
        return None
    try:
        return ModelChoice(
            _architecture(name),
            img_size=parse_size(size),
            model_args=parse_options(options),
            taken=taken,
            class_names=tuple(read_class_names(names.encode(), "class names")) if names else (),
            **rest(),
        )
    except AttnlibError as error:
        visitor.model_problem = str(error)
        return None


def _said() -> tuple[str, str, str, str, str]:
    """What a file of weights may not say, as typed."""
    name = controls.text(
        "architecture",
        "Architecture",
        placeholder="found by the weights",
        linked=False,
        help=(
            "The timm name of the architecture, as vit_small_patch16_224. Empty: what the file "
            "says, or the one whose names and shapes fit."
        ),
    )
    with st.expander("More that the file may not say", icon=":material/tune:"):
        size = controls.text(
            "img_size",
            "Input size",
            placeholder="the architecture's own",
            linked=False,
            help="Pixels, as 384 or 224x448 (height x width); empty for the architecture's own.",
        )
        options = controls.text(
            "model_args",
            "Options of the architecture",
            placeholder="global_pool=avg, num_heads=6",
            linked=False,
            help=(
                "As given to timm.create_model. What shapes show (patch size, channels, register "
                "tokens) is found; pooling and the number of heads are not to be seen in them."
            ),
        )
        taken = controls.text(
            "weights_taken",
            "Which weights",
            placeholder="an average over training, if there is one",
            linked=False,
            help="Where a file holds several: ema, student, teacher, …",
        )
        names = controls.text(
            "class_names",
            "Class names",
            placeholder="one per line, or JSON",
            height=90,
            help="In the order of the classifier's outputs, one per line or as JSON.",
        )
    return name.strip(), size, options, taken.strip(), names.strip()


def _architecture(name: str) -> str:
    """A name of timm's, or what stands for none: never a place, which might be anybody's.

    Raises:
        AttnlibError: it is no such name.
    """
    if not name:
        return AUTO
    if not timm.is_model(name):
        hint = similar(name) or "Leave it empty to find it."
        raise AttnlibError(f"timm has no architecture {name[:60]!r}. {hint}")
    return name


def parse_size(text: str) -> tuple[int, int] | None:
    """``"224x448"`` as (height, width); None for an empty text.

    Raises:
        AttnlibError: it is no size.
    """
    if not text.strip():
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise AttnlibError(f"The input size must look like 384 or 224x448, not {text[:40]!r}.")
    return int(found[1]), int(found[2] or found[1])


def parse_options(text: str) -> tuple[tuple[str, Any], ...]:
    """``"global_pool=avg, num_heads=6"`` as pairs of a name and a plain value.

    Raises:
        AttnlibError: it does not read so, or a value is no number, text or truth value.
    """
    if len(text) > _LONGEST:
        raise AttnlibError(f"The options are longer than {_LONGEST} characters.")
    found = []
    for part in filter(str.strip, text.replace("\n", ",").split(",")):
        option = _OPTION.fullmatch(part)
        if option is None:
            raise AttnlibError(
                f"Options must look like global_pool=avg, num_heads=6, not {part[:40]!r}."
            )
        found.append((option[1], _value(option[2])))
    return tuple(found)


def _value(text: str) -> Any:
    try:
        value = ast.literal_eval({"true": "True", "false": "False"}.get(text.lower(), text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, bool | int | float | str) or value is None else text
