"""The pages' logic, driven in process by Streamlit's AppTest."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
from safetensors.torch import save, save_file
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.dashboard.parts.model_choice import SOURCES
from attnlib.model import demo, objects
from tests.dashboard.driving import finish, numbers, open_image, png, settle, text, upload
from tests.dashboard.screen import Screen

ROOT = Path(__file__).parents[2]


def test_opens_on_the_demo_already_filled_in(app: AppTest, screen: Screen) -> None:
    settle(app.run())
    assert not app.exception
    shown = numbers(app)
    assert shown["images"] == "80"
    assert int(shown["wrong"]) >= 20
    assert f"{demo.facts()['test_accuracy']:.1%}" in text(app), "the honest accuracy is on screen"
    assert [card.said["outcome"] for card in screen.cards(app)] == ["wrong"] * 6
    assert "See what a vision transformer got wrong" in text(app)


def test_every_method_of_an_opened_image(app: AppTest) -> None:
    settle(app.run())
    open_image(app, demo.images()[0].name)
    assert not app.exception
    for name in attnlib.methods():
        app.selectbox(key="method").set_value(name).run()
        assert not app.exception, name
        assert attnlib.methods()[name].description in text(app)


def test_layers_and_heads_of_raw_attention(app: AppTest) -> None:
    settle(app.run())
    open_image(app, demo.images()[0].name)
    app.selectbox(key="method").set_value("raw").run()
    app.selectbox(key="layer").set_value(2).run()
    app.selectbox(key="head").set_value("3").run()
    app.selectbox(key="colormap").set_value("cividis").run()
    assert not app.exception
    assert "× uniform" in text(app)


def test_the_choice_of_an_image_is_a_deep_link(app: AppTest, screen: Screen) -> None:
    name = demo.images()[5].name
    app.query_params["image"] = name
    settle(app.run())
    assert not app.exception
    assert app.selectbox(key="image").value == name
    next(button for button in app.button if button.label == "All images").click().run()
    assert app.selectbox(key="image").value is None
    assert len(screen.cards(app)) == 6


def test_a_deep_link_to_nothing_opens_the_gallery(app: AppTest) -> None:
    app.query_params["image"] = "gone.png"
    app.query_params["method"] = "nonsense"
    settle(app.run())
    assert not app.exception
    assert numbers(app)["images"] == "80"


def test_filters_and_sorting(app: AppTest) -> None:
    settle(app.run())
    for sort in ("Margin", "Loss", "Entropy of attention"):
        app.selectbox(key="gallery_sort").set_value(sort).run()
        assert not app.exception, sort
    app.multiselect(key="gallery_true").set_value([3]).run()
    assert not app.exception


def test_own_images_with_labels_from_a_table(app: AppTest) -> None:
    settle(app.run())
    table = b"filename,label\na.png,cat\nb.png,3\nc.png,unicorn\nmissing.png,dog\n"
    files = [(f"{name}.png", png(i), "image/png") for i, name in enumerate("abcd")]
    upload(app, *files, ("labels.csv", table, "text/csv"))
    assert not app.exception
    shown = numbers(app)
    assert (shown["images"], shown["labelled"]) == ("4", "2")
    problems = " ".join(str(frame.value.to_dict()) for frame in app.dataframe)
    assert "unicorn" in problems
    assert "missing.png" in problems


def test_a_zip_of_folders_labels_its_images(app: AppTest) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for i, label in enumerate(["cat", "dog", "ship"]):
            archive.writestr(f"{label}/{i}.png", png(i))
    settle(app.run())
    upload(app, ("set.zip", out.getvalue(), "application/zip"))
    assert not app.exception
    assert numbers(app)["images"] == "3" and "labelled" not in numbers(app), "all are"


def test_bad_files_are_answered_and_the_rest_goes_on(app: AppTest) -> None:
    settle(app.run())
    truncated = png(1)[:300]
    upload(
        app,
        ("good.png", png(0), "image/png"),
        ("truncated.png", truncated, "image/png"),
        ("page.png", b"<html><body>404</body></html>", "image/png"),
        ("empty.png", b"", "image/png"),
    )
    assert not app.exception
    assert numbers(app)["images"] == "1"
    reasons = " ".join(str(frame.value.to_dict()) for frame in app.dataframe)
    for name in ("truncated.png", "page.png", "empty.png"):
        assert name in reasons


def test_images_without_labels_are_shown(app: AppTest, screen: Screen) -> None:
    settle(app.run())
    upload(app, ("a.png", png(0), "image/png"), ("b.png", png(1), "image/png"))
    assert not app.exception
    assert numbers(app)["labelled"] == "0"
    assert [card.said["word"] for card in screen.cards(app)] == ["no label"] * 2


def test_back_to_the_demo(app: AppTest) -> None:
    settle(app.run())
    upload(app, ("a.png", png(0), "image/png"))
    assert numbers(app)["images"] == "1"
    next(b for b in app.button if b.label == "Back to the demo images").click().run()
    assert not app.exception
    assert numbers(app)["images"] == "80"


def test_a_local_checkpoint_with_its_own_classes(
    app: AppTest, vit: attnlib.Vit, tmp_path: Path
) -> None:
    path = tmp_path / "best.safetensors"
    module = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=2)
    save_file(module.state_dict(), path)
    settle(app.run())
    app.selectbox(key="source").set_value("file").run()
    app.text_input(key="checkpoint_path").set_value(str(path))
    app.text_input(key="architecture").set_value("vit_tiny_patch16_224")
    app.text_input(key="img_size").set_value("32")
    app.text_area(key="class_names").set_value("cat\ndog")
    next(b for b in app.button if b.label == "Load").click().run()
    assert not app.exception
    assert not app.error, [e.value for e in app.error]
    assert "best.safetensors" in text(app).replace("\\", "")
    assert "2 × 2 patches" in text(app)
    assert "Names of 2 classes: given by you" in text(app)


def test_uploaded_weights_with_class_names(app: AppTest) -> None:
    module = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=2)
    settle(app.run())
    app.selectbox(key="source").set_value("upload").run()
    uploader = next(u for u in app.file_uploader if u.label == "Weights")
    uploader.set_value(("w.safetensors", save(module.state_dict()), "application/octet-stream"))
    app.text_input(key="architecture").set_value("vit_tiny_patch16_224")
    app.text_input(key="img_size").set_value("32")
    app.text_area(key="class_names").set_value('["cat", "dog"]')
    next(b for b in app.button if b.label == "Load").click().run()
    settle(app)
    assert not app.exception
    assert not app.error, [e.value for e in app.error]
    assert "2 × 2 patches" in text(app)
    assert "Names of 2 classes: given by you" in text(app)
    assert numbers(app)["images"] == "80"


def test_a_model_that_cannot_be_loaded_leaves_the_page_alive(app: AppTest) -> None:
    settle(app.run())
    app.selectbox(key="source").set_value("file").run()
    app.text_input(key="checkpoint_path").set_value("nowhere.safetensors")
    app.text_input(key="architecture").set_value("vit_tiny_patch16_224")
    next(b for b in app.button if b.label == "Load").click().run()
    assert not app.exception
    assert any("nowhere.safetensors" in error.value for error in app.error)
    assert numbers(app)["images"] == "80"


def test_every_source_opens_without_a_network(app: AppTest) -> None:
    settle(app.run())
    known = {"demo": "80", objects.NAME: str(len(objects.images()))}
    shown = ""
    for source in SOURCES:
        app.selectbox(key="source").set_value(source).run()
        assert not app.exception, source
        finish(app)
        # What cannot be loaded leaves the model and its images as they are.
        shown = known.get(source, shown)
        assert numbers(app)["images"] == shown


def test_local_files_are_not_opened_for_visitors_of_a_host(
    app: AppTest, setting: Callable[..., Any]
) -> None:
    setting(local_files=False)
    settle(app.run())
    app.selectbox(key="source").set_value("file").run()
    assert not any(field.label == "Checkpoint file" for field in app.text_input)
    assert "opens no files" in text(app)


def test_names_from_strangers_are_not_markup(app: AppTest) -> None:
    settle(app.run())
    upload(app, ("<img src=x onerror=alert(1)>.png", png(0), "image/png"))
    assert not app.exception
    assert "<img src=x" not in text(app)
