"""Checkpoints whose classifier stands beside the model, in a class of one's own or a library's."""

from __future__ import annotations

from pathlib import Path

import timm
from torch import nn

from benchmarks.checkpoints.kind import SHORT, TINY, Made, filled, kind, saved, tiny
from benchmarks.checkpoints.modules import Wrapped


@kind("mmpretrain, “backbone.” and “head.”")
def _mm(folder: Path) -> Made:
    module = tiny()
    state = {
        (n if n.startswith("head") else f"backbone.{n}"): t for n, t in module.state_dict().items()
    }
    return saved(folder, {"meta": {"epoch": 3}, "state_dict": state}, module)


@kind("mmpretrain around timm, “backbone.timm_model.” and “head.fc.”")
def _mm_timm(folder: Path) -> Made:
    module = filled(Wrapped())
    state = {
        n.replace("backbone.", "backbone.timm_model.").replace("fc.", "head.fc."): t
        for n, t in module.state_dict().items()
    }
    return saved(folder, {"meta": {"epoch": 3}, "state_dict": state}, module, outputs="classes")


@kind("a class of one's own: backbone and fc")
def _own(folder: Path) -> Made:
    module = filled(Wrapped())
    return saved(folder, module.state_dict(), module, outputs="classes")


@kind("a backbone and its linear probe, each in a place of its own")
def _probe(folder: Path) -> Made:
    module = filled(Wrapped())
    content = {"backbone": module.backbone.state_dict(), "linear": module.fc.state_dict()}
    return saved(folder, content, module, outputs="classes")


@kind("a classifier of several layers: features, and it is named")
def _several(folder: Path) -> Made:
    module = Wrapped()
    module.fc = nn.Sequential(nn.LayerNorm(192), nn.Linear(192, 3))
    filled(module)
    return saved(folder, module.state_dict(), module.backbone, outputs="features")


@kind("a projection that is no classifier: features, and it is named")
def _projection(folder: Path) -> Made:
    module = tiny(num_classes=0)
    state = {f"encoder.{n}": t for n, t in module.state_dict().items()}
    state["projector.weight"] = nn.Linear(192, 16).weight.detach()
    return saved(folder, state, module, outputs="features")


@kind("fastai vision_learner: its head is one of several layers")
def _vision_learner(folder: Path) -> Made:
    from fastai.vision.learner import create_head

    body = filled(timm.create_model(TINY, **SHORT, num_classes=0))
    module = nn.Sequential(nn.ModuleDict({"model": body}), filled(create_head(192, 3, pool=False)))
    return saved(folder, {"model": module.state_dict()}, body, outputs="features")
