"""Train the embedded demo model: a small plain ViT with a CLS token, on CIFAR-10.

    python -m training.train_demo --data /tmp/cifar10 --out /tmp/demo.safetensors

The recipe is meant for a couple of CPU cores: hidden matrices are trained with Muon (which
needs fewer steps than AdamW at this size), and for the first epochs half of the patches are
dropped at random (PatchDropout, Liu et al. 2022), which halves the cost of a step.  The last
epochs see every patch, so that training and use agree.
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

from attnlib.model.demo import ARCHITECTURE, MEAN, STD
from training import cifar10


def to_tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    """``(n, 32, 32, 3)`` bytes -> normalised ``(n, 3, 32, 32)`` float32."""
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    pixels = torch.from_numpy(images).float().div_(255).sub_(mean).div_(std)
    return pixels.permute(0, 3, 1, 2).contiguous()


def augment(images: torch.Tensor, pad: int = 4) -> torch.Tensor:
    """Each image of ``(n, 3, h, w)``: mirrored at random, then shifted by up to ``pad`` pixels."""
    n, _, h, w = images.shape
    flip = torch.rand(n, device=images.device) < 0.5
    images = torch.where(flip[:, None, None, None], images.flip(-1), images)
    padded = F.pad(images, (pad,) * 4, mode="reflect")
    rows = torch.randint(0, 2 * pad + 1, (n, 1), device=images.device)
    cols = torch.randint(0, 2 * pad + 1, (n, 1), device=images.device)
    rows = rows + torch.arange(h, device=images.device)
    cols = cols + torch.arange(w, device=images.device)
    index = torch.arange(n, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)


def optimisers(model: VisionTransformer, lr: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for everything else."""
    hidden = [p for p in model.blocks.parameters() if p.ndim == 2]
    chosen = {id(p) for p in hidden}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(hidden, lr=lr, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=lr, weight_decay=0.0, betas=(0.9, 0.99)),
    ]


@torch.inference_mode()
def predict(model: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    """Logits ``(n, classes)`` of normalised images, in batches."""
    model.eval()
    return torch.cat([model(batch) for batch in images.split(500)])


def train(
    model: VisionTransformer,
    images: torch.Tensor,
    labels: torch.Tensor,
    epochs: int,
    full_epochs: int,
    lr: float,
    batch: int = 256,
    max_steps: int | None = None,
    snapshot: Path | None = None,
) -> None:
    steps_per_epoch = len(images) // batch
    total = epochs * steps_per_epoch
    opts = optimisers(model, lr)
    step, start = 0, time.time()
    for epoch in range(epochs):
        model.train()
        model.patch_drop.prob = 0.0 if epoch >= epochs - full_epochs else 0.5
        order = torch.randperm(len(images))
        losses = []
        for i in range(steps_per_epoch):
            rate = lr * min(1.0, step / 200, (total - step) / (0.75 * total))
            for opt in opts:
                for group in opt.param_groups:
                    group["lr"] = rate
            pick = order[i * batch : (i + 1) * batch]
            logits = model(augment(images[pick]))
            loss = F.cross_entropy(logits, labels[pick], label_smoothing=0.1)
            model.zero_grad()
            loss.backward()
            for opt in opts:
                opt.step()
            losses.append(loss.detach())
            step += 1
            if max_steps and step >= max_steps:
                break
        mean_loss = torch.stack(losses)[-100:].mean().item()
        print(f"epoch {epoch + 1} loss {mean_loss:.3f} {time.time() - start:.0f} s", flush=True)
        if snapshot:
            save_file({k: v.contiguous() for k, v in model.state_dict().items()}, snapshot)
        if max_steps and step >= max_steps:
            break


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=26)
    parser.add_argument("--full-epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-steps", type=int)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder = cifar10.download(args.data)
    model = VisionTransformer(**ARCHITECTURE, patch_drop_rate=0.5).to(device)
    images, labels = cifar10.split(folder, "train")
    train(
        model,
        to_tensor(images).to(device),
        torch.from_numpy(labels).to(device),
        epochs=args.epochs,
        full_epochs=args.full_epochs,
        lr=args.lr,
        max_steps=args.max_steps,
        snapshot=args.out,
    )
    images, labels = cifar10.split(folder, "test")
    guess = predict(model, to_tensor(images).to(device)).argmax(1).cpu()
    print(f"test accuracy {(guess == torch.from_numpy(labels)).float().mean():.4f}")


if __name__ == "__main__":
    main()
