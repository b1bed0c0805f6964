"""Pieces of one image put into another, and what the model then says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnlib.capture import passes
from attnlib.diagnosis.examined import Examined
from attnlib.methods.perturbation import BATCH_SIZE

Mask = NDArray[np.bool_]  # (rows, cols) of the patch grid
Array = NDArray[np.float64]
Places = Sequence[int]


class Inputs:
    """The prepared images of a set that have the model's own size, ready to be cut up.

    Attributes:
        kept: places in the set of the images that are here.
        pixels: ``(n, C, h, w)``; n is that of the set, images of another size are zero.
        labels: ``(n,)``; -1 where there is none.
        grid: ``(rows, cols)``.
        tried: how many regions were tried whether they make a class.
    """

    def __init__(self, examined: Examined, step: Callable[[int], None]) -> None:
        self.vit = examined.vit
        self.labels = examined.labels
        self.grid = examined.vit.layout.grid
        self._step = step
        made = [examined.vit.pixels(image) for image in examined.images]
        shape = (examined.vit.channels, *examined.vit.size)
        self.kept = np.array([tuple(one.shape[1:]) == shape for one in made])
        empty = torch.zeros(1, *shape, device=examined.vit.device)
        self.pixels = torch.cat(
            [one if fits else empty for one, fits in zip(made, self.kept, strict=True)]
        )
        self._index = torch.from_numpy(examined.vit.layout.patch_index(examined.vit.size))
        self.tried = 0

    def logits(self, batches: Iterator[Tensor]) -> Array:
        """``(B, C)`` log-odds of all images of some batches; differences count, sums do not."""
        found = []
        for batch in batches:
            with passes.admitted(), torch.inference_mode():
                given, _ = passes.forward(self.vit.module, batch, precision=self.vit.precision)
            found.append(self.vit.outputs.margins(given.double().cpu()))
            self._step(len(batch))
        return torch.cat(found).numpy()

    def region(self, mask: Mask) -> Tensor:
        """Patches as pixels: ``(1, h, w)`` bool."""
        chosen = torch.from_numpy(np.append(mask.ravel(), False))
        return chosen[self._index][None].to(self.pixels.device)

    def pasted(self, triples: Sequence[tuple[int, int, Mask]]) -> Array:
        """``(B, C)``: each (source, host, region): the host with the region of the source."""

        def batches() -> Iterator[Tensor]:
            for start in range(0, len(triples), BATCH_SIZE):
                part = triples[start : start + BATCH_SIZE]
                masks = torch.stack([self.region(mask) for _, _, mask in part])
                sources = self.pixels[[source for source, _, _ in part]]
                yield torch.where(masks, sources, self.pixels[[host for _, host, _ in part]])

        return self.logits(batches())

    def flips(self, sources: Places, hosts: Places, masks: Sequence[Mask], target: int) -> Array:
        """How often pasting makes a class, ``(S, K)`` of sources and regions, see `shares`."""
        return shares(self.leads(sources, hosts, masks, target))

    def leads(self, sources: Places, hosts: Places, masks: Sequence[Mask], target: int) -> Array:
        """``(S, K, H)``: by how much a class leads where a region of a source is in a host."""
        self.tried += len(masks)
        triples = [(s, h, mask) for s in sources for mask in masks for h in hosts]
        margin = margins(self.pasted(triples), target)
        return margin.reshape(len(sources), len(masks), len(hosts))


def shares(leads: Array) -> Array:
    """How often a class leads, ``(..., H) -> (...)``: 0 to 1 over hosts.

    To tell regions apart where none or all lead, a hundredth of the lead's squashed mean is added
    (below 0.01).
    """
    often: Array = (leads > 0).mean(axis=-1) + 0.01 / (1 + np.exp(-leads.mean(axis=-1) / 4))
    return often


def margins(logits: Array, target: int) -> Array:
    """``(B,)``: by how much a class leads, or by how much it lacks to lead."""
    others = np.delete(logits, target, axis=1).max(axis=1)
    lead: Array = logits[:, target] - others
    return lead
