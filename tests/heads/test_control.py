"""The control of a repair: heads of other images, against copies of the model that hold them."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import attnlib
from attnlib.errors import AttnlibError
from attnlib.heads.ablation import HeadEffects, head_effects
from attnlib.heads.control import Control, control, strangers
from attnlib.model import demo
from tests.heads.test_ablation import FAMILIES, build, image


def exchanged(vit: attnlib.Vit, pixels: Tensor, donor: Tensor, layer: int, head: int) -> Tensor:
    """Logits ``(C,)`` with one head's part of the projection's input taken from the donor's pass,
    by hooks on the module: an independent way."""
    block = vit.module.blocks[layer]
    projection = block.attn_out_proj if hasattr(block, "attn_out_proj") else block.attn.proj
    dim = projection.in_features // vit.support.shapes[0][1]
    part = slice(head * dim, (head + 1) * dim)
    seen: list[Tensor] = []
    with torch.no_grad():
        hook = projection.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
        vit.module(donor)
        hook.remove()

        def put(_: object, given: tuple[Tensor, ...]) -> tuple[Tensor]:
            mixed = given[0].clone()
            mixed[..., part] = seen[0][..., part]
            return (mixed,)

        hook = projection.register_forward_pre_hook(put)
        logits: Tensor = vit.module(pixels)[0]
        hook.remove()
    return logits


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "rotary, swiglu"])
def test_each_head_of_a_donor_alone_is_exact(family: str) -> None:
    vit = build(family)
    pixels, donor = image(vit, 0), image(vit, 9)
    found = head_effects(vit, pixels, label=2, donor=donor)
    removed = head_effects(vit, pixels, label=2)
    assert np.abs(found.change - removed.change).max() > 1e-6
    for layer, head in np.ndindex(found.change.shape):
        logits = exchanged(vit, pixels, donor, layer, head)
        margin = float(logits[found.predicted] - logits[found.against])
        assert found.change[layer, head] == pytest.approx(margin - found.margin, abs=2e-6)
        assert found.now[layer, head] == int(logits.argmax())


def test_the_image_itself_as_donor_changes_nothing() -> None:
    vit = build("vit")
    pixels = image(vit, 0)
    found = head_effects(vit, pixels, label=2, donor=pixels)
    np.testing.assert_allclose(found.change, 0, atol=1e-12)
    assert (found.now == found.predicted).all()


def test_without_a_tape_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from attnlib.errors import CaptureError

    vit = build("vit")
    pixels, donor = image(vit, 0), image(vit, 9)
    expected = head_effects(vit, pixels, donor=donor)

    def refuse(*given: object) -> Tensor:
        raise CaptureError("no tape")

    monkeypatch.setattr("attnlib.heads.ablation._recorded", refuse)
    found = head_effects(vit, pixels, donor=donor)
    np.testing.assert_allclose(found.change, expected.change, atol=1e-12)


def test_a_donor_of_another_size_is_refused() -> None:
    vit = build("vit")
    with pytest.raises(AttnlibError, match="of one size"):
        head_effects(vit, image(vit), donor=torch.zeros(1, 3, 32, 64).double())
    effects = head_effects(vit, image(vit))
    with pytest.raises(AttnlibError, match="third class"):
        control(vit, image(vit), effects, [])


def test_donors_are_right_and_of_a_third_class() -> None:
    labels: list[int | None] = [0, 1, 2, 3, None, 3, 4, 4, 1, 0]
    predicted = [1, 1, 2, 3, 4, 2, 4, 4, 1, 0]
    found = [strangers(labels, predicted, 0, against=0, count=9) for _ in range(2)]
    assert found[0] == found[1]
    assert sorted(found[0]) == [2, 3, 6, 7]
    assert len(strangers(labels, predicted, 0, against=0, count=2)) == 2
    assert 2 not in strangers(labels, predicted, 2, against=3)


def made(now: list[list[list[int]]], change: list[list[float]]) -> Control:
    return Control(np.array(now), 7, np.array(change, np.float32))


def test_the_rank_is_by_the_excess_over_the_donors() -> None:
    effects = HeadEffects(
        3, 7, 1.0, np.array([[-2.0, -1.5], [-1.2, -0.1]], np.float32), np.array([[7, 7], [7, 3]])
    )
    found = made(
        [[[7, 3], [3, 7]], [[7, 7], [3, 3]], [[7, 3], [3, 3]], [[3, 3], [3, 3]]],
        [[-1.0, 0.0], [0.0, 0.0]],
    )
    np.testing.assert_allclose(found.share, [[0.75, 0.25], [0, 0.25]])
    np.testing.assert_allclose(found.excess(effects), [[0.25, 0.75], [1, -0.25]])
    assert effects.repairs == [(0, 0), (0, 1), (1, 0)]
    assert found.ranked(effects) == [(1, 0), (0, 1), (0, 0)]
    assert (found.tried, found.repairing) == (4, 3)


def test_random_heads_repair_as_much_as_removal_on_the_demo(vit: attnlib.Vit) -> None:
    """What the page is to say: of 29 mistakes removal repairs 8, a stranger's head about 14."""
    images = [
        (Image.open(io.BytesIO(one.data)).convert("RGB"), vit.class_names.index(one.label))
        for one in demo.images()
    ]
    records = list(vit.inspect_many([picture for picture, _ in images], rollout=False))
    labels = [label for _, label in images]
    predicted = [record.predicted for record in records]
    removal = replaced = mistakes = 0
    for place, (picture, label) in enumerate(images):
        if predicted[place] == label:
            continue
        mistakes += 1
        pixels = vit.pixels(picture)
        effects = head_effects(vit, pixels, label)
        removal += bool(effects.repairs)
        donors = strangers(labels, predicted, place, label, count=1)
        found = control(vit, pixels, effects, [vit.pixels(images[one][0]) for one in donors])
        replaced += found.repairing
    assert (mistakes, removal) == (29, 8)
    assert 10 <= replaced <= 18
