"""Which model is in use: where it comes from, what it runs on, and why another was refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from attnlib.capture import passes
from attnlib.dashboard.parts import controls, output_kind
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import models, session
from attnlib.dashboard.state.models import DEMO, ModelChoice
from attnlib.dashboard.state.session import Session
from attnlib.data.image import sha256
from attnlib.data.labels import read_class_names
from attnlib.errors import AttnlibError
from attnlib.model.vit import Vit

SOURCES = {
    "demo": "Demo model",
    "timm": "timm, pretrained",
    "hub": "Hugging Face Hub",
    "file": "Checkpoint on this machine",
    "upload": "Uploaded safetensors",
}
_SIZE = re.compile(r"\s*([0-9]{1,5})\s*(?:[x×]\s*([0-9]{1,5})\s*)?", re.ASCII | re.IGNORECASE)


def show(visitor: Session) -> Vit:
    """The controls of the model; the model that is in use then."""
    source = controls.choice(
        "source",
        "Model source",
        list(SOURCES),
        title=SOURCES.__getitem__,
        help="Where the model comes from. The demo model needs no network.",
    )
    device, precision = _device()
    said = output_kind.choose()
    wish, upload = _wish(source, visitor)
    filled = wish is not None
    if wish is None:
        # A form that is not sent yet: only the device may have changed.
        wish, upload = visitor.choice, visitor.upload
    wish = replace(wish, device=device, precision=precision, outputs=said)
    if filled and wish == visitor.choice:
        visitor.model_problem = ""
    _change(visitor, wish, upload)
    if visitor.model_problem:
        st.error(visitor.model_problem, title="The model was not changed")
    # What is chosen for a loaded model comes after it: see the sidebar.
    visitor.choice = visitor.choice.plain
    try:
        vit = models.get(visitor.choice, visitor.upload)
    except AttnlibError:
        # It was evicted and its file is gone: the demo always works.
        visitor.choice, visitor.upload = DEMO, None
        vit = models.get(DEMO)
    rows, cols = vit.layout.grid
    st.caption(
        f"**{literal(visitor.choice.title)}** · {rows} × {cols} patches · "
        f"{len(vit.class_names)} classes · {vit.device} · {vit.precision}  \n"
        f"Query: {vit.layout.query}"
    )
    if source in ("file", "upload") and visitor.choice.source == "demo":
        st.info("A link cannot carry weights: until a file is loaded here, this is the demo model.")
    output_kind.describe(vit)
    return vit


def _change(visitor: Session, wish: ModelChoice, upload: bytes | None) -> None:
    """Load the wanted model; keep the present one if that fails.

    A wish that failed is not tried again at every click: each try may wait for a network.
    """
    if wish == visitor.choice:
        # Back at what works: whoever wishes for the other one again means to try again.
        visitor.failed = None
    if wish in (visitor.choice, visitor.failed):
        return
    try:
        models.get(wish, upload)
    except AttnlibError as error:
        visitor.model_problem, visitor.failed = str(error), wish
        return
    visitor.choice, visitor.upload = wish, upload
    visitor.model_problem, visitor.failed = "", None


def _device() -> tuple[str, passes.Precision]:
    with st.expander("Device and precision", icon=":material/memory:"):
        device = controls.choice(
            "device",
            "Device",
            ["auto", *passes.devices()],
            help="Where the model runs. “auto” takes a GPU if there is one.",
        )
        precision = controls.segments(
            "precision",
            "Precision",
            passes.PRECISIONS,
            default="float32",
            help="Half precisions run under autocast: faster on a GPU, slightly less exact.",
        )
    return device, precision


def _wish(source: str, visitor: Session) -> tuple[ModelChoice | None, bytes | None]:
    """What the visitor asks for, or None while the form is not filled in."""
    if source == "timm":
        name = controls.maybe(
            "model",
            "timm model",
            models.timm_names(),
            placeholder="Type to search, e.g. vit_small",
            help="Any pretrained model of timm. Its weights are fetched once, over the network.",
        )
        return (ModelChoice(name) if name else None), None
    if source == "hub":
        return _hub(), None
    if source == "file":
        return _file(), None
    if source == "upload":
        return _upload(visitor)
    return DEMO, None


def _hub() -> ModelChoice | None:
    name = controls.text(
        "hub",
        "Hub id",
        placeholder="org/name",
        help="A timm model on the Hugging Face Hub, e.g. timm/vit_tiny_patch16_224.augreg_in21k.",
    ).strip()
    if not name:
        return None
    return ModelChoice(name if name.startswith("hf-hub:") else f"hf-hub:{name}")


def _architecture() -> tuple[str, str, str]:
    """What a file of weights does not say, as typed: architecture, input size, class names."""
    name = controls.text(
        "architecture",
        "Architecture",
        placeholder="vit_small_patch16_224",
        linked=False,
        help="The timm name of the architecture that the checkpoint was trained with.",
    ).strip()
    size = controls.text(
        "img_size",
        "Input size",
        placeholder="the architecture's own",
        linked=False,
        help="Pixels, as 384 or 224x448 (height x width); empty for the architecture's own.",
    )
    names = controls.text(
        "class_names",
        "Class names",
        placeholder="one per line, or JSON",
        height=90,
        help="In the order of the classifier's outputs, one per line or as JSON.",
    )
    return name, size, names.strip()


def _parse_size(text: str) -> tuple[int, int] | None:
    if not text.strip():
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise AttnlibError(f"The input size must look like 384 or 224x448, not {text[:40]!r}.")
    return int(found[1]), int(found[2] or found[1])


def _file() -> ModelChoice | None:
    if not models.local_files_allowed():
        st.info(
            "This dashboard serves others too, so it opens no files of its own machine. "
            "Upload the weights as safetensors instead."
        )
        return None
    with st.form("checkpoint", border=False):
        path = controls.text(
            "checkpoint_path",
            "Checkpoint file",
            placeholder="runs/best.safetensors",
            linked=False,
            help="A .safetensors or .pth file on this machine; only weights are read from it.",
        ).strip()
        return _submitted(path, lambda: {"checkpoint": path, "digest": models.local_digest(path)})


def _upload(visitor: Session) -> tuple[ModelChoice | None, bytes | None]:
    with st.form("upload", border=False):
        file = st.file_uploader(
            "Weights",
            type=["safetensors"],
            help="A safetensors file: it can hold weights only, never code.",
        )
        data = file.getvalue() if file is not None else None
        digest = sha256(data) if data is not None else ""
        wish = _submitted(digest, lambda: {"digest": digest})
    return wish, data


def _submitted(ready: str, rest: Callable[[], dict[str, Any]]) -> ModelChoice | None:
    """The common end of both checkpoint forms."""
    visitor = session.current()
    name, size, names = _architecture()
    if not st.form_submit_button("Load", type="primary", width="stretch"):
        return None
    visitor.failed = None
    if not ready or not name:
        visitor.model_problem = "Give the file with the weights and the name of its architecture."
        return None
    try:
        listed = tuple(read_class_names(names.encode(), "class names")) if names else ()
        return ModelChoice(name, img_size=_parse_size(size), class_names=listed, **rest())
    except AttnlibError as error:
        visitor.model_problem = str(error)
        return None
