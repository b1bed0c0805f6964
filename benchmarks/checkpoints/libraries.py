"""Folders of transformers, of PEFT and of timm's hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
import transformers as tr
from torch import Tensor, nn

from benchmarks.checkpoints.kind import NAMES, SHORT, Made, file, filled, kind, tiny

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 64,
    "patch_size": 16,
}
SWIN: dict[str, Any] = {
    "image_size": 64,
    "patch_size": 4,
    "embed_dim": 16,
    "depths": [2, 2],
    "num_heads": [2, 4],
    "window_size": 4,
}
SQUARE = {"height": 64, "width": 64}
PROCESSOR = tr.ViTImageProcessor(size=SQUARE, image_mean=[0.4, 0.5, 0.6], image_std=[0.2] * 3)
MEAN = (0.4, 0.5, 0.6)


def scores(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Logits of a model of transformers."""
    return lambda pixels: module(pixel_values=pixels).logits


def of_transformers(folder: Path, model: Any, config: Any, **more: Any) -> Made:
    """A folder as ``save_pretrained`` writes it."""
    config = type(config)(**{**config.to_dict(), "num_labels": len(NAMES)})
    config.id2label = dict(enumerate(NAMES))
    module = filled(model(config))
    module.save_pretrained(folder, **more.pop("saving", {}))
    PROCESSOR.save_pretrained(folder)
    return Made(str(folder), {}, module, scores(module), names=NAMES, mean=MEAN, **more)


FOLDERS: dict[str, tuple[Any, Any, str]] = {
    "ViT": (tr.ViTForImageClassification, tr.ViTConfig(**SIZES), "CLS token"),
    "DeiT": (tr.DeiTForImageClassification, tr.DeiTConfig(**SIZES), "CLS token"),
    "DeiT, distilled": (
        tr.DeiTForImageClassificationWithTeacher,
        tr.DeiTConfig(**SIZES),
        "mean of the CLS and distillation tokens",
    ),
    "DINOv2": (
        tr.Dinov2ForImageClassification,
        tr.Dinov2Config(**SIZES),
        "CLS token and the average over patches",
    ),
    "DINOv2 with registers": (
        tr.Dinov2WithRegistersForImageClassification,
        tr.Dinov2WithRegistersConfig(**SIZES),
        "CLS token and the average over patches",
    ),
    "BEiT": (tr.BeitForImageClassification, tr.BeitConfig(**SIZES), "average over patches"),
    "Data2Vec": (
        tr.Data2VecVisionForImageClassification,
        tr.Data2VecVisionConfig(**SIZES),
        "average over patches",
    ),
    "ViT-MSN": (tr.ViTMSNForImageClassification, tr.ViTMSNConfig(**SIZES), "CLS token"),
    "SigLIP (and SigLIP2 of fixed size)": (
        tr.SiglipForImageClassification,
        tr.SiglipConfig(vision_config=SIZES),
        "average over patches",
    ),
    "CLIP": (
        tr.CLIPForImageClassification,
        tr.CLIPConfig(vision_config=SIZES),
        "average over patches",
    ),
    "MetaCLIP 2": (
        tr.MetaClip2ForImageClassification,
        tr.MetaClip2Config(vision_config=SIZES),
        "average over patches",
    ),
    "Swin": (tr.SwinForImageClassification, tr.SwinConfig(**SWIN), ""),
    "Swin 2": (tr.Swinv2ForImageClassification, tr.Swinv2Config(**SWIN), ""),
}


def _enter(title: str, model: Any, config: Any, readout: str) -> None:
    @kind(f"transformers folder: {title}")
    def make(folder: Path) -> Made:
        return of_transformers(folder, model, config, readout=readout)


for _title, (_model, _config, _readout) in FOLDERS.items():
    _enter(_title, _model, _config, _readout)


@kind("transformers folder: sharded safetensors")
def _sharded(folder: Path) -> Made:
    made = of_transformers(
        folder, *FOLDERS["ViT"][:2], saving={"max_shard_size": "20KB"}, readout="CLS token"
    )
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    return made


@kind("transformers folder: Trainer's checkpoint with its optimiser")
def _trainer(folder: Path) -> Made:
    made = of_transformers(folder, *FOLDERS["ViT"][:2], readout="CLS token")
    file(folder, "optimizer.pt", {"state": {}})
    (folder / "trainer_state.json").write_text("{}")
    return made


@kind("transformers folder: weights in pytorch_model.bin")
def _bin(folder: Path) -> Made:
    made = of_transformers(folder, *FOLDERS["ViT"][:2], readout="CLS token")
    assert made.module is not None
    (folder / "model.safetensors").unlink()
    file(folder, "pytorch_model.bin", made.module.state_dict())
    return made


@kind("transformers folder: a backbone without classifier")
def _backbone(folder: Path) -> Made:
    module = filled(tr.ViTModel(tr.ViTConfig(**SIZES), add_pooling_layer=False))
    module.save_pretrained(folder)
    PROCESSOR.save_pretrained(folder)
    return Made(
        str(folder), {}, module, lambda x: module(pixel_values=x).last_hidden_state[:, 0], mean=MEAN
    )


@kind("transformers folder: DINOv3, which has no classifier")
def _dinov3(folder: Path) -> Made:
    module = filled(tr.DINOv3ViTModel(tr.DINOv3ViTConfig(**SIZES, num_register_tokens=4)))
    module.save_pretrained(folder)
    return Made(
        str(folder),
        {},
        module,
        lambda x: module(pixel_values=x).pooler_output,
        readout="CLS token",
    )


@kind("transformers folder: independent labels (problem_type)")
def _problem(folder: Path) -> Made:
    config = tr.ViTConfig(**SIZES, problem_type="multi_label_classification")
    return of_transformers(folder, tr.ViTForImageClassification, config)


@kind("transformers folder: SigLIP2 of any size (NaFlex)")
def _naflex(folder: Path) -> Made:
    vision = {k: v for k, v in SIZES.items() if k != "image_size"} | {"num_patches": 16}
    labelled: dict[str, Any] = {"vision_config": vision, "num_labels": 3}
    config = tr.Siglip2Config(**labelled)
    config.id2label = dict(enumerate(NAMES))
    module = filled(tr.Siglip2ForImageClassification(config))
    module.save_pretrained(folder)
    tr.Siglip2ImageProcessor(patch_size=16, max_num_patches=16).save_pretrained(folder)

    def logits(pixels: Tensor) -> Any:
        height, width = pixels.shape[2:]
        grid = (height // 16, width // 16)
        cut = pixels.unfold(2, 16, 16).unfold(3, 16, 16)
        patches = cut.permute(0, 2, 3, 4, 5, 1).reshape(1, grid[0] * grid[1], -1)
        shapes = torch.tensor([grid])
        mask = torch.ones(patches.shape[:2])
        return module(pixel_values=patches, pixel_attention_mask=mask, spatial_shapes=shapes).logits

    return Made(str(folder), {}, module, logits, names=NAMES, readout="average over patches")


@kind("PEFT: LoRA")
def _lora(folder: Path) -> Made:
    import peft

    return _adapter(folder, peft.LoraConfig(r=4, target_modules="all-linear",
                                            modules_to_save=["classifier"]))  # fmt: skip


@kind("PEFT: DoRA")
def _dora(folder: Path) -> Made:
    import peft

    return _adapter(folder, peft.LoraConfig(r=4, target_modules="all-linear", use_dora=True,
                                            modules_to_save=["classifier"]))  # fmt: skip


def _adapter(folder: Path, config: Any) -> Made:
    import peft

    base = filled(tr.ViTModel(tr.ViTConfig(**SIZES), add_pooling_layer=False))
    base.save_pretrained(folder / "base")
    tuned = peft.get_peft_model(_with_head(folder / "base"), config)
    filled(tuned)
    tuned.save_pretrained(folder / "adapter")
    PROCESSOR.save_pretrained(folder / "adapter")
    again = peft.PeftModel.from_pretrained(_with_head(folder / "base"), folder / "adapter").eval()
    return Made(str(folder / "adapter"), {}, again, scores(again), mean=MEAN)


def _with_head(base: Path) -> nn.Module:
    made: nn.Module = tr.ViTForImageClassification.from_pretrained(base, num_labels=len(NAMES))
    return made


@kind("timm folder (save_for_hf)")
def _timm_folder(folder: Path) -> Made:
    module = tiny()
    cfg = {**module.pretrained_cfg, "num_classes": 3, "label_names": list(NAMES), "mean": MEAN}
    module.pretrained_cfg = cfg
    timm.models.save_for_hf(module, str(folder), model_config=cfg, model_args=SHORT)
    return Made(str(folder), {}, module, names=NAMES, mean=MEAN, readout="CLS token")


@kind("timm folder by “local-dir:”")
def _local_dir(folder: Path) -> Made:
    made = _timm_folder(folder)
    return Made(f"local-dir:{folder}", {}, made.module, names=NAMES, mean=MEAN)


@kind("timm folder with pytorch_model.bin alone")
def _timm_bin(folder: Path) -> Made:
    made = _timm_folder(folder)
    for path in folder.glob("*.safetensors"):
        path.unlink()
    return Made(str(folder), {}, made.module, names=NAMES, mean=MEAN)


@kind("refused: a transformers folder without its weights")
def _emptied(folder: Path) -> Made:
    made = of_transformers(folder, *FOLDERS["ViT"][:2])
    (folder / "model.safetensors").unlink()
    return Made(made.source)
