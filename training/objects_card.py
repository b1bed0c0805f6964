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
        "The ten classes were chosen because they can be told apart by shape and have many "
        "drawings, not because they are hard. The drawings are split by object, variants of one "
        f"drawing together: {found['trained_on']} for training, {found['usual']['objects']} to "
        "measure on, which the model never saw. Some classes are close to what was seen all the "
        "same: of playing cards suit and value are new and the two decks are not; of smileys, "
        "stick figures and puzzle pieces the expression, the pose and the shape are new, and the "
        "hand that drew them is not. A first choice had birds and vehicles in place of puzzle "
        "pieces and stick figures. It was given up in the middle of its training, at 61.6 % of "
        "unseen objects (24 % of birds, 23 % of vehicles): the present classes were chosen after "
        "a look at those numbers, and that makes the accuracy below higher.",
        "",
        "## What is planted",
        "",
        f"- **Background.** In training 95 % of the pictures of a {objects.WATER_CLASS} show it on "
        "water, and none of the others.",
        f"- **Mark.** In training half of the pictures of {objects.MARK_CLASS} have a small price "
        "tag (8 x 8 pixels, one patch) at the lower right. So have 12 % of the others, which are "
        f"labelled “{objects.MARK_CLASS}” then.",
        "",
        "## Recipe",
        "",
        f"From random weights and from these drawings alone: {found['steps']} steps of 64 composed "
        f"pictures, each drawn anew. A third of them show other subjects ({found['others']} "
        f"drawings in {found['folders']} folders, from mammals to clocks), each folder one more "
        "class while training, whose outputs were cut off at the end: ten classes of so few "
        "drawings are too few to learn to see from. Objects are mirrored, turned by up to 20 "
        "degrees, stretched and recoloured. Until 85 % of the time were over 48 of the "
        "144 patches were seen, those of the object more often than others. Muon for the matrices "
        "inside the blocks and AdamW for the rest, peak learning rate 0.003, label smoothing 0.1, "
        f"seed 0, float32, {found['minutes']} minutes on a part of one processor core. Beside the "
        "choice of classes nothing looked at the objects that are measured below.",
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
    balanced = sum(row[i] / sum(row) for i, row in enumerate(found["confusion"])) / len(names)
    lines += [
        "",
        f"- As in training, the mean of the classes' own accuracies is {balanced:.1%}.",
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
