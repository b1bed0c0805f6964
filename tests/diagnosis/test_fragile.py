"""Fragile predictions: each change against its formula, and models that break by construction."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from sklearn.covariance import OAS
from torch import Tensor

import attnlib
from attnlib.diagnosis import diagnose, examine
from attnlib.diagnosis.changes import KINDS, Change, changes
from attnlib.diagnosis.fragile import about, as_seen, fragility
from attnlib.diagnosis.unusual import FOLDS, unusual
from attnlib.errors import AttnlibError
from tests.diagnosis.planted import demo_images, demo_labels
from tests.diagnosis.readers import one_hot, reader

FROG, SHIP = 6, 8


def change(kind: str, strength: int = 1, picture: Image.Image | None = None) -> Change:
    found = changes(picture or Image.new("RGB", (32, 32)))
    return next(one for one in found if (one.kind, one.strength) == (kind, strength))


def test_there_are_three_strengths_that_grow(noise: Image.Image) -> None:
    smooth = noise.resize((12, 9)).resize(noise.size, Image.Resampling.BICUBIC)
    for size in (noise.size, (30, 40)):
        picture = smooth.resize(size)
        before = np.asarray(picture).astype(float)
        for kind in KINDS:
            mine = [one for one in changes(picture) if one.kind == kind]
            apart = [np.abs(np.asarray(one.of(picture)) - before).mean() for one in mine]
            assert len(mine) == (1 if kind == "mirror" else 3)
            sharp = noise.resize(size)
            assert mine[0].of(sharp).tobytes() != sharp.tobytes(), kind
            assert apart == sorted(apart), kind


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_size_and_mode_and_opacity_stay(noise: Image.Image, mode: str) -> None:
    picture = noise.convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(noise.size))
    for one in changes(picture):
        found = one.of(picture)
        assert (found.size, found.mode) == (picture.size, mode)
        if (
            mode == "RGBA"
            and one.kind not in ("mirror", "crop", "blur", "pixelation")
            and ("shift" not in one.kind)
        ):
            assert found.getchannel("A").tobytes() == picture.getchannel("A").tobytes()


def test_changes_are_what_they_say(noise: Image.Image) -> None:
    values = np.asarray(noise).astype(float)
    small = noise.resize((32, 32))
    np.testing.assert_array_equal(np.asarray(change("mirror").of(noise)), values[:, ::-1])
    step = round(0.05 * 70)
    left = np.asarray(change("shift left", 2).of(noise))
    np.testing.assert_array_equal(left[:, :-step], values[:, step:])
    np.testing.assert_array_equal(left[:, -step:], values[:, [-1] * step])
    down = np.asarray(change("shift down", 2).of(noise))
    np.testing.assert_array_equal(down[step:], values[:-step])
    mean = values.mean(axis=(0, 1))
    flat = np.clip((values - mean) * 0.4 + mean, 0, 255)
    np.testing.assert_allclose(np.asarray(change("contrast", 1, noise).of(noise)), flat, atol=0.51)
    # Brightness is V of HSV, as Pillow has it.
    bright = change("brightness", 3, small).of(small)
    hsv = np.asarray(small.convert("HSV")).astype(float)
    expected = np.clip(hsv[..., 2] + 0.3 * 255, 0, 255)
    np.testing.assert_allclose(np.asarray(bright.convert("HSV"))[..., 2], expected, atol=1)
    grey = Image.new("RGB", (100, 100), (128, 128, 128))
    noisy = np.asarray(change("noise", 1, grey).of(grey, seed=3)).astype(float) / 255
    assert noisy.std() == pytest.approx(0.08, rel=0.05)
    assert noisy.mean() == pytest.approx(128 / 255, abs=0.005)


def test_a_photograph_is_changed_at_the_size_that_the_model_sees(vit: attnlib.Vit) -> None:
    seen = as_seen(vit.prepared({"crop_pct": 0.5}), Image.new("RGB", (900, 600)))
    assert seen.size == (96, 64)
    assert as_seen(vit, Image.new("RGB", (20, 900))).size == (20, 900)


def left_right(pixels: Tensor) -> Tensor:
    """A ship where the left half is brighter than the right."""
    half = pixels.shape[3] // 2
    apart = pixels[..., :half].mean(dim=(1, 2, 3)) - pixels[..., half:].mean(dim=(1, 2, 3))
    return one_hot(pixels, {SHIP: 5 * apart, FROG: -5 * apart})


def halves(count: int = 40) -> tuple[dict[str, Image.Image], dict[str, int | str]]:
    images, labels = {}, {}
    for index in range(count):
        rng = np.random.default_rng(index)
        values = rng.integers(60, 120, (32, 32, 3))
        bright = slice(0, 16) if index % 2 else slice(16, 32)
        values[:, bright] += 80
        images[f"{index:02}"] = Image.fromarray(values.astype(np.uint8))
        labels[f"{index:02}"] = SHIP if index % 2 else FROG
    return images, labels


def test_a_model_that_mirrors_break_is_found_and_no_other_change_is_blamed(
    vit: attnlib.Vit,
) -> None:
    images, labels = halves()
    (one,) = diagnose(reader(vit, left_right), images, labels, kinds=["fragile"]).findings
    assert (one.scope, one.detail["change"], one.value) == ("set", "mirror", 1.0)
    assert set(one.images) == set(images)
    assert sum(one.detail["broken"].values()) == 40, "no other change breaks one"
    assert one.certainty.tried == 10


def test_few_images_are_no_proof(vit: attnlib.Vit) -> None:
    images, labels = halves(4)
    assert diagnose(reader(vit, left_right), images, labels, kinds=["fragile"]).findings == ()


def test_the_demo_is_not_called_fragile(vit: attnlib.Vit) -> None:
    assert diagnose(vit, demo_images(), demo_labels(), kinds=["fragile"]).findings == ()


def test_one_image_says_which_changes_repair_it(vit: attnlib.Vit) -> None:
    images, _ = halves(12)
    model = reader(vit, left_right)
    found = fragility(model, images["01"], label=FROG)
    assert found.before == SHIP
    assert [one.kind for one in found.repaired] == ["mirror"]
    assert found.broken == []
    again = fragility(model, images["01"], label=SHIP)
    assert [one.kind for one in again.broken] == ["mirror"]
    assert again.repaired == []
    assert found.share == pytest.approx(0.1)
    for index, one in enumerate(found.tried):
        expected = model.inspect(one.of(images["01"])).probabilities
        np.testing.assert_allclose(found.after[index], expected, atol=1e-5)


def test_a_border_case_is_a_finding_and_a_clear_one_is_none(vit: attnlib.Vit) -> None:
    def brink(pixels: Tensor) -> Tensor:
        """A ship where the top left corner is darker than in the picture as it is."""
        corner = pixels[:, :, :8, :8].mean(dim=(1, 2, 3))
        return one_hot(pixels, {SHIP: 50 * corner, FROG: 0 * corner})

    images, labels = halves(12)
    values = np.asarray(images["01"]).astype(int)
    corner = values[:8, :8]
    # Its corner is at the mean of the training images, and any change takes it off.
    values[:8, :8] = corner - corner.mean(axis=(0, 1)) + [125.6, 123.3, 114.2]
    images["01"] = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    examined = examine(reader(vit, brink), images, labels)
    one = about(examined, "01")
    assert one is not None
    assert (one.kind, one.scope, one.images) == ("fragile", "image", ("01",))
    assert one.value >= 0.3
    assert "Mahalanobis" in one.evidence[1].sentence
    assert about(examined, "03") is None


def test_distances_are_those_of_a_second_implementation(vit: attnlib.Vit) -> None:
    examined = examine(vit, demo_images(60), {n: demo_labels()[n] for n in demo_images(60)})
    found = unusual(examined)
    fold = np.random.default_rng(0).permutation(60) % FOLDS
    others = fold != fold[7]
    embeddings, labels = examined.embeddings[others], examined.labels[others]
    means = {c: embeddings[labels == c].mean(axis=0) for c in np.unique(labels)}
    centred = embeddings - np.stack([means[c] for c in labels])
    covariance = OAS(assume_centered=True).fit(centred).covariance_
    apart = [examined.embeddings[7] - mean for mean in means.values()]
    expected = min(float(a @ np.linalg.solve(covariance, a)) for a in apart)
    assert found.distance[7] == pytest.approx(expected, rel=1e-6)
    logits = examined.records[7].logits.astype(np.float64)
    assert found.energy[7] == pytest.approx(-np.log(np.exp(logits).sum()))


def test_noise_is_the_most_unusual_image(vit: attnlib.Vit) -> None:
    images = demo_images(60)
    rng = np.random.default_rng(0)
    images["noise"] = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    examined = examine(vit, images)
    assert unusual(examined).rank(60)[1] > 0.9
    with pytest.raises(AttnlibError, match="10 images or more"):
        unusual(examine(vit, demo_images(9)))
