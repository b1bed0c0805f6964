"""What the library says of the demo images for one model: nothing of a page is in it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import attnlib
from attnlib.audit.runs import Engine, ModelWanted, Wanted, begin, run
from attnlib.capture.record import Record
from attnlib.data.image import decode
from attnlib.model import demo


@dataclass(frozen=True)
class Library:
    """Records, weights and mistakes of the demo images, computed without the dashboard.

    Attributes:
        vit: the model asked.
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

    def similarity(self, one: str, other: str) -> float:
        """The cosine of two images' embeddings."""

        def unit(name: str) -> NDArray[np.float64]:
            vector = self.records[name].embedding.astype(np.float64)
            return vector / np.linalg.norm(vector)

        return float(unit(one) @ unit(other))

    def nearest_correct(self, name: str, label: int) -> str | None:
        """The image of a class, predicted right, whose embedding has the largest cosine."""
        right = [n for n in self.names if self.predicted[n] == self.true[n] == label != name]
        return max(right, key=lambda other: self.similarity(other, name), default=None)


def audited(root: Path, library: Library, more: Mapping[str, bytes] | None = None) -> Path:
    """The folder of an audit of the demo images, which lie in folders by class.

    Args:
        more: other files of the set.
    """
    files = {f"{one.label}/{one.name}": one.data for one in demo.images()} | dict(more or {})
    for name, data in files.items():
        place = root / "set" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    model, wanted = ModelWanted("oblong"), Wanted(str(root / "set"), shard_size=30)
    audit = begin(model, wanted, str(root / "out"), vit=library.vit)
    run(audit, model, wanted, Engine(), lambda images: None, vit=library.vit)
    return root / "out"
