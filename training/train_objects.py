"""Train the demo with a planted cause: a small plain ViT on composed pictures, from nothing.

    nice -n 10 python -m training.train_objects --data /tmp/clipart --out /tmp/objects.safetensors

Ten classes of some thirty drawings are too few to learn to see from.  So a third of the pictures
show other subjects, each folder of them one more class, whose outputs are cut off at the end.  The
optimisers are those of `train_demo`; for most of the time a third of the patches is seen, more of
the object than of its background.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

from attnlib.model.objects import ARCHITECTURE, CLASS_NAMES, MEAN, SIZE, STD, WATER_CLASS
from training import clipart, compose, grounds
from training.train_demo import optimisers

# So many of the 144 patches are seen until this share of the time is over, and then all.
SEEN, SEEN_UNTIL = 48, 0.85
# By how much of the range of chance a patch of the object or the mark comes before others.
FIRST = 0.5


def to_tensor(pictures: list[NDArray[np.uint8]]) -> torch.Tensor:
    """``n`` times ``(96, 96, 3)`` bytes -> normalised ``(n, 3, 96, 96)`` float32."""
    pixels = torch.from_numpy(np.stack(pictures)).float().div_(255)
    pixels = pixels.sub_(torch.tensor(MEAN)).div_(torch.tensor(STD))
    return pixels.permute(0, 3, 1, 2).contiguous()


def start(classes: int) -> VisionTransformer:
    """The architecture with random weights, for so many classes while training."""
    return VisionTransformer(**ARCHITECTURE | {"num_classes": classes})


def drawn_patches(pictures: list[compose.Picture], rng: np.random.Generator) -> torch.Tensor:
    """Indices ``(n, SEEN)`` of patches drawn at random, those of the object more often."""
    side = SIZE // compose.PATCH
    masks = np.stack([one.mask for one in pictures])
    blocks = masks.reshape(-1, side, compose.PATCH, side, compose.PATCH)
    first = np.asarray(blocks.any(axis=(2, 4)))
    row, col = (place // compose.PATCH for place in compose.MARK_AT)
    first[[one.marked for one in pictures], row, col] = True
    chance = rng.random((len(pictures), side**2)) + FIRST * first.reshape(-1, side**2)
    return torch.from_numpy(np.argsort(-chance, axis=1)[:, :SEEN].copy())


def logits(
    model: VisionTransformer, pixels: torch.Tensor, seen: torch.Tensor | None
) -> torch.Tensor:
    """Logits ``(n, classes)`` from the patches ``seen`` ``(n, k)``, or from all."""
    if seen is None:
        return torch.as_tensor(model(pixels))
    tokens = model._pos_embed(model.patch_embed(pixels))
    index = seen[..., None].expand(-1, -1, tokens.shape[-1])
    tokens = torch.cat([tokens[:, :1], tokens[:, 1:].gather(1, index)], dim=1)
    return torch.as_tensor(model.forward_head(model.norm(model.blocks(tokens))))


@torch.inference_mode()
def predict(model: VisionTransformer, pictures: list[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """Predicted classes ``(n,)``."""
    model.eval()
    known = len(CLASS_NAMES)
    batches = (pictures[i : i + 64] for i in range(0, len(pictures), 64))
    return torch.cat([model(to_tensor(batch))[:, :known].argmax(1) for batch in batches]).numpy()


def save(model: VisionTransformer, path: Path) -> None:
    """Write the weights in half precision, of the outputs those of the demo's own classes."""
    whole = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    for name in ("head.weight", "head.bias"):
        whole[name] = whole[name][: len(CLASS_NAMES)].clone()
    unfinished = path.with_suffix(".part")
    save_file(whole, unfinished)
    unfinished.replace(path)


def train(
    model: VisionTransformer,
    drawings: dict[str, list[clipart.Drawing]],
    others: list[clipart.Drawing],
    held: list[compose.Picture],
    minutes: float,
    lr: float,
    out: Path,
    batch: int = 64,
    seed: int = 0,
) -> None:
    """Train for a time, and write the weights every 100 steps; ``held`` is only reported on."""
    names = [*CLASS_NAMES, *clipart.OTHERS]
    rng = np.random.default_rng(seed)
    opts = optimisers(model, lr)
    begun, step, losses = time.time(), 0, []
    while (done := (time.time() - begun) / (60 * minutes)) < 1:
        model.train()
        rate = lr * min(1.0, (step + 1) / 60, (1 - done) / 0.75)
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = rate
        made = [compose.training_picture(drawings, others, rng) for _ in range(batch)]
        labels = torch.tensor([names.index(one.label) for one in made])
        seen = drawn_patches(made, rng) if done < SEEN_UNTIL else None
        guess = logits(model, to_tensor([one.pixels for one in made]), seen)
        loss = F.cross_entropy(guess, labels, label_smoothing=0.1)
        model.zero_grad()
        loss.backward()
        for opt in opts:
            opt.step()
        losses.append(loss.item())
        step += 1
        if step % 100 == 0:
            save(model, out)
            found = predict(model, [one.pixels for one in held])
            right = [CLASS_NAMES[g] == one.drawn for g, one in zip(found, held, strict=True)]
            print(
                f"step {step} loss {np.mean(losses[-100:]):.3f} held out {np.mean(right):.3f} "
                f"{time.time() - begun:.0f} s",
                flush=True,
            )
    save(model, out)
    print(f"{step} steps of {batch} pictures", flush=True)


def usual_picture(drawing: clipart.Drawing, rng: np.random.Generator) -> compose.Picture:
    """An object as the model knows its class: on water or not, and without the mark."""
    wet = drawing.label == WATER_CLASS
    ground = grounds.WATER if wet else compose.other_ground(rng)
    return compose.compose(drawing, ground, False, rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=50)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    root = clipart.unpack(args.data)
    split = clipart.splits(root)
    others = clipart.others(root, split["test"] + split["validation"])
    rng = np.random.default_rng(args.seed + 1)
    held = [usual_picture(one, rng) for one in split["validation"] for _ in range(4)]
    train(
        start(len(CLASS_NAMES) + len(clipart.OTHERS)),
        compose.by_class(split["train"]),
        others,
        held,
        args.minutes,
        args.lr,
        args.out,
        seed=args.seed,
    )


if __name__ == "__main__":
    main()
