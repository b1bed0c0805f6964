"""What cannot be loaded, and must be refused by its real name."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.checkpoints.kind import TINY, Made, file, kind, said, tiny


def refused(path: Path, **options: Any) -> Made:
    """A file that must be refused."""
    return Made(TINY, {"checkpoint": path, **(options or said())}, upload=path)


@kind("refused: a pickled whole model")
def _whole(folder: Path) -> Made:
    return refused(file(folder, "model.pt", tiny()))


@kind("refused: TorchScript")
def _script(folder: Path) -> Made:
    torch.jit.trace(tiny(), torch.zeros(1, 3, 64, 64)).save(folder / "model.pt")
    return refused(folder / "model.pt")


@kind("refused: torch.export")
def _export(folder: Path) -> Made:
    torch.export.save(torch.export.export(tiny(), (torch.zeros(1, 3, 64, 64),)), folder / "m.pt2")
    return refused(folder / "m.pt2")


@kind("refused: ONNX")
def _onnx(folder: Path) -> Made:
    torch.onnx.export(tiny(), (torch.zeros(1, 3, 64, 64),), folder / "model.onnx", dynamo=True)
    return refused(folder / "model.onnx")


@kind("refused: Keras")
def _keras(folder: Path) -> Made:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)]).save(folder / "m.keras")
    return refused(folder / "m.keras")


@kind("refused: Keras, HDF5")
def _h5(folder: Path) -> Made:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)]).save(folder / "m.h5")
    return refused(folder / "m.h5")


def _example(number: int) -> Any:
    return torch.randn(3, 64, 64), torch.tensor(number % 3)


@kind("refused: fastai Learner.export")
def _fastai(folder: Path) -> Made:
    from fastai.data.core import DataLoaders, TfmdDL, TfmdLists
    from fastai.learner import Learner
    from fastai.losses import CrossEntropyLossFlat

    lists = TfmdLists(range(4), [_example])
    loaders = DataLoaders(TfmdDL(lists, bs=2), TfmdDL(lists, bs=2))
    learner = Learner(loaders, tiny(), loss_func=CrossEntropyLossFlat(), path=folder)
    learner.export("export.pkl")
    return refused(folder / "export.pkl")


@kind("refused: a pickle that runs code")
def _code(folder: Path) -> Made:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, ("echo this must never be printed",)

    (folder / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    return refused(folder / "evil.pkl")


@kind("refused: whole numbers for weights (int8)")
def _int8(folder: Path) -> Made:
    state = {n: (10 * t).to(torch.int8) for n, t in tiny().state_dict().items()}
    return refused(file(folder, "int8.pth", state))


@kind("refused: dynamic quantisation")
def _quantised(folder: Path) -> Made:
    model = torch.ao.quantization.quantize_dynamic(tiny(), {nn.Linear}, torch.qint8)
    return refused(file(folder, "q.pth", model.state_dict()))


@kind("refused: values that are not finite")
def _nan(folder: Path) -> Made:
    module = tiny()
    with torch.no_grad():
        module.cls_token.fill_(torch.nan)
    return refused(file(folder, "nan.pth", module.state_dict()))


@kind("refused: cut off while copying")
def _cut(folder: Path) -> Made:
    path = file(folder, "cut.pth", tiny().state_dict())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return refused(path)


@kind("refused: safetensors cut off")
def _cut_safetensors(folder: Path) -> Made:
    path = folder / "cut.safetensors"
    save_file(tiny().state_dict(), path)
    path.write_bytes(path.read_bytes()[:20000])
    return refused(path)


@kind("refused: a pointer of Git LFS")
def _lfs(folder: Path) -> Made:
    path = folder / "model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 22\n")
    return refused(path)


@kind("refused: a page of HTML")
def _html(folder: Path) -> Made:
    (folder / "m.pth").write_text("<!DOCTYPE html><html><body>Sign in</body></html>")
    return refused(folder / "m.pth")


@kind("refused: a zip of images")
def _zip(folder: Path) -> Made:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("cat/1.png", b"x")
    (folder / "m.zip").write_bytes(data.getvalue())
    return refused(folder / "m.zip")


@kind("refused: another architecture's weights")
def _other(folder: Path) -> Made:
    state = timm.create_model("vit_small_patch16_224", num_classes=3).state_dict()
    return refused(file(folder, "small.pth", state), num_classes=3)


@kind("refused: a weight is missing")
def _missing(folder: Path) -> Made:
    state = tiny().state_dict()
    del state["blocks.1.norm1.weight"]
    return refused(file(folder, "missing.pth", state))


@kind("refused: an optimiser's state alone")
def _optimiser(folder: Path) -> Made:
    optimiser = torch.optim.Adam(tiny().parameters())
    return refused(file(folder, "optimizer.pt", optimiser.state_dict()))


@kind("refused: a convolutional network")
def _cnn(folder: Path) -> Made:
    path = file(folder, "r.pth", timm.create_model("resnet18", num_classes=3).state_dict())
    return Made("resnet18", {"checkpoint": path}, upload=path)


@kind("refused: names for another number of classes")
def _names(folder: Path) -> Made:
    path = file(folder, "w.pth", tiny().state_dict())
    return refused(path, **said(), class_names=["a", "b"])
