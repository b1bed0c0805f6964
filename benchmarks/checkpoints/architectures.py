"""Checkpoints of architectures with options of their own, and numbers of other precisions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file

from benchmarks.checkpoints.kind import TINY, Made, file, filled, kind, said, saved, tiny


@kind("half precision (bfloat16)")
def _bfloat16(folder: Path) -> Made:
    module = tiny().bfloat16()
    return saved(folder, module.state_dict(), module.float())


@kind("half precision (float16)")
def _float16(folder: Path) -> Made:
    module = tiny().half()
    return saved(folder, module.state_dict(), module.float())


@kind("float64")
def _float64(folder: Path) -> Made:
    module = tiny().double()
    return saved(folder, module.state_dict(), module.float())


@kind("float8 in safetensors")
def _float8(folder: Path) -> Made:
    module, path = tiny(), folder / "fp8.safetensors"
    state = {n: t.to(torch.float8_e4m3fn) for n, t in module.state_dict().items()}
    save_file(state, path)
    module.load_state_dict({n: t.float() for n, t in state.items()})
    return Made(TINY, {"checkpoint": path, **said()}, module, upload=path)


@kind("no architecture said: found by the weights")
def _found(folder: Path) -> Made:
    module = tiny(img_size=64, depth=12)
    plain = timm.create_model("vit_small_patch16_384", num_classes=3)
    path = file(folder, "w.pth", plain.state_dict())
    del module
    return Made("auto", {"checkpoint": path}, plain.eval(), upload=path)


@kind("architecture in the arguments (hyper_parameters)")
def _hyper(folder: Path) -> Made:
    module = tiny(depth=12)
    content = {
        "state_dict": {f"net.{n}": t for n, t in module.state_dict().items()},
        "hyper_parameters": {"arch": TINY, "image_size": 64, "n_classes": 3},
    }
    path = file(folder, "last.ckpt", content)
    return Made("auto", {"checkpoint": path}, module, upload=path)


@kind("average over patches (global_pool=avg)")
def _average(folder: Path) -> Made:
    module = tiny(global_pool="avg")
    return saved(folder, module.state_dict(), module, readout="average over patches")


@kind("register tokens and patches of 8")
def _registers(folder: Path) -> Made:
    module = tiny(reg_tokens=4, patch_size=8)
    return saved(folder, module.state_dict(), module, readout="CLS token")


@kind("no class token")
def _no_cls(folder: Path) -> Made:
    module = tiny(class_token=False, global_pool="avg")
    return saved(folder, module.state_dict(), module, readout="average over patches")


@kind("norms of queries and keys")
def _qk_norm(folder: Path) -> Made:
    module = tiny(qk_norm=True)
    return saved(folder, module.state_dict(), module)


@kind("one channel (in_chans=1)")
def _grey(folder: Path) -> Made:
    module = tiny(in_chans=1)
    return saved(folder, module.state_dict(), module, channels=1)


@kind("four channels (in_chans=4)")
def _four(folder: Path) -> Made:
    module = tiny(in_chans=4)
    return saved(folder, module.state_dict(), module, channels=4)


@kind("one logit")
def _one(folder: Path) -> Made:
    module = tiny(num_classes=1)
    return saved(folder, module.state_dict(), module)


@kind("independent labels, by the loss in the arguments")
def _labels(folder: Path) -> Made:
    module = tiny(num_classes=5)
    content = {"state_dict": module.state_dict(), "hparams": {"criterion": "BCEWithLogitsLoss"}}
    return saved(folder, content, module)


@kind("BEiT, with its index buffers")
def _beit(folder: Path) -> Made:
    return _of("beit_base_patch16_224", folder, img_size=64, depth=2)


@kind("Swin, with masks of an older timm")
def _swin(folder: Path) -> Made:
    module = filled_swin()
    state = dict(module.state_dict())
    state["layers.0.blocks.1.attn_mask"] = torch.zeros(4, 49, 49)
    path = file(folder, "swin.pth", {"model": state})
    return Made("swin_tiny_patch4_window7_224", {"checkpoint": path}, module, upload=path)


def filled_swin() -> Any:
    return filled(timm.create_model("swin_tiny_patch4_window7_224", num_classes=3))


@kind("DeiT, distilled")
def _deit(folder: Path) -> Made:
    return _of("deit_tiny_distilled_patch16_224", folder, img_size=64, depth=2)


@kind("DeiT-3")
def _deit3(folder: Path) -> Made:
    return _of("deit3_small_patch16_224", folder, img_size=64, depth=2)


@kind("EVA-02")
def _eva(folder: Path) -> Made:
    return _of("eva02_tiny_patch14_224", folder, img_size=56, depth=2)


@kind("DINOv3 of timm")
def _dinov3(folder: Path) -> Made:
    return _of("vit_small_patch16_dinov3", folder, img_size=64, depth=2)


@kind("a ResNet before the blocks (hybrid)")
def _hybrid(folder: Path) -> Made:
    return _of("vit_tiny_r_s16_p8_224", folder, img_size=96, depth=2)


@kind("CaiT")
def _cait(folder: Path) -> Made:
    return _of("cait_xxs24_224", folder, img_size=64, depth=2)


@kind("MAE fine-tuned")
def _mae(folder: Path) -> Made:
    module = tiny(global_pool="avg")
    content = {"model": module.state_dict(), "args": argparse.Namespace(model="vit_tiny_patch16")}
    return saved(folder, content, module, readout="average over patches")


@kind("DINOv2 as published: backbone, mask_token, no classifier")
def _dinov2(folder: Path) -> Made:
    name = "vit_small_patch14_dinov2"
    module = filled(timm.create_model(name, img_size=56, depth=2, num_classes=0))
    state = {**module.state_dict(), "mask_token": torch.zeros(1, 384)}
    path = file(folder, "dinov2.pth", state)
    options = {"checkpoint": path, "img_size": 56, "model_args": {"depth": 2}}
    return Made(name, options, module, upload=path)


def _of(name: str, folder: Path, **options: Any) -> Made:
    """Any architecture of timm, in a plain state dict."""
    module = filled(timm.create_model(name, num_classes=3, **options))
    path = file(folder, "w.pth", module.state_dict())
    size = options.pop("img_size")
    given = {"checkpoint": path, "img_size": size, "model_args": options}
    return Made(name, given, module, upload=path)
