"""Objects that the model's crop cuts off, too small for its patches, or several, with masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, stats
from torch import Tensor

from attnlib.data.image import MODES
from attnlib.diagnosis.asking import ask
from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.finder import ALPHA, Finder, needs_mistakes
from attnlib.diagnosis.finding import Certainty, Evidence, Finding
from attnlib.methods.base import Progress
from attnlib.model.vit import Vit

# An object is cut off where less than this share of it is in the crop, and small where it has
# fewer patches than this.
INSIDE, PATCHES = 0.75, 2.0
# A separate part counts as an object of its own from this share of the whole mask on.
APART = 0.2
# Around a small object so much of its size is kept when looking closer.
ROOM = 0.5


@dataclass(frozen=True)
class Placed:
    """Where an object lies for the model.

    Attributes:
        inside: share of the object that is in the crop, 0 to 1.
        patches: how many patches it would fill.
        objects: how many separate parts of some size it has.
    """

    inside: float
    patches: float
    objects: int = 1

    @property
    def trouble(self) -> str:
        """``"cut off"``, ``"small"``, ``"several"`` or ``""``."""
        if self.inside < INSIDE:
            return "cut off"
        if self.patches < PATCHES:
            return "small"
        return "several" if self.objects > 1 else ""


def seen_box(vit: Vit, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what the model sees of images ``(width, height)``, in shares.

    Read off two gradients that go through the model's own preparation, between black and white,
    so that it holds for any transform.
    """
    width, height = size
    across = np.broadcast_to(np.linspace(0, 255, width).round(), (height, width))
    down = np.broadcast_to(np.linspace(0, 255, height).round()[:, None], (height, width))
    mode = MODES.get(vit.channels, "RGB")
    plain = [Image.new("L", size, shade) for shade in (0, 255)]
    ramps = [Image.fromarray(one.astype(np.uint8)) for one in (across, down)]
    low, high, x, y = (vit.transform(one.convert(mode)).double() for one in (*plain, *ramps))
    # Padding is the same whatever the picture: 0 / 0 there.
    left, right = _ends(((x - low) / (high - low)).nanmean(dim=0).nanmean(dim=0), width)
    top, bottom = _ends(((y - low) / (high - low)).nanmean(dim=0).nanmean(dim=1), height)
    return left, top, right, bottom


def _ends(ramp: Tensor, side: int) -> tuple[float, float]:
    """Where a line of the crop begins and ends, in shares of a side of so many pixels."""
    seen = ramp[~ramp.isnan()].clamp(0, 1)
    # From the middles of pixels, of the image and of the crop, to their edges.
    first, last = (float(end) * (side - 1) / side + 0.5 / side for end in (seen[0], seen[-1]))
    half = (last - first) / max(len(seen) - 1, 1) / 2
    return max(first - half, 0.0), min(last + half, 1.0)


def placed(vit: Vit, mask: NDArray[np.bool_]) -> Placed:
    """Where an object ``(h, w)`` in the image's own pixels lies for the model."""
    height, width = mask.shape
    left, top, right, bottom = seen_box(vit, (width, height))
    y, x = np.nonzero(mask)
    if not len(y):
        return Placed(1.0, 0.0)
    across, down = (x + 0.5) / width, (y + 0.5) / height
    within = (across >= left) & (across <= right) & (down >= top) & (down <= bottom)
    area = max((right - left) * (bottom - top) * width * height, 1.0)
    count = len(parts(mask))
    return Placed(float(within.mean()), float(within.sum()) / area * vit.layout.patches, count)


def parts(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The separate parts of a mask ``(h, w)`` that are large beside it, the largest first."""
    numbered, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-sizes, kind="stable")
    return [numbered == i + 1 for i in order if sizes[i] >= APART * mask.sum()]


def whole(vit: Vit) -> Vit:
    """The model with a preparation that shows it the whole image, squashed to its input."""
    return vit.prepared({"crop_pct": 1.0, "crop_mode": "squash"})


def closer(image: Image.Image, mask: NDArray[np.bool_]) -> Image.Image:
    """The image about the object, square, with some room around it."""
    y, x = np.nonzero(mask)
    middle = ((x.min() + x.max() + 1) / 2, (y.min() + y.max() + 1) / 2)
    extent = max(np.ptp(x) + 1, np.ptp(y) + 1) * (1 + 2 * ROOM)
    half = min(extent, *image.size) / 2
    x0, y0 = (
        min(max(centre - half, 0), side - 2 * half)
        for centre, side in zip(middle, image.size, strict=True)
    )
    box = (round(x0), round(y0), round(x0 + 2 * half), round(y0 + 2 * half))
    return image.crop(box)


def find(examined: Examined, progress: Progress) -> list[Finding]:
    """A finding for objects cut off, small or several, where that explains mistakes."""
    places = _masked(examined)
    known = {int(i): placed(examined.vit, examined.masks[examined.names[i]]) for i in places}
    troubled = [i for i in known if known[i].trouble]
    plain = [i for i in known if not known[i].trouble]
    if not troubled:
        return []
    total = 2 * len(known)
    full = ask(
        whole(examined.vit),
        (examined.images[i] for i in known),
        len(known),
        lambda done, _: progress(done, total),
    ).argmax(axis=1)
    near = ask(
        examined.vit,
        (closer(examined.images[i], _largest(examined, i)) for i in known),
        len(known),
        lambda done, _: progress(len(known) + done, total),
    ).argmax(axis=1)
    found = []
    for trouble, after in (("cut off", full), ("small", near), ("several", near)):
        mine = [i for i in troubled if known[i].trouble == trouble]
        now = dict(zip(known, after.tolist(), strict=True))
        finding = _finding(examined, known, trouble, mine, plain, now)
        if finding is not None:
            found.append(finding)
    return sorted(found, key=lambda finding: -finding.mistakes)


def _finding(
    examined: Examined,
    known: dict[int, Placed],
    trouble: str,
    mine: list[int],
    plain: list[int],
    now: dict[int, int],
) -> Finding | None:
    """What one trouble comes to, beside images without it."""
    labels, wrong = examined.labels, examined.wrong
    bad, fine = [i for i in mine if wrong[i]], [i for i in plain if wrong[i]]
    repaired = [i for i in bad if now[i] == labels[i]]
    broken = [i for i in mine if examined.right[i] and now[i] != labels[i]]
    # Another look repairs some mistakes anyhow: those without the trouble say how many.
    control = sum(now[i] == labels[i] for i in fine)
    gained = len(repaired) - len(broken)
    if len(repaired) < 3 or gained <= 0:
        return None
    table = [[len(repaired), len(bad) - len(repaired)], [control, len(fine) - control]]
    by_rate = float(stats.fisher_exact(table, "greater").pvalue)
    changed = len(repaired) + len(broken)
    by_gain = float(stats.binomtest(len(repaired), changed, 0.5, "greater").pvalue)
    # Where no mistake is without the trouble there is no rate to compare with.
    p_value = 3 * (max(by_rate, by_gain) if fine else by_gain)
    if p_value >= ALPHA:
        return None
    what, look, advice = _WORDS[trouble]
    share = len(repaired) / len(bad)
    interval = stats.binomtest(len(repaired), len(bad)).proportion_ci()
    first = sorted(repaired, key=lambda i: (known[i].inside, known[i].patches))
    return Finding(
        kind="crop",
        scope="set",
        sentence=(
            f"{len(bad)} of {int(wrong.sum())} mistakes {what}; {look}, {len(repaired)} of them "
            f"are repaired, and {len(broken)} right ones of this kind break."
        ),
        value=share,
        threshold=control / len(fine) if fine else 0.0,
        threshold_source="the share that the same repairs of mistakes without this trouble",
        evidence=(
            Evidence(
                f"{len(repaired)} of {len(bad)} mistakes are repaired when {look}.",
                examined.named(first),
            ),
        ),
        evidence_against=(
            Evidence(
                f"The same repairs {control} of {len(fine)} mistakes whose object lies well, and "
                f"breaks {len(broken)} images that were right.",
                examined.named(broken),
            ),
        ),
        certainty=Certainty(
            min(1.0, p_value), (float(interval.low), float(interval.high)), tried=3
        ),
        next_steps=advice,
        mistakes=len(repaired),
        images=examined.named([*first, *(i for i in bad if i not in repaired)]),
        detail={"trouble": trouble},
    )


def _largest(examined: Examined, place: int) -> NDArray[np.bool_]:
    return parts(examined.masks[examined.names[place]])[0]


# By trouble: what the images have, how they are shown then, and what to do.
_WORDS = {
    "cut off": (
        f"have an object of which less than {INSIDE:.0%} is in the crop",
        "shown the whole image",
        "Prepare the images so that the whole object is seen (crop mode “squash” or “border”, or "
        "a larger share of the image), and train so.",
    ),
    "small": (
        f"have an object smaller than {PATCHES:g} patches",
        "shown only the object's surroundings",
        "Crop around the object first, or use a larger input or smaller patches.",
    ),
    "several": (
        "have several objects",
        "shown only the largest object's surroundings",
        "One label cannot be right for several things: crop around the one that is meant, or give "
        "an image as many labels as it has things.",
    ),
}


def _masked(examined: Examined) -> NDArray[np.intp]:
    known = np.array([name in examined.masks for name in examined.names])
    filled = [known[i] and examined.masks[name].any() for i, name in enumerate(examined.names)]
    return np.flatnonzero(np.array(filled) & examined.labelled)


def _lacks(examined: Examined) -> str:
    without = needs_mistakes(examined)
    return without or ("" if len(_masked(examined)) else "no image has a mask of its object")


FINDER = Finder(
    "crop",
    "Objects cut off, too small or several",
    "Does the model miss objects that its crop cuts off, that fill hardly a patch, or that are "
    "several?",
    find,
    _lacks,
    lambda examined: 2 * len(_masked(examined)),
)
