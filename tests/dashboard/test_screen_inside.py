"""Direct effects, the answer after each layer, outlier tokens, windows: what reached the screen."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.audit import Prediction
from attnlib.dashboard.mistakes.by_layer import sentence
from attnlib.methods import METHODS
from attnlib.model import demo
from tests.dashboard.driving import finish, open_image, text, use
from tests.dashboard.library import Library
from tests.dashboard.screen import Screen, charted, table
from tests.heads.test_direct import by_hand


def double(library: Library) -> torch.nn.Module:
    return copy.deepcopy(library.vit.module).double()


def after_each_layer(library: Library, name: str) -> NDArray[np.float64]:
    """Logits ``(L, C)`` of the last steps on what each block of a float64 copy returns."""
    module, states = double(library), list[torch.Tensor]()
    for block in module.blocks:
        block.register_forward_hook(lambda m, given, out: states.append(out))
    with torch.no_grad():
        module(library.vit.pixels(library.images[name]).double())
        return np.stack([module.forward_head(module.norm(s))[0].numpy() for s in states])


def test_direct_effects_and_their_sum(
    oblong: AppTest, screen: Screen, library: Library, name: str
) -> None:
    oblong.session_state["image"] = name
    oblong.session_state["heads_section"] = "Direct effect"
    oblong.switch_page("../../pages/head_similarity/page.py").run()
    finish(oblong)
    guess, true = library.predicted[name], library.true[name]
    pixels, module = library.vit.pixels(library.images[name]).double(), double(library)

    def compare(ours: NDArray[np.float64], other: NDArray[np.float64]) -> None:
        np.testing.assert_allclose(ours, other, rtol=2e-3, atol=2e-4)

    mine, theirs = (by_hand(module, pixels, index, average=False) for index in (guess, true))
    tokens = mine.tokens - theirs.tokens
    shown = screen.cells(oblong)
    compare(shown["direct-effect-heads"].values, tokens.sum(axis=2))
    layer, head = np.unravel_index(np.abs(tokens.sum(axis=2)).argmax(), tokens.shape[:2])
    compare(shown["direct-effect-patches"].values, tokens[layer, head, 1:].reshape(4, 6))
    assert f"**L{layer}·H{head}: from which patches**" in text(oblong)
    (chart,) = oblong.get("vega_lite_chart")
    rows = charted(chart)
    expected = [mine.embedding - theirs.embedding]
    for one in range(6):
        expected += [
            tokens[one].sum(),
            mine.rest[one] - theirs.rest[one],
            mine.mixing[one] - theirs.mixing[one],
        ]
    expected += [mine.constant - theirs.constant]
    compare(np.array([row["logits"] for row in rows]), np.array(expected))
    lead = mine.logit - theirs.logit
    assert sum(row["logits"] for row in rows) == pytest.approx(lead, abs=1e-3)
    said = f"{lead:+.2f}".replace("-", "\N{MINUS SIGN}")
    words = text(oblong)
    assert f"The lead of “{demo.CLASS_NAMES[guess]}” over “{demo.CLASS_NAMES[true]}”" in words
    assert f"is **{said}**" in words and f"= {said}." in words
    assert "only in the last layers it ranks heads as their removal does" in words
    # Without a second class it is the logit; another head has its own patches.
    finish(oblong.selectbox(key="direct_against").select_index(0).run())
    oblong.session_state["direct_head"] = "L5·H2"
    finish(oblong.run())
    shown = screen.cells(oblong)
    compare(shown["direct-effect-heads"].values, mine.heads)
    compare(shown["direct-effect-patches"].values, mine.tokens[5, 2, 1:].reshape(4, 6))
    assert f"The logit of “{demo.CLASS_NAMES[guess]}”" in text(oblong)


def test_the_answer_after_each_layer(
    oblong: AppTest, screen: Screen, library: Library, name: str
) -> None:
    oblong.session_state["lens_open"] = True
    finish(open_image(oblong, name))
    guess, true = library.predicted[name], library.true[name]
    logits = after_each_layer(library, name)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    (chart,) = [
        c for c in oblong.get("vega_lite_chart") if "after each layer" in str(c.proto.alt)
    ] or oblong.get("vega_lite_chart")[:1]
    rows = charted(chart)
    found = np.array([row["value"] for row in rows]).reshape(2, 6)
    np.testing.assert_allclose(found, shares[:, [guess, true]].T, atol=1e-4)
    assert [rows[0]["class"], rows[6]["class"]] == [demo.CLASS_NAMES[i] for i in (guess, true)]
    ahead = np.flatnonzero(shares[:, true] > shares[:, guess])
    words = text(oblong)
    if len(ahead):
        assert f"loses to it in **layer {ahead[-1] + 1}**" in words
    else:
        assert "is behind it after every layer" in words
    oblong.segmented_control(key="lens_kind").set_value("Logit").run()
    finish(oblong)
    listed = next(
        table(data)
        for key, data in screen.downloads(oblong).items()
        if "logit-lens" in key or b"predicted" in data[:200]
    )
    values = np.array([float(row["value"]) for row in listed]).reshape(2, 6)
    np.testing.assert_allclose(values, logits[:, [guess, true]].T, rtol=1e-3, atol=1e-3)


def test_where_the_true_class_loses(library: Library) -> None:
    """Every mistake, the sentence against the probabilities of the float64 copy."""

    class Space:
        def class_name(self, index: int) -> str:
            return demo.CLASS_NAMES[index]

    lost = 0
    for name in library.wrong[:12]:
        logits = after_each_layer(library, name)
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        prediction = Prediction(name, library.true[name], library.records[name].probabilities, 0.5)
        words = sentence(Space(), prediction, shares)  # type: ignore[arg-type]
        guess, true = library.predicted[name], library.true[name]
        first = min(k for k in range(6) if (shares[k:].argmax(axis=1) == guess).all())
        assert f"after layer {first} and" in words or (first == 5 and "last layer, 5" in words)
        behind = [bool(shares[k, true] < shares[k, guess]) for k in range(6)]
        if all(behind):
            assert "behind it after every layer" in words
        else:
            lost += 1
            layer = max(k for k in range(6) if not behind[k]) + 1
            assert f"loses to it in **layer {layer}**" in words
    assert lost >= 2


def planted(patch: int | None) -> attnlib.Vit:
    """The demo, one of whose positions is a long vector, as outlier tokens are."""
    module = demo.build()
    if patch is not None:
        with torch.no_grad():
            module.pos_embed[0, 1 + patch] *= 60
    module.pretrained_cfg = demo.DATA_CONFIG
    return attnlib.load(module, class_names=demo.CLASS_NAMES, device="cpu")


@pytest.mark.parametrize("patch", [None, 19])
def test_a_map_says_that_outlier_tokens_stand_in_it(
    app: AppTest, screen: Screen, patch: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    vit = planted(patch)
    app.run()
    use(app, vit, monkeypatch)
    app.session_state["method"] = "raw"
    finish(open_image(finish(app.run()), demo.images()[3].name))
    words = text(app)
    assert ("outlier tokens" in words) == (patch is not None)
    if patch is not None:
        values = screen.cards(app)[0].figures[1].values
        assert values is not None
        share = float(values.ravel()[patch] / values.sum())
        assert "1 patch of 64 holds notes" in words
        assert f"**{share:.0%} of this map** stands there, on 2% of the patches" in words


def test_cards_of_a_model_of_windows_show_maps_of_their_classes(
    app: AppTest, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    module = timm.create_model(
        "swin_tiny_patch4_window7_224",
        img_size=64,
        window_size=4,
        embed_dim=24,
        depths=(1, 1, 1),
        num_heads=(1, 1, 1),
        num_classes=10,
    )
    app.run()
    vit = use(app, module, monkeypatch, class_names=demo.CLASS_NAMES)
    finish(app.run())
    seen = Library(vit)
    cards = screen.cards(app)
    assert cards
    drawn = 0
    for card in cards:
        guess, true = seen.predicted[card.name], seen.true[card.name]
        for figure, target in zip(card.figures[1:], dict.fromkeys((guess, true)), strict=True):
            expected = vit.attribute(seen.images[card.name], "gradcam", target)
            np.testing.assert_allclose(figure.values, expected.values, rtol=1e-3, atol=1e-5)
            drawn += figure.layer is not None
    assert drawn >= 6
    assert "Grad-CAM: which patches speak for a class" in text(app)
    finish(open_image(app, cards[0].name))
    box = app.selectbox(key="method")
    assert box.value == "gradcam"
    assert box.options == [m.title for m in METHODS.values() if vit.support.defines(m.needs)]
    assert {"Occlusion", "RISE", "Integrated gradients", "Grad-CAM"} <= set(box.options)
