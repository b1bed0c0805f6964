"""“Model comparison”: two models over all images, against the library's own answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.audit import CATEGORIES
from attnlib.dashboard.state import beside
from attnlib.dashboard.state.models import ModelChoice
from attnlib.diagnosis.finder import ALPHA
from attnlib.methods.heat import scale_of
from attnlib.model import demo
from attnlib.pictures.overlay import enlarge, fit
from tests.dashboard.driving import finish, path, settle, text, use
from tests.dashboard.library import Library
from tests.dashboard.screen import Screen, as_read, charted, table

SIDE = 288
PER_PAGE = 4
ORDER = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]


@pytest.fixture(scope="module")
def other() -> Library:
    """The demo model with noise in its weights, another grid, and its classes in another order."""
    module = demo.build()
    module.set_input_size(img_size=(24, 16))
    torch.manual_seed(4)
    with torch.no_grad():
        for block in module.blocks:
            block.mlp.fc1.weight += (
                0.3 * block.mlp.fc1.weight.std() * torch.randn_like(block.mlp.fc1.weight)
            )
        module.head.weight[:], module.head.bias[:] = (
            module.head.weight[ORDER].clone(),
            module.head.bias[ORDER].clone(),
        )
    module.pretrained_cfg = {**demo.DATA_CONFIG, "input_size": (3, 24, 16)}
    names = [demo.CLASS_NAMES[index] for index in ORDER]
    return Library(attnlib.load(module, class_names=names, device="cpu"))


@pytest.fixture
def page(
    app: AppTest,
    screen: Screen,
    library: Library,
    other: Library,
    monkeypatch: pytest.MonkeyPatch,
) -> AppTest:
    use(app, library.vit, monkeypatch, name="the first one")
    monkeypatch.setattr(
        "attnlib.dashboard.state.models.get",
        lambda choice, upload=None: other.vit if choice.source == "the other one" else library.vit,
    )
    app.session_state["session"].models.keep(ModelChoice("the other one"), None)
    settle(app.run())
    app.switch_page(path("model_comparison")).run()
    assert "Choose a second one" in text(app)
    app.selectbox(key="versus_other").set_value("the other one").run()
    return finish(app)


def answers(library: Library) -> dict[str, tuple[str, bool]]:
    """By image the class that is predicted, by name, and whether it is right."""
    names = library.vit.class_names
    return {
        image.name: (
            names[library.predicted[image.name]],
            names[library.predicted[image.name]] == image.label,
        )
        for image in demo.images()
    }


def sorted_out(first: Library, second: Library) -> dict[str, list[str]]:
    ours, theirs = answers(first), answers(second)
    found: dict[str, list[str]] = {category: [] for category in CATEGORIES}
    for name, (_, right) in ours.items():
        now = theirs[name][1]
        found[
            ("still right" if now else "broken") if right else ("fixed" if now else "still wrong")
        ].append(name)
    return found


def test_the_counts_and_the_file_are_those_of_both_models(
    page: AppTest, screen: Screen, library: Library, other: Library
) -> None:
    expected = sorted_out(library, other)
    assert all(expected.values()), "a test of four categories needs images in each"
    shown = {metric.label: metric.value for metric in page.main.metric}
    for category, names in expected.items():
        assert shown[category.capitalize()] == str(len(names))
    for which, one in (("first", library), ("second", other)):
        right = sum(found for _, found in answers(one).values())
        assert shown[f"Accuracy, {which} model"] == f"{right / 80:.1%}"
    (data,) = (d for key, d in screen.downloads(page).items() if key == "csv_two-models")
    rows = {row["image"]: row for row in table(data)}
    assert {name: row["category"] for name, row in rows.items()} == {
        name: category for category, names in expected.items() for name in names
    }
    for name, row in rows.items():
        assert row["first model"] == answers(library)[name][0]
        assert row["second model"] == answers(other)[name][0]
    assert beside.categories(page.session_state["workspace"]) == {
        name: row["category"] for name, row in rows.items()
    }


@pytest.mark.parametrize("category", ["fixed", "broken"])
def test_both_maps_of_an_image_stand_side_by_side_on_one_scale(
    page: AppTest, screen: Screen, library: Library, other: Library, category: str
) -> None:
    page.segmented_control(key="versus_category").set_value(category).run()
    finish(page)
    names = sorted_out(library, other)[category]
    sides = (library, other)
    names.sort(key=lambda n: -max(float(o.records[n].probabilities.max()) for o in sides))
    shown = [p for c, p in screen.pictures(page) if c and c != "None"]
    captions = [c for c, _ in screen.pictures(page) if c and c != "None"]
    assert len(shown) == 3 * len(names[:PER_PAGE])
    for place, name in enumerate(names[:PER_PAGE]):
        crops = [one.vit.crop(one.images[name]) for one in sides]
        heats = [
            one.vit.attribute(one.images[name], "relevance", one.predicted[name]) for one in sides
        ]
        scale = scale_of(heats, "shared")
        wanted = [enlarge(crops[0], fit(crops[0].size, SIDE)).convert("RGB")]
        wanted += [h.overlay(c, scale=scale, side=SIDE) for h, c in zip(heats, crops, strict=True)]
        for found, picture in zip(shown[3 * place : 3 * place + 3], wanted, strict=True):
            assert np.abs(found.astype(int) - np.asarray(picture)).max() <= 2, name
        for caption, one, which in zip(
            captions[3 * place + 1 : 3 * place + 3], sides, ("first", "second"), strict=True
        ):
            said, right = answers(one)[name]
            assert caption.startswith(f"{which}: {said} ")
            assert caption.endswith("right" if right else "wrong")


def test_the_gallery_is_filtered_by_the_second_model(
    page: AppTest, screen: Screen, library: Library, other: Library
) -> None:
    page.switch_page(path("prediction_debugging")).run()
    page.segmented_control(key="gallery_only").set_value("All").run()
    page.selectbox(key="gallery_versus").set_value("broken").run()
    finish(page)
    names = sorted_out(library, other)["broken"]
    names.sort(key=lambda name: -float(library.records[name].probabilities.max()))
    assert [card.said["name"] for card in screen.cards(page)] == names[:6]
    assert page.query_params["gallery_versus"] == "broken"
    assert any("broken with the other one" in button.label for button in page.button)


def test_the_bars_are_the_difference_of_the_confusions(
    page: AppTest, library: Library, other: Library
) -> None:
    counted: dict[str, int] = {}
    for sign, one in ((-1, library), (1, other)):
        for image in demo.images():
            said, right = answers(one)[image.name]
            if not right:
                pair = f"{image.label} → {said}"
                counted[pair] = counted.get(pair, 0) + sign
    (chart,) = page.main.get("vega_lite_chart")
    rows = charted(chart)
    assert len(rows) == min(12, sum(value != 0 for value in counted.values()))
    for row in rows:
        assert row["difference"] == counted[row["pair"]]


def test_a_model_without_names_is_asked_about_and_never_guessed(
    app: AppTest, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = demo.build()
    module.pretrained_cfg = dict(demo.DATA_CONFIG)
    nameless = attnlib.load(module, device="cpu")
    assert nameless.class_names[0] == "class 0"
    use(app, library.vit, monkeypatch, name="the first one")
    monkeypatch.setattr(
        "attnlib.dashboard.state.models.get",
        lambda choice, upload=None: nameless if choice.source == "nameless" else library.vit,
    )
    app.session_state["session"].models.keep(ModelChoice("nameless"), None)
    settle(app.run())
    app.switch_page(path("model_comparison")).run()
    app.selectbox(key="versus_other").set_value("nameless").run()
    finish(app)
    words = text(app)
    assert "No class of one model is a class of the other" in words
    assert "nameless knows no label of your images" in words
    assert not app.main.metric
    app.toggle(key="versus_names").set_value(True).run()
    finish(app)
    shown = {metric.label: metric.value for metric in app.main.metric}
    assert shown["Accuracy, second model"] != "0.0%"
    assert sum(int(shown[c.capitalize()]) for c in CATEGORIES) == 80


def test_independent_labels_are_right_as_a_whole_set(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right is that the one true label is at least at the threshold and no other one is."""
    vits, said = {}, {}
    for name, shift in (("first", -4.0), ("second", -6.0)):
        module = demo.build()
        module.pretrained_cfg = dict(demo.DATA_CONFIG)
        with torch.no_grad():
            module.head.bias += shift
        vits[name] = attnlib.load(
            module, class_names=demo.CLASS_NAMES, device="cpu", outputs="labels"
        )
        library = Library(vits[name])
        with torch.no_grad():
            logits = {n: module(vits[name].pixels(i))[0] for n, i in library.images.items()}
        said[name] = {
            image.name: [demo.CLASS_NAMES[k] for k in range(10) if logits[image.name][k] >= 0]
            == [image.label]
            for image in demo.images()
        }
    use(app, vits["first"], monkeypatch, name="first")
    monkeypatch.setattr(
        "attnlib.dashboard.state.models.get",
        lambda choice, upload=None: vits.get(choice.source, vits["first"]),
    )
    app.session_state["session"].models.keep(ModelChoice("second"), None)
    settle(app.run())
    app.switch_page(path("model_comparison")).run()
    app.selectbox(key="versus_other").set_value("second").run()
    finish(app)
    shown = {metric.label: metric.value for metric in app.main.metric}
    for which in ("first", "second"):
        assert shown[f"All labels right, {which} model"] == f"{sum(said[which].values()) / 80:.1%}"
    fixed = sum(said["second"][n] and not said["first"][n] for n in said["first"])
    broken = sum(said["first"][n] and not said["second"][n] for n in said["first"])
    assert (shown["Fixed"], shown["Broken"]) == (str(fixed), str(broken))
    assert fixed + broken > 0
    assert "Labels are independent: none is taken for another" in text(app)
    assert "recall (second)" in str(app.main.dataframe[0].value.columns)


def test_a_model_without_classes_is_refused_with_the_way_out(
    app: AppTest, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = demo.build()
    module.pretrained_cfg = dict(demo.DATA_CONFIG)
    numbers = attnlib.load(module, device="cpu", outputs="regression")
    use(app, library.vit, monkeypatch, name="the first one")
    monkeypatch.setattr(
        "attnlib.dashboard.state.models.get",
        lambda choice, upload=None: numbers if choice.source == "numbers" else library.vit,
    )
    app.session_state["session"].models.keep(ModelChoice("numbers"), None)
    settle(app.run())
    app.switch_page(path("model_comparison")).run()
    app.selectbox(key="versus_other").set_value("numbers").run()
    (warning,) = app.main.warning
    assert "nothing is right or wrong" in warning.value
    assert "choose one that gives classes" in warning.value


def test_what_is_hard_for_both_stands_beside_chance(
    page: AppTest, library: Library, other: Library
) -> None:
    names = sorted_out(library, other)
    common, count = len(names["still wrong"]), sum(map(len, names.values()))
    wrong = [common + len(names[category]) for category in ("fixed", "broken")]
    by_chance = wrong[0] * wrong[1] / count
    p = stats.binomtest(common, count, wrong[0] * wrong[1] / count**2, "greater").pvalue
    shown = as_read(text(page))
    assert f"would meet on {by_chance:.1f}." in shown
    if p >= ALPHA:
        assert "That is no finding" in shown
        return
    assert f"{common} of {count} images are wrong with both models" in shown
    alike = sum(answers(library)[n][0] == answers(other)[n][0] for n in names["still wrong"])
    assert f"On {alike} of them both models say the same wrong class" in shown
    page.segmented_control(key="versus_category").set_value("fixed").run()
    page.button(key="versus_hard").click().run()
    assert page.session_state["versus_category"] == "still wrong"
