"""How attention patterns form: entropy and diversity of heads by layer, over many images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnlib.capture.record import Record
from attnlib.errors import AttnlibError
from attnlib.heads.similarity import Measure, diversity, similarity

Numbers = NDArray[np.float64]


class Formation:
    """Means over images of one model, taken as they come: nothing of an image is kept.

    Two checkpoints of one training are compared by them: heads usually begin alike and even, and
    become different and narrow.
    """

    def __init__(self, measure: Measure = "pearson") -> None:
        self._measure = measure
        self._entropy: Numbers | None = None
        self._diversity: Numbers | None = None
        self.images = 0

    def add(self, record: Record) -> None:
        """One more image.

        Raises:
            AttnlibError: it has another number of layers than those before.
        """
        rows = record.cls_rows
        layers = len(rows)
        if self._entropy is not None and len(self._entropy) != layers:
            raise AttnlibError("The images of one model must have the same number of layers.")
        entropy = record.entropy.astype(np.float64).mean(axis=1) if layers else np.zeros(0)
        apart = np.zeros(0)
        if layers:
            maps = rows.reshape(layers * rows.shape[1], 1, rows.shape[2])
            apart = diversity(similarity(maps, self._measure), layers)
        self._entropy = entropy if self._entropy is None else self._entropy + entropy
        self._diversity = apart if self._diversity is None else self._diversity + apart
        self.images += 1

    @property
    def entropy(self) -> Numbers:
        """``(L,)``: mean entropy of the readout's rows over heads and images, in units of log N.

        1 where every patch gets the same, 0 where one gets all. L is 0 without rows.

        Raises:
            AttnlibError: there are no images.
        """
        return self._mean(self._entropy)

    @property
    def diversity(self) -> Numbers:
        """``(L,)``: 1 minus the mean similarity of two heads' readout rows, over images.

        0 where all heads of a layer look at the same patches; NaN for layers of one head.

        Raises:
            AttnlibError: there are no images.
        """
        return self._mean(self._diversity)

    def _mean(self, total: Numbers | None) -> Numbers:
        if total is None:
            raise AttnlibError("There are no images to take a mean over.")
        return total / self.images
