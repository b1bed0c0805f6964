"""The page “Head similarity”: what is on screen is what the library computes."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.dashboard.heads import comparison, heat_map, names, pairs, removal
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.session import Session, demo_samples
from attnlib.heads import accumulate, flag, head_statistics, mean_statistics
from attnlib.heads.ablation import head_effects, mean_effects, without_heads
from attnlib.heads.control import strangers
from attnlib.model import demo
from attnlib.pictures.colormaps import Scale
from tests.dashboard.driving import finish, text, use

ROOT = Path(__file__).parents[2]
# A mistake that removing L0·H0 or L1·H3 repairs, and one that no single head repairs.
REPAIRABLE, STUBBORN = "cifar10-test-2309.png", "cifar10-test-3439.png"


def opened(app: AppTest, image: str, section: str = "Effect on the prediction") -> AppTest:
    app.run()
    finish(app)
    app.switch_page("../../pages/head_similarity/page.py")
    app.session_state["image"] = image
    app.session_state["heads_section"] = section
    app.run()
    return finish(app)


def control(app: AppTest, key: str) -> Any:
    kinds = ("button_group", "selectbox", "toggle", "slider", "multiselect")
    return next(element for kind in kinds for element in app.get(kind) if element.key == key)


def choose(app: AppTest, key: str, value: Any) -> AppTest:
    control(app, key).set_value(value).run()
    return finish(app)


def button(app: AppTest, label: str) -> Any:
    return next(b for b in app.button if b.label.startswith(label))


def drawn(app: AppTest) -> list[Any]:
    """Every picture of cells."""
    found = app.get("bidi_component")
    return [element for element in found if element.proto.component_name == "attnlib_cells"]


def cells(app: AppTest, description: str) -> dict[str, Any]:
    """What the picture of cells whose description begins so is told."""
    for element in drawn(app):
        data = json.loads(element.proto.json)
        if data["alt"].startswith(description):
            found: dict[str, Any] = data
            return found
    raise AssertionError(f"there is no picture {description!r}")


def values(data: dict[str, Any]) -> np.ndarray:
    """The numbers behind a picture of cells."""
    numbers = np.frombuffer(base64.b64decode(data["values"]), np.float32)
    return numbers.reshape(data["rows"], data["cols"])


def sample(name: str) -> tuple[Image.Image, str]:
    found = next(image for image in demo.images() if image.name == name)
    return Image.open(io.BytesIO(found.data)).convert("RGB"), found.label


def label_of(vit: attnlib.Vit, name: str) -> int:
    return list(vit.class_names).index(sample(name)[1])


# -- what a head does to the prediction ----------------------------------------------------------


def test_the_effect_of_every_head_on_a_mistake(app: AppTest, vit: attnlib.Vit) -> None:
    opened(app, REPAIRABLE)
    effects = head_effects(vit, vit.pixels(sample(REPAIRABLE)[0]), label_of(vit, REPAIRABLE))
    shown = cells(app, "Change of the margin")
    np.testing.assert_allclose(values(shown), effects.change, atol=1e-5)
    assert shown["selected"] == []
    assert effects.repairs, "this image was chosen since single heads repair it"
    table = app.dataframe[0].value
    count = len(effects.repairs)
    assert sorted(table["head"][:count]) == sorted(names.name(*h) for h in effects.repairs)
    for _, row in table.iterrows():
        change = effects.change[names.parse(row["head"])]
        assert row["change of margin"] == pytest.approx(change, abs=1e-4)
    assert f"{effects.margin:+.2f}" in text(app)


def test_a_repair_stands_beside_the_heads_of_unrelated_images(
    app: AppTest, vit: attnlib.Vit
) -> None:
    """The heads come in the order of the excess over them, and the page says what they give."""
    opened(app, REPAIRABLE)
    found = [vit.inspect(sample(one.name)[0], rollout=False).predicted for one in demo.images()]
    labels = [label_of(vit, one.name) for one in demo.images()]
    place = [one.name for one in demo.images()].index(REPAIRABLE)
    donors = strangers(labels, found, place, labels[place])
    assert all(labels[d] == found[d] not in (labels[place], found[place]) for d in donors)
    pixels = vit.pixels(sample(REPAIRABLE)[0])
    effects = head_effects(vit, pixels, labels[place])
    pictures = [sample(demo.images()[donor].name)[0] for donor in donors]
    now = np.stack(
        [
            head_effects(vit, pixels, labels[place], donor=vit.pixels(picture)).now
            for picture in pictures
        ]
    )
    repairs = now == labels[place]
    repairing = int(repairs.any(axis=(1, 2)).sum())
    assert f"**{repairing} of 5** repair the prediction by some head as well" in text(app)
    assert "24 heads were tried" in text(app)
    table = app.dataframe[0].value[: len(effects.repairs)]
    shares = [repairs.mean(axis=0)[names.parse(head)] for head in table["head"]]
    assert shares == sorted(shares), "those first of which the fewest strangers do the same"
    assert list(table["random heads that repair"]) == [f"{share:.0%}" for share in shares]
    assert list(table["excess"]) == [f"{1 - share:+.0%}" for share in shares]


def test_without_a_third_class_the_page_says_that_there_is_no_control(app: AppTest) -> None:
    alone = tuple(one for one in demo_samples() if one.name == REPAIRABLE)
    app.session_state["session"] = Session(alone)
    opened(app, REPAIRABLE)
    assert "There is no control here" in text(app)
    assert "random heads that repair" not in app.dataframe[0].value


def test_heads_removed_together_and_put_back(app: AppTest, vit: attnlib.Vit) -> None:
    opened(app, REPAIRABLE)
    button(app, "All that repair it").click().run()
    finish(app)
    removed = [names.parse(text) for text in control(app, "heads_removed").value]
    pixels = vit.pixels(sample(REPAIRABLE)[0])
    effects = head_effects(vit, pixels, label_of(vit, REPAIRABLE))
    assert removed == effects.repairs
    logits = without_heads(vit, pixels, removed)[0]
    margin = float(logits[effects.predicted] - logits[effects.against])
    assert app.metric[0].value == f"{margin:+.2f}"
    assert f"{effects.margin:+.2f}" in app.metric[0].delta
    assert "repaired" in text(app)
    assert f"{float(logits.softmax(0).max()):.1%}" in text(app)
    frames = cells(app, "Change of the margin")["selected"]
    assert sorted(map(tuple, frames)) == sorted(removed)

    choose(app, "heads_removed", ["L5·H3"])
    logits = without_heads(vit, pixels, [(5, 3)])[0]
    margin = float(logits[effects.predicted] - logits[effects.against])
    assert app.metric[0].value == f"{margin:+.2f}"
    button(app, "Put all back").click().run()
    assert control(app, "heads_removed").value == []
    assert not app.metric


def test_where_no_single_head_repairs_the_page_says_so(app: AppTest, vit: attnlib.Vit) -> None:
    opened(app, STUBBORN)
    effects = head_effects(vit, vit.pixels(sample(STUBBORN)[0]), label_of(vit, STUBBORN))
    assert effects.repairs == []
    assert button(app, "All that repair it").disabled
    layer, head = np.unravel_index(int(effects.change.argmin()), effects.change.shape)
    sentence = next(info.value for info in app.info if "No single head" in info.value)
    assert names.name(int(layer), int(head)) in sentence
    assert f"{effects.margin + effects.change.min():+.2f}" in sentence
    button(app, "The 5 strongest").click().run()
    finish(app)
    strongest = [names.parse(text) for text in control(app, "heads_removed").value]
    assert sorted(effects.change[h] for h in strongest) == sorted(effects.change.ravel())[:5]


def test_a_click_removes_a_head_and_another_puts_it_back(
    vit: attnlib.Vit, monkeypatch: pytest.MonkeyPatch
) -> None:
    effects = head_effects(vit, vit.pixels(sample(STUBBORN)[0]))
    state: dict[str, Any] = {}
    monkeypatch.setattr(removal.st, "session_state", state)
    removal.toggle(effects, (1, 2))
    removal.toggle(effects, (0, 3))
    assert removal.state(effects) == [(1, 2), (0, 3)]
    removal.toggle(effects, (1, 2))
    assert removal.state(effects) == [(0, 3)]


def test_the_mean_over_all_wrong_images(app: AppTest, vit: attnlib.Vit) -> None:
    opened(app, REPAIRABLE)
    choose(app, "heads_effect_scope", "All wrong images")
    assert not drawn(app), "nothing is computed before it is asked for"
    button(app, "Remove every head in turn, on").click().run()
    finish(app)
    pictures = [sample(image.name)[0] for image in demo.images()]
    labels = [label_of(vit, image.name) for image in demo.images()]
    predicted = [record.predicted for record in vit.inspect_many(pictures, rollout=False)]
    wrong, given = [], []
    for place, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        if predicted[place] != label:
            pixels = vit.pixels(picture)
            wrong.append(head_effects(vit, pixels, label))
            (donor,) = strangers(labels, predicted, place, label, 1)
            gift = vit.pixels(pictures[donor])
            given.append(head_effects(vit, pixels, label, donor=gift))
    change, repaired, count = mean_effects(wrong)
    np.testing.assert_allclose(values(cells(app, "Mean change")), change, atol=1e-5)
    np.testing.assert_allclose(values(cells(app, "Share of images")), repaired, atol=1e-6)
    assert f"over {count} wrong predictions" in text(app)
    also = np.mean([one.now == one.against for one in given], axis=0)
    table = app.dataframe[0].value
    assert list(table["excess"]) == sorted(table["excess"], reverse=True)
    assert table["excess"][0] == pytest.approx((repaired - also).max(), abs=1e-4)
    for _, row in table.iterrows():
        head = names.parse(row["head"])
        assert row["share of images repaired"] == pytest.approx(repaired[head], abs=1e-4)
        assert row["by random heads"] == pytest.approx(also[head], abs=1e-4)
    repairing = sum(bool(one.repairs) for one in given)
    assert f"removal repairs {sum(bool(one.repairs) for one in wrong)} of 29" in text(app)
    assert f"**{repairing} of 29**" in text(app)


# -- similarity ----------------------------------------------------------------------------------


def test_similarity_is_that_of_the_library(app: AppTest, vit: attnlib.Vit) -> None:
    opened(app, REPAIRABLE, "Similarity")
    maps = vit.inspect(sample(REPAIRABLE)[0]).cls_rows.reshape(24, 1, 64)
    choose(app, "heads_cluster", False)
    for measure in ("pearson", "pooled", "cosine", "jensen-shannon"):
        choose(app, "heads_measure", measure)
        shown = cells(app, "Similarity")
        margin = shown["cols"] - 24
        expected = accumulate([maps], measure).values
        np.testing.assert_allclose(values(shown)[:, margin:], expected, atol=1e-5)
        assert shown["row_names"] == names.every(6, 4)
        assert comparison.MEANING[measure] in text(app)
    choose(app, "heads_cluster", True)
    shown = cells(app, "Similarity")
    order = [shown["row_names"].index(name) for name in names.every(6, 4)]
    assert order != list(range(24)), "clustering changes the order"
    again = values(shown)[:, margin:][np.ix_(order, order)]
    np.testing.assert_allclose(again, expected, atol=1e-5)
    assert "CLS token" in text(app)


def test_one_layer_and_all_images(app: AppTest, vit: attnlib.Vit) -> None:
    opened(app, REPAIRABLE, "Similarity")
    choose(app, "heads_cluster", False)
    choose(app, "heads_scope", "All images")
    choose(app, "heads_layer", 2)
    pictures = [Image.open(io.BytesIO(image.data)).convert("RGB") for image in demo.images()]
    records = list(vit.inspect_many(pictures, rollout=False))
    found = accumulate(record.cls_rows.reshape(24, 1, 64) for record in records)
    shown = cells(app, "Similarity")
    assert shown["row_names"] == [f"L2·H{head}" for head in range(4)]
    block = found.values[8:12, 8:12]
    np.testing.assert_allclose(values(shown)[:, shown["cols"] - 4 :], block, atol=1e-4)
    assert "mean over 80 images" in text(app)

    app.session_state["heads_pair"] = (9, 11)
    app.run()
    finish(app)
    assert f"**L2·H1 and L2·H3: {found.values[9, 11]:.3f}**" in text(app)
    each = [accumulate([r.cls_rows.reshape(24, 1, 64)[[9, 11]]]).values[0, 1] for r in records]
    ranked = sorted(range(80), key=lambda i: -each[i])
    for i, why in zip([*ranked[:2], *ranked[-2:]], ["most"] * 2 + ["least"] * 2, strict=True):
        line = f"**{each[i]:.3f}** {literal(f'agree {why} · {demo.images()[i].name}')}"
        assert line in text(app)


@pytest.mark.parametrize("depth", [4, 5])
def test_the_wheel_zooms_where_the_page_says_so(
    app: AppTest, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    with_model(app, monkeypatch, "vit_tiny_patch16_224", img_size=32, depth=depth)
    opened(app, REPAIRABLE, "Similarity")
    shown = cells(app, "Similarity")
    assert shown["rows"] == 3 * depth
    assert shown["zoom"] == ("the wheel zooms" in text(app)) == (depth == 5)


def test_names_of_a_large_models_heads_can_be_read() -> None:
    titles = names.every(12, 12)
    scale = Scale(-1.0, 1.0, True, "", mark=0.0)
    picture, margin = heat_map.draw(np.eye(144), titles, scale, 640)
    assert picture.height >= 14 * 144, "a line of small print for each head"
    assert picture.width == picture.height // 144 * (144 + margin)


def test_few_images_are_shown_once() -> None:
    def picked(*found: float) -> list[tuple[str, int]]:
        images = tuple(str(i) for i in range(len(found)))
        return pairs.extremes(comparison.OnImages(images, np.array(found)))

    assert picked(0.3) == [("", 0)]
    assert picked(0.3, 0.9) == [("agree most", 1), ("agree least", 0)]
    assert picked(0.3, 0.9, 0.1) == [("agree most", 1), ("agree most", 0), ("agree least", 2)]
    assert [i for _, i in picked(0.1, 0.2, 0.3, 0.4, 0.5)] == [4, 3, 0, 1]


def test_a_click_on_the_heat_map_is_told_without_the_columns_of_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[int, int]] = []
    asked: dict[str, Any] = {}
    monkeypatch.setattr(heat_map.cells, "cells", lambda *args, **rest: asked.update(rest))
    heat_map.show(
        np.eye(3),
        ["L0·H0", "L0·H1", "L0·H2"],
        Scale(-1.0, 1.0, True, ""),
        width=300,
        selected=[(1, 2)],
        on_pick=told.append,
    )
    margin = asked["values"].shape[1] - 3
    assert margin > 0
    assert asked["selected"] == [(1, 2 + margin)]
    asked["on_pick"]((2, 0))
    asked["on_pick"]((2, margin))
    assert told == [(2, 0)]


# -- numbers and flags ---------------------------------------------------------------------------


def test_numbers_of_every_head(app: AppTest, vit: attnlib.Vit) -> None:
    opened(app, REPAIRABLE, "Numbers and flags")
    found = head_statistics(vit, vit.pixels(sample(REPAIRABLE)[0]))
    for title, expected in (
        ("Entropy:", found.entropy),
        ("Attention distance:", found.distance),
        ("Peak:", found.peak),
        ("On CLS:", found.cls),
        ("On sinks:", found.sinks),
    ):
        np.testing.assert_allclose(values(cells(app, title)), expected, atol=1e-4)
    first = cells(app, "Peak:")["cell_names"][0]
    assert first == f"L0·H0 at {vit.layout.token_name(int(found.peak_token[0, 0]))}"
    assert "no registers" in text(app)
    at_patches = cells(app, "Number of heads that peak")["cell_names"]
    assert sum(name.count("·H") for name in at_patches) == int((found.peak_token > 0).sum())

    choose(app, "heads_numbers_as", "Dots by layer")
    assert len(app.get("arrow_vega_lite_chart") or app.get("vega_lite_chart")) == 5


def test_the_mean_of_the_numbers_over_all_images(app: AppTest, vit: attnlib.Vit) -> None:
    opened(app, REPAIRABLE, "Numbers and flags")
    choose(app, "heads_scope", "All images")
    each = [
        head_statistics(vit, vit.pixels(Image.open(io.BytesIO(image.data)).convert("RGB")))
        for image in demo.images()
    ]
    mean, count = mean_statistics(each)
    np.testing.assert_allclose(values(cells(app, "Entropy:")), mean.entropy, atol=1e-4)
    assert f"mean over {count} images" in text(app)
    assert "choose “This image”" in text(app), "peaks of many images have no one place"


def test_thresholds_flag_without_computing_again(app: AppTest, vit: attnlib.Vit) -> None:
    opened(app, REPAIRABLE, "Numbers and flags")
    picture = sample(REPAIRABLE)[0]
    similarity_ = accumulate([vit.inspect(picture).cls_rows.reshape(24, 1, 64)])
    statistics = head_statistics(vit, vit.pixels(picture))
    flags = flag(similarity_, statistics)
    for kind, hit in (
        ("redundant", flags.redundant),
        ("one-hot", flags.one_hot),
        ("uniform", flags.uniform),
    ):
        said = any(f"No head is {kind}" in info.value for info in app.info)
        assert said == (not hit.any())
    before = dict(app.session_state["tasks"])
    limit = float(np.floor(np.sort(statistics.peak.ravel())[-2] * 100) / 100)
    choose(app, "heads_threshold_one-hot", limit)
    assert dict(app.session_state["tasks"]) == before
    flags = flag(similarity_, statistics, one_hot=limit)
    assert flags.one_hot.sum() >= 2
    table = next(f.value for f in app.dataframe if len(f.value) == flags.one_hot.sum())
    np.testing.assert_allclose(
        table["value"], np.sort(statistics.peak[flags.one_hot])[::-1], atol=1e-4
    )
    assert set(table["threshold"]) == {limit}


# -- other models --------------------------------------------------------------------------------


def with_model(
    app: AppTest, monkeypatch: pytest.MonkeyPatch, name: str, **options: Any
) -> attnlib.Vit:
    """Let the visitor have chosen a model that knows the demo's classes."""
    torch.manual_seed(0)
    module = timm.create_model(name, num_classes=10, **options)
    return use(app, module, monkeypatch, class_names=demo.CLASS_NAMES)


def test_a_model_without_a_cls_token(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    vit = with_model(
        app,
        monkeypatch,
        "vit_tiny_patch16_224",
        img_size=64,
        depth=2,
        global_pool="avg",
        class_token=False,
    )
    opened(app, REPAIRABLE)
    assert cells(app, "Change of the margin")["rows"] == 2
    opened(app, REPAIRABLE, "Similarity")
    assert "Query: average over patches" in text(app)
    maps = vit.inspect(sample(REPAIRABLE)[0]).cls_rows.reshape(6, 1, 16)
    choose(app, "heads_cluster", False)
    shown = cells(app, "Similarity")
    expected = accumulate([maps]).values
    np.testing.assert_allclose(values(shown)[:, shown["cols"] - 6 :], expected, atol=1e-4)
    opened(app, REPAIRABLE, "Numbers and flags")
    assert "no CLS token" in text(app)
    with pytest.raises(AssertionError, match="no picture"):
        cells(app, "On CLS:")


def test_heads_that_are_mixed_cannot_be_removed(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_model(app, monkeypatch, "cait_xxs24_224", img_size=64, depth=2)
    opened(app, REPAIRABLE)
    (warning,) = app.warning
    assert "lets no intervention" in warning.value
    assert "“Similarity”" in warning.value
    opened(app, REPAIRABLE, "Similarity")
    assert cells(app, "Similarity")["rows"] == 8


def test_windowed_attention_is_refused_with_the_reason(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_model(
        app,
        monkeypatch,
        "swin_tiny_patch4_window7_224",
        depths=(1, 1),
        embed_dim=24,
        num_heads=(2, 2),
        img_size=56,
    )
    for section in (
        "Effect on the prediction",
        "Similarity",
        "Numbers and flags",
        "Common problems",
    ):
        opened(app, REPAIRABLE, section)
        assert "attend within windows" in text(app), section
        assert "Grad-CAM and occlusion" in text(app), section
        assert not drawn(app)
