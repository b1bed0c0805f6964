"""Models shared by all visitors: one copy in memory for each choice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import streamlit as st
import torch
from streamlit.runtime.scriptrunner import get_script_run_ctx

from attnlib import settings
from attnlib.capture import passes
from attnlib.capture.outputs import Kind
from attnlib.dashboard.state import garbage, people
from attnlib.dashboard.state.copies import Copies
from attnlib.data.image import Decoding, sha256
from attnlib.errors import ModelError
from attnlib.model import embedded, memory, objects
from attnlib.model.build import AUTO, HUB, build
from attnlib.model.built import Built
from attnlib.model.classes import ClassNames
from attnlib.model.load import assemble, model_names
from attnlib.model.vit import Vit


@dataclass(frozen=True)
class ModelChoice:
    """What to load. Hashable, and equal only if the loaded model is the same.

    Attributes:
        source: an embedded demo, a timm name or a hub id.
        checkpoint: path of a checkpoint on this machine, or ``""``.
        digest: SHA-256 of an uploaded checkpoint, or path, size and time of a local one.
        class_names: names of the classes; empty for those the model brings along.
        img_size: ``(height, width)``, or None for the model's own.
        model_args: options of the architecture, as pairs.
        taken: which weights of several in a checkpoint; "" for the usual ones.
        device, precision: as in :func:`attnlib.load`.
        outputs: what the outputs mean; None to find out.
        preprocessing: settings of the preparation that were changed, by name.
        decoding: how files become images, see :func:`attnlib.data.image.decode`.
        names: names of the classes that were chosen for the loaded model; None for its own.
        random: whether the weights are drawn at random, the same ones at each time.
        file: name of an uploaded file, for the screen alone.
    """

    source: str = "demo"
    checkpoint: str = ""
    digest: str = ""
    class_names: tuple[str, ...] = ()
    img_size: tuple[int, int] | None = None
    model_args: tuple[tuple[str, Any], ...] = ()
    taken: str = ""
    device: str = "auto"
    precision: passes.Precision = "float32"
    outputs: Kind | None = None
    preprocessing: tuple[tuple[str, Any], ...] = ()
    decoding: Decoding = "upright"
    names: ClassNames | None = None
    random: bool = False
    file: str = field(default="", compare=False)

    @property
    def plain(self) -> ModelChoice:
        """The same without what is chosen for a model that is loaded."""
        return replace(self, preprocessing=(), decoding="upright", names=None)

    @property
    def weights(self) -> ModelChoice:
        """The same without what changes nothing in the weights: the key of their one copy."""
        given = self.class_names if not self.digest else ()
        return replace(self.plain, precision="float32", outputs=None, class_names=given, file="")

    @property
    def title(self) -> str:
        """What the model is called on screen."""
        if self.source == "demo":
            return "Demo ViT (CIFAR-10)"
        if self.source == objects.NAME:
            return "Demo ViT (objects)"
        if self.checkpoint or self.file:
            name = Path(self.checkpoint or self.file).name
            return name if self.source == AUTO else f"{name} ({self.source})"
        return f"{self.source} (random weights)" if self.random else self.source

    @property
    def form(self) -> tuple[str, str]:
        """The source under which it is asked for, and the field that then says its name; or ""."""
        if self.source in embedded.NAMES:
            return self.source, ""
        if self.checkpoint:
            return "file", ""
        if self.digest:
            return "upload", ""
        if self.random:
            return "random", "random_model"
        return ("hub", "hub") if self.source.startswith(HUB) else ("timm", "model")


def opening() -> ModelChoice:
    """The model that a visit begins with."""
    return ModelChoice(settings.current().opening_demo)


# Ways to look at one copy of weights that are remembered: a few numbers each.
MAX_VIEWS = 16


@dataclass
class _Loaded:
    """One copy of weights, and the models made around it."""

    built: Built
    made: dict[ModelChoice, Vit] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def vit(self, choice: ModelChoice) -> Vit:
        with self.lock:
            for wanted in (choice.plain, choice):
                if wanted not in self.made:
                    made = self._make(wanted)
                    if len(self.made) >= MAX_VIEWS:
                        del self.made[next(iter(self.made))]
                    self.made[wanted] = made
            return self.made[choice]

    def _make(self, choice: ModelChoice) -> Vit:
        if choice == choice.plain:
            return assemble(
                self.built,
                class_names=choice.class_names or None,
                img_size=choice.img_size,
                device=choice.device,
                precision=choice.precision,
                outputs=choice.outputs,
            )
        vit = self.made[choice.plain]
        vit = vit.prepared(dict(choice.preprocessing)) if choice.preprocessing else vit
        return vit if choice.names is None else vit.named(choice.names)


def get(choice: ModelChoice, upload: bytes | None = None) -> Vit:
    """The model of a choice, from memory if somebody chose it before.

    Raises:
        AttnlibError: as :func:`attnlib.load`. Failures are not remembered.
    """
    copy = COPIES.get(choice.weights)
    if copy is None:
        with _waiting():
            copy = COPIES.of(choice.weights, lambda: _loaded(choice, upload))
    return copy.vit(choice)


def once(choice: ModelChoice, upload: bytes | None) -> Vit:
    """The model of a choice, which nobody keeps: for one of many checkpoints after the other.

    Raises:
        AttnlibError: as :func:`attnlib.load`.
    """
    return _Loaded(_built(choice.weights, upload)).vit(choice)


def _loaded(choice: ModelChoice, upload: bytes | None) -> _Loaded:
    loaded = _Loaded(_built(choice.weights, upload))
    # A model that cannot be used is not kept.
    loaded.vit(choice)
    garbage.settle()
    return loaded


# Two visitors who each set two models side by side do not drive out one another's.
COPIES: Copies[_Loaded] = Copies(
    16, memory.total, lambda loaded: memory.weights_of(loaded.built.module)
)


def _waiting() -> AbstractContextManager[None]:
    """What a page shows meanwhile; nothing where a thread loads that draws none."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return nullcontext()
    return st.spinner("Loading the model …")


def _built(choice: ModelChoice, upload: bytes | None) -> Built:
    source, checkpoint = choice.source, choice.checkpoint or None
    if checkpoint is not None and os.path.isdir(checkpoint):
        # A folder says by itself what model it is.
        source, checkpoint = checkpoint, None
    with _drawn(choice.random):
        return build(
            source,
            checkpoint=checkpoint if upload is None else upload,
            weights=choice.taken or None,
            num_classes=None,
            img_size=choice.img_size,
            pretrained=False if choice.random else None,
            model_args=dict(choice.model_args) or None,
            class_count=len(choice.class_names) or None,
        )


@contextmanager
def _drawn(random: bool) -> Iterator[None]:
    """Random weights are the same ones at each time, since results are kept by the choice."""
    if not random:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def local_digest(path: str) -> str:
    """Changes when the file does, so that a new training run is not taken for the old one.

    Raises:
        ModelError: there is no such file.
    """
    if os.path.isdir(path):
        files = sorted(Path(path).glob("*"))
    elif os.path.isfile(path):
        files = [Path(path)]
    else:
        raise ModelError(f"There is no checkpoint file {path!r} on this machine.")
    stats = [(file.name, file.stat()) for file in files]
    together = [f"{name}:{status.st_size}:{status.st_mtime_ns}" for name, status in stats]
    return f"{os.path.abspath(path)}:{sha256('/'.join(together).encode())}"


def local_files_allowed() -> bool:
    """Whether visitors may name files of this machine: only where it serves nobody else."""
    setting = settings.current().local_files
    if setting is not None:
        return setting
    return people.alone()


@st.cache_data(max_entries=1, show_spinner=False)
def architectures() -> list[str]:
    """Every architecture of timm, whether or not there are weights for it."""
    return model_names(pretrained=False)


@st.cache_data(max_entries=1, show_spinner=False)
def timm_names() -> list[str]:
    """Every timm model with pretrained weights."""
    return model_names()
