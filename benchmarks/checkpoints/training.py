"""State dicts and checkpoints as training scripts and their libraries write them."""

from __future__ import annotations

import argparse
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import timm
import timm.utils as timm_utils
import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.checkpoints.kind import NAMES, SHORT, TINY, Made, file, kind, said, saved, tiny


@kind("state dict, .pth")
def _plain(folder: Path) -> Made:
    module = tiny()
    return saved(folder, module.state_dict(), module, readout="CLS token")


@kind("state dict, safetensors")
def _safetensors(folder: Path) -> Made:
    module, path = tiny(), folder / "model.safetensors"
    save_file(module.state_dict(), path, metadata={"format": "pt"})
    return Made(TINY, {"checkpoint": path, **said()}, module, upload=path)


@kind("settings and names in the metadata of safetensors")
def _metadata(folder: Path) -> Made:
    module, path = tiny(global_pool="avg"), folder / "model.safetensors"
    config = {"architecture": TINY, "img_size": 64, "global_pool": "avg", "mean": [0.4, 0.5, 0.6]}
    metadata = {"format": "pt", "config": json.dumps(config), "classes": json.dumps(NAMES)}
    save_file(module.state_dict(), path, metadata=metadata)
    return Made(
        "auto",
        {"checkpoint": path, "model_args": {"depth": 2}},
        module,
        upload=path,
        names=NAMES,
        readout="average over patches",
        mean=(0.4, 0.5, 0.6),
    )


@kind("safetensors called .bin")
def _misnamed(folder: Path) -> Made:
    module, path = tiny(), folder / "pytorch_model.bin"
    save_file(module.state_dict(), path)
    return Made(TINY, {"checkpoint": path, **said()}, module, upload=path)


@kind("state dict in the format before PyTorch 1.6")
def _legacy(folder: Path) -> Made:
    module = tiny()
    path = file(folder, "old.pt", module.state_dict(), _use_new_zipfile_serialization=False)
    return Made(TINY, {"checkpoint": path, **said()}, module, upload=path)


@kind("DistributedDataParallel (module.)")
def _ddp(folder: Path) -> Made:
    module = tiny()
    state = nn.DataParallel(module).state_dict()
    return saved(folder, {"epoch": 3, "model": state, "optimizer": {"lr": 0.1}}, module)


@kind("torch.compile (_orig_mod.)")
def _compiled(folder: Path) -> Made:
    module = tiny()
    compiled: Any = torch.compile(module)
    return saved(folder, compiled.state_dict(), module)


@kind("torch.compile inside DataParallel")
def _compiled_ddp(folder: Path) -> Made:
    module = tiny()
    compiled: Any = torch.compile(module)
    wrapped = nn.DataParallel(compiled)
    return saved(folder, {"state_dict": wrapped.state_dict()}, module)


@kind("torch.optim.swa_utils.AveragedModel")
def _swa(folder: Path) -> Made:
    module = tiny()
    return saved(folder, torch.optim.swa_utils.AveragedModel(module).state_dict(), module)


@kind("timm CheckpointSaver with arguments and EMA")
def _timm_saver(folder: Path) -> Made:
    module = tiny()
    plain = tiny(num_classes=3)
    nn.init.zeros_(plain.get_classifier().weight)
    args = argparse.Namespace(
        model=TINY,
        num_classes=3,
        img_size=64,
        mean=[0.4, 0.5, 0.6],
        std=[0.2, 0.2, 0.2],
        crop_pct=1.0,
        interpolation="bilinear",
        model_kwargs={"depth": 2},
        lr=1e-3,
        data_dir="/data",
    )
    saver = timm_utils.CheckpointSaver(
        plain,
        torch.optim.SGD(plain.parameters(), 0.1),
        args=args,
        model_ema=timm_utils.ModelEmaV3(module),
        checkpoint_dir=str(folder),
        recovery_dir=str(folder),
    )
    saver.save_checkpoint(3, metric=0.5)
    path = folder / "last.pth.tar"
    return Made("auto", {"checkpoint": path}, module, upload=path, mean=(0.4, 0.5, 0.6))


@kind("the same, the weights that are no average")
def _timm_saver_plain(folder: Path) -> Made:
    made = _timm_saver(folder)
    content = torch.load(made.options["checkpoint"], weights_only=False)
    module = timm.create_model(TINY, **SHORT, num_classes=3)
    module.load_state_dict(content["state_dict"])
    options = {**made.options, "weights": "state_dict"}
    return Made("auto", options, module.eval(), upload=made.upload)


@kind("Lightning Trainer.save_checkpoint, with a loss that has weights")
def _lightning(folder: Path) -> Made:
    path, module = _trained(folder, save_weights_only=False)
    return Made(TINY, {"checkpoint": path, **said()}, module, upload=path)


@kind("Lightning, weights alone")
def _lightning_weights(folder: Path) -> Made:
    path, module = _trained(folder, save_weights_only=True)
    return Made(TINY, {"checkpoint": path, **said()}, module, upload=path)


def _trained(folder: Path, save_weights_only: bool) -> tuple[Path, nn.Module]:
    import lightning

    class Lit(lightning.LightningModule):
        def __init__(self, model_name: str, learning_rate: float) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.model = tiny()
            self.criterion = nn.CrossEntropyLoss(weight=torch.ones(3))

        def training_step(self, batch: Any, index: int) -> Any:
            return self.criterion(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 1e-4)

    lit = Lit(TINY, 1e-4)
    data: Any = [(torch.randn(3, 64, 64), torch.tensor(1)) for _ in range(2)]
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(lit, torch.utils.data.DataLoader(data, batch_size=2))
    path = folder / "last.ckpt"
    trainer.save_checkpoint(path, weights_only=save_weights_only)
    return path, lit.model.eval()


@kind("fastai Learner.save, with its optimiser")
def _fastai(folder: Path) -> Made:
    return _learned(folder, with_opt=True)


@kind("fastai Learner.save, weights alone")
def _fastai_weights(folder: Path) -> Made:
    return _learned(folder, with_opt=False)


def _learned(folder: Path, with_opt: bool) -> Made:
    from fastai.learner import Learner
    from fastai.vision.all import CrossEntropyLossFlat, DataLoaders, TfmdDL

    module = tiny()
    data = [(torch.randn(3, 64, 64), torch.tensor(1)) for _ in range(4)]
    loaders = DataLoaders(TfmdDL(data, bs=2), TfmdDL(data, bs=2))
    learner = Learner(loaders, module, loss_func=CrossEntropyLossFlat(), path=folder)
    if with_opt:
        learner.create_opt()
    path = Path(learner.save("stage-1", with_opt=with_opt))
    return Made(TINY, {"checkpoint": path, **said()}, learner.model.eval(), upload=path)


@kind("DINO: student and teacher")
def _dino(folder: Path) -> Made:
    module, student = tiny(), tiny(num_classes=3)
    nn.init.zeros_(student.get_classifier().weight)
    content = {
        "student": {f"module.backbone.{n}": t for n, t in student.state_dict().items()},
        "teacher": {f"backbone.{n}": t for n, t in module.state_dict().items()},
        "epoch": 99,
        "args": argparse.Namespace(arch="vit_tiny", patch_size=16),
    }
    return saved(folder, content, module)


@kind("EMA under “ema”, beside what was not averaged")
def _ema(folder: Path) -> Made:
    module, other = tiny(), tiny()
    nn.init.zeros_(other.get_classifier().weight)
    return saved(folder, {"model": other.state_dict(), "ema": module.state_dict()}, module)


@kind("prefix “encoder.” and a projection head")
def _encoder(folder: Path) -> Made:
    module = tiny()
    state = {f"encoder.{n}": t for n, t in module.state_dict().items()}
    return saved(folder, {**state, "projector.0.weight": torch.ones(4, 192)}, module)


@kind("class_to_idx in the checkpoint")
def _class_to_idx(folder: Path) -> Made:
    module = tiny()
    content = {
        "model_state_dict": module.state_dict(),
        "class_to_idx": {name: i for i, name in enumerate(NAMES)},
    }
    return saved(folder, content, module, names=NAMES)


@kind("a configuration of omegaconf")
def _omegaconf(folder: Path) -> Made:
    from omegaconf import OmegaConf

    module = tiny()
    config = OmegaConf.create(
        {"model": {"name": TINY, "num_classes": 3, "img_size": 64}, "lr": 1e-3, "tags": ["a"]}
    )
    return saved(folder, {"state_dict": module.state_dict(), "config": config}, module)


@kind("numbers of numpy, paths and a defaultdict beside the weights")
def _numpy(folder: Path) -> Made:
    module = tiny()
    content = {
        "net": module.state_dict(),
        "best": np.float64(0.87),
        "history": np.arange(4.0),
        "file": Path("runs/best"),
        "seen": OrderedDict(a=1),
        "dtype": np.dtype("float32"),
    }
    return saved(folder, content, module)


@kind("an object of the training's own beside the weights")
def _own_object(folder: Path) -> Made:
    module = tiny()
    return saved(folder, {"state_dict": module.state_dict(), "config": OwnConfig()}, module)


class OwnConfig:
    """What a training keeps; its code is not there when the file is read."""

    def __init__(self) -> None:
        self.learning_rate = 1e-3
        self.callbacks = [print]


@kind("weights as nn.Parameter")
def _parameters(folder: Path) -> Made:
    module = tiny()
    return saved(folder, {"weights": dict(module.named_parameters())}, module)


@kind("DeepSpeed, “module” beside its engine")
def _deepspeed(folder: Path) -> Made:
    module = tiny()
    content = {"module": module.state_dict(), "buffer_names": [], "ds_version": "0.14", "mp": 1}
    return saved(folder, content, module, name="mp_rank_00_model_states.pt")


@kind("Composer, “state” then “model”")
def _composer(folder: Path) -> Made:
    module = tiny()
    state = {f"module.{n}": t for n, t in module.state_dict().items()}
    return saved(folder, {"state": {"model": state, "timestamp": {"epoch": 3}}}, module)
