"""Pages show images that keep their shape, before a model that takes any, with their own grids."""

from __future__ import annotations

import base64
import copy
import re

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from streamlit.testing.v1 import AppTest
from torchvision import transforms as T  # type: ignore[import-untyped]

import attnlib
from attnlib.dashboard.state import results
from attnlib.data.image import decode
from attnlib.methods.heat import scale_of
from attnlib.model import demo
from attnlib.pictures.layer import layer
from tests.dashboard.driving import PAGES, finish, path, use
from tests.dashboard.screen import Screen, charted, pixels, table


def shaped(image: Image.Image) -> Image.Image:
    """Landscape for bright images, portrait for dark ones: every other has its own shape."""
    bright = np.asarray(image).mean() > 110
    return image.resize((96, 64) if bright else (64, 96))


PREPARE = T.Compose([T.Lambda(shaped), T.ToTensor(), T.Normalize([0.5] * 3, [0.5] * 3)])


@pytest.fixture
def vit(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> attnlib.Vit:
    """The model of the app, which has inspected the demo images with it."""
    torch.manual_seed(0)
    module = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=64,
        num_classes=10,
        embed_dim=48,
        depth=2,
        dynamic_img_size=True,
    )
    app.run()
    named = {"class_names": demo.CLASS_NAMES, "transform": PREPARE, "img_size": 64}
    vit = use(app, module, monkeypatch, **named)
    app.run()
    finish(app)
    return vit


def rows_by_hooks(vit: attnlib.Vit, image: Image.Image, layer: int) -> NDArray[np.float32]:
    """The CLS token's attention to the patches ``(H, N)`` in an unfused copy of the model."""
    module, found = copy.deepcopy(vit.module), list[torch.Tensor]()
    attention = module.blocks[layer].attn  # type: ignore[index,union-attr]
    attention.fused_attn = False
    attention.attn_drop.register_forward_hook(lambda m, i, out: found.append(out))
    with torch.no_grad():
        module(PREPARE(image)[None])
    return found[0][0, :, 0, 1:].numpy()


def of_each_shape() -> dict[str, tuple[int, int]]:
    """A demo image of each shape, with its grid."""
    found = {}
    for image in demo.images():
        width, height = shaped(decode(image.data)).size
        found.setdefault((height // 16, width // 16), image.name)
    assert found.keys() == {(4, 6), (6, 4)}
    return {name: grid for grid, name in found.items()}


@pytest.mark.parametrize("name", PAGES)
def test_every_part_of_every_page(app: AppTest, vit: attnlib.Vit, name: str) -> None:
    session = app.session_state["session"]
    shapes = set()
    for sample in session.samples:
        found = results.inspect(session.choice, vit, [sample])[0]
        assert isinstance(found, results.Inspected)
        height, width, _ = found.crop.shape
        assert found.record.grid == (height // 16, width // 16)
        shapes.add(found.record.grid)
    assert shapes == {(4, 6), (6, 4)}
    app.session_state["image"] = demo.images()[3].name
    app.switch_page(path(name)).run()
    finish(app)
    key, parts = PAGES[name]
    for part in parts:
        if any(element.key == key for element in app.get("button_group")):
            app.segmented_control(key=key).set_value(part).run()
            finish(app)
            silent(app)


def silent(app: AppTest) -> None:
    assert not app.exception
    assert not app.error
    assert not app.warning, [w.value for w in app.warning]


def test_the_gallery_its_matrix_and_its_report(
    app: AppTest, vit: attnlib.Vit, screen: Screen
) -> None:
    app.session_state["gallery_panel"] = "Confusion matrix"
    app.run()
    finish(app)
    silent(app)
    (chart,) = app.get("vega_lite_chart")
    assert sum(row["images"] for row in charted(chart)) == len(demo.images())
    report = screen.download(app, "Report of the wrong predictions (HTML)").decode()
    cards = report.split("<article>")[1:]
    labels = {image.name: image.label for image in demo.images()}
    images = {image.name: decode(image.data) for image in demo.images()}
    grids = set()
    for card in cards:
        (name,) = re.findall(r"<h2[^>]*>(.*?)</h2>", card)
        crop, mine = (
            pixels(base64.b64decode(data))
            for data in re.findall(r"data:image/png;base64,([^\"]+)", card)[:2]
        )
        width, height = shaped(images[name]).size
        grids.add((height // 16, width // 16))
        guess = int(vit.inspect(images[name]).probabilities.argmax())
        true = demo.CLASS_NAMES.index(labels[name])
        heats = [vit.attribute(images[name], "relevance", label) for label in (guess, true)]
        assert heats[0].values.shape == (height // 16, width // 16)
        scale = scale_of(heats, "shared")
        drawn = heats[0].overlay(shaped(images[name]), scale=scale, side=264).convert("RGB")
        np.testing.assert_array_equal(mine, np.asarray(drawn))
        assert crop.shape[0] * width == crop.shape[1] * height
    assert grids == {(4, 6), (6, 4)}
    rows = table(screen.download(app, "Table (CSV)"))
    for row in rows:
        with torch.no_grad():
            shares = vit.module(PREPARE(images[row["image"]])[None]).softmax(dim=1)
        assert float(row["confidence (0 to 1)"]) == pytest.approx(float(shares.max()), abs=1e-5)


@pytest.mark.parametrize(("name", "grid"), of_each_shape().items())
def test_an_opened_image(
    app: AppTest, vit: attnlib.Vit, screen: Screen, name: str, grid: tuple[int, int]
) -> None:
    (image,) = (decode(i.data) for i in demo.images() if i.name == name)
    app.session_state["image"] = name
    app.run()
    app.selectbox(key="method").set_value("raw").run()
    app.selectbox(key="layer").set_value(1).run()
    app.selectbox(key="head").set_value("2").run()
    finish(app)
    silent(app)
    made = vit.attribute(image, "raw", layer=1, head=2)
    expected = rows_by_hooks(vit, image, 1)[2].reshape(grid)
    np.testing.assert_allclose(made.values, expected, atol=1e-6)
    # On screen, in the file of the picture and in that of the numbers.
    assert vit.crop(image).size == (grid[1] * 16, grid[0] * 16)
    crop, shown = screen.cards(app)[0].figures
    np.testing.assert_array_equal(crop.base, np.asarray(vit.crop(image)))
    np.testing.assert_array_equal(shown.layer, np.asarray(layer(made.values, scale_of([made]))))
    np.testing.assert_allclose(shown.values, expected, atol=1e-6)
    there = pixels(screen.download(app, "Picture (PNG)"))
    drawn = made.overlay(vit.crop(image), scale=scale_of([made]), side=896).convert("RGB")
    np.testing.assert_array_equal(there, np.asarray(drawn))
    rows = table(screen.download(app, "Numbers (CSV)"))
    assert len(rows) == 24
    for row in rows:
        (value,) = (float(v) for k, v in row.items() if k not in ("row", "col"))
        assert value == pytest.approx(float(expected[int(row["row"]), int(row["col"])]), abs=1e-6)
    for method in app.selectbox(key="method").options:
        app.selectbox(key="method").select(method).run()
        finish(app)
        silent(app)
