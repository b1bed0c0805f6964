"""Drawings with alpha from Debian's package ``openclipart-png``, in labelled classes.

The Open Clip Art Library dedicates its drawings to the public domain.  The package lays them in
folders by subject; the classes here are folders whose drawings look alike, less those that show
something else.
"""

from __future__ import annotations

import subprocess
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
SPLITS = {"train": 0.65, "validation": 0.1, "test": 0.25}

# Folders or files of each class, and parts of the names of what is left out.
CLASSES: dict[str, tuple[str, str]] = {
    "bird": (
        "animals/birds animals/*penguin*.png unsorted/[Pp]inguino* unsorted/Anatra* "
        "unsorted/papera* unsorted/gabbiano* unsorted/struzzo*",
        "bat platter wing_ meijer stormo cigni_bianchi notte ralf_ark",
    ),
    "bug": (
        "animals/bugs animals/mosquito* animals/scorpion* unsorted/ape_miele*",
        "quattro lumaca blue_dragonfly andreas_nilsson",
    ),
    "drink": (
        "food/beverages unsorted/biberon*",
        "ice_cube icecube corks barrel noi_due mateya ontologia lattine macchina",
    ),
    "flower": (
        "plants/flowers plants/*daffodil* plants/*flower* unsorted/ros[ae]*",
        "cactus cartoon_tree meijer sun_flower pink-rose bouquet",
    ),
    "fruit": (
        "food/fruit",
        "juice mateya champignon eris fruitcollection gumnut grenade pie_ slate tote tile "
        "tree_ turkey k_yager leif_lodahl",
    ),
    "hat": (
        "people/clothing/hats",
        "jacob_leisler green_fedora",
    ),
    "house": (
        "buildings/homes unsorted/igloo*",
        "lighthouse abitazione in_campagna gi_01 dei_sogni christoph_b",
    ),
    "sea animal": (
        "animals/fish animals/mammals/dolphin* animals/seal* animals/turtle* unsorted/pescetto*",
        "amibe grenade paesaggio dolphin_01 crawfish1_bw",
    ),
    "sign": (
        "transportation/roadsigns transportation/aiga-symbols/*-inv*",
        "ampel advertising chauss Knievel lane kaboom umbrella Motorway buses_and bus_symbol "
        "opposite nws_ bosdon humpback",
    ),
    "vehicle": (
        "transportation/vehicles unsorted/ambulanza* unsorted/betoniera*",
        "blueprint bluepr bicic bicycle lighthouse parking sign rocket crossroads curve cycle "
        "sledge ship plane trawler vtt wing_ aircraft autos departing",
    ),
}


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
        order = sorted(rng.permutation(len(groups)), key=lambda place: len(groups[place]) > 2)
        total = sum(map(len, groups))
        for name in ("test", "validation"):
            wanted = max(2, round(SPLITS[name] * total))
            taken = 0
            while taken < wanted:
                group = groups[order.pop(0)]
                found[name] += group
                taken += len(group)
        found["train"] += [one for place in order for one in groups[place]]
    return found


def _read(root: Path, label: str) -> list[Drawing]:
    """The usable drawings of a class."""
    places, left_out = (words.split() for words in CLASSES[label])
    paths = {path.resolve() for place in places for path in _files(root, place)}
    drawings = []
    for path in sorted(paths):
        if any(word in path.name for word in left_out):
            continue
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
        low, high = COVER
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
                # Signs share few outlines and are not variants of one another.
                or (drawing.label != "sign" and _same(small[other], small[place]))
                for other in group
            )
        ]
        groups = [group for group in groups if group not in near]
        groups.append([place, *(other for group in near for other in group)])
    return [[drawings[place] for place in sorted(group)] for group in groups]


def _stem(name: str) -> str:
    """The name without what tells variants apart: numbers and "bw" for black and white."""
    words = Path(name).stem.lower().replace("-", "_").split("_")
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
