"""Tokens that were made long are found with their patch; others are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import attnlib
from attnlib.diagnosis import diagnose
from attnlib.errors import CaptureError
from attnlib.heads.outliers import Norms, share_on, token_norms
from benchmarks.planted.weights import long_at
from tests.diagnosis.planted import demo_images


def test_norms_are_those_of_the_blocks_inputs(
    vit: attnlib.Vit, pictures: list[Image.Image]
) -> None:
    pixels = [vit.pixels(picture) for picture in pictures[:2]]
    found = token_norms(vit, pixels)
    seen: list[np.ndarray] = []
    hooks = [
        block.register_forward_pre_hook(
            lambda module, given: seen.append(given[0][0, 1:].norm(dim=-1).numpy())
        )
        for block in vit.module.blocks
    ]
    with torch.no_grad():
        vit.module(pixels[1])
    for hook in hooks:
        hook.remove()
    np.testing.assert_allclose(found[1].values, np.stack(seen), rtol=1e-5)
    np.testing.assert_array_equal(found[0].typical, found[1].typical)


@pytest.mark.parametrize("count", [6, 1])
@pytest.mark.parametrize("tokens", [(12,), (1, 64)], ids=str)
def test_long_tokens_are_found_with_their_place(
    vit: attnlib.Vit, tokens: tuple[int, ...], count: int
) -> None:
    images = demo_images(count)
    (one,) = diagnose(long_at(vit, *tokens), images, kinds=["outlier-tokens"]).findings
    expected = np.zeros(64, dtype=bool)
    expected[[token - 1 for token in tokens]] = True
    assert one.region is not None
    np.testing.assert_array_equal(one.region.ravel(), expected)
    assert set(one.images) == set(images)
    assert one.layer == 0
    assert one.value > 5


def test_a_healthy_model_is_silent(vit: attnlib.Vit) -> None:
    images = demo_images()
    assert diagnose(vit, images, kinds=["outlier-tokens"]).findings == ()
    for name, image in list(images.items())[:12]:
        assert diagnose(vit, {name: image}, kinds=["outlier-tokens"]).findings == ()


def test_an_object_on_an_empty_ground_is_none(vit: attnlib.Vit) -> None:
    """Its patches are six times as long as those of the ground."""
    picture = Image.new("RGB", (32, 32), (125, 123, 114))
    picture.paste((250, 10, 240), (8, 8, 12, 16))
    picture.paste((10, 250, 0), (12, 8, 16, 16))
    assert diagnose(vit, {"object": picture}, kinds=["outlier-tokens"]).findings == ()


def test_a_long_cls_token_is_no_patch(vit: attnlib.Vit) -> None:
    assert diagnose(long_at(vit, 0), demo_images(4), kinds=["outlier-tokens"]).findings == ()


def test_the_share_of_a_map() -> None:
    where = np.array([[True, False], [False, False]])
    assert share_on(np.array([[3.0, 1.0], [0.0, -5.0]]), where) == 0.75
    assert share_on(np.zeros((2, 2)), where) == 0.0
    norms = Norms(np.array([[1, 2, 3.5, 1], [1, 1, 1, 4.0]]), np.array([1.0, 1.0]), (2, 2))
    np.testing.assert_array_equal(norms.outlying, [[False, False], [True, True]])


def test_windows_have_none() -> None:
    import timm

    module = timm.create_model("swin_tiny_patch4_window7_224", img_size=56, depths=(1, 1, 1, 1))
    swin = attnlib.load(module.eval(), device="cpu")
    with pytest.raises(CaptureError, match="between all tokens"):
        token_norms(swin, [torch.zeros(1, 3, 56, 56)])
