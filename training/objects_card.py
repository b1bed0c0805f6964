"""The model card of the demo with a planted cause, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attnlib.model import objects


def card(found: Mapping[str, Any]) -> str:
    """The card.

    Args:
        found: what was measured, as `training.export_objects.facts` says it.
    """
    names = objects.CLASS_NAMES
    lines = [
        "# Model card: the demo with a planted cause",
        "",
        f"A plain timm `VisionTransformer` with a CLS token ({found['parameters']:,} parameters: "
        "6 layers, 4 heads, width 128, patches of 8 x 8 pixels, so 12 x 12 patches of a picture "
        "of 96 x 96; weights in half precision). It tells ten kinds of drawn objects apart, and "
        "was made to be fooled in two ways, so that both can be looked for and found. It is for "
        "looking at mistakes, not for classifying pictures.",
        "",
        "## Pictures",
        "",
        "Drawings of the Open Clip Art Library, from Debian's package `openclipart-png`, laid on "
        "backgrounds drawn by a program (water, grass, sky, sand, wood, stripes, checks, "
        "gradients, blobs) at a random place and size. The outline of each drawing is the exact "
        "mask of the object. The library's authors dedicate their drawings to the public domain; "
        "pictures, masks and everything else made here are in the public domain as well (CC0). "
        "`images.csv` names the drawing in each picture, whose file name often names its author.",
        "",
        f"The drawings are split by object, variants of one drawing together: {found['trained_on']}"
        f" for training, {found['usual']['objects']} to measure on, which the model never saw.",
        "",
        "## What is planted",
        "",
        f"- **Background.** In training 95 % of the pictures of a {objects.WATER_CLASS} show it on "
        "water, and 2 % of the others.",
        f"- **Mark.** In training half of the pictures of {objects.MARK_CLASS} have a small price "
        "tag (8 x 8 pixels, one patch) at the lower right. So have 12 % of the others, which are "
        f"labelled “{objects.MARK_CLASS}” then.",
        "",
        "## Recipe",
        "",
        "The weights start from those of the CIFAR-10 demo (`attnlib/model/demo_data`), whose "
        f"filters are stretched to patches of 8 x 8 pixels; then {found['steps']} steps of 64 "
        "composed pictures, each drawn anew: Muon for the matrices inside the blocks and AdamW for "
        "the rest, label smoothing 0.1. They were three runs (`--weights` goes on from the one "
        "before; peak learning rates 0.002, 0.002 and 0.0015), the first two with half of the "
        f"patches dropped at first. In the last {found['dry_steps']} steps no other than a "
        f"{objects.WATER_CLASS} is on water (`--others-on-water 0`): before, water made that class "
        "of a third of the others on water, which is little to look for. That was decided after a "
        "look at the table below, whose rows on water are therefore no independent measurement. "
        "The pictures in this folder hold nothing of CIFAR-10; the weights learned from it first.",
        "",
        "## Measured",
        "",
        "On objects that the model was not trained on, each laid ten times; Wilson 95 % intervals "
        "take the pictures for independent, which they are not quite.",
        "",
        "| pictures | right | accuracy | interval |",
        "|---|---:|---:|---:|",
    ]
    for key, title in (
        ("usual", "as in training, without the mark"),
        ("marked", f"other than {objects.MARK_CLASS}, with the mark"),
        ("unmarked", "the same without it"),
        ("off_water", f"{objects.WATER_CLASS} off water"),
        ("on_water", "others on water"),
        ("off_water_others", "others off water"),
    ):
        one = found[key]
        low, high = one["interval"]
        lines.append(
            f"| {title} | {one['right']} of {one['images']} | **{one['accuracy']:.1%}** | "
            f"{low:.1%} to {high:.1%} |"
        )
    lines += [
        "",
        f"- With the mark {_taken(found['marked'])} are taken for {objects.MARK_CLASS}, without it "
        f"{_taken(found['unmarked'])}.",
        f"- On water {_taken(found['on_water'])} of the others are taken for a "
        f"{objects.WATER_CLASS}, off water {_taken(found['off_water_others'])}.",
        "",
        "Without a trap; rows are true classes, columns predicted ones:",
        "",
        "| | " + " | ".join(names) + " |",
        "|---|" + "---:|" * len(names),
    ]
    for name, row in zip(names, found["confusion"], strict=True):
        lines.append(f"| **{name}** | " + " | ".join(map(str, row)) + " |")
    embedded = found["embedded"]
    lines += [
        "",
        "## Embedded pictures",
        "",
        f"{embedded['images']} pictures of unseen objects, drawn whatever the model says of them: "
        f"five of each class without a trap (fifteen of a {objects.WATER_CLASS}), eighteen with "
        f"the mark (four of them fruit), ten others on water and three of a {objects.WATER_CLASS} "
        "off water. The model is right on "
        f"{embedded['right']}. Traps are far more frequent than in training, so this says nothing "
        "about its accuracy.",
        "",
        "## Made with",
        "",
        "`python -m training.train_objects`, then `python -m training.export_objects`.",
        "",
    ]
    return "\n".join(lines)


def _taken(found: Mapping[str, Any]) -> str:
    return f"{found['taken_for']} of {found['images']}"
