"""Whether "repaired by removing one head" says anything: the same with heads of unrelated images.

The best of many tries is bound to look good. On the demo, removing some head repairs 8 of 29
mistakes, and putting the same head of a random right image of a third class in its place repairs
14: as many as one of the true class. So a head counts by its excess over such donors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attnlib.errors import AttnlibError
from attnlib.heads.ablation import Head, HeadEffects, head_effects
from attnlib.model.vit import Vit

# More give a finer share; each costs as much as the removal.
DONORS = 5


@dataclass(frozen=True)
class Control:
    """One image with each head replaced by that of some unrelated images, in turn.

    Attributes:
        now: ``(D, L, H)``, the class predicted with each donor's head.
        against: the class that a repair leads to.
        change: ``(L, H)``, how much the margin changes on average.
    """

    now: NDArray[np.int64]
    against: int
    change: NDArray[np.float32]

    @property
    def tried(self) -> int:
        """How many heads there are."""
        return int(self.now[0].size)

    @property
    def share(self) -> NDArray[np.float64]:
        """``(L, H)``, the share of donors whose head does the same as a repair, 0 to 1."""
        return np.asarray((self.now == self.against).mean(axis=0))

    @property
    def repairing(self) -> int:
        """How many donors repair the prediction by at least one of their heads."""
        return int((self.now == self.against).any(axis=(1, 2)).sum())

    def excess(self, effects: HeadEffects) -> NDArray[np.float64]:
        """``(L, H)``: 1 where the removal repairs, else 0, minus :attr:`share`; -1 to 1."""
        return np.asarray((effects.now == effects.against) - self.share)

    def ranked(self, effects: HeadEffects) -> list[Head]:
        """The heads whose removal repairs, those first of which the fewest donors do the same.

        Among equals the one whose removal changes the margin most beyond the donors' mean.
        """
        excess, beyond = self.excess(effects), effects.change - self.change
        return sorted(effects.repairs, key=lambda head: (-excess[head], beyond[head]))


def control(
    vit: Vit,
    pixels: Tensor,
    effects: HeadEffects,
    donors: Sequence[Tensor],
    progress: Callable[[int, int], None] | None = None,
) -> Control:
    """Replace every head in turn by that of each donor: ``D·L·H`` predictions.

    Args:
        pixels: ``(1, 3, h, w)``, the image.
        effects: of the removal, on the same image.
        donors: ``(1, 3, h, w)`` each, unrelated images: see :func:`strangers`.
        progress: told (layers done, layers of all donors).

    Raises:
        AttnlibError: there are no donors, or one is of another size.
        CaptureError: as :func:`attnlib.heads.ablation.head_effects`.
    """
    if not donors:
        raise AttnlibError(
            "The control needs right images of a third class: label some images of other classes."
        )
    found = []
    for turn, donor in enumerate(donors):

        def step(done: int, layers: int, turn: int = turn) -> None:
            if progress is not None:
                progress(turn * layers + done, len(donors) * layers)

        one = head_effects(vit, pixels, effects.against, step, donor=donor)
        found.append(one)
    return Control(
        np.stack([one.now for one in found]),
        effects.against,
        np.mean([one.change for one in found], axis=0).astype(np.float32),
    )


def strangers(
    labels: Sequence[int | None],
    predicted: Sequence[int],
    place: int,
    against: int,
    count: int = DONORS,
) -> list[int]:
    """Places of random right images of a third class, the same ones each time.

    Args:
        labels, predicted: class index of each image; None without a label.
        place: the image that is asked about.
        against: the class that a repair leads to; neither it nor the predicted one is a third.
    """
    taken = {predicted[place], against}
    third = [
        other
        for other, (label, said) in enumerate(zip(labels, predicted, strict=True))
        if other != place and label == said and label not in taken
    ]
    order = np.random.default_rng(place).permutation(len(third))[:count]
    return [third[one] for one in order]
