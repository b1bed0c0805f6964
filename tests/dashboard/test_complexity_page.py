"""The complexity calculator: its controls, its links, and that it shows what the library says."""

from __future__ import annotations

import dataclasses
import json
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
from PIL import Image
from streamlit.testing.v1 import AppTest

from attnlib.__main__ import main
from attnlib.capture.passes import admitted
from attnlib.complexity import Architecture, ArchitectureError, Cost, Problem, cost
from attnlib.complexity.alternatives import alternatives
from attnlib.complexity.attention_benchmark import AttentionTime
from attnlib.complexity.cost import Over
from attnlib.complexity.savings import Options
from attnlib.complexity.training_benchmark import StepTime
from attnlib.dashboard.cost import configuration, fields, pins, speed, sweeps, table, timing, words
from attnlib.dashboard.cost.configuration import Configuration
from attnlib.data.image import decode
from attnlib.errors import AttnlibError
from attnlib.heads import head_statistics
from attnlib.model import demo
from attnlib.model.demo import build
from attnlib.model.vit import Vit
from tests.dashboard.driving import finish, use
from tests.dashboard.screen import charted

ROOT = Path(__file__).parents[2]
PARTS = ("Cost", "Sweeps", "Measured", "Alternatives", "Side by side", "Receptive field")
DEMO = Architecture.vit(32, 4, dim=128, depth=6, heads=4, classes=10)
ALONE = timing.Limits(seconds=0.2, longest_pass=5.0, memory=None)


def opened(app: AppTest, **query: str) -> AppTest:
    """The page, opened for the first time, with this in the address bar."""
    app.run()
    app.switch_page("../../pages/complexity_calculator/page.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def words_on(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.info, app.warning)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def charts(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception
    return app


def test_shows_the_loaded_model_as_the_library_counts_it(app: AppTest) -> None:
    shown = metrics(opened(app))
    expected = cost(DEMO)
    assert shown["Tokens T"] == "65"
    assert shown["Parameters"] == words.si(sum(p.numel() for p in build().parameters()))
    assert shown["MACs"] == words.si(expected.macs.total)
    assert shown["FLOPs"] == words.si(2 * expected.macs.total)
    assert shown["Peak memory"] == words.memory(expected.memory.peak)
    assert shown["Overtakes the rest at"] == f"T = {expected.crossover.tokens:,.0f}"
    assert words.memory(65 * 65 * 4) in words_on(app), "the attention matrix of one head"


def test_both_published_conventions_of_vit_b(app: AppTest) -> None:
    shown = metrics(opened(app, cost_of="timm model"))
    assert shown["MACs with QKᵀ and AV"] == "17.56 G"
    assert shown["MACs without QKᵀ and AV"] == "16.85 G"
    assert shown["Parameters"] == "86.57 M"


def test_a_free_architecture_has_its_sizes_written_out(app: AppTest) -> None:
    opened(app, cost_of="Free")

    def shown() -> list[int]:
        return [app.number_input(key=f"cost_{f}").value for f in ("height", "width", "patch")]

    assert shown() == [224, 224, 16]
    app.number_input(key="cost_height").set_value(448).run()
    assert shown() == [448, 448, 16], "the width follows the height"
    app.number_input(key="cost_width").set_value(224).run()
    app.number_input(key="cost_patch").set_value(32).run()
    assert metrics(app)["Tokens T"] == str(14 * 7 + 1)
    assert app.query_params["cost_height"] == "448"
    app.segmented_control(key="cost_of").set_value("Loaded model").run()
    assert shown() == [None] * 3, "its own sizes are behind the empty fields"
    assert metrics(app)["Tokens T"] == "65"


def test_a_cold_link_restores_every_choice(app: AppTest) -> None:
    query = {
        "cost_of": "Free", "cost_height": "384", "cost_width": "192", "cost_patch": "8",
        "cost_dim": "384", "cost_depth": "7", "cost_heads": "6", "cost_mlp_ratio": "3.5",
        "cost_prefix": "5", "cost_classes": "11", "cost_batch": "3", "cost_dtype": "bfloat16",
        "cost_pass": "training", "cost_attention": "materialised",
    }  # fmt: skip
    shown = metrics(opened(app, **query))
    a = Architecture.vit((384, 192), 8, 384, 7, 6, 3.5, 11, registers=4)
    expected = cost(a, 3, "bfloat16", training=True, materialised=True)
    assert shown["Tokens T"] == f"{48 * 24 + 5:,}"
    assert shown["Parameters"] == words.si(expected.parameters.total)
    assert shown["MACs"] == words.si(expected.macs.total)
    assert shown["MACs of a training step"] == words.si(expected.training_macs)
    assert shown["Peak memory"] == words.memory(expected.memory.peak)
    assert {name: app.query_params[name] for name in query} == query


def test_parts_and_their_controls_are_in_the_link(app: AppTest) -> None:
    opened(app, cost_part="Sweeps", cost_over="Batch", cost_shown="Memory")
    assert app.segmented_control(key="cost_over").value == "Batch"
    assert app.segmented_control(key="cost_shown").value == "Memory"
    app.segmented_control(key="cost_part").set_value("Cost").run()
    app.segmented_control(key="cost_part").set_value("Sweeps").run()
    assert app.segmented_control(key="cost_over").value == "Batch", "kept while not on screen"


def test_the_parameter_of_an_alternative_is_in_the_link(app: AppTest) -> None:
    opened(app, cost_part="Alternatives", cost_window="3")
    way = next(w for w in alternatives(DEMO, options=Options(window=3)) if w.name == "windowed")
    assert f"{words.si(way.macs_after)} (**{words.times(way.macs_ratio)}**)" in words_on(app)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"cost_patch": "300"}, "larger than the image"),
        ({"cost_of": "Free", "cost_heads": "7"}, "do not divide"),
        ({"cost_of": "Free", "cost_depth": "0"}, "depth"),
        ({"cost_of": "Free", "cost_dim": "-5"}, "embedding dimension"),
        ({"cost_of": "Free", "cost_mlp_ratio": "-1"}, "MLP ratio"),
        ({"cost_of": "Free", "cost_prefix": "-1"}, "prefix tokens"),
        ({"cost_height": "0"}, "image size"),
        ({"cost_batch": "0"}, "batch"),
        ({"cost_height": "60000", "cost_attention": "materialised"}, "TiB"),
        ({"cost_of": "timm model", "cost_height": "8"}, "larger than the image"),
    ],
)
def test_the_impossible_explains_itself(app: AppTest, query: dict[str, str], sentence: str) -> None:
    opened(app, **query)
    wrong = [m.value for m in app.markdown if ":red[" in m.value]
    assert any(sentence in text for text in wrong), wrong
    assert not app.metric
    assert "fit together" in words_on(app)
    for part in PARTS[3:]:
        app.segmented_control(key="cost_part").set_value(part).run()
        assert not app.exception, part


def test_nonsense_in_the_link_is_refused_and_said(app: AppTest) -> None:
    opened(app, cost_of="x", cost_height="9" * 40, cost_dtype="int3", cost_part="?",
           cost_pina="source=free&heads=x&mlp_ratio=nan&" + "dim=1" * 300)  # fmt: skip
    assert metrics(app)["Tokens T"] == "65"
    said = {toast.value.split(":")[0] for toast in app.get("toast")}
    assert said == {"Architecture", "Image height", "Data type", "Part", "Pin A"}
    app.segmented_control(key="cost_part").set_value("Side by side").run()
    assert not app.exception
    assert "Pin this configuration as A" in words_on(app)


def test_a_pin_that_is_possible_to_say_but_not_to_build_says_so(app: AppTest) -> None:
    opened(app, cost_part="Side by side", cost_pina="source=free&mlp_ratio=0.0")
    assert "MLP ratio" in "".join(w.value for w in app.warning)


def test_every_sweep_draws_what_the_library_says(app: AppTest) -> None:
    opened(app, cost_of="timm model", cost_part="Sweeps")
    for axis, over in sweeps.AXES.items():
        app.segmented_control(key="cost_over").set_value(axis).run()
        assert not app.exception
        [spec] = charts(app)
        lines = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "line")
        now = cost(Architecture.from_timm("vit_base_patch16_224"))
        costs, _ = sweeps.curve(now, over)
        drawn = {r["x"]: r["y"] for r in lines["data"]["values"] if r["line"] == "all"}
        assert drawn == {sweeps.place(c, over): c.macs.total for c in costs}
        assert spec["layer"][0]["data"]["values"][0]["x"] == sweeps.place(now, over)
        assert len(drawn) >= 8
    app.segmented_control(key="cost_shown").set_value("Time").run()
    assert "measure some points first" in words_on(app)


@pytest.mark.parametrize("over", list(sweeps.AXES.values()))
def test_a_sweep_of_an_odd_model_stays_possible(over: Over) -> None:
    odd = cost(Architecture((37, 500), (3, 40), 120, 2, 5, 100), materialised=True)
    costs, _ = sweeps.curve(odd, over)
    assert odd in costs and len(costs) > 3
    places = [sweeps.place(c, over) for c in costs]
    assert places == sorted(set(places))
    assert all(sweeps._on(c, odd, over) for c in costs)
    assert not sweeps._on(cost(DEMO), odd, over)


def test_measuring_fills_in_the_numbers_and_the_sweep(app: AppTest) -> None:
    opened(app, cost_part="Measured")
    press(app, "Measure on cpu")
    shown = metrics(finish(app))
    [found] = app.session_state["cost_measured"].values()
    assert shown["Latency"] == words.duration(found.latency)
    assert shown["Share of the device's rate"] == f"{found.utilisation:.0%}"
    assert (found.cost.tokens, found.cost.macs) == (65, cost(DEMO).macs)
    app.segmented_control(key="cost_part").set_value("Sweeps").run()
    app.segmented_control(key="cost_shown").set_value("Time").run()
    dots = charts(app)[0]["layer"][-1]["data"]["values"]
    assert dots == [{"x": 32, "y": found.latency, "line": "measured"}]


def test_the_points_of_a_sweep_are_measured(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "limits", lambda: ALONE)
    opened(app, cost_part="Sweeps", cost_over="Batch", cost_shown="Time")
    press(app, "Measure points on cpu")
    finish(app)
    dots = {d["x"] for d in charts(app)[0]["layer"][-1]["data"]["values"]}
    assert {1, 2, 4, 8} <= dots
    if dots < {2**k for k in range(11)}:
        assert "too long or too much memory" in words_on(app)


def test_a_measurement_that_would_take_too_long_is_refused(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "limits", lambda: timing.SHARED)
    opened(app, cost_of="timm model", cost_batch="100000", cost_part="Measured")
    press(app, "Measure on cpu")
    finish(app)
    assert "shared server" in app.warning[0].value
    assert "cost_measured" not in app.session_state or not app.session_state["cost_measured"]


def test_limits_on_a_shared_device() -> None:
    slow = cost(Architecture.vit(2240, 16))
    with pytest.raises(AttnlibError, match="at least"):
        timing.one(slow, "cpu", timing.Limits(1.0, 0.001, None), lambda done, total: None)
    with pytest.raises(AttnlibError, match="emulated"):
        timing.one(cost(DEMO, dtype="float16"), "cpu", timing.SHARED, lambda d, t: None)
    with pytest.raises(AttnlibError, match="at least"):
        timing.forms(slow, "cpu", timing.Limits(1.0, 1e-6, None), Options(), lambda d, t: None)


def test_others_get_their_turn_during_a_measurement() -> None:
    waits: list[float] = []
    done = threading.Event()

    def visitor() -> None:
        while not done.is_set():
            start = time.perf_counter()
            with admitted():
                waits.append(time.perf_counter() - start)
            time.sleep(0.005)

    timing.one(cost(DEMO), "cpu", ALONE, lambda d, t: None)  # the device's rate is known after
    thread = threading.Thread(target=visitor)
    thread.start()
    found = timing.one(cost(DEMO), "cpu", ALONE, lambda d, t: None, seconds=1.0)
    done.set()
    thread.join()
    assert len(waits) > 10
    assert float(np.median(waits)) < 5 * found.latency


def test_stopping_leaves_the_turn_to_the_next() -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        timing.one(cost(DEMO), "cpu", ALONE, stop)
    assert timing.one(cost(DEMO), "cpu", ALONE, lambda d, t: None, seconds=0.05).repeats >= 1


def speeds(app: AppTest) -> dict[str, dict[str, str]]:
    table = next(f.value for f in app.dataframe if "speed here" in f.value.columns)
    return {row["alternative"]: row for row in table.to_dict("records")}


def test_the_speed_of_the_alternatives_stands_in_the_table(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With times that are made up, each column holds the right ones."""
    made = {"materialised": 8.0, "fused": 2.0, "windowed": 4.0, "linear": 1.0, "low_rank": 16.0}
    steps = {"plain": 0.9, "mixed_precision": 0.3, "checkpointing": 1.2}
    monkeypatch.setattr(
        timing, "benchmark_attention", lambda *_, **__: [AttentionTime(*t, 3) for t in made.items()]
    )
    monkeypatch.setattr(
        timing, "benchmark_training", lambda *_: [StepTime(*t, 3) for t in steps.items()]
    )
    measured = timing.measure

    def passes(a: Architecture, *rest: Any) -> Any:
        small = a.patch == DEMO.patch
        return dataclasses.replace(measured(a, *rest), latency=0.01 if small else 0.004)

    monkeypatch.setattr(timing, "measure", passes)
    opened(app, cost_part="Alternatives")
    ways = {way.title: way for way in alternatives(DEMO)}
    before = speeds(app)
    assert list(before) == list(ways)
    assert {row["speed here"] for row in before.values()} == {""}
    assert before["Mixed precision"]["timed"] == "not yet"
    press(app, "Time the alternatives on cpu")
    finish(app)
    found = speeds(app)
    expected = {
        "Fused attention": ("× 4.00", "8.00 s → 2.00 s", "one layer's attention"),
        "Mixed precision": ("× 3.00", "300.0 ms", "a training step"),
        "Gradient checkpointing": ("× 0.75", "1.20 s", "a training step"),
        "Local windows": ("× 2.00", "4.00 s", "one layer's attention"),
        "Linear (kernel) attention": ("× 8.00", "1.00 s", "one layer's attention"),
        "Low-rank attention": ("× 0.50", "16.00 s", "one layer's attention"),
        "Larger patches": ("× 2.50", "10.00 ms → 4.00 ms", "a whole pass"),
    }
    for title, row in found.items():
        assert row["MACs"] == words.times(ways[title].macs_ratio)
        assert row["memory"] == words.times(ways[title].memory_ratio)
        if title in expected:
            factor, time, what = expected[title]
            assert (row["speed here"], row["timed"]) == (factor, what)
            assert time in row["time here"]
        else:
            assert row["speed here"] == ""
            assert row["timed"].startswith("not timed")
    assert words_on(app).count(" as fast)") == len(expected)
    assert "Not published" in words_on(app)
    assert all(way.source in words_on(app) for way in ways.values())


def test_what_would_take_too_long_is_not_timed_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ArchitectureError([Problem("name", "no checkpointing for this model")])

    monkeypatch.setattr(timing, "benchmark_training", refuse)
    found = speed.measure(cost(DEMO), "cpu", ALONE, Options(), lambda d, t: None)
    assert set(found.timed) == {"fused", "windowed", "linear", "low_rank", "larger_patches"}
    assert all(timed.before > 0 < timed.after for timed in found.timed.values())
    assert "no checkpointing" in found.refused[0]
    ways = {way.name: way for way in alternatives(DEMO)}
    assert speed.row(ways["checkpointing"], found)["timed"] == "refused"
    short = timing.Limits(1.0, 1e-9, None)
    with pytest.raises(AttnlibError, match="at the rate of this device"):
        speed.measure(cost(DEMO), "cpu", short, Options(), lambda d, t: None)


def test_two_pins_side_by_side_and_in_the_link(app: AppTest) -> None:
    opened(app, cost_of="timm model")
    press(app, "Pin as A")
    app.number_input(key="cost_height").set_value(448).run()
    press(app, "Pin as B")
    app.segmented_control(key="cost_part").set_value("Side by side").run()
    small, large = (cost(Architecture.from_timm("vit_base_patch16_224", s)) for s in (224, 448))
    for value in (large.macs.total / small.macs.total, large.tokens / small.tokens):
        assert words.times(value) in words_on(app)
    assert configuration.decode(app.query_params["cost_pinb"]).height == 448
    press(app, "Unpin B")
    assert "this choice ÷ A" in words_on(app)
    assert "cost_pinb" not in app.query_params


def test_the_csv_of_two_pins_matches_quantities_not_lines() -> None:
    training = cost(DEMO, training=True)
    rows = {row["quantity"]: row for row in pins._both({"A": cost(DEMO), "B": training})}
    assert rows["quadratic share"]["B"] == round(training.macs.quadratic_share, 6)
    assert rows["MACs of a training step"] == {
        "quantity": "MACs of a training step", "A": "", "B": training.training_macs, "unit": ""
    }  # fmt: skip


def test_configurations_survive_a_link() -> None:
    wanted = Configuration("free", "x & y=z", 7, 8, 9, 10, 11, 12, 0.25, 13, 14, 15, "float16",
                           True, True)  # fmt: skip
    assert configuration.decode(configuration.encode(wanted)) == wanted
    assert configuration.encode(Configuration()) == ""


def test_the_loaded_model_is_pinned_as_what_it_is() -> None:
    module = timm.create_model("vit_tiny_patch16_224", num_classes=1000)
    wanted = Configuration(height=96)
    found = configuration.resolve(wanted, module, "mine")
    named = configuration.portable(found, module, "vit_tiny_patch16_224")
    assert (named.configuration.source, named.configuration.height) == ("timm", 96)
    free = configuration.portable(found, module, "demo")
    assert free.configuration.source == "free"
    assert free.cost is not None and found.cost is not None
    assert free.cost.macs == found.cost.macs


@pytest.mark.parametrize(
    "wanted",
    [
        Configuration("timm", "vit_tiny_patch16_224", batch=2, materialised=True),
        Configuration("timm", "vit_tiny_patch16_224", height=96, width=64, training=True),
    ],
)
def test_the_command_prints_the_same_numbers(
    wanted: Configuration, capsys: pytest.CaptureFixture[str]
) -> None:
    found = configuration.resolve(wanted, build(), "").cost
    assert found is not None
    parts = shlex.split(configuration.command(found))
    assert parts[:3] == ["python", "-m", "attnlib"]
    assert main([*parts[3:], "--csv"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    expected = [f"{r['quantity']},{r['value']},{r['unit']}" for r in table.csv_rows(found)]
    assert lines == expected


def test_the_command_of_a_free_architecture_runs() -> None:
    found: Cost = cost(Architecture.vit(64, 8, 96, 3, 3, prefix := 2.5, 7), 2, training=True)
    assert prefix * 96 == found.architecture.mlp_hidden
    parts = shlex.split(configuration.command(found))
    done = subprocess.run(
        [sys.executable, *parts[1:]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert str(("MACs", found.macs.total, "MAC")) in done.stdout


@pytest.mark.parametrize(
    "name", ["vit_base_patch16_224", "vit_small_patch14_dinov2.lvd142m", "eva02_tiny_patch14_224"]
)
def test_formulas_with_numbers_give_the_number_beside_them(name: str) -> None:
    found = cost(Architecture.from_timm(name), 3)
    lines = table.formulas(found).splitlines()[2:]
    shown = {title: field for field, title in table.PARTS.items()}
    for line in lines:
        title, _, numbers = (cell.strip() for cell in line.strip("|").split("|"))
        product = 1
        for factor in numbers.strip("$").replace(",", "").split(r" \cdot "):
            product *= int(factor)
        assert product == getattr(found.macs, shown[title]), line


def test_receptive_fields(app: AppTest, vit: Vit) -> None:
    name = demo.images()[5].name
    app.session_state["image"] = name
    opened(app, cost_part="Receptive field")
    if "cost_distance" in app.session_state["tasks"]:
        finish(app)
    field, distance = (charted(chart) for chart in app.get("vega_lite_chart"))
    rows = {(r["network"], r["layer"]): r["pixels"] for r in field}
    # The whole network's, as in test_receptive_field.py.
    assert max(v for (net, _), v in rows.items() if net == "ResNet-50") == 427
    assert [v for (net, _), v in rows.items() if net.startswith("Demo")] == [4] + 6 * [32]
    sample = next(s for s in app.session_state["session"].samples if s.name == name)
    expected = head_statistics(vit, vit.pixels(decode(sample.data))).distance
    drawn = {(r["layer"], r["head"]): r["pixels"] for r in distance}
    np.testing.assert_allclose([drawn[k] for k in sorted(drawn)], expected.ravel(), rtol=1e-4)
    app.selectbox(key="cost_rings").set_value(2).run()
    assert not app.exception


def test_rings_have_the_radius_of_the_distance() -> None:
    black = Image.new("RGB", (32, 32))
    drawn = np.asarray(fields.rings(black, np.array([8.0]), (32, 32), 320)).astype(int).sum(-1)
    places = np.flatnonzero(drawn[160] > 100)
    assert abs((places.max() - places.min()) / 2 - 80) <= 2
    beyond = fields.rings(black, np.array([20.0]), (32, 32), 320)
    assert beyond.width > 2 * 200, "a ring that leaves the picture is drawn on a margin"


def test_distance_of_uniform_attention_is_the_mean_over_all_pairs() -> None:
    places = [(y * 8.0, x * 5.0) for y in range(4) for x in range(7)]
    pairs = [np.hypot(a - c, b - d) for a, b in places for c, d in places]
    assert fields.uniform_distance((4, 7), (32, 35)) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize(
    ("name", "covered"), [("vit_tiny_patch16_224", True), ("swin_tiny_patch4_window7_224", False)]
)
def test_other_loaded_models(
    app: AppTest, monkeypatch: pytest.MonkeyPatch, name: str, covered: bool
) -> None:
    """A model that averages patches, without a class token, and one that attends in windows."""
    options: dict[str, Any] = {"img_size": 64, "num_classes": 10}
    if covered:
        options |= {"class_token": False, "global_pool": "avg", "depth": 2}
    else:
        options |= {"embed_dim": 24, "depths": (1, 1), "num_heads": (2, 2), "window_size": 4}
    use(app, timm.create_model(name, **options), monkeypatch)
    opened(app)
    if covered:
        assert metrics(app)["Tokens T"] == "16"
        assert "N + 0" in words_on(app)
    else:
        assert "SwinTransformer" in words_on(app)
        assert "timm or a free architecture" in words_on(app)
    for part in PARTS:
        app.segmented_control(key="cost_part").set_value(part).run()
        assert not app.exception, part
    if "cost_distance" in app.session_state["tasks"]:
        finish(app)
    if not covered:
        assert "no layers of attention between all tokens" in "".join(w.value for w in app.warning)


def test_receptive_fields_after_1_10_25_and_50_layers(app: AppTest) -> None:
    opened(app, cost_part="Receptive field", cost_of="Free", cost_depth="24", cost_height="384")
    finish(app)
    shown = next(f.value for f in app.dataframe if "ResNet-50" in f.value.columns)
    assert shown["layers"].tolist() == [1, 10, 25, 50]
    # By the recursion of Araujo et al.: kernels and strides of ResNet-50 as its paper has them.
    steps = [(7, 2), (3, 2)]
    for blocks, stride in ((3, 1), (4, 2), (6, 2), (3, 2)):
        for block in range(blocks):
            steps += [(1, 1), (3, stride if block == 0 else 1), (1, 1)]
    size, jump, resnet = 1, 1, []
    for kernel, stride in steps:
        size, jump = size + (kernel - 1) * jump, jump * stride
        resnet.append(f"{size} px")
    assert len(resnet) == 50
    assert shown["3 × 3 convolutions"].tolist() == [f"{1 + 2 * n} px" for n in (1, 10, 25, 50)]
    assert shown["ResNet-50"].tolist() == [resnet[n - 1] for n in (1, 10, 25, 50)]
    assert shown["this ViT, 24 layers"].tolist() == ["384 px", "384 px", "none", "none"]
