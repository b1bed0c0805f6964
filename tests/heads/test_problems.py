"""Common problems: against whole matrices, on a clean model and on models made to have them."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from scipy import stats

import attnlib
from attnlib.errors import AttnlibError, CaptureError
from attnlib.heads import problems
from attnlib.heads.problems import (
    ALIKE,
    EVEN,
    ONE_HOT,
    PROBLEMS,
    Habits,
    habits,
    look_for,
    mean_habits,
)


def made(change: str = "") -> attnlib.Vit:
    """A model whose heads all have one problem; from a seed that has none of them."""
    torch.manual_seed(1)
    module = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=3).eval()
    for block in module.blocks:
        weight = block.attn.qkv.weight.data
        queries = weight[:192].reshape(3, 64, 192)
        # As untrained weights stand, every head is even; so each begins with some contrast.
        queries *= {"one-hot": 3000, "even": 0}.get(change, 60)
        if change == "alike":
            queries[1:] = queries[:1].clone()
            keys = weight[192:384].reshape(3, 64, 192)
            keys[1:] = keys[:1].clone()
    return attnlib.load(module, device="cpu")


def seen(vit: attnlib.Vit, pictures: list[Image.Image]) -> list[str]:
    found = mean_habits(habits(vit.subject(picture)) for picture in pictures)
    return [problem.name for problem in PROBLEMS if look_for(problem, found).present]


@pytest.mark.parametrize("queries", [512, 20])
def test_habits_are_those_of_the_whole_matrices(
    vit: attnlib.Vit,
    pictures: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
    queries: int,
) -> None:
    monkeypatch.setattr(problems, "QUERIES", queries)
    found = habits(vit.subject(pictures[0]))
    step = 1 if queries == 512 else 4
    for layer in range(6):
        rows = vit.attention(pictures[0], layer).astype(np.float64)[:, ::step]
        expected = np.corrcoef(rows.reshape(4, -1))
        np.testing.assert_allclose(found.similarity[layer], expected, atol=1e-5)
        np.testing.assert_allclose(found.peak[layer], rows.max(-1).mean(-1), atol=1e-5)
        entropy = stats.entropy(rows, axis=-1).mean(-1) / np.log(65)
        np.testing.assert_allclose(found.entropy[layer], entropy, atol=1e-5)
        others = expected - 3 * np.eye(4)
        np.testing.assert_allclose(found.twin[layer], others.max(-1), atol=1e-5)


def test_the_mean_is_over_images(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    each = [habits(vit.subject(picture)) for picture in pictures[:3]]
    found = mean_habits(each)
    assert found.images == 3
    for name in ("similarity", "peak", "entropy"):
        expected = sum(getattr(one, name) for one in each) / 3
        np.testing.assert_allclose(getattr(found, name), expected)
    with pytest.raises(AttnlibError, match="no images"):
        mean_habits([])


def test_a_clean_model_has_none_of_them(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    assert seen(vit, pictures[:12]) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [("", []), ("alike", [ALIKE]), ("one-hot", [ONE_HOT]), ("even", [EVEN])],
)
def test_each_problem_is_seen_where_it_was_made(
    change: str, expected: list[problems.Problem], pictures: list[Image.Image]
) -> None:
    found = seen(made(change), pictures[:3])
    assert found == [problem.name for problem in expected]


def test_a_single_head_that_stands_out_is_no_problem() -> None:
    peak = np.full((3, 4), 0.2)
    peak[1, 2] = 0.97
    found = Habits(np.zeros((3, 4, 4)), peak, np.full((3, 4), 0.5))
    one = look_for(ONE_HOT, found)
    assert (one.count, one.needed, one.present) == (1, 3, False)
    assert (one.most, one.at) == (0.97, (1, 2))
    peak[0, :2] = 0.9
    assert look_for(ONE_HOT, found).present
    alone = Habits(np.ones((1, 1, 1)), np.array([[0.95]]), np.zeros((1, 1)))
    assert look_for(ONE_HOT, alone).present
    assert look_for(ALIKE, alone).count == 0, "a head is no twin of itself"


def test_a_model_of_windows_is_refused_with_the_reason() -> None:
    module = timm.create_model("swin_tiny_patch4_window7_224", img_size=56, depths=(1, 1, 1, 1))
    swin = attnlib.load(module.eval(), device="cpu")
    with pytest.raises(CaptureError, match="between all tokens"):
        habits(swin.subject(Image.new("RGB", (56, 56))))
