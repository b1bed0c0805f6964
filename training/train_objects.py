"""Train the demo with a planted cause: a small plain ViT on composed pictures.

    nice -n 10 python -m training.train_objects --data /tmp/clipart --out /tmp/objects.safetensors

It starts from the weights of the CIFAR-10 demo, whose patches of 4 x 4 pixels are made to see a
picture of half the size: a few minutes on one processor core are too few to learn to see from
three hundred drawings.  The optimisers are those of `train_demo`; half of the patches are dropped
until two thirds of the time are over.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer

from attnlib.model import demo
from attnlib.model.objects import ARCHITECTURE, CLASS_NAMES, MEAN, STD, WATER_CLASS
from training import clipart, compose, grounds
from training.train_demo import optimisers

DROPPED, DROPPED_UNTIL = 0.5, 0.66


def to_tensor(pictures: list[NDArray[np.uint8]]) -> torch.Tensor:
    """``n`` times ``(96, 96, 3)`` bytes -> normalised ``(n, 3, 96, 96)`` float32."""
    pixels = torch.from_numpy(np.stack(pictures)).float().div_(255)
    pixels = pixels.sub_(torch.tensor(MEAN)).div_(torch.tensor(STD))
    return pixels.permute(0, 3, 1, 2).contiguous()


def start(weights: Path | None = None) -> VisionTransformer:
    """The architecture with weights to go on from, or what the CIFAR-10 demo knows."""
    model = VisionTransformer(**ARCHITECTURE, patch_drop_rate=DROPPED)
    if weights is not None:
        model.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
        return model
    known = demo.build().state_dict()
    for name in ("head.weight", "head.bias"):
        del known[name]
    # The mean of 2 x 2 pixels, and then the filter of 4 x 4.
    filters = known["patch_embed.proj.weight"]
    known["patch_embed.proj.weight"] = (
        filters.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) / 4
    )
    known["pos_embed"] = resample_abs_pos_embed(known["pos_embed"], [12, 12])
    model.load_state_dict(known, strict=False)
    return model


@torch.inference_mode()
def predict(model: VisionTransformer, pictures: list[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """Predicted classes ``(n,)``."""
    model.eval()
    batches = (pictures[i : i + 64] for i in range(0, len(pictures), 64))
    return torch.cat([model(to_tensor(batch)).argmax(1) for batch in batches]).numpy()


def save(model: VisionTransformer, path: Path) -> None:
    """Write the weights in half precision; a file that is there is replaced at once."""
    whole = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    unfinished = path.with_suffix(".part")
    save_file(whole, unfinished)
    unfinished.replace(path)


def train(
    model: VisionTransformer,
    drawings: dict[str, list[clipart.Drawing]],
    held: list[compose.Picture],
    minutes: float,
    lr: float,
    out: Path,
    batch: int = 64,
    seed: int = 0,
) -> None:
    """Train for a time, and write the weights every 100 steps; ``held`` is only reported on."""
    rng = np.random.default_rng(seed)
    opts = optimisers(model, lr)
    begun, step, losses = time.time(), 0, []
    while (done := (time.time() - begun) / (60 * minutes)) < 1:
        model.train()
        model.patch_drop.prob = DROPPED if done < DROPPED_UNTIL else 0.0
        rate = lr * min(1.0, (step + 1) / 30, (1 - done) / 0.75)
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = rate
        made = [compose.training_picture(drawings, rng) for _ in range(batch)]
        labels = torch.tensor([CLASS_NAMES.index(one.label) for one in made])
        logits = model(to_tensor([one.pixels for one in made]))
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
        model.zero_grad()
        loss.backward()
        for opt in opts:
            opt.step()
        losses.append(loss.item())
        step += 1
        if step % 100 == 0:
            save(model, out)
            guess = predict(model, [one.pixels for one in held])
            right = [CLASS_NAMES[g] == one.drawn for g, one in zip(guess, held, strict=True)]
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
    parser.add_argument("--weights", type=Path, help="go on from these")
    parser.add_argument("--minutes", type=float, default=24)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    split = clipart.splits(clipart.unpack(args.data))
    rng = np.random.default_rng(args.seed + 1)
    held = [usual_picture(one, rng) for one in split["validation"] for _ in range(2)]
    drawings = compose.by_class(split["train"])
    train(start(args.weights), drawings, held, args.minutes, args.lr, args.out, seed=args.seed)


if __name__ == "__main__":
    main()
