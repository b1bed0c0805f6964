"""A small model that is not square, and the app with it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.capture.record import Record
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.session import Session, demo_samples
from attnlib.data.image import decode
from attnlib.model import demo
from tests.dashboard.screen import Screen
from tests.dashboard.screen import screen as screen
from tests.dashboard.test_app import app as app
from tests.dashboard.test_app import settle

OBLONG = ModelChoice("an oblong model", device="cpu")


@dataclass(frozen=True)
class Library:
    """What the library says of the demo images for the oblong model: nothing of a page is in it.

    Attributes:
        vit: the demo's weights on 4 × 6 patches.
    """

    vit: attnlib.Vit

    @cached_property
    def names(self) -> list[str]:
        return [image.name for image in demo.images()]

    @cached_property
    def images(self) -> dict[str, Image.Image]:
        return {image.name: decode(image.data) for image in demo.images()}

    @cached_property
    def records(self) -> dict[str, Record]:
        return {name: self.vit.inspect(image) for name, image in self.images.items()}

    @cached_property
    def true(self) -> dict[str, int]:
        return {i.name: demo.CLASS_NAMES.index(i.label) for i in demo.images()}

    @cached_property
    def predicted(self) -> dict[str, int]:
        return {name: int(r.probabilities.argmax()) for name, r in self.records.items()}

    @cached_property
    def wrong(self) -> list[str]:
        """Names of the mistakes, the most confident first."""
        found = [name for name in self.names if self.predicted[name] != self.true[name]]
        return sorted(found, key=lambda name: -float(self.records[name].probabilities.max()))

    def weights(self, name: str) -> NDArray[np.float64]:
        """Attention ``(L, H, T, T)`` in float64, seen by hooks on the softmax of a copy."""
        module = copy.deepcopy(self.vit.module).double()
        found: list[torch.Tensor] = []
        for block in module.blocks:
            block.attn.fused_attn = False
            block.attn.attn_drop.register_forward_hook(lambda m, i, out: found.append(out[0]))
        with torch.no_grad():
            module(self.vit.pixels(self.images[name]).double())
        return torch.stack(found).numpy()

    def nearest_correct(self, name: str, label: int) -> str | None:
        """The image of a class, predicted right, whose embedding has the largest cosine."""

        def unit(other: str) -> NDArray[np.float64]:
            vector = self.records[other].embedding.astype(np.float64)
            return vector / np.linalg.norm(vector)

        right = [n for n in self.names if self.predicted[n] == self.true[n] == label != name]
        return max(right, key=lambda other: float(unit(other) @ unit(name)), default=None)


@pytest.fixture(scope="session")
def library() -> Library:
    module = demo.build()
    module.set_input_size(img_size=(16, 24))
    module.pretrained_cfg = {**demo.DATA_CONFIG, "input_size": (3, 16, 24)}
    vit = attnlib.load(module, class_names=demo.CLASS_NAMES, device="cpu")
    assert vit.layout.grid == (4, 6)
    return Library(vit)


@pytest.fixture
def oblong(
    app: AppTest, screen: Screen, library: Library, monkeypatch: pytest.MonkeyPatch
) -> AppTest:
    """The app on the demo images with the oblong model, as if the visitor had chosen it."""
    monkeypatch.setattr(
        "attnlib.dashboard.state.models.get", lambda choice, upload=None: library.vit
    )
    # The demo is what the form asks for; a failed wish is not tried again.
    app.session_state["session"] = Session(
        demo_samples(), choice=OBLONG, failed=ModelChoice(device="auto")
    )
    return settle(app.run())
