"""The page “Rollout vs flow”, driven in process."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import streamlit as st
import timm
from PIL import Image
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.dashboard.compare.belief import sentence
from attnlib.dashboard.compare.compute import times_uniform
from attnlib.dashboard.compare.drawing import Look, reach, sheet
from attnlib.dashboard.compare.settings import COMPARED
from attnlib.dashboard.compare.where import patch_box
from attnlib.data import annotation
from attnlib.data.image import decode, sha256
from attnlib.errors import AttnlibError
from attnlib.evaluation import agreement, faithfulness, localisation, randomisation
from attnlib.evaluation.belief import Belief, Tried, believe, holm
from attnlib.evaluation.summary import Summary
from attnlib.methods import METHODS, Heat
from attnlib.methods.flow import flow_details
from attnlib.model import demo
from tests.dashboard.driving import click, finish, part, png, settle, text, upload, use
from tests.dashboard.screen import charted

PAGE = "../../pages/rollout_vs_flow/page.py"
IMAGE = next(image for image in demo.images() if image.chosen == "confident mistake")
Drawn = dict[str, dict[str, Any]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """What was handed to the cells on screen, by key; a button stands for a click on a cell."""
    found: Drawn = {}

    def cells(picture: Image.Image, shape: tuple[int, int], *, key: str, **rest: Any) -> None:
        found[key] = {"picture": picture, "shape": shape, **rest}
        if rest.get("on_pick"):
            for cell in ((0, 0), (0, 5), (1, 2), (6, 4)):
                st.button(f"{key} {cell}", on_click=rest["on_pick"], args=(cell,))

    for module in ("drawing", "agreement", "where"):
        monkeypatch.setattr(f"attnlib.dashboard.compare.{module}.cells", cells)
    return found


@pytest.fixture
def page(app: AppTest, drawn: Drawn) -> AppTest:
    settle(app.run())
    app.session_state["image"] = IMAGE.name
    app.switch_page(PAGE).run()
    return finish(app)


def words(app: AppTest) -> str:
    """All words on the page, titles of boxes among them."""
    boxes = [*app.warning, *app.info, *app.success]
    return text(app) + "\n".join(f"{box.proto.title} {box.value}" for box in boxes)


def frame(app: AppTest, column: str) -> dict[str, dict[str, Any]]:
    """The table that has this column, by method."""
    table = next(f.value for f in app.dataframe if column in f.value.columns)
    return {row["method"]: row for row in table.to_dict("records")}


def heats(vit: attnlib.Vit, target: int, **options: Any) -> dict[str, Heat]:
    """All maps, straight from the library."""
    subject = vit.subject(decode(IMAGE.data))
    found = {}
    for name in COMPARED:
        known = {k: v for k, v in options.items() if k in METHODS[name].options}
        found[name] = vit.explain(subject, name, target, **known)
    return found


def predicted(vit: attnlib.Vit) -> int:
    return vit.inspect(decode(IMAGE.data)).predicted


def assert_shown(drawn: Drawn, expected: dict[str, Heat]) -> None:
    for name, heat in expected.items():
        share = times_uniform(heat.values)
        shown = drawn[f"compare_map_{name}"]["values"]
        if share is None:
            assert shown is None, name
        else:
            np.testing.assert_allclose(shown, share, rtol=1e-4, atol=1e-6, err_msg=name)


# -- shares ------------------------------------------------------------------------------------


def test_a_share_is_of_the_positive_part_and_uniform_is_one() -> None:
    assert times_uniform(np.full((2, 3), 7.0)) == pytest.approx(np.ones((2, 3)))
    found = times_uniform(np.array([[3.0, 1.0], [-5.0, 0.0]]))
    assert found == pytest.approx(np.array([[3.0, 1.0], [0.0, 0.0]]))
    assert times_uniform(np.array([[-1.0, 0.0]])) is None


# -- maps --------------------------------------------------------------------------------------


def test_all_methods_stand_side_by_side(page: AppTest, drawn: Drawn, vit: attnlib.Vit) -> None:
    for name in COMPARED:
        assert f"**{METHODS[name].title}**" in text(page)
    assert_shown(drawn, heats(vit, predicted(vit)))
    assert "× uniform" in text(page)
    assert "1 is what a patch gets if all patches get the same" in text(page)
    assert "Query: CLS token" in text(page)
    (said,) = {METHODS[name].caution for name in ("rollout", "residual", "flow")}
    assert f"**Attention rollout, Residual propagation, Attention flow**: {said}" in text(page)
    assert "25 %" in said and "random patch in 30 %" in said and "layer 9" in said


def test_every_control_changes_the_maps_that_have_the_option(
    page: AppTest, drawn: Drawn, vit: attnlib.Vit
) -> None:
    options: dict[str, Any] = {}
    target = predicted(vit)
    before = {key: value["values"] for key, value in drawn.items()}

    def changed(*names: str) -> None:
        finish(page)
        assert_shown(drawn, heats(vit, target, **options))
        for name in names:
            key = f"compare_map_{name}"
            assert not np.allclose(before[key], drawn[key]["values"]), name
        before.update({key: value["values"] for key, value in drawn.items()})

    page.segmented_control(key="compare_fusion").set_value("max").run()
    options["head_fusion"] = "max"
    changed("raw", "rollout", "residual", "flow")
    page.slider(key="compare_discard").set_value(0.5).run()
    options["discard_ratio"] = 0.5
    changed("rollout", "residual", "flow")
    page.slider(key="compare_residual").set_value(0.2).run()
    options["residual_weight"] = 0.2
    changed("rollout", "residual", "flow")
    page.slider(key="compare_start").set_value(2).run()
    options["start_layer"] = 2
    changed("rollout", "residual", "relevance")
    page.slider(key="compare_source").set_value(2).run()
    options["source_layer"] = 2
    changed("flow")
    target = (target + 1) % 10
    page.selectbox(key="compare_target").set_value(target).run()
    changed("relevance", "gradcam", "occlusion")
    assert f"for “{vit.class_names[target]}”" in text(page)


def test_how_it_is_drawn(page: AppTest, drawn: Drawn) -> None:
    def picture() -> bytes:
        found: bytes = drawn["compare_map_relevance"]["picture"].tobytes()
        return found

    seen = [picture()]
    page.segmented_control(key="compare_scale").set_value("× uniform").run()
    seen.append(picture())
    page.selectbox(key="colormap").set_value("cividis").run()
    seen.append(picture())
    page.segmented_control(key="compare_end").set_value("largest value").run()
    seen.append(picture())
    page.slider(key="opacity").set_value(0.2).run()
    seen.append(picture())
    page.segmented_control(key="compare_scale").set_value("per map").run()
    seen.append(picture())
    assert len(set(seen)) == 6


def test_the_page_says_when_flow_is_its_closed_form(page: AppTest, vit: attnlib.Vit) -> None:
    subject = vit.subject(decode(IMAGE.data))
    counts = []
    for layer in range(6, 0, -1):
        page.slider(key="compare_source").set_value(layer).run()
        finish(page)
        held = int(flow_details(subject, source_layer=layer).closed_form.sum())
        counts.append(held)
        if held == 64:
            assert "closed form for all 64 patches" in words(page)
        elif held:
            assert f"closed form for {held} of 64 patches" in words(page)
        else:
            assert "nowhere its closed form" in words(page)
        assert ("min(source cut, sink cut)" in words(page)) == bool(held)
        assert (f"A source layer below {layer} may tell more" in words(page)) == bool(held)
    assert counts[0] == 64
    assert 0 in counts


def test_the_difference_is_signed_and_of_the_two_chosen(
    page: AppTest, drawn: Drawn, vit: attnlib.Vit
) -> None:
    page.selectbox(key="compare_first").set_value("relevance").run()
    page.selectbox(key="compare_second").set_value("random").run()
    made = heats(vit, predicted(vit))
    first, second = (times_uniform(made[name].values) for name in ("relevance", "random"))
    assert first is not None
    assert second is not None
    shown = drawn["compare_difference"]["values"]
    np.testing.assert_allclose(shown, first - second, rtol=1e-4, atol=1e-5)
    assert shown.min() < 0 < shown.max()
    metrics = {metric.label: metric.value for metric in page.metric}
    assert metrics["Spearman"] == f"{agreement.spearman([first, second])[0, 1]:.2f}"
    assert metrics["Moved"] == f"{np.abs(first - second).sum() / 128:.0%}"


# -- agreement ---------------------------------------------------------------------------------


def test_agreement_equals_the_library_and_a_click_chooses_the_pair(
    page: AppTest, drawn: Drawn, vit: attnlib.Vit
) -> None:
    part(page, "Agreement")
    maps = [heat.values for heat in heats(vit, predicted(vit)).values()]
    np.testing.assert_allclose(
        drawn["compare_spearman"]["values"], agreement.spearman(maps), atol=1e-3
    )
    np.testing.assert_allclose(drawn["compare_overlap"]["values"], agreement.overlap(maps, 0.1))
    page.slider(key="compare_top").set_value(50).run()
    np.testing.assert_allclose(drawn["compare_overlap"]["values"], agreement.overlap(maps, 0.5))
    assert "**Top 32 of 64 patches in common**" in text(page)
    click(page, "compare_spearman (0, 5)")
    assert page.selectbox(key="compare_first").value == "raw"
    assert page.selectbox(key="compare_second").value == "gradcam"
    assert drawn["compare_overlap"]["selected"] == [(0, 5)]


# -- faithfulness ------------------------------------------------------------------------------


@pytest.mark.parametrize("replacement", ["blur", "zero"])
def test_areas_of_this_image_equal_the_library(
    page: AppTest, vit: attnlib.Vit, replacement: Any
) -> None:
    part(page, "Faithfulness")
    page.segmented_control(key="compare_replacement").set_value(replacement).run()
    finish(page)
    target = predicted(vit)
    made = heats(vit, target)
    del made["random"]
    found = faithfulness.evaluate(
        vit, vit.pixels(decode(IMAGE.data)), [*made.values()], [target], replacement=replacement
    )
    rows = frame(page, "deletion AUC")
    for entry in found.methods:
        row = rows[METHODS[entry.method].title]
        assert row["deletion AUC"] == pytest.approx(entry.deletion.auc[0], abs=1e-3)
        assert row["insertion AUC"] == pytest.approx(entry.insertion.auc[0], abs=1e-3)
    assert rows["Random orders"]["deletion AUC"] == pytest.approx(
        found.random_deletion.auc.mean(), abs=1e-3
    )
    charts = [json.loads(chart.proto.spec) for chart in page.get("vega_lite_chart")]
    assert len(charts) == 4
    for chart in charts[::2]:
        assert [layer["mark"]["type"] for layer in chart["layer"]] == ["area", "line", "line"]
    assert ("its own ruler, zero" in text(page)) == (replacement == "zero")


@pytest.mark.parametrize("where", ["Maps", "Faithfulness"])
def test_which_method_to_believe_is_said_in_one_sentence(
    page: AppTest, vit: attnlib.Vit, where: str
) -> None:
    if where != "Maps":
        part(page, where)
        page.segmented_control(key="compare_replacement").set_value("mean").run()
        finish(page)
    target = predicted(vit)
    made = heats(vit, target)
    middle = made["centre"]
    del made["random"], made["centre"]
    used = "mean" if where != "Maps" else "blur"
    pixels = vit.pixels(decode(IMAGE.data))
    found = believe(vit, pixels, [*made.values()], target, beside=[middle], replacement=used)
    (said,) = (
        box.value for box in [*page.success, *page.info] if "on this image**" in str(box.value)
    )
    assert f"of {len(made)} methods tried" in said
    if found.best is None:
        assert said.startswith("**Believe none of them on this image**")
        assert "none is better than random here" in said
    else:
        assert said.startswith(f"**Believe {METHODS[found.best.method].title} on this image**")
    rows = frame(page, "gap")
    for entry in found.tried:
        row = rows[METHODS[entry.method].title]
        assert row["gap"] == pytest.approx(entry.gap, abs=1e-3)
        assert row["p"] == pytest.approx(entry.p, rel=0.02)
        assert row["believed"] == entry.believed
    assert rows["Centre prior"]["gap"] == pytest.approx(found.beside[0].gap, abs=1e-3)
    assert f"has a gap of {found.beside[0].gap:.3f}" in text(page)
    assert rows["Moved maps, mean of 24"]["gap"] == pytest.approx(found.moved.mean(), abs=1e-3)


def of_chances(*chances: float) -> Belief:
    """What would be found of maps with these chances, the surest first."""
    levels, believed = holm(np.array(chances))
    tried = [
        Tried(name, 0.1 * i, 0.9, *(float(p), float(level), bool(hit)))
        for i, (name, p, level, hit) in enumerate(
            zip(("relevance", "rollout", "raw"), chances, levels, believed, strict=False)
        )
    ]
    return Belief(tuple(tried), np.zeros(24), 0, "blur")


def test_the_sentence_says_how_many_were_tried_and_what_was_needed() -> None:
    none = sentence(of_chances(0.02, 0.04, 0.9))
    assert none.startswith("**Believe none of them on this image**: of 3 methods tried, none is")
    assert "Gradient-weighted relevance comes nearest: the same maps moved" in none
    assert "do as well in 2.00% of cases, and with 3 tries at most 1.67% counts" in none
    one = sentence(of_chances(0.01, 0.04, 0.9))
    assert one.startswith("**Believe Gradient-weighted relevance on this image**: of 3 methods")
    assert "do as well in 1.00% of cases, and with 3 tries at most 1.67% counts" in one
    assert "too" not in one
    assert "less than 0.01% of cases" in sentence(of_chances(0.00001, 0.02, 0.9))
    assert "Better than random too: Attention rollout." in sentence(of_chances(0.00001, 0.02, 0.9))
    assert "the only method tried" in sentence(of_chances(0.2))


def test_all_images_in_one_table(page: AppTest, vit: attnlib.Vit) -> None:
    part(page, "Faithfulness")
    page.multiselect(key="compare_all_methods").set_value(["raw", "relevance"]).run()
    page.slider(key="compare_all_images").set_value(10).run()
    click(page, "Deletion and insertion of 10 images")
    rows = frame(page, "deletion gain")
    assert {row["images"] for row in rows.values()} == {10}
    assert "CVPR 2021" in text(page)
    samples = page.session_state["session"].samples
    order = [p.name for p in page.session_state["workspace"].predictions]
    picked = sorted(np.random.default_rng(0).permutation(80)[:10].tolist())
    summary = Summary()
    for sample in (s for i in picked for s in samples if s.name == order[i]):
        subject = vit.subject(decode(sample.data))
        record, true = vit.inspect(decode(sample.data)), demo.CLASS_NAMES.index(sample.label)
        classes = list(dict.fromkeys([record.predicted, true]))
        made = [vit.explain(subject, "raw")]
        made += [vit.explain(subject, "relevance", c) for c in classes]
        result = faithfulness.evaluate(vit, subject.pixels, made, classes, steps=8, draws=4)
        summary.add(result, record.predicted, true)
    expected = {(r.method, r.kind, r.outcome): r for r in summary.rows()}
    for name in ("raw", "relevance"):
        gain = expected[name, "predicted", "all"].insertion_gain
        shown = [float(part) for part in rows[METHODS[name].title]["insertion gain"].split(" ± ")]
        assert shown == pytest.approx([gain.mean, gain.high - gain.mean], abs=2e-3)
    page.segmented_control(key="compare_all_kind").set_value("true").run()
    page.segmented_control(key="compare_all_outcome").set_value("wrong").run()
    wrong = expected["relevance", "true", "wrong"]
    row = frame(page, "deletion gain")["Gradient-weighted relevance"]
    assert row["images"] == wrong.images
    assert float(row["deletion"].split(" ± ")[0]) == pytest.approx(wrong.deletion.mean, abs=2e-3)


# -- randomised weights ------------------------------------------------------------------------


def test_randomised_weights(page: AppTest, drawn: Drawn, vit: attnlib.Vit) -> None:
    part(page, "Randomised weights")
    image = decode(IMAGE.data)
    original = vit.attribute(image, "relevance", predicted(vit))
    stages = list(randomisation.cascade(vit, image, original))
    for place, heat in enumerate([original, *(stage.heat for stage in stages)]):
        share = times_uniform(heat.values)
        assert share is not None
        np.testing.assert_allclose(
            drawn[f"compare_stage_{place}"]["values"], share, rtol=1e-3, atol=1e-4
        )
    listed = charted(page.get("vega_lite_chart")[0])
    shown = {row["stage"]: row["similarity"] for row in listed if row["measure"] == "Spearman"}
    assert shown == pytest.approx(
        {"original": 1.0} | {stage.name: stage.spearman for stage in stages}, abs=1e-3
    )
    assert "does not depend on the weights" not in words(page)
    page.selectbox(key="compare_random_method").set_value("random").run()
    finish(page)
    assert "Random does not depend on the weights at all" in words(page)


# -- localisation ------------------------------------------------------------------------------


def mask_png(side: int = 32) -> bytes:
    mask = np.zeros((side, side), np.uint8)
    mask[side // 4 : 3 * side // 4, side // 8 : side // 2] = 255
    out = io.BytesIO()
    Image.fromarray(mask).save(out, "PNG")
    return out.getvalue()


def assert_measured(page: AppTest, vit: attnlib.Vit, mask: annotation.Mask) -> None:
    rows = frame(page, "pointing game")
    for name, heat in heats(vit, predicted(vit)).items():
        expected = localisation.localise(heat.values, mask)
        row = rows[METHODS[name].title]
        assert row["mass inside"] == pytest.approx(expected.mass, abs=1e-4), name
        assert row["mass ÷ area"] == pytest.approx(expected.ratio, abs=1e-4), name
        assert row["AUC"] == pytest.approx(expected.auc, abs=1e-2), name


def test_a_box_of_two_clicks_or_four_numbers(page: AppTest, drawn: Drawn, vit: attnlib.Vit) -> None:
    part(page, "Localisation")
    assert "Say where the object is" in words(page)
    key = next(key for key in drawn if key.endswith("_cells"))
    click(page, f"{key} (6, 4)")
    assert drawn[key]["selected"] == [(6, 4)]
    click(page, f"{key} (1, 2)")
    corners = [f.value for f in page.number_input if not str(f.key).startswith("pre_")]
    assert corners == [8, 4, 20, 28]
    assert_measured(page, vit, annotation.box_mask((8, 4, 20, 28), (32, 32)))
    page.number_input[2].set_value(32).run()
    assert_measured(page, vit, annotation.box_mask((8, 4, 32, 28), (32, 32)))
    page.number_input[0].set_value(32).run()
    assert "holds no pixel" in words(page), "an empty box is answered in a sentence"
    click(page, "Clear")
    assert "Say where the object is" in words(page)


def test_uploaded_masks_and_annotations(page: AppTest, vit: attnlib.Vit) -> None:
    part(page, "Localisation")

    def give(*files: tuple[str, bytes, str]) -> None:
        uploader = next(u for u in page.file_uploader if u.label.startswith("PNG masks"))
        uploader.set_value(list(files)).run()
        finish(page)

    give(("any.png", mask_png(), "image/png"))
    mask = np.asarray(Image.open(io.BytesIO(mask_png()))) > 0
    assert_measured(page, vit, annotation.to_crop(vit.transform, mask))
    assert page.session_state["session"].objects.masks.keys() == {sha256(IMAGE.data)}
    give(("small.png", mask_png(16), "image/png"), ("broken.json", b"[1", "application/json"))
    assert "16 x 16 pixels and its image 32 x 32" in words(page)
    assert "no valid JSON" in words(page).replace("\\", "")
    coco = {
        "images": [{"id": 1, "file_name": IMAGE.name, "width": 32, "height": 32}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [4, 8, 12, 16]}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    give(("instances.json", json.dumps(coco).encode(), "application/json"))
    source = next(g for g in page.segmented_control if g.label == "Where the object is")
    source.set_value("COCO file").run()
    finish(page)
    box = annotation.box_mask((4, 8, 16, 24), (32, 32))
    assert_measured(page, vit, annotation.to_crop(vit.transform, box))


def test_a_mask_lying_beside_the_image(app: AppTest, drawn: Drawn) -> None:
    settle(app.run())
    upload(
        app,
        ("a.png", png(0, 32), "image/png"),
        ("a_mask.png", mask_png(), "image/png"),
        ("b.png", png(1, 32), "image/png"),
    )
    app.session_state["image"] = "a.png"
    app.query_params["compare_part"] = "Localisation"
    app.switch_page(PAGE).run()
    finish(app)
    source = next(g for g in app.segmented_control if g.label == "Where the object is")
    assert source.value == "Mask"
    assert [s.name for s in app.session_state["session"].samples] == ["a.png", "b.png"]
    assert frame(app, "pointing game")["Random"]["area"] == pytest.approx(3 / 16)


def test_a_box_of_patches_holds_both_corners() -> None:
    assert patch_box((3, 1), (0, 2), (4, 4), (20, 40)) == (5, 0, 15, 40)


# -- other models ------------------------------------------------------------------------------


def test_a_model_that_averages_its_patches(
    page: AppTest, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = timm.create_model(
        "vit_tiny_patch16_224", img_size=64, depth=2, num_classes=4, global_pool="avg"
    )
    page.session_state["session"].manual = {}
    vit = use(page, module, monkeypatch)
    settle(page)
    finish(page)
    assert "Query: average over patches" in text(page)
    for button in [b for b in page.button if b.label.startswith("Compute")]:
        button.click().run()
        finish(page)
    assert_shown(drawn, heats(vit, predicted(vit)))
    for name in ("Agreement", "Faithfulness", "Randomised weights", "Localisation"):
        part(page, name)
        assert not page.exception


def test_a_model_of_windows_says_what_is_missing_and_offers_the_rest(
    page: AppTest, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn.clear()
    module = timm.create_model("swin_tiny_patch4_window7_224", img_size=56, depths=(1, 1, 1, 1))
    vit = use(page, module, monkeypatch)
    settle(page)
    finish(page)
    assert vit.support.reason.split(";")[0][:40] in words(page).replace("\\", "")
    for name in ("Raw attention", "Attention rollout", "Attention flow"):
        assert f"**{name}**:" in words(page)
    there = words(page).partition("What is defined here: ")[2]
    assert (
        there.startswith("Grad-CAM, AttnLRP, Integrated gradients, Occlusion, RISE, ")
        and "Random" in there
    )
    assert set(drawn) >= {"compare_map_random"}
    assert "compare_map_rollout" not in drawn
    for name in ("Agreement", "Faithfulness", "Randomised weights", "Localisation"):
        part(page, name)
        assert not page.exception


def test_what_fails_for_one_method_leaves_the_others(
    page: AppTest, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AttnlibError("no <b>flow</b> today")

    drawn.clear()
    monkeypatch.setattr("attnlib.dashboard.compare.compute.flow_details", fail)
    page.slider(key="compare_residual").set_value(0.35).run()
    finish(page)
    assert "flow" in words(page)
    assert "<b>flow</b>" not in words(page), "a reason is no markup"
    assert "today" in words(page)
    assert "compare_map_flow" not in drawn
    assert "compare_map_rollout" in drawn
    pair = [page.selectbox(key=key).value for key in ("compare_first", "compare_second")]
    assert pair == ["rollout", "raw"]
    monkeypatch.undo()
    page.slider(key="compare_residual").set_value(0.4).run()
    finish(page)
    assert page.selectbox(key="compare_second").value == "flow", "the default, now that it is there"


def test_the_sheet_of_all_maps_has_their_scale() -> None:
    crop = Image.new("RGB", (20, 10), "red")
    scale = Look(end=1.0, kind="× uniform").scale([np.array([[0.0, 3.5]])])
    assert (scale.low, scale.high, scale.mark) == (0.0, 4.0, 1.0)
    made = sheet(crop, {str(i): crop for i in range(4)}, scale, Look(), side=100)
    assert made.width == 4 * 108
    ends = np.array([made.getpixel((x, made.height - 2 * 26 + 8)) for x in (5, 102)], int)
    # The first and the last colour of plasma as published.
    assert np.abs(ends - [(13, 8, 135), (240, 249, 33)]).max() < 12


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.0, 3.0, "0 to 3 ×"),
        (0.79, 1.1, "0.79 to 1.1 ×"),
        (0.81, 1.19, "nearly uniform, 0.81 to 1.19 ×"),
        (0.9, 1.21, "0.9 to 1.21 ×"),
        (1.0, 1.0, "uniform: every patch gets the same"),
    ],
)
def test_an_even_map_is_said_to_be_even(low: float, high: float, said: str) -> None:
    assert reach(np.array([[low, high]])) == said
