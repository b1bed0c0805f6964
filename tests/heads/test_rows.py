"""Rows, columns and matrices agree with the whole layer, which test_capture.py holds exact."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import attnlib
from attnlib.errors import AttnlibError, CaptureError
from attnlib.heads.rows import column, layer_shape, matrix, row


@pytest.fixture(scope="module", params=["vit", "average", "large"])
def model(request: pytest.FixtureRequest) -> attnlib.Vit:
    torch.manual_seed(0)
    options = {"average": {"global_pool": "avg"}, "large": {"img_size": 384}}
    module = timm.create_model(
        "vit_tiny_patch16_224",
        **{"img_size": 64, "depth": 2, "num_classes": 3, **options.get(request.param, {})},
    )
    for block in module.blocks:
        block.attn.qkv.weight.data *= 4
    return attnlib.load(module.eval(), device="cpu")


def test_parts_of_the_whole_layer(model: attnlib.Vit, noise: Image.Image) -> None:
    assert layer_shape(model) == (2, 3)
    subject = model.subject(noise)
    weights = model.layout.readout_weights()
    for layer in range(2):
        whole = model.attention(noise, layer)
        np.testing.assert_allclose(row(subject, layer, 3), whole[:, 3], atol=2e-6)
        np.testing.assert_allclose(column(subject, layer, 3), whole[:, :, 3], atol=2e-6)
        np.testing.assert_allclose(matrix(subject, layer, 2), whole[2], atol=2e-6)
        readout = np.einsum("t,htk->hk", weights, whole)
        np.testing.assert_allclose(row(subject, layer), readout, atol=2e-6)


def test_class_attention_alone_has_one_layer_and_no_columns(noise: Image.Image) -> None:
    module = timm.create_model("xcit_nano_12_p16_224", num_classes=3, img_size=64).eval()
    vit = attnlib.load(module, device="cpu")
    assert layer_shape(vit)[0] == 1
    subject = vit.subject(noise)
    np.testing.assert_allclose(row(subject, 0).sum(-1), 1, atol=1e-5)
    with pytest.raises(CaptureError, match="only the readout"):
        column(subject, 0, 2)


def test_refusals(vit: attnlib.Vit, noise: Image.Image) -> None:
    subject = vit.subject(noise)
    for bad in (
        lambda: row(subject, 6),
        lambda: row(subject, 0, 99),
        lambda: column(subject, 0, -1),
    ):
        with pytest.raises(AttnlibError, match=r"layer must be|no token"):
            bad()
    with pytest.raises(AttnlibError, match="head must be from 0 to 3"):
        matrix(subject, 0, 4)
    swin = timm.create_model("swin_tiny_patch4_window7_224", img_size=56).eval()
    windows = attnlib.load(swin, device="cpu")
    assert layer_shape(windows) == (0, 0)
    with pytest.raises(CaptureError, match="window"):
        row(windows.subject(noise), 0)
