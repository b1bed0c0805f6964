"""Grad-CAM against pytorch-grad-cam, and against its formula by autograd on a split model."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import timm
import torch
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

import attnlib
from attnlib.errors import AttnlibError, CaptureError


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2"])
def test_agrees_with_pytorch_grad_cam(name: str, noise: Image.Image) -> None:
    torch.manual_seed(0)
    size, grid = (112, 7) if "tiny" in name else (112, 8)
    module = timm.create_model(name, img_size=size, depth=3, num_classes=6).eval()
    for block in module.blocks:
        block.attn.qkv.weight.data *= 5
    vit = attnlib.load(module, device="cpu")
    prefix = len(vit.layout.prefix)

    def to_grid(tokens: torch.Tensor) -> torch.Tensor:
        return tokens[:, prefix:].reshape(len(tokens), grid, grid, -1).permute(0, 3, 1, 2)

    reference = GradCAM(module, [module.blocks[-1].norm1], reshape_transform=to_grid)
    # Without this theirs is enlarged to the input, which changes ranks.
    reference.get_target_width_height = lambda pixels: (grid, grid)
    positive = 0
    for target in range(6):
        found = vit.attribute(noise, "gradcam", target=target).values
        theirs = reference(vit.pixels(noise), [ClassifierOutputTarget(target)])[0]
        scaled = (found - found.min()) / (found - found.min()).max().clip(1e-7)
        np.testing.assert_allclose(scaled, theirs, atol=1e-3)
        if np.unique(found).size > 5:
            positive += 1
            assert scipy.stats.spearmanr(found.ravel(), theirs.ravel())[0] >= 0.999
    assert positive >= 3


def test_is_the_formula(noise: Image.Image) -> None:
    """In float64, with the model cut in two by hand before its last layer."""
    torch.manual_seed(2)
    module = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=3, num_classes=6)
    vit = attnlib.load(module.double().eval(), device="cpu")
    pixels = vit.pixels(noise)
    x = module._pos_embed(module.patch_embed(pixels))
    for block in module.blocks[:2]:
        x = block(x)
    last = module.blocks[2]
    normed = last.norm1(x).detach().requires_grad_()
    y = x.detach() + last.attn(normed)
    y = y + last.mlp(last.norm2(y))
    logits = module.forward_head(module.norm(y))[0]
    for target in (0, 4):
        (gradient,) = torch.autograd.grad(logits[target], normed, retain_graph=True)
        weights = gradient[0, 1:].mean(0)
        expected = (normed[0, 1:] @ weights).clamp(min=0).detach().numpy()
        found = vit.attribute(noise, "gradcam", target=target).values.ravel()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_refusals(vit: attnlib.Vit, noise: Image.Image) -> None:
    with pytest.raises(AttnlibError, match="class"):
        vit.attribute(noise, "gradcam", target=99)
    # Two branches, each with places of its own.
    branches = timm.create_model("crossvit_tiny_240", depth=((1, 1, 0),)).eval()
    with pytest.raises(CaptureError, match="Occlusion, RISE and integrated gradients"):
        attnlib.load(branches, device="cpu").attribute(noise, "gradcam")
