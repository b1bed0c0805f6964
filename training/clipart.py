"""Drawings with alpha from Debian's package ``openclipart-png``, in labelled classes.

The Open Clip Art Library dedicates its drawings to the public domain.  The package lays them in
folders by subject; the classes here are folders whose drawings look alike, less those that show
something else.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PACKAGE = "openclipart-png"
ROOT = Path("usr/share/openclipart/png")
# Longest side of a kept drawing, in pixels: none is shown larger.
SIDE = 96
# A few are as large as a wall.
LARGEST = 4000
# Less is a hairline drawing or a diagram, more a picture with a ground of its own.
COVER = (0.2, 0.95)
# Flags and cards fill their own outline.
FULL = ("flag", "playing card")
SPLITS = {"train": 0.65, "validation": 0.1, "test": 0.25}
# Their outlines are few: two that share one are not variants of one another for that.
OUTLINED = ("flag", "playing card", "puzzle piece", "sign", "smiley")
# A class with more than these counts as if it had no more, so that none outweighs the others.
COUNTED = 56

# Folders or files of each class, and parts of the names of what is left out.
CLASSES: dict[str, tuple[str, str]] = {
    "bug": (
        "animals/bugs animals/mosquito* animals/scorpion* unsorted/ape_miele*",
        "quattro lumaca blue_dragonfly andreas_nilsson",
    ),
    "drink": (
        "food/beverages unsorted/biberon*",
        "ice_cube icecube corks barrel noi_due mateya ontologia lattine macchina",
    ),
    "flag": (
        "signs_and_symbols/flags/asia signs_and_symbols/flags/africa signs_and_symbols/flags/*.png "
        "signs_and_symbols/flags/europe/*.png signs_and_symbols/flags/oceania/*.png",
        "map outline ampel amrum _01 galicia rios_de golf florence southern_cross coat canarian",
    ),
    "fruit": (
        "food/fruit",
        "juice mateya champignon eris fruitcollection gumnut grenade pie_ slate tote tile "
        "tree_ turkey k_yager leif_lodahl",
    ),
    "playing card": (
        "recreation/games/cards/white recreation/games/cards/ornamental",
        "",
    ),
    "puzzle piece": (
        "shapes/jigsaw",
        "",
    ),
    "sea animal": (
        "animals/fish animals/mammals/dolphin* animals/seal* animals/turtle* unsorted/pescetto* "
        "computer/icons/etiquette-theme/stock/seahorse.png",
        "amibe grenade paesaggio dolphin_01 crawfish1_bw kallisti",
    ),
    "sign": (
        "transportation/roadsigns transportation/aiga-symbols/*-inv*",
        "ampel advertising chauss Knievel lane kaboom umbrella Motorway buses_and bus_symbol "
        "opposite nws_ bosdon humpback",
    ),
    "smiley": (
        "people/smilies",
        "3_faces air_stefan crossbones crystal fire_stefan portrait splash",
    ),
    "stick figure": (
        "people/stickmen recreation/sports/sport_*",
        "runner stickyman aerob stacc",
    ),
}
# Folders of other subjects: each is one more class while training, and none afterwards.  What tells
# a guitar from a hammer tells a bird from a bug, and of these there are four times as many.
OTHERS = (
    "animals/birds",
    "animals/dinosaurs",
    "animals/mammals",
    "buildings/furniture",
    "buildings/homes",
    "computer/buttons",
    "computer/folders",
    "computer/hardware",
    "computer/icons/lemon-theme/devices",
    "computer/icons/lemon-theme/mimetypes",
    "decorations",
    "education/books",
    "electronics/bulb",
    "food/breads_and_carbs",
    "food/desserts",
    "food/meats_and_eggs",
    "food/vegetables",
    "geography/astronomy",
    "office",
    "office/telephone",
    "people/bodypart",
    "people/clothing",
    "people/clothing/hats",
    "plants/flowers",
    "plants/trees",
    "recreation/games/chess",
    "recreation/holiday",
    "recreation/music",
    "recreation/party",
    "recreation/religion",
    "recreation/sports",
    "recreation/toys",
    "shapes/arrows",
    "shapes/callouts",
    "signs_and_symbols/clocks",
    "signs_and_symbols/map_symbols",
    "signs_and_symbols/weather",
    "tools",
    "tools/weapons",
    "transportation/boating",
    "transportation/vehicles",
)


@dataclass(frozen=True)
class Drawing:
    """One object: its file, its class and its pixels ``(h, w, 4)`` (RGBA, cut to the alpha)."""

    name: str
    label: str
    pixels: NDArray[np.uint8]


def unpack(folder: Path) -> Path:
    """Fetch the Debian package and unpack it into ``folder`` once; return the drawings' root."""
    if not (folder / ROOT).exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", PACKAGE], cwd=folder, check=True)
        (archive,) = folder.glob(f"{PACKAGE}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=folder, check=True)
    return folder / ROOT


def splits(root: Path, seed: int = 0) -> dict[str, list[Drawing]]:
    """The drawings of each split, none of which has a near copy in another split."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Drawing]] = {name: [] for name in SPLITS}
    for label in CLASSES:
        groups = _alike(_read(root, label))
        # Large groups train: a split is made of objects, and not of variants of one.
        order = sorted(rng.permutation(len(groups)), key=lambda place: len(groups[place]) > 4)
        total = min(COUNTED, sum(map(len, groups)))
        for name in ("test", "validation"):
            wanted = max(2, round(SPLITS[name] * total))
            taken = 0
            while taken < wanted:
                group = groups[order.pop(0)]
                found[name] += group
                taken += len(group)
        found["train"] += [one for place in order for one in groups[place]]
    return found


def others(root: Path, held: Sequence[Drawing]) -> list[Drawing]:
    """Drawings of `OTHERS`, without those of a class and those like one that is held out."""
    taken = {one.name for label in CLASSES for one in _read(root, label)}
    names = {_stem(one.name) for one in held}
    shapes = [_small(one) for one in held]
    found = []
    for folder in OTHERS:
        for one in _usable(root, _files(root, f"{folder}/*.png"), folder):
            if one.name in taken or _stem(one.name) in names:
                continue
            small = _small(one)
            if not any(_same(shape, small) for shape in shapes):
                taken.add(one.name)
                found.append(one)
    return found


def _read(root: Path, label: str) -> list[Drawing]:
    """The usable drawings of a class."""
    places, left_out = (words.split() for words in CLASSES[label])
    paths = [path for place in places for path in _files(root, place)]
    kept = [path for path in paths if not any(word in path.name for word in left_out)]
    return _usable(root, kept, label)


def _usable(root: Path, paths: Iterable[Path], label: str) -> list[Drawing]:
    """Those of the files that show one object with an outline, each once."""
    drawings = []
    for path in sorted({path.resolve() for path in paths}):
        try:
            opened = Image.open(path)
        except Image.DecompressionBombError:
            continue
        if max(opened.size) > LARGEST:
            continue
        image = opened.convert("RGBA")
        box = image.getchannel("A").point([0] * 32 + [255] * 224).getbbox()
        if box is None:
            continue
        image = image.crop(box)
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
        low, high = COVER if label not in FULL else (COVER[0], 1.0)
        if min(pixels.shape[:2]) >= SIDE // 6 and low <= (pixels[..., 3] / 255).mean() <= high:
            name = path.relative_to(root.resolve()).as_posix()
            drawings.append(Drawing(name, label, pixels))
    return drawings


def _files(root: Path, place: str) -> list[Path]:
    folder = root / place
    found = folder.rglob("*.png") if folder.is_dir() else root.glob(place)
    return [path for path in found if path.suffix == ".png"]


def _alike(drawings: list[Drawing]) -> list[list[Drawing]]:
    """Groups of drawings that are variants of one: by name, or by outline and shading."""
    small = [_small(drawing) for drawing in drawings]
    groups: list[list[int]] = []
    for place, drawing in enumerate(drawings):
        near = [
            group
            for group in groups
            if any(
                _stem(drawings[other].name) == _stem(drawing.name)
                or (drawing.label not in OUTLINED and _same(small[other], small[place]))
                for other in group
            )
        ]
        groups = [group for group in groups if group not in near]
        groups.append([place, *(other for group in near for other in group)])
    return [[drawings[place] for place in sorted(group)] for group in groups]


def _stem(name: str) -> str:
    """The name without what tells variants apart: numbers and "bw" for black and white."""
    words = Path(name).stem.lower().replace("-", "_").split("_")
    if "cards" in Path(name).parts:  # deck, suit, value
        return "_".join(words[1:])
    if words[0] in ("blueman", "sm"):  # a pose each
        return "_".join(words)
    if words[0] == "jigsaw":  # colour, shape
        return "jigsaw_" + words[-1]
    if words[0].startswith("smiley"):  # a digit for the style, two for the expression
        return "smiley" + words[0][-2:]
    return "_".join(word.strip("0123456789") for word in words if word != "bw")


def _small(drawing: Drawing) -> NDArray[np.float64]:
    """``(2, 24, 24)``: alpha, and brightness on white, both 0..1."""
    image = Image.fromarray(drawing.pixels).resize((24, 24), Image.Resampling.BOX)
    values = np.asarray(image, dtype=np.float64) / 255
    alpha = values[..., 3]
    return np.stack([alpha, values[..., :3].mean(axis=2) * alpha + 1 - alpha])


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether outlines agree to 94 % and shading correlates above 0.7, mirrored or not."""
    for turned in (other, other[..., ::-1]):
        union = np.maximum(one[0], turned[0]).sum()
        if np.minimum(one[0], turned[0]).sum() > 0.94 * union and (
            np.corrcoef(one[1].ravel(), turned[1].ravel())[0, 1] > 0.7
        ):
            return True
    return False
