"""When a checkpoint was written, as trainings and their libraries say it."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from attnlib.model.checkpoint.moment import by_name, inside, moment


def pth(content: Any) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


WEIGHT = {"w": torch.zeros(2)}


@pytest.mark.parametrize(
    ("content", "number", "unit", "entry"),
    [
        ({"epoch": 7, "global_step": 900, "state_dict": WEIGHT}, 7, "epoch", "epoch"),
        ({"model": WEIGHT, "epoch": np.int64(3)}, 3, "epoch", "epoch"),
        ({"model": WEIGHT, "global_step": 500}, 500, "step", "global_step"),
        ({"state_dict": WEIGHT, "meta": {"epoch": 12, "iter": 9}}, 12, "epoch", "meta.epoch"),
        ({"model": WEIGHT, "epoch": 0}, 0, "epoch", "epoch"),
        ({"model": WEIGHT, "args": argparse.Namespace(epoch=9)}, None, "", ""),
        ({"model": WEIGHT, "epoch": True}, None, "", ""),
        ({"model": WEIGHT, "epoch": float("nan")}, None, "", ""),
        ({"model": WEIGHT, "epoch": "many"}, None, "", ""),
    ],
)
def test_the_file_says_it(content: Any, number: float | None, unit: str, entry: str) -> None:
    found = inside(pth(content))
    if number is None:
        assert found is None
    else:
        assert found is not None
        assert (found.number, found.unit, found.source) == (number, unit, f"the file's “{entry}”")


def test_safetensors_say_it_in_their_metadata() -> None:
    found = inside(save(WEIGHT, {"epoch": "41"}))
    assert found is not None
    assert (found.number, found.unit) == (41, "epoch")


@pytest.mark.parametrize(
    ("name", "number", "unit"),
    [
        ("epoch=12-step=3400.ckpt", 12, "epoch"),
        ("model_ep03.pth", 3, "epoch"),
        ("runs/e7/best-e10.pt", 10, "epoch"),
        ("checkpoint-500", 500, "step"),
        ("checkpoint-500.pth.tar", 500, "step"),
        ("iter_20000.pth", 20000, "step"),
        ("model_0017.pth", 17, "epoch"),
        ("vit_base_patch16_224.pth", None, ""),
        ("best.pth", None, ""),
        ("1234567890123.pth", None, ""),
    ],
)
def test_the_name_says_it(name: str, number: int | None, unit: str) -> None:
    found = by_name(name)
    assert (
        (number, unit) == (None, "")
        if found is None
        else (
            found.number,
            found.unit,
        )
        == (number, unit)
    )


def test_the_file_wins_over_its_name(tmp_path: Path) -> None:
    path = tmp_path / "epoch_3.pth"
    path.write_bytes(pth({"epoch": 8, "model": WEIGHT}))
    found = moment(path.name, path)
    assert found is not None
    assert found.number == 8
    path.write_bytes(b"damaged")
    found = moment(path.name, path)
    assert found is not None
    assert (found.number, found.source) == (3, "the file's name")
