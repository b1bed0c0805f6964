"""The sidebar that all pages share: the model, the images, the chosen image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from attnlib.capture import passes
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import models, session, workspace
from attnlib.dashboard.state.inspection import Inspection
from attnlib.dashboard.state.models import DEMO, ModelChoice
from attnlib.dashboard.state.session import Session
from attnlib.dashboard.state.workspace import Workspace
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
IMAGE_TYPES = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif"]


def show() -> Workspace:
    """Draw the sidebar and make the workspace of this run."""
    visitor = session.current()
    with st.sidebar:
        st.subheader("Model", divider="gray")
        vit = _model(visitor)
        st.subheader("Images", divider="gray")
        _images(visitor)
        space = workspace.build(visitor, vit)
        start_inspection(space)
        _chosen(space)
    return space


def start_inspection(space: Workspace) -> None:
    """Inspect what is not inspected yet; the page waits less than a second for it."""
    visitor = space.session
    # Before its widget is drawn for the first time, the choice stands in the link alone.
    wanted = st.session_state.get("image") or st.query_params.get("image")
    job = visitor.job
    if job is not None:
        job.first = wanted
        if job.choice == space.choice and job.samples is space.samples:
            return
        job.stop()
    visitor.job = Inspection(space.choice, space.vit, space.samples)
    visitor.job.first = wanted
    visitor.job.start(wait=0.8)


def _model(visitor: Session) -> Vit:
    source = st.selectbox(
        "Model source",
        list(SOURCES),
        format_func=SOURCES.__getitem__,
        key="source",
        bind="query-params",
        help="Where the model comes from. The demo model needs no network.",
    )
    device, precision = _device()
    wish, upload = _wish(source or "demo", visitor)
    if wish is None:
        # A form that is not sent yet: only the device may have changed.
        wish, upload = visitor.choice, visitor.upload
    elif wish.source == visitor.choice.source:
        visitor.model_problem = ""
    _change(visitor, replace(wish, device=device, precision=precision), upload)
    if visitor.model_problem:
        st.error(visitor.model_problem, title="The model was not changed")
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
    if not vit.classifies:
        st.warning("This model has no classifier: its outputs are features, not classes.")
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
        device = st.selectbox(
            "Device",
            ["auto", *passes.devices()],
            key="device",
            persist_state="session",
            help="Where the model runs. “auto” takes a GPU if there is one.",
        )
        precision = st.segmented_control(
            "Precision",
            passes.PRECISIONS,
            default="float32",
            required=True,
            key="precision",
            persist_state="session",
            help="Half precisions run under autocast: faster on a GPU, slightly less exact.",
        )
    return device or "auto", precision or "float32"


def _wish(source: str, visitor: Session) -> tuple[ModelChoice | None, bytes | None]:
    """What the visitor asks for, or None while the form is not filled in."""
    if source == "timm":
        name = st.selectbox(
            "timm model",
            models.timm_names(),
            index=None,
            key="model",
            bind="query-params",
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
    name = st.text_input(
        "Hub id",
        key="hub",
        bind="query-params",
        placeholder="org/name",
        help="A timm model on the Hugging Face Hub, e.g. timm/vit_tiny_patch16_224.augreg_in21k.",
    ).strip()
    if not name:
        return None
    return ModelChoice(name if name.startswith("hf-hub:") else f"hf-hub:{name}")


def _architecture() -> tuple[str, str, str]:
    """What a file of weights does not say, as typed: architecture, input size, class names."""
    name = st.text_input(
        "Architecture",
        placeholder="vit_small_patch16_224",
        key="architecture",
        persist_state="session",
        help="The timm name of the architecture that the checkpoint was trained with.",
    ).strip()
    size = st.text_input(
        "Input size",
        placeholder="the architecture's own",
        key="img_size",
        persist_state="session",
        help="Pixels, as 384 or 224x448 (height x width); empty for the architecture's own.",
    )
    names = st.text_area(
        "Class names",
        placeholder="one per line, or JSON",
        height=90,
        key="class_names",
        persist_state="session",
        help="In the order of the classifier's outputs, one per line or as JSON.",
    )
    return name, size, names.strip()


def _parse_size(text: str) -> tuple[int, int] | None:
    parts = text.lower().replace("×", "x").split("x")
    if not text.strip():
        return None
    if len(parts) > 2 or not all(part.strip().isdigit() for part in parts):
        raise AttnlibError(f"The input size must look like 384 or 224x448, not {text!r}.")
    return int(parts[0]), int(parts[-1])


def _file() -> ModelChoice | None:
    if not models.local_files_allowed():
        st.info(
            "This dashboard serves others too, so it opens no files of its own machine. "
            "Upload the weights as safetensors instead."
        )
        return None
    with st.form("checkpoint", border=False):
        path = st.text_input(
            "Checkpoint file",
            placeholder="runs/best.safetensors",
            key="checkpoint_path",
            persist_state="session",
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


def _images(visitor: Session) -> None:
    folder = st.segmented_control(
        "Add",
        ["Files", "Folder"],
        default="Files",
        required=True,
        key="upload_kind",
        label_visibility="collapsed",
        help="A folder's sub-folders are taken as labels.",
    )
    files = st.file_uploader(
        "Images, a zip of folders, and a CSV of labels",
        type=[*IMAGE_TYPES, "zip", "csv", "tsv", "json"],
        accept_multiple_files="directory" if folder == "Folder" else True,
        key=f"images_{visitor.uploader}_{folder}",
        help=(
            "Images, or a zip whose folders are labels, and optionally a CSV with the columns "
            "filename,label, masks (cat_mask.png for cat.jpg), or COCO annotations as JSON. They "
            "stay in this session and are never written to disk."
        ),
    )
    _take(visitor, files or [])
    if visitor.own and st.button("Back to the demo images", width="stretch"):
        visitor.back_to_demo()
        st.rerun()


def _take(visitor: Session, files: list[UploadedFile]) -> None:
    """Copy new uploads into the session, once."""
    seen = tuple(file.file_id for file in files)
    if not files or seen == visitor.uploads_seen:
        return
    visitor.uploads_seen = seen
    visitor.take([(file.name, file.getvalue()) for file in files])


def _chosen(space: Workspace) -> None:
    """The image that the other pages look at: wrong predictions are listed first."""
    names = [sample.name for sample in space.samples]
    of = space.prediction_of

    def rank(name: str) -> int:
        found = of.get(name)
        return 3 if found is None else ["wrong", "unlabelled", "right"].index(found.outcome)

    names.sort(key=rank)
    if st.session_state.get("image") not in (None, *names):
        del st.session_state["image"]
    st.selectbox(
        "Chosen image",
        names,
        index=None,
        key="image",
        bind="query-params",
        placeholder="Choose one to look closer",
        help="The image that is opened large, on every page. Wrong predictions are listed first.",
    )
