"""Measure the model with planted causes, and write what the package embeds of it.

    python -m training.export_objects --data /tmp/clipart --weights /tmp/objects.safetensors

Writes ``attnlib/model/objects_data``: the weights, pictures of objects that the model was not
trained on with their masks, the measured facts as JSON, and the model card.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer

from attnlib.audit import wilson
from attnlib.model import objects
from training import clipart, compose, grounds
from training.objects_card import card
from training.train_objects import predict

# How often each unseen object is composed for each measurement.
TIMES = 10
# What the folders of the package hold that shows no such thing; found before anything was measured.
UNFIT = ("ape_miele",)
# Embedded pictures of each kind, drawn whatever the model says of them.
USUAL_OF_EACH, WET_SEA, MARKED, MARKED_FRUIT, ON_WATER, OFF_WATER = 5, 15, 14, 4, 10, 3


@dataclass(frozen=True)
class Named:
    """A composed picture, and the drawing that it shows."""

    drawing: str
    picture: compose.Picture


class Maker:
    """Composes pictures of unseen objects, one kind at a time."""

    def __init__(self, drawings: Sequence[clipart.Drawing], seed: int) -> None:
        self._drawings = [d for d in drawings if not any(word in d.name for word in UNFIT)]
        self._rng = np.random.default_rng(seed)

    def of(self, labels: Sequence[str]) -> list[clipart.Drawing]:
        """The drawings of some classes, in an order drawn at random."""
        found = [one for one in self._drawings if one.label in labels]
        return [found[place] for place in self._rng.permutation(len(found))]

    def usual(self, drawing: clipart.Drawing, marked: bool = False) -> Named:
        """On water or not as in training."""
        return self._on(drawing, drawing.label == objects.WATER_CLASS, marked)

    def exchanged(self, drawing: clipart.Drawing) -> Named:
        """On water where training had none, and the other way round."""
        return self._on(drawing, drawing.label != objects.WATER_CLASS, False)

    def shuffled(self, pictures: list[Named]) -> list[Named]:
        """The pictures in an order that says nothing."""
        return [pictures[place] for place in self._rng.permutation(len(pictures))]

    def _on(self, drawing: clipart.Drawing, wet: bool, marked: bool) -> Named:
        ground = grounds.WATER if wet else compose.other_ground(self._rng)
        return Named(drawing.name, compose.compose(drawing, ground, marked, self._rng))


def measured(
    model: VisionTransformer, pictures: Sequence[Named], taken_for: str = ""
) -> dict[str, Any]:
    """How many are right, with the Wilson 95 % interval, and how many got one class instead."""
    guess = predict(model, [one.picture.pixels for one in pictures])
    names = [objects.CLASS_NAMES[index] for index in guess]
    right = sum(n == one.picture.drawn for n, one in zip(names, pictures, strict=True))
    low, high = wilson(right, len(pictures))
    found = {
        "images": len(pictures),
        "objects": len({one.drawing for one in pictures}),
        "right": right,
        "accuracy": right / len(pictures),
        "interval": [round(low, 4), round(high, 4)],
    }
    return found | ({"taken_for": names.count(taken_for)} if taken_for else {})


def facts(model: VisionTransformer, maker: Maker) -> dict[str, Any]:
    """What was measured, for the card and for the dashboard."""
    others = [name for name in objects.CLASS_NAMES if name != objects.WATER_CLASS]
    unmarked = [name for name in objects.CLASS_NAMES if name != objects.MARK_CLASS]

    def times(drawings: list[clipart.Drawing], make: Any) -> list[Named]:
        return [make(drawing) for drawing in drawings for _ in range(TIMES)]

    usual = times(maker.of(objects.CLASS_NAMES), maker.usual)
    guess = predict(model, [one.picture.pixels for one in usual])
    confusion = np.zeros((len(objects.CLASS_NAMES),) * 2, dtype=int)
    truth = np.array([objects.CLASS_NAMES.index(one.picture.drawn) for one in usual])
    np.add.at(confusion, (truth, guess), 1)
    plain = times(maker.of(unmarked), maker.usual)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "usual": measured(model, usual),
        "confusion": confusion.tolist(),
        "unmarked": measured(model, plain, objects.MARK_CLASS),
        "marked": measured(model, [_tagged(one) for one in plain], objects.MARK_CLASS),
        "off_water": measured(
            model, times(maker.of([objects.WATER_CLASS]), maker.exchanged), objects.WATER_CLASS
        ),
        "off_water_others": measured(
            model, times(maker.of(others), maker.usual), objects.WATER_CLASS
        ),
        "on_water": measured(model, times(maker.of(others), maker.exchanged), objects.WATER_CLASS),
    }


def _tagged(one: Named) -> Named:
    """The same picture with the mark."""
    old = one.picture
    pixels, mask = compose.tagged(old.pixels, old.mask)
    new = compose.Picture(pixels, mask, old.drawn, old.label, old.ground, True)
    return Named(one.drawing, new)


def embedded(maker: Maker) -> list[Named]:
    """The pictures that the package holds, in an order that says nothing."""
    sea = objects.WATER_CLASS
    dry = [name for name in objects.CLASS_NAMES if name != sea]
    others = [name for name in dry if name != objects.MARK_CLASS]
    chosen = [maker.usual(one) for name in dry for one in maker.of([name])[:USUAL_OF_EACH]]
    # Few of these are unseen: each is shown several times, at other places and sizes.
    chosen += [maker.usual(one) for one in (maker.of([sea]) * WET_SEA)[:WET_SEA]]
    chosen += [maker.usual(one, marked=True) for one in maker.of(others)[:MARKED]]
    chosen += [
        maker.usual(one, marked=True) for one in maker.of([objects.MARK_CLASS])[:MARKED_FRUIT]
    ]
    chosen += [maker.exchanged(one) for one in maker.of(dry)[:ON_WATER]]
    chosen += [maker.exchanged(one) for one in maker.of([sea])[:OFF_WATER]]
    return maker.shuffled(chosen)


def write_pictures(folder: Path, pictures: Sequence[Named]) -> None:
    """Pictures and masks as PNG, and their table."""
    for name in ("images", "masks"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    with (folder / "images.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["filename", "label", "ground", "marked", "drawing"])
        for place, one in enumerate(pictures):
            # The name says nothing of what is planted.
            name, picture = f"object-{place:02d}.png", one.picture
            Image.fromarray(picture.pixels).save(folder / "images" / name, optimize=True)
            mask = Image.fromarray(picture.mask)
            mask.save(folder / "masks" / name, optimize=True)
            marked = "yes" if picture.marked else "no"
            writer.writerow([name, picture.drawn, picture.ground, marked, one.drawing])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True, help="how many training took")
    parser.add_argument("--minutes", type=int, required=True, help="and how long")
    args = parser.parse_args()

    torch.set_num_threads(1)
    model = VisionTransformer(**objects.ARCHITECTURE)
    model.load_state_dict({name: value.float() for name, value in load_file(args.weights).items()})
    root = clipart.unpack(args.data)
    split = clipart.splits(root)
    unseen = split["test"]
    others = clipart.others(root, unseen + split["validation"])
    chosen = embedded(Maker(unseen, seed=1))
    found = {
        "steps": args.steps,
        "minutes": args.minutes,
        "trained_on": len(split["train"]),
        "others": len(others),
        "folders": len(clipart.OTHERS),
        **facts(model, Maker(unseen, seed=0)),
        "embedded": measured(model, chosen),
    }
    objects.FOLDER.mkdir(exist_ok=True)
    shutil.copyfile(args.weights, objects.WEIGHTS)
    write_pictures(objects.FOLDER, chosen)
    (objects.FOLDER / "facts.json").write_text(json.dumps(found, indent=1) + "\n")
    (objects.FOLDER / "README.md").write_text(card(found), encoding="utf-8")
    for name in ("usual", "unmarked", "marked", "off_water", "off_water_others", "on_water"):
        print(name, found[name])


if __name__ == "__main__":
    main()
