"""“Prediction debugging”: what reached the screen and the files, against the library."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.mistakes.case import Wanted
from attnlib.dashboard.mistakes.filling import Filling
from attnlib.errors import AttnlibError
from attnlib.methods import METHODS, Heat
from attnlib.methods.heat import scale_of
from attnlib.model import demo
from attnlib.pictures.colormaps import Scale, lookup
from attnlib.pictures.layer import layer
from attnlib.pictures.overlay import enlarge, fit
from tests.dashboard.driving import finish, use
from tests.dashboard.library import Library
from tests.dashboard.screen import Figure, Screen, charted, pixels, table

PER_PAGE = 6
# Caption, image, map and its scale.
Panel = tuple[str, str, Heat | None, Scale | None]


def heat(library: Library, name: str, target: int, method: str = "relevance", **o: object) -> Heat:
    return library.vit.attribute(library.images[name], method, target, **o)


def drawn(library: Library, name: str, made: Heat, scale: Scale, side: int) -> Image.Image:
    return made.overlay(library.vit.crop(library.images[name]), scale=scale, side=side)


def plain(library: Library, name: str, side: int) -> Image.Image:
    crop = library.vit.crop(library.images[name])
    return enlarge(crop, fit(crop.size, side))


def panels(library: Library, name: str) -> list[Panel]:
    """Crop, map of the predicted and of the true class on one scale, contrast, references:
    caption, image, map and scale of each."""
    guess, true = library.predicted[name], library.true[name]
    mine, theirs = heat(library, name, guess), heat(library, name, true)
    both = scale_of([mine, theirs], "shared")
    contrast = heat(library, name, guess, "integrated_relevance_contrast", against=true)
    guessed, meant = demo.CLASS_NAMES[guess], demo.CLASS_NAMES[true]
    found: list[Panel] = [
        ("what the model saw", name, None, None),
        (f"for “{guessed}” (predicted)", name, mine, both),
        (f"for “{meant}” (true)", name, theirs, both),
        (f"for “{guessed}” rather than “{meant}”", name, contrast, scale_of([contrast])),
    ]
    for label in (true, guess):
        other = library.nearest_correct(name, label)
        if other is not None:
            made = heat(library, other, label)
            title = f"nearest correct “{demo.CLASS_NAMES[label]}”"
            found.append((title, other, None, None))
            found.append(("its map", other, made, scale_of([made])))
    return found


def compare(
    library: Library, there: Figure, panel: tuple[str, str, Heat | None, Scale | None]
) -> None:
    """A figure of a board, against the library: what lies below, what is laid over it."""
    caption, name, made, scale = panel
    assert there.caption == caption
    crop = library.vit.crop(library.images[name])
    np.testing.assert_array_equal(there.base, np.asarray(crop), caption)
    if made is None or scale is None:
        assert there.layer is None
        return
    np.testing.assert_array_equal(there.layer, np.asarray(layer(made.values, scale)), caption)
    np.testing.assert_array_equal(there.values, made.values, caption)


def shown_names(app: AppTest, screen: Screen) -> list[str]:
    return [card.name for card in screen.cards(app)]


def test_cards_show_the_maps_of_their_own_image_and_classes(
    oblong: AppTest, screen: Screen, library: Library
) -> None:
    finish(oblong)
    cards = screen.cards(oblong)
    assert [card.name for card in cards] == library.wrong[:PER_PAGE]
    for card in cards:
        figures = [*card.figures, *(one for pair, _ in card.pairs for one in pair)]
        for there, panel in zip(figures, panels(library, card.name), strict=True):
            compare(library, there, panel)
        for pair, words in card.pairs:
            if not pair:
                assert words.startswith("no correct")
                continue
            similarity = library.similarity(card.name, str(pair[0].said["base"]))
            said = float(re.findall(r"similarity ([−\d.]+)", words)[0].replace("−", "-"))
            assert said == pytest.approx(similarity, abs=0.0051)
            others = [library.similarity(card.name, n) for n in library.names if n != card.name]
            assert ("far" in words) == (similarity < np.quantile(others, 0.75))


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize(
    "sort", ["Margin", "Loss", "Entropy of attention", "Lead over the true class"]
)
def test_the_gallery_is_in_the_order_that_it_says(
    oblong: AppTest, screen: Screen, library: Library, sort: str, up: bool
) -> None:
    oblong.selectbox(key="gallery_sort").set_value(sort)
    oblong.toggle(key="gallery_up").set_value(up).run()

    def key(name: str) -> float:
        record = library.records[name]
        best = np.sort(record.probabilities)[::-1].astype(np.float64)
        true = float(record.probabilities[library.true[name]])
        return {
            "Margin": float(best[0] - best[1]),
            "Loss": -np.log(true),
            "Entropy of attention": float(record.entropy.mean()),
            "Lead over the true class": float(best[0]) - true,
        }[sort]

    expected = sorted(library.wrong, key=key, reverse=not up)[:PER_PAGE]
    assert shown_names(oblong, screen) == expected


def test_filters_keep_what_they_name(oblong: AppTest, screen: Screen, library: Library) -> None:
    name = library.wrong[0]
    true, guess = library.true[name], library.predicted[name]
    oblong.multiselect(key="gallery_true").set_value([true]).run()
    fitting = [n for n in library.wrong if library.true[n] == true]
    assert shown_names(oblong, screen) == fitting[:PER_PAGE]
    oblong.multiselect(key="gallery_predicted").set_value([guess]).run()
    fitting = [n for n in fitting if library.predicted[n] == guess]
    assert shown_names(oblong, screen) == fitting[:PER_PAGE]


def test_the_table_holds_every_image(oblong: AppTest, screen: Screen, library: Library) -> None:
    rows = table(screen.download(oblong, "Table (CSV)"))
    assert [row["image"] for row in rows] == library.names
    for row in rows:
        record, true = library.records[row["image"]], library.true[row["image"]]
        p = record.probabilities.astype(np.float64)
        assert row["true class"] == demo.CLASS_NAMES[true]
        assert row["predicted class"] == demo.CLASS_NAMES[int(p.argmax())]
        assert row["outcome"] == ("right" if p.argmax() == true else "wrong")
        best = np.sort(p)[::-1]
        for column, value in {
            "confidence (0 to 1)": best[0],
            "margin (0 to 1)": best[0] - best[1],
            "loss (nats)": -np.log(p[true]),
            "attention entropy (log N)": record.entropy.mean(),
        }.items():
            assert float(row[column]) == pytest.approx(float(value), abs=2e-6), column


def test_the_report_is_of_the_wrong_ones(oblong: AppTest, screen: Screen, library: Library) -> None:
    page = screen.download(oblong, "Report of the wrong predictions (HTML)").decode()
    cards = page.split("<article>")[1:]
    (bar,) = re.findall(r'class="quiet legend">0 <img src="data:image/png;base64,([^"]+)"', page)
    ends = pixels(base64.b64decode(bar))[5, [0, -1]].astype(int)
    under, most = np.array([150] * 3), lookup("plasma")[255].astype(int)
    assert np.abs(ends - [under, 0.15 * under + 0.85 * most]).max() <= 2
    assert "speak for a class" in page.split("<article>")[0]
    assert [re.findall(r"<h2[^>]*>(.*?)</h2>", card)[0] for card in cards] == library.wrong[:60]
    for name, card in list(zip(library.wrong, cards, strict=False))[:3]:
        expected = panels(library, name)
        captions = re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", card)
        # A reference's caption goes on to say how alike it is.
        for said, (caption, *_) in zip(captions, expected, strict=True):
            assert said.startswith(caption)
        assert any("similarity" in said for said in captions)
        pictures = re.findall(r"data:image/png;base64,([^\"]+)", card)
        for data, (caption, of, made, scale) in zip(pictures, expected, strict=True):
            there = pixels(base64.b64decode(data))
            picture = plain(library, of, 264)
            if made is not None and scale is not None:
                picture = drawn(library, of, made, scale, 264)
            np.testing.assert_array_equal(there, np.asarray(picture.convert("RGB")), caption)
        for words in ("predicted", "true"):
            which = library.predicted if words == "predicted" else library.true
            (said,) = re.findall(rf'<p class="{words}">.*?<b[^>]*>(.*?)</b>', card)
            assert said == demo.CLASS_NAMES[which[name]]


def test_confusion_rows_are_true_classes(oblong: AppTest, library: Library) -> None:
    oblong.session_state["gallery_panel"] = "Confusion matrix"
    oblong.run()
    (chart,) = oblong.get("vega_lite_chart")
    counts: dict[tuple[str, str], int] = {}
    for name in library.names:
        pair = demo.CLASS_NAMES[library.true[name]], demo.CLASS_NAMES[library.predicted[name]]
        counts[pair] = counts.get(pair, 0) + 1
    shown = {(row["true"], row["predicted"]): row["images"] for row in charted(chart)}
    assert {pair: n for pair, n in shown.items() if n} == counts
    assert any(counts.get((b, a), 0) != n for (a, b), n in counts.items()), "not symmetric"


@pytest.mark.parametrize(("layer", "head"), [(1, 2), (4, None)])
def test_the_opened_image_has_the_map_that_was_chosen(
    oblong: AppTest, screen: Screen, library: Library, layer: int, head: int | None
) -> None:
    name = library.wrong[2]
    oblong.session_state["image"] = name
    oblong.run()
    oblong.selectbox(key="method").set_value("raw").run()
    oblong.selectbox(key="layer").set_value(layer).run()
    oblong.selectbox(key="head").set_value("all" if head is None else str(head)).run()
    finish(oblong)
    made = library.vit.attribute(library.images[name], "raw", layer=layer, head=head)
    # Straight from the record, which no method has touched.
    rows = library.records[name].cls_rows[layer]
    share = rows.mean(0) if head is None else rows[head]
    np.testing.assert_allclose(made.values, share.reshape(4, 6), rtol=1e-5)
    (card,) = screen.cards(oblong)
    crop, shown = card.figures
    compare(library, crop, ("what the model saw", name, None, None))
    compare(library, shown, ("Raw attention", name, made, scale_of([made])))
    taken = screen.download(oblong, "Picture (PNG)")
    large = drawn(library, name, made, scale_of([made]), 896).convert("RGB")
    np.testing.assert_array_equal(pixels(taken), np.asarray(large))
    rows_taken = table(screen.download(oblong, "Numbers (CSV)"))
    for row in rows_taken:
        (value,) = (float(v) for k, v in row.items() if k not in ("row", "col"))
        assert value == pytest.approx(float(made.values[int(row["row"]), int(row["col"])]))
    assert len(rows_taken) == 24
    chart = charted(oblong.get("vega_lite_chart")[0])
    entropy = {(row["layer"], row["head"]): row["value"] for row in chart}
    for (at, which), value in np.ndenumerate(library.records[name].entropy):
        assert entropy[at, which] == pytest.approx(float(value))
    rows_taken = table(screen.downloads(oblong)["csv_entropy-by-layer"])
    for at, row in enumerate(rows_taken):
        numbers = [float(row[f"head {i}"]) for i in range(4)]
        assert numbers == pytest.approx(library.records[name].entropy[at].tolist())


@pytest.mark.parametrize(
    "method",
    ["relevance", "contrast", "integrated_relevance_contrast", "gradcam", "flow", "rollout"],
)
def test_the_opened_image_has_the_map_of_its_classes(
    oblong: AppTest, screen: Screen, library: Library, method: str
) -> None:
    name = library.wrong[1]
    guess, true = library.predicted[name], library.true[name]
    oblong.session_state["image"] = name
    oblong.run()
    oblong.selectbox(key="method").set_value(method).run()
    finish(oblong)
    options = {"against": true} if "contrast" in method else {}
    first = library.vit.attribute(library.images[name], method, guess, **options)
    made = [first]
    if method in ("relevance", "gradcam"):
        made.append(heat(library, name, true, method))
    scale = scale_of(made)
    (card,) = screen.cards(oblong)
    for there, one in zip(card.figures[1:], made, strict=True):
        compare(library, there, (there.caption, name, one, scale))


def test_a_contrast_that_cannot_be_made_gives_way_to_that_by_relevance(
    app: AppTest, screen: Screen, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **options: object) -> None:
        raise AttnlibError("Nothing can be put in place of this attention.")

    best = METHODS["integrated_relevance_contrast"]
    monkeypatch.setitem(METHODS, best.name, replace(best, compute=refuse))
    # A model of its own, of which nothing is kept.
    use(app, library.vit, monkeypatch)
    name = library.wrong[-1]
    guess, true = library.predicted[name], library.true[name]
    app.session_state["image"] = name
    app.run()
    finish(app)
    made = heat(library, name, guess, "contrast", against=true)
    (card,) = screen.cards(app)
    caption = f"for “{demo.CLASS_NAMES[guess]}” rather than “{demo.CLASS_NAMES[true]}”"
    ((figure,),) = [pair for pair, _ in card.pairs if pair and pair[0].caption == caption]
    compare(library, figure, (caption, name, made, scale_of([made])))


def test_pictures_are_not_symmetric(library: Library) -> None:
    """The comparisons above would catch a flip or a transposition only of such pictures."""
    made = heat(library, library.wrong[0], library.predicted[library.wrong[0]]).values
    for changed in (made[::-1], made[:, ::-1], made[::-1, ::-1]):
        assert np.abs(changed - made).max() > 0.2 * made.max()
    assert made.shape == (4, 6)


def test_quick_maps_of_all_cards_come_before_the_slow_ones(
    app: AppTest, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[bool]] = []

    def ask(fill: Filling, space: object, wanted: Sequence[Wanted], **options: object) -> None:
        asked.append([METHODS[one.method].slow for one in wanted])

    monkeypatch.setattr(Filling, "ask", ask)
    use(app, library.vit, monkeypatch)
    app.run()
    finish(app)
    mixed = [slow for slow in asked if len(set(slow)) == 2]
    assert mixed
    # Those of this page, then those of the next one.
    turns = [sum(a and not b for a, b in pairwise(slow)) for slow in mixed]
    assert max(turns) <= 1
