"""Which model is in use: where it comes from, what it runs on, and why another was refused."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from attnlib.capture import passes
from attnlib.dashboard.parts import checkpoint_form, controls, loaded, output_kind, preprocessing
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import models
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.session import Session
from attnlib.errors import AttnlibError
from attnlib.model import embedded, objects
from attnlib.model.vit import Vit

SOURCES = {
    objects.NAME: "Demo: objects",
    "demo": "Demo: photographs",
    "timm": "timm, pretrained",
    "random": "timm, random weights",
    "hub": "Hugging Face Hub",
    "file": "Checkpoint on this machine",
    "upload": "Uploaded checkpoint",
}


def show(visitor: Session) -> Vit:
    """The controls of the model; the model that is in use then."""
    # What is chosen for a loaded model comes after it: see the sidebar.
    visitor.choice = visitor.choice.plain
    place = st.container()
    source = controls.choice(
        "source",
        "Model source",
        list(SOURCES),
        default=models.opening().source,
        title=SOURCES.__getitem__,
        help=(
            "Where the model comes from. The demos need no network. The one of objects was trained "
            "on pictures with two traps in them, and brings pictures with masks; the one of "
            "photographs makes mistakes that nobody planted."
        ),
    )
    device, precision = _device()
    said = output_kind.choose()
    wish, upload = _wish(source)
    filled = wish is not None
    if wish is not None and preprocessing.resizable(wish):
        wish = replace(wish, img_size=preprocessing.size())
    if wish is None:
        # A form that is not sent yet: only the device may have changed.
        wish, upload = visitor.choice, visitor.upload
    wish = replace(wish, device=device, precision=precision, outputs=said)
    if filled and wish == visitor.choice:
        visitor.model_problem = ""
    _change(visitor, wish, upload)
    if visitor.model_problem:
        st.error(literal(visitor.model_problem), title="The model was not changed")
    try:
        vit = models.get(visitor.choice, visitor.upload)
    except AttnlibError as error:
        # It was evicted and its file is gone: the demo always works.
        st.error(
            f"{literal(str(error))} In its place stands the demo model.",
            title=f"{literal(visitor.choice.title)} could not be loaded again",
        )
        visitor.models.forget(visitor.choice)
        visitor.choice, visitor.upload = models.opening(), None
        vit = models.get(visitor.choice)
    if visitor.models.get(visitor.choice) is None:
        visitor.models.keep(visitor.choice, visitor.upload)
    with place:
        loaded.show(visitor)
    if source in ("file", "upload") and visitor.choice.source in embedded.NAMES:
        st.info("A link cannot carry weights: until a file is loaded here, this is the demo model.")
    return vit


def summary(title: str, vit: Vit) -> None:
    """What is in use and what says so, and behind it what was read and what was left out."""
    rows, cols = vit.layout.grid
    outputs, names = vit.outputs, vit.names
    count = f"{len(names.names)} {'classes' if outputs.classifies else 'outputs'}"
    if vit.name not in (title, *embedded.NAMES) and vit.name not in title:
        title = f"{title} ({vit.name})"
    st.caption(
        f"**{literal(title)}** · {rows} × {cols} patches · {vit.device} · {vit.precision}  \n"
        f"Query: {vit.layout.query}  \n"
        f"Outputs: {outputs.title} · {literal(outputs.source)}  \n"
        f"Names of {count}: {literal(names.source)}"
    )
    if outputs.question:
        st.caption(f":material/help: {literal(outputs.question)}")
    if vit.notes:
        notes = f"{len(vit.notes)} note{'s' * (len(vit.notes) > 1)}"
        with st.expander(f"What was read: {notes}", icon=":material/checklist:"):
            st.caption("\n".join(f"- {literal(note)}" for note in vit.notes))


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


def _wish(source: str) -> tuple[ModelChoice | None, bytes | None]:
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
    if source == "random":
        name = controls.maybe(
            "random_model",
            "timm architecture",
            models.architectures(),
            placeholder="Type to search, e.g. vit_small",
            help=(
                "With weights as they are before training, always the same ones. It needs no "
                "network, and shows what an architecture does without having learned anything."
            ),
        )
        return (ModelChoice(name, random=True) if name else None), None
    if source == "hub":
        return _hub(), None
    if source == "file":
        return checkpoint_form.local(), None
    if source == "upload":
        return checkpoint_form.upload()
    return (ModelChoice(source) if source in embedded.NAMES else models.opening()), None


def _hub() -> ModelChoice | None:
    name = controls.text(
        "hub",
        "Hub id",
        placeholder="org/name",
        help=(
            "A model of timm or transformers on the Hugging Face Hub, e.g. "
            "timm/vit_tiny_patch16_224.augreg_in21k or google/vit-base-patch16-224."
        ),
    ).strip()
    if not name:
        return None
    return ModelChoice(name if name.startswith("hf-hub:") else f"hf-hub:{name}")
