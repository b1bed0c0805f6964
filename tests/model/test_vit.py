"""The library's face: records, attention, attribution, and what happens when things go wrong."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import attnlib
from attnlib.capture import passes
from attnlib.capture.record import row_entropy

README = Path(__file__).parents[2] / "README.md"


def test_record_holds_what_it_says(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    record = vit.inspect(pictures[0])
    assert record.logits.shape == record.probabilities.shape == (10,)
    assert record.probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert record.rows.shape == (6, 4, 65)
    assert record.cls_rows.shape == (6, 4, 64)
    np.testing.assert_allclose(record.rows.sum(-1), 1, atol=1e-5)
    assert record.rollout is not None
    assert record.rollout.sum() == pytest.approx(1, abs=1e-5)
    assert record.grid == (8, 8)
    assert record.query == "CLS token"
    assert record.self_check < 1e-4
    assert record.nbytes < 2**20
    with pytest.raises(ValueError, match="read-only"):
        record.rows[0, 0, 0] = 1


def test_rows_are_the_first_rows_of_the_full_matrices(
    vit: attnlib.Vit, pictures: list[Image.Image]
) -> None:
    record = vit.inspect(pictures[1])
    for layer in range(6):
        matrix = vit.attention(pictures[1], layer)
        assert matrix.shape == (4, 65, 65)
        assert matrix.dtype == np.float32
        np.testing.assert_allclose(matrix.sum(-1), 1, atol=1e-5)
        np.testing.assert_allclose(matrix[:, 0], record.rows[layer], atol=1e-6)


def test_record_agrees_with_the_plain_model(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    with torch.inference_mode():
        logits = vit.module(vit.transform(pictures[2]).unsqueeze(0))[0]
        features = vit.module.forward_head(
            vit.module.forward_features(vit.transform(pictures[2]).unsqueeze(0)), pre_logits=True
        )[0]
    record = vit.inspect(pictures[2])
    np.testing.assert_array_equal(record.logits, logits.numpy())
    np.testing.assert_allclose(record.embedding, features.numpy(), atol=1e-6)


def test_crop_is_the_input_of_the_model(vit: attnlib.Vit, noise: Image.Image) -> None:
    crop = vit.crop(noise)
    assert crop.size == (32, 32)
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (vit.mean, vit.std))
    pixels = torch.from_numpy(np.asarray(crop).copy()).permute(2, 0, 1) / 255
    torch.testing.assert_close((pixels - mean) / std, vit.pixels(noise)[0], atol=1e-5, rtol=0)


def test_many_images_give_what_single_ones_give(
    vit: attnlib.Vit, pictures: list[Image.Image]
) -> None:
    together = list(vit.inspect_many(pictures[:7], batch_size=3))
    for picture, record in zip(pictures[:7], together, strict=True):
        alone = vit.inspect(picture)
        np.testing.assert_allclose(record.logits, alone.logits, atol=1e-4)
        np.testing.assert_allclose(record.rows, alone.rows, atol=1e-5)


def test_sixteen_threads_on_one_model_give_bit_identical_results(
    vit: attnlib.Vit, pictures: list[Image.Image]
) -> None:
    serial = [vit.inspect(picture) for picture in pictures[:16]]
    with ThreadPoolExecutor(16) as pool:
        threaded = list(pool.map(vit.inspect, pictures[:16] * 3))
    for i, record in enumerate(threaded):
        np.testing.assert_array_equal(record.logits, serial[i % 16].logits)
        np.testing.assert_array_equal(record.rows, serial[i % 16].rows)
        np.testing.assert_array_equal(record.rollout, serial[i % 16].rollout)


def test_entropy_of_one_hot_and_uniform_rows() -> None:
    rows = np.zeros((2, 1, 16), np.float32)
    rows[0, 0, 3] = 0.5
    rows[1] = 0.01
    np.testing.assert_allclose(row_entropy(rows)[:, 0], [0, 1], atol=1e-6)
    half = np.zeros((1, 16), np.float32)
    half[0, :4] = 0.2
    assert row_entropy(half)[0] == pytest.approx(np.log(4) / np.log(16), abs=1e-6)


def test_a_model_that_averages_names_its_query(noise: Image.Image) -> None:
    vit = attnlib.load(
        "vit_relpos_small_patch16_224", pretrained=False, num_classes=5, device="cpu"
    )
    record = vit.inspect(noise)
    assert record.query == "average over patches"
    matrix = vit.attention(noise, 4)
    np.testing.assert_allclose(record.rows[4], matrix.mean(axis=1), atol=1e-6)


def test_a_non_square_input(noise: Image.Image) -> None:
    vit = attnlib.load(
        "vit_tiny_patch16_224", pretrained=False, img_size=(64, 96), num_classes=3, device="cpu"
    )
    record = vit.inspect(noise)
    assert record.grid == (4, 6)
    assert vit.attribute(noise).values.shape == (4, 6)
    assert vit.crop(noise).size == (96, 64)


def test_windowed_attention_is_refused_by_name_with_the_reason(noise: Image.Image) -> None:
    vit = attnlib.load("swin_tiny_patch4_window7_224", pretrained=False, device="cpu")
    assert [record.rollout for record in vit.inspect_many([noise, noise])] == [None, None]
    assert vit.inspect(noise).rollout is None
    with pytest.raises(attnlib.CaptureError, match=r"swin_tiny.*windows"):
        vit.attribute(noise, "rollout")
    windows = vit.attention(noise, 0)
    assert windows.shape == (64, 3, 49, 49)


def test_out_of_memory_is_a_message(
    vit: attnlib.Vit, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(passes, "logits_of", full)
    with pytest.raises(attnlib.OutOfMemory, match="smaller batch"):
        vit.inspect(pictures[0])
    monkeypatch.undo()
    vit.inspect(pictures[0])


def test_a_batch_that_does_not_fit_is_halved(
    vit: attnlib.Vit, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = passes.forward
    sizes: list[int] = []

    def small(module, pixels, *args, **kwargs):  # type: ignore[no-untyped-def]
        sizes.append(len(pixels))
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(module, pixels, *args, **kwargs)

    monkeypatch.setattr(passes, "forward", small)
    records = list(vit.inspect_many(pictures[:5], batch_size=5))
    assert len(records) == 5
    assert sizes == [5, 3, 2, 2, 1]


def test_overflow_is_a_message(
    vit: attnlib.Vit, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "logits_of", lambda out, batch: out * float("nan"))
    with pytest.raises(attnlib.ModelError, match="not finite"):
        vit.inspect(pictures[0])


@pytest.mark.parametrize("name", sorted(attnlib.methods()))
def test_every_method_gives_a_map_with_its_meaning(
    vit: attnlib.Vit, pictures: list[Image.Image], name: str
) -> None:
    options = {"against": 1} if "contrast" in name else {}
    heat = vit.attribute(pictures[3], name, **options)
    method = attnlib.methods()[name]
    assert heat.values.shape == (8, 8)
    assert heat.values.dtype == np.float32
    assert np.isfinite(heat.values).all()
    assert heat.unit
    assert heat.query == "CLS token"
    assert (heat.target is not None) == method.class_specific
    assert heat.signed or (heat.values >= 0).all()
    if heat.share:
        assert heat.values.sum() <= 1 + 1e-5
    assert method.description
    assert method.source


def test_the_readme_example_runs(
    tmp_path: Path, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks, "the README shows the library in use"
    pictures[0].save(tmp_path / "image.png")
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
