"""The playground of words: every step on screen against PyTorch and SciPy."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.walk.softmax import arithmetic, read
from attnlib.errors import AttnlibError
from attnlib.lessons.playground import embed, projections
from tests.dashboard.driving import finish
from tests.dashboard.screen import Screen, charted, table

WORDS = ["the", "cat", "saw", "the", "*cat*", "$x$"]
D, H, WORD, HEAD = 16, 4, 2, 1
Values = dict[str, NDArray[np.float64]]


@pytest.fixture
def page(app: AppTest, screen: Screen) -> AppTest:
    app.query_params.update({"walk_part": "Playground", "toy_view": "Step by step"})
    app.run()
    app.switch_page("../../pages/attention_walkthrough/page.py").run()
    app.selectbox(key="toy_example").set_value("own text").run()
    app.text_input(key="toy_text").set_value(" ".join(WORDS)).run()
    app.select_slider(key="toy_dimension").set_value(D).run()
    app.selectbox(key="toy_word").set_value(WORD).run()
    app.selectbox(key="toy_step_head").set_value(HEAD).run()
    return finish(app)


def reference(causal: bool) -> Values:
    """Every step of one word and head, by einsum and SciPy."""
    x = embed(WORDS, D, 0)
    w_q, w_k, w_v, w_o = projections(D, 0)
    size, count = D // H, WORD + 1 if causal else len(WORDS)
    q, k, v = (np.einsum("td,ed->te", x, w).reshape(-1, H, size) for w in (w_q, w_k, w_v))
    scores = np.einsum("hd,khd->hk", q[WORD], k)
    weights = np.zeros_like(scores)
    weights[:, :count] = softmax(scores[:, :count] / size**0.5, axis=1)
    outputs = np.einsum("hk,khd->hd", weights, v)
    return {
        "toy_x": x,
        "toy_queries": q[:, HEAD],
        "toy_keys": k[:, HEAD],
        "toy_values": v[:, HEAD],
        "scores": scores[HEAD],
        "weights": weights[HEAD],
        "toy_v": v[:, HEAD],
        "toy_av": weights[HEAD][:, None] * v[:, HEAD],
        "toy_o": outputs[HEAD][None],
        "toy_concat": outputs.reshape(1, -1),
        "toy_y": outputs.reshape(1, -1) @ w_o.T,
    }


@pytest.mark.parametrize("causal", [False, True])
def test_every_step(page: AppTest, screen: Screen, causal: bool) -> None:
    page.toggle(key="toy_causal").set_value(causal).run()
    expected, met = reference(causal), set()
    for number in range(10 if causal else 9):
        assert any(c.value == f"Step {number + 1} of {10 if causal else 9}" for c in page.caption)
        for key, there in screen.cells(page).items():
            met.add(key)
            assert there.values == pytest.approx(expected[key], abs=1e-5), key
        for key, data in screen.downloads(page).items():
            if key in ("csv_toy-scores", "csv_toy-scaled", "csv_toy-masked", "csv_toy-softmax"):
                met.add(key)
                rows = table(data)
                assert [row["word"] for row in rows] == WORDS
                scaled = expected["scores"] / (D // H) ** 0.5
                hidden = np.arange(len(WORDS)) > (WORD if causal else 99)
                for i, row in enumerate(rows):
                    if "q · k" in row:
                        assert float(row["q · k"]) == pytest.approx(expected["scores"][i], abs=1e-4)
                    if "÷ √d" in row and hidden[i] and "q · k" not in row:
                        assert row["÷ √d"] == ""
                    elif "÷ √d" in row:
                        assert float(row["÷ √d"]) == pytest.approx(scaled[i], abs=1e-4)
                    if "α" in row:
                        assert float(row["α"]) == pytest.approx(expected["weights"][i], abs=1e-4)
                        assert float(row["e^"] or 0) == pytest.approx(
                            0 if hidden[i] else np.exp(scaled[i]), abs=1e-3
                        )
        button = page.button(key="toy_next")
        if not button.disabled:
            button.click().run()
            assert not page.exception
    assert page.button(key="toy_next").disabled
    tables = {"csv_toy-scores", "csv_toy-scaled", "csv_toy-softmax"}
    if causal:
        tables.add("csv_toy-masked")
    assert met == ({k for k in expected if k.startswith("toy_")} | tables)


def test_a_word_is_no_markup(page: AppTest) -> None:
    page.selectbox(key="toy_word").set_value(4).run()
    said = next(str(m.value) for m in page.markdown if "The query is" in str(m.value))
    assert "“**\\*cat\\***”" in said


def test_heads_side_by_side_with_the_pattern_named(page: AppTest, screen: Screen) -> None:
    page.segmented_control(key="toy_view").set_value("Heads side by side").run()
    shown = screen.cells(page)
    assert sorted(shown) == [f"toy_head_{head}" for head in range(H)]
    x = torch.from_numpy(embed(WORDS, D, 0))
    w_q, w_k, *_ = map(torch.from_numpy, projections(D, 0))
    q, k = ((x @ w.T).reshape(-1, H, D // H).transpose(0, 1) for w in (w_q, w_k))
    weights = (q @ k.mT / (D // H) ** 0.5).softmax(-1).numpy()
    said = [str(m.value) for m in page.markdown]
    far = np.abs(np.arange(6)[:, None] - np.arange(6))
    for head in range(H):
        assert shown[f"toy_head_{head}"].values == pytest.approx(weights[head], abs=1e-6)
        received = weights[head].mean(0).max()
        shifts = [np.trace(weights[head], step) / 6 for step in range(-5, 6)]
        distance = (weights[head] * far).sum() / far.mean() / 6
        name, value = "global", distance
        if received >= 0.5:
            name, value = "broadcast", received
        elif max(shifts) >= 0.5:
            name, value = "diagonal", max(shifts)
        elif distance <= 0.5:
            name = "local"
        assert f"**Head {head}: {name}**" in said
        assert any(f"{value:.0%}" in c.value for c in page.caption)
    page.multiselect(key="toy_heads_shown").set_value([2]).run()
    assert list(screen.cells(page)) == ["toy_head_2"]
    page.toggle(key="toy_cross").set_value(True).run()
    assert "**Head 2: no name**" in [str(m.value) for m in page.markdown]


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", text.replace("e^", ""))]


def test_the_softmax_by_hand(page: AppTest, screen: Screen) -> None:
    page.segmented_control(key="toy_view").set_value("Softmax by hand").run()
    said = next(str(m.value) for m in page.markdown if "So the weights" in str(m.value))
    # e² = 7.389, e = 2.718, e^0.1 = 1.105; together 11.21: the textbook example.
    assert "e^(2) = 7.389, e^(1) = 2.718, e^(0.1) = 1.105." in said
    assert "7.389 + 2.718 + 1.105 = 11.21" in said
    assert "7.389 ÷ 11.21 = **0.6590**" in said
    assert "**0.2424**" in said and "**0.0986**" in said
    page.text_input(key="softmax_scores").set_value("-3; 0.5,4").run()
    page.slider(key="softmax_temperature").set_value(2.0).run()
    rows = table(screen.downloads(page)["csv_softmax"])
    expected = softmax(np.array([-3, 0.5, 4]) / 2)
    assert [float(row["α"]) for row in rows] == pytest.approx(expected, abs=1e-4)
    bars = charted(page.get("vega_lite_chart")[0])
    assert [row["value"] for row in bars] == pytest.approx(expected, abs=1e-6)
    page.text_input(key="softmax_scores").set_value("1, two").run()
    assert not page.exception
    assert any("numbers from −100 to 100" in str(w.value) for w in page.warning)


def test_large_scores_are_shifted_first_and_many_are_shortened() -> None:
    said = arithmetic([1000.0, 999.0])
    assert "The largest score, 1000, is taken from all first" in said
    assert "e^(-1) = 0.3679" in said
    assert f"**{1 / (1 + np.exp(-1)):.4f}**" in said
    many = arithmetic(list(np.linspace(0, 1, 9)))
    assert many.count("(3 more)") == 3
    assert f"= {np.exp(np.linspace(0, 1, 9)).sum():.4g}." in many


@pytest.mark.parametrize("text", ["", "a", "1e9", "nan", "inf", ",".join(["1"] * 13)])
def test_what_is_no_score_is_refused(text: str) -> None:
    with pytest.raises(AttnlibError, match="commas between them"):
        read(text)
