"""What the sidebar asks about names: ImageNet's, the folders', and folders that are numbers."""

from __future__ import annotations

import timm
import torch
from safetensors.torch import save
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.state.workspace import Workspace
from tests.dashboard.driving import folders, settle, text


def weights(app: AppTest, classes: int, names: str = "") -> AppTest:
    """Load weights of one's own that say nothing of their classes."""
    torch.manual_seed(0)
    module = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=classes)
    app.selectbox(key="source").set_value("upload").run()
    uploader = next(u for u in app.file_uploader if u.label == "Weights")
    uploader.set_value(("w.safetensors", save(module.state_dict()), "application/octet-stream"))
    app.text_input(key="architecture").set_value("vit_tiny_patch16_224")
    app.text_input(key="img_size").set_value("32")
    app.text_area(key="class_names").set_value(names)
    next(b for b in app.button if b.label == "Load").click().run()
    assert not app.error, [e.value for e in app.error]
    return settle(app)


def labels(app: AppTest) -> dict[str, int]:
    space: Workspace = app.session_state["workspace"]
    return {name.split("/")[-2]: index for name, index in space.labels.labels.items()}


def test_folders_that_are_numbers_are_read_by_a_rule_that_is_said(app: AppTest) -> None:
    settle(app.run())
    numbers = [str(n) for n in range(1, 11)]
    folders(app, *numbers)
    assert labels(app) == {name: place for place, name in enumerate(sorted(numbers))}
    assert "in text order (1, 10, 2), as torchvision's ImageFolder" in text(app)
    app.selectbox(key="numbers").set_value("natural").run()
    assert labels(app) == {name: int(name) - 1 for name in numbers}
    assert app.query_params["numbers"] == "natural"
    assert "in the order of the numbers" in text(app)


def test_where_all_rules_agree_there_is_nothing_to_choose(app: AppTest) -> None:
    settle(app.run())
    folders(app, *map(str, range(10)))
    assert labels(app) == {str(n): n for n in range(10)}
    assert "the number is the index of the class" in text(app)
    assert "numbers" not in [box.key for box in app.selectbox]


def test_imagenets_names_are_asked_for(app: AppTest) -> None:
    settle(app.run())
    weights(app, 1000)
    space: Workspace = app.session_state["workspace"]
    assert space.vit.class_names[0] == "class 0"
    assert "as many classes as ImageNet-1k: use its names?" in text(app).replace("\\", "")
    loaded = space.vit.module
    app.toggle(key="imagenet_names").set_value(True).run()
    settle(app)
    space = app.session_state["workspace"]
    assert space.vit.class_names[1] == "goldfish, Carassius auratus"
    assert space.vit.module is loaded, "names do not need the weights again"
    assert app.query_params["imagenet_names"] == "yes"
    folders(app, "n01440764", "crane", "517")
    assert labels(app) == {"n01440764": 0, "517": 517}
    assert "“crane” is a name of the classes 134" in text(app).replace("\\", "")


def test_the_folders_names_are_offered_to_a_model_without_names(app: AppTest) -> None:
    settle(app.run())
    weights(app, 2)
    folders(app, "dog", "cat")
    assert labels(app) == {}
    app.toggle(key="folder_names").set_value(True).run()
    settle(app)
    space: Workspace = app.session_state["workspace"]
    assert space.vit.class_names == ("cat", "dog")
    assert labels(app) == {"cat": 0, "dog": 1}
    folders(app, "dog", "cat", "cow")
    assert app.session_state["workspace"].vit.class_names == ("class 0", "class 1")
