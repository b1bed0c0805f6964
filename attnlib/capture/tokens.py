"""What each token of a ViT stands for: prefix tokens, the patch grid, and the readout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Readout = Literal[
    "cls", "cls+dist", "tokens", "cls+average", "average", "pool", "class attention", "none"
]

READOUT_LABEL: dict[Readout, str] = {
    "cls": "CLS token",
    "cls+dist": "mean of the CLS and distillation tokens",
    "tokens": "tokens of its own",
    "cls+average": "CLS token and the average over patches",
    "average": "average over patches",
    "pool": "attention pooling",
    "class attention": "CLS token of the class attention",
    "none": "no readout",
}


@dataclass(frozen=True)
class TokenLayout:
    """The tokens of one model at one input size, in sequence order: prefix, then patches.

    Attributes:
        prefix: names of the tokens before the patches, e.g. ``("cls", "reg1", "reg2")``.
        grid: ``(rows, cols)`` of the patch grid; patch ``(i, j)`` is token
            ``len(prefix) + i * cols + j``.
        patch_size: ``(height, width)`` of a patch in pixels of the model's input.
        readout: which query stands for the prediction.  ``"average"`` where the model averages
            its patch tokens, even if it has a CLS token: there the CLS row explains nothing.
        read: positions of tokens that the readout's name leaves open: for ``"tokens"`` those
            that stand for the prediction, with an average the prefix tokens that are in it.
    """

    prefix: tuple[str, ...]
    grid: tuple[int, int]
    patch_size: tuple[int, int]
    readout: Readout
    read: tuple[int, ...] = ()

    @property
    def patches(self) -> int:
        """N, the number of patch tokens."""
        return self.grid[0] * self.grid[1]

    @property
    def tokens(self) -> int:
        """T, the number of all tokens."""
        return len(self.prefix) + self.patches

    @property
    def query(self) -> str:
        """The readout in words, for labels on screen."""
        if self.readout == "tokens":
            names = [self.token_name(index) for index in self.read]
            return names[0] if len(names) == 1 else f"mean of {' and '.join(names)}"
        label = READOUT_LABEL[self.readout]
        if self.readout == "average" and self.read:
            whole = len(self.read) == len(self.prefix)
            names = [self.token_name(index) for index in self.read]
            return "average over all tokens" if whole else f"{label} and {', '.join(names)}"
        return label

    @property
    def leading(self) -> int:
        """How many of the first tokens are the whole readout; 0 where others stand for it."""
        return {"cls": 1, "cls+dist": 2}.get(self.readout, 0)

    @property
    def carriers(self) -> tuple[int, ...]:
        """Positions of the prefix tokens that stand for the prediction each by itself."""
        if self.readout == "tokens":
            return self.read
        return tuple(range({"cls+average": 1}.get(self.readout, self.leading)))

    def readout_weights(self) -> NDArray[np.float32] | None:
        """The readout as a distribution over queries ``(T,)``; None where attention pools.

        An attention-pooling model learns this distribution per image: its own pooling row.
        """
        weights = np.zeros(self.tokens, dtype=np.float32)
        average = [*self.read, *range(len(self.prefix), self.tokens)]
        if self.readout == "cls":
            weights[0] = 1.0
        elif self.readout == "cls+dist":
            weights[:2] = 0.5
        elif self.readout == "tokens":
            weights[list(self.read)] = 1.0 / len(self.read)
        elif self.readout == "cls+average":
            weights[average] = 0.5 / len(average)
            weights[0] = 0.5
        elif self.readout == "average":
            weights[average] = 1.0 / len(average)
        else:
            return None
        return weights

    def patch_index(self, size: tuple[int, int]) -> NDArray[np.int64]:
        """Which patch each pixel of an input ``(h, w)`` is in, ``(h, w)``: row · cols + column.

        -1 for the pixels at the bottom and at the right that fill no whole patch and are in none.
        """
        (rows, cols), (height, width) = self.grid, self.patch_size
        down = np.arange(size[0], dtype=np.int64) // height
        across = np.arange(size[1], dtype=np.int64) // width
        index: NDArray[np.int64] = down[:, None] * cols + across
        index[down >= rows], index[:, across >= cols] = -1, -1
        return index

    def boxes(self, size: tuple[int, int]) -> NDArray[np.int64]:
        """``(N, 4)``: top, left, bottom and right of each patch in pixels of an input ``(h, w)``.

        The last two are the first pixels beyond; a patch that reaches into padding is cut.
        """
        row, col = np.divmod(np.arange(self.patches, dtype=np.int64), self.grid[1])
        (height, width), ends = self.patch_size, np.array([*size, *size])
        box = np.stack([row * height, col * width, (row + 1) * height, (col + 1) * width], axis=1)
        cut: NDArray[np.int64] = np.minimum(box, ends)
        return cut

    def distances(self) -> NDArray[np.float64]:
        """``(N, N)`` distance between the centres of patches in pixels of the input."""
        row, col = np.divmod(np.arange(self.patches), self.grid[1])
        y, x = row * self.patch_size[0], col * self.patch_size[1]
        result: NDArray[np.float64] = np.hypot(y[:, None] - y, x[:, None] - x)
        return result

    def covers(self, size: tuple[int, int]) -> tuple[float, float]:
        """How far the grid reaches, in shares of an input's height and width ``(h, w)``.

        Below 1 where pixels are left over, above 1 where the model pads its input.
        """
        (rows, cols), (height, width) = self.grid, self.patch_size
        return rows * height / size[0], cols * width / size[1]

    def token_name(self, index: int) -> str:
        """``"cls"`` or ``"patch (row, col)"``, counted from 0."""
        if index < len(self.prefix):
            return self.prefix[index]
        row, col = divmod(index - len(self.prefix), self.grid[1])
        return f"patch ({row}, {col})"
