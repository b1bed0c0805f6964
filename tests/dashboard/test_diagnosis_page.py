"""The page “Diagnosis”, its strip and its filter: what they show is what the library finds."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib import diagnosis
from attnlib.dashboard.diagnosis import asked
from attnlib.dashboard.diagnosis.images import SIDE
from attnlib.dashboard.state import diagnoses
from attnlib.diagnosis import Certainty, Evidence, Examined, Finder, Finding
from attnlib.errors import AttnlibError
from attnlib.model import demo
from attnlib.pictures.layer import layer
from attnlib.pictures.overlay import data_uri, enlarge, png_bytes
from tests.dashboard.driving import finish, open_image, path, settle, text, use
from tests.dashboard.library import Library
from tests.dashboard.scenes import Walker, opened
from tests.dashboard.screen import Screen, as_read

REGION = np.zeros((4, 6), dtype=bool)
REGION[2:, 4:] = True


@pytest.fixture(autouse=True)
def unknown(monkeypatch: pytest.MonkeyPatch, finders: dict[str, Finder]) -> None:
    """No other test's answers: finders are known by their kind, which here means many things."""
    for name in ("TASK", "MORE"):
        monkeypatch.setattr(diagnoses, name, f"{name} {uuid.uuid4().hex}")


def planted(names: Sequence[str], against: Sequence[str] = (), **parts: object) -> Finding:
    """A finding that says the same of any set, with all that the page has to show."""
    given = {
        "kind": "planted",
        "scope": "set",
        "sentence": "A mark at the lower right makes *frog* of 3 of 4 <b>images</b>.",
        "value": 0.75,
        "threshold": 0.5,
        "threshold_source": "half of all",
        "evidence": (Evidence("Pasted into 8 images it turned 7.", tuple(names), REGION),),
        "evidence_against": (Evidence("A random place turned 1 of 8.", tuple(against)),),
        "certainty": Certainty(p_value=0.002, interval=(0.4, 0.9), tried=24),
        "next_steps": "Take the mark away.",
        "mistakes": 3,
        "images": tuple(names),
        "region": REGION,
    }
    return Finding(**{**given, **parts})  # type: ignore[arg-type]


def plant(
    find: Callable[[Examined], list[Finding]],
    *,
    kind: str = "planted",
    passes: int = 0,
    lacks: str = "",
    alone: bool = True,
) -> None:
    """Have a kind of finding looked for that always finds the same."""
    made = Finder(
        kind,
        f"A {kind} cause",
        "Is there a cause that was put there?",
        lambda examined, progress: find(examined),
        lambda examined: lacks,
        lambda examined: passes,
    )
    if alone:
        diagnosis.FINDERS.clear()
    diagnosis.FINDERS[kind] = made


def diagnosed(app: AppTest) -> AppTest:
    app.switch_page(path("diagnosis")).run()
    return finish(app)


def press(app: AppTest, label: str) -> AppTest:
    next(b for b in app.button if b.label == label).click().run()
    return app


def labels(app: AppTest) -> list[str]:
    return [b.label for b in app.button]


def asked_of_library(library: Library, vit: attnlib.Vit, *kinds: str) -> diagnosis.Report:
    """The same set before the library alone."""
    return diagnosis.diagnose(vit, library.images, library.true, kinds=kinds or None)


# -- a planted finding -------------------------------------------------------------------------


def test_a_finding_opens_with_all_that_it_has(oblong: AppTest, library: Library) -> None:
    plant(lambda examined: [planted(library.wrong[:3])])
    app = diagnosed(oblong)
    read = as_read(text(app))
    for words in (
        "A mark at the lower right makes *frog* of 3 of 4 <b>images</b>.",
        "Pasted into 8 images it turned 7.",
        "A random place turned 1 of 8.",
        "the chance of as much by accident is 0.002; 95 % interval 0.4 to 0.9; 24 things tried.",
        "from 0.5 on; here it is 0.75",
        "half of all.",
        "Take the mark away.",
        f"**80** images · **80** labelled · **{len(library.wrong)}** mistakes",
    ):
        assert words in read, words
    # What came of names that people give is text.
    assert "*frog*" not in text(app) and "<b>" not in text(app)
    press(app, "Close")
    assert "Pasted into 8" not in text(finish(app))
    assert app.query_params["diagnosis_open"] == "none"
    press(app, "Evidence")
    assert "Pasted into 8" in text(finish(app))


def test_its_pictures_are_the_crop_with_the_place_and_the_map_of_the_prediction(
    oblong: AppTest, screen: Screen, library: Library
) -> None:
    names, against = library.wrong[:2], library.wrong[4:5]
    plant(lambda examined: [planted(names, against)])
    cards = screen.cards(diagnosed(oblong))
    assert [card.name for card in cards] == [*names, *against]
    for card in cards:
        seen, mapped = card.figures
        crop = library.vit.crop(library.images[card.name])
        height, width = seen.base.shape[:2]
        assert (width, height) == (2 * SIDE, round(2 * SIDE * 16 / 24))
        drawn = (seen.base != np.asarray(enlarge(crop, (width, height)))).any(axis=2)
        # The last two of four rows and the last two of six columns: their edges are drawn alone.
        top, left = height / 2, width * 4 / 6
        rows, cols = np.mgrid[:height, :width]
        inside = (rows >= top - 4) & (cols >= left - 4)
        deep = (rows > top + 4) & (cols > left + 4) & (rows < height - 5) & (cols < width - 5)
        assert not drawn[~inside | deep].any()
        assert (seen.base[round(top), round(left) + 4 : -4] > 200).all()
        assert (seen.base[round(top) + 4 : -4, round(left)] > 200).all()
        made = library.vit.attribute(
            library.images[card.name], "relevance", library.predicted[card.name]
        )
        np.testing.assert_array_equal(mapped.layer, np.asarray(layer(made.values, made.scale())))
        np.testing.assert_allclose(mapped.values, made.values, rtol=1e-4, atol=1e-7)


def test_its_images_are_shown_in_the_gallery_and_the_link_says_so(
    oblong: AppTest, screen: Screen, library: Library
) -> None:
    right = next(n for n in library.names if library.predicted[n] == library.true[n])
    names = [library.wrong[2], right]
    plant(lambda examined: [planted(names)])
    app = diagnosed(oblong)
    press(app, "Show 2 images in the gallery")
    assert "gallery" in [e.key.split("_")[0] for e in app.get("button_group") if e.key]
    # A test's next run is of the page that the test itself went to.
    app.switch_page(path("prediction_debugging")).run()
    finish(app)
    assert app.query_params["gallery_finding"] == "planted"
    assert {card.name for card in screen.cards(app)} == set(names)
    chip = next(b for b in app.button if b.key == "chip_gallery_finding")
    assert as_read(chip.label) == "finding: A planted cause"
    chip.click().run()
    assert "gallery_finding" not in app.query_params
    assert len(screen.cards(finish(app))) > 2


def test_a_link_to_a_finding_that_is_not_known_shows_all_and_says_so(
    oblong: AppTest, screen: Screen, library: Library
) -> None:
    plant(lambda examined: [])
    oblong.session_state["gallery_finding"] = "shortcut-3"
    app = finish(oblong.run())
    (chip,) = (b for b in app.button if b.key == "chip_gallery_finding")
    assert "not known here" in as_read(chip.label)
    assert [c.name for c in screen.cards(app)] == library.wrong[:6]


def test_a_tag_is_set_on_its_images_and_taken_away(oblong: AppTest, library: Library) -> None:
    names = library.wrong[:3]
    plant(lambda examined: [planted(names)])
    app = diagnosed(oblong)
    press(app, "Tag them “a planted cause”")
    remarks = app.session_state["session"].remarks
    assert {name: said.tags for name, said in remarks.items()} == {
        name: ("a planted cause",) for name in names
    }
    press(finish(app), "Take the tag “a planted cause” away")
    assert not app.session_state["session"].remarks


def test_who_may_only_look_sets_no_tag(
    oblong: AppTest, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(lambda examined: [planted(library.wrong[:3])])
    monkeypatch.setattr("attnlib.dashboard.state.stored.Stored.writes", False)
    app = diagnosed(oblong)
    (button,) = (b for b in app.button if b.label.startswith("Tag them"))
    assert button.disabled


def test_the_files_are_what_the_library_writes(
    oblong: AppTest, screen: Screen, library: Library
) -> None:
    plant(lambda examined: [planted(library.wrong[:3]), planted([], mistakes=9)])
    files = screen.downloads(diagnosed(oblong))
    wanted = asked_of_library(library, library.vit)
    assert json.loads(files["json_diagnosis"]) == wanted.to_dict()
    rows = list(csv.DictReader(io.StringIO(files["csv_diagnosis"].decode(), newline="")))
    for row, finding in zip(rows, wanted.findings, strict=True):
        said = finding.to_dict()
        assert row["sentence"] == said["sentence"] and int(row["mistakes"]) == said["mistakes"]
        assert row["images"].split(" | ") == (said["images"] or [""])
        assert float(row["p, corrected"]) == said["certainty"]["p_value"]
        assert [float(row["from"]), float(row["to"])] == said["certainty"]["interval"]
    assert [int(row["mistakes"]) for row in rows] == [9, 3]


def test_five_sentences_at_the_top_and_the_others_on_demand(
    oblong: AppTest, library: Library
) -> None:
    many = [planted([], sentence=f"Cause {i}.", classes=(i,), mistakes=i) for i in range(7)]
    plant(lambda examined: many)
    app = diagnosed(oblong)

    def told() -> list[str]:
        return [str(m.value) for m in app.markdown if str(m.value).startswith("**Cause")]

    assert told() == [f"**Cause {i}.**" for i in (6, 5, 4, 3, 2)]
    app.toggle(key="diagnosis_all").set_value(True).run()
    assert len(told()) == 7


def test_the_open_case_says_what_names_it(oblong: AppTest, library: Library) -> None:
    others = planted(library.wrong[1:2], sentence="Of another image.", classes=(4,))
    plant(lambda examined: [planted(library.wrong[:1]), others])
    app = finish(open_image(oblong, library.wrong[0]))
    assert "A mark at the lower right" in text(app) and "Of another" not in text(app)
    (button,) = (b for b in app.button if b.key == "concern_planted")
    button.click().run()
    assert "Pasted into 8" in text(app)
    assert app.session_state["diagnosis_open"] == "planted"
    app.switch_page(path("prediction_debugging")).run()
    app = finish(open_image(app, library.wrong[2]))
    assert "A mark at the lower right" not in text(app)


def test_the_report_begins_with_what_was_found(
    oblong: AppTest, screen: Screen, library: Library
) -> None:
    plant(lambda examined: [planted(library.wrong[:2])])
    label = "Report of the wrong predictions (HTML)"
    assert "lower right" not in screen.download(oblong, label).decode()
    diagnosed(oblong)
    oblong.switch_page(path("prediction_debugging")).run()
    page = screen.download(finish(oblong), label).decode()
    said = page.index("A mark at the lower right makes *frog* of 3 of 4 &lt;b&gt;images")
    assert said < page.index("Pasted into 8 images") < page.index("Take the mark away.")
    for name in library.wrong[:2]:
        crop = library.vit.crop(library.images[name])
        crop.thumbnail((128, 128))
        assert data_uri(png_bytes(crop), "image/png") in page


def test_a_link_opens_the_finding_that_its_sender_saw(walker: Walker) -> None:
    two = [planted([]), planted([], evidence=(Evidence("Seen in the second."),), classes=(3,))]
    plant(lambda examined: two)
    app = opened(walker, "diagnosis", {"diagnosis_open": "planted-3"})
    assert "Seen in the second." in text(app) and "Pasted into 8" not in text(app)
    assert not app.get("toast")
    app = opened(walker, "diagnosis", {"diagnosis_open": "gone-3"})
    assert "Pasted into 8" in text(app)
    (toast,) = app.get("toast")
    assert "gone\\-3" in toast.value


# -- what is asked, and what it costs ----------------------------------------------------------


def test_what_is_costly_waits_for_a_button(oblong: AppTest, library: Library) -> None:
    plant(lambda examined: [], kind="cheap")
    plant(
        lambda examined: [planted(library.wrong[:2], kind="dear")],
        kind="dear",
        passes=4321,
        alone=False,
    )
    app = diagnosed(oblong)
    assert "Nothing was found" in str([s.value for s in app.success])
    assert "1 question was asked of 80 images" in str([s.value for s in app.success])
    assert "Not asked yet: about 4,321 passes" in text(app)
    assert "A mark" not in text(app)
    finish(press(app, "Look further"))
    assert "A mark at the lower right" in text(app) and "Not asked yet" not in text(app)
    assert "Look further" not in labels(app)
    # Known on the next page too.
    app.switch_page(path("prediction_debugging")).run()
    assert "A mark at the lower right" in text(finish(open_image(app, library.wrong[0])))


def test_what_cannot_be_told_is_said_with_the_reason(oblong: AppTest) -> None:
    plant(lambda examined: [], lacks="the images have no *shadows*")
    app = diagnosed(oblong)
    assert "Cannot be told: the images have no *shadows*." in as_read(text(app))
    assert "Nothing could be asked" in str([s.value for s in app.success])


def test_a_failure_is_said_and_can_be_tried_again(oblong: AppTest) -> None:
    fails = [True]

    def find(examined: Examined) -> list[Finding]:
        if fails.pop(0) if fails else False:
            raise AttnlibError("The model gave up. Choose another.")
        return []

    plant(find)
    app = diagnosed(oblong)
    assert [w.value for w in app.warning] == ["The model gave up. Choose another."]
    press(app, "Try again")
    assert "Nothing was found" in str([s.value for s in finish(app).success])


def test_records_of_the_inspection_are_not_made_again(
    oblong: AppTest, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Examined] = []

    def find(examined: Examined) -> list[Finding]:
        seen.append(examined)
        return []

    plant(find)
    passes: list[int] = []
    forward = library.vit.module.forward_features
    monkeypatch.setattr(
        library.vit.module,
        "forward_features",
        lambda x, *rest, **more: (passes.append(len(x)), forward(x, *rest, **more))[1],
    )
    diagnosed(oblong)
    (examined,) = seen
    # Three are made to say what a pass takes.
    assert sum(passes) <= 3
    assert examined.names == tuple(library.names)
    assert examined.labels.tolist() == [library.true[name] for name in library.names]
    for name, image, record in zip(examined.names, examined.images, examined.records, strict=True):
        assert image.tobytes() == library.images[name].tobytes()
        np.testing.assert_allclose(
            record.probabilities, library.records[name].probabilities, atol=1e-5
        )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0004, "1 ms"), (0.054, "54 ms"), (2.34, "2.3 s"), (150, "2 min"), (9000, "2.5 h")],
)
def test_durations(seconds: float, said: str) -> None:
    assert asked.duration(seconds) == said


# -- the library's own finders -----------------------------------------------------------------


def test_exchanged_class_names_are_found_and_told_as_the_library_tells_them(
    app: AppTest, screen: Screen, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = list(demo.CLASS_NAMES)
    names[1], names[6] = names[6], names[1]
    vit = attnlib.load("demo", device="cpu").named(names)
    app.run()
    use(app, vit, monkeypatch)
    app = diagnosed(settle(app.run()))
    # The labels of the demo images are class names: with these names they are other numbers.
    true = {image.name: image.label for image in demo.images()}
    cheap = ["class-names", "label-noise", "heads", "outlier-tokens"]
    wanted = diagnosis.diagnose(vit, library.images, true, kinds=cheap)
    (finding,) = (f for f in wanted.findings if f.kind == "class-names")
    assert finding.classes == (1, 6)
    assert finding.sentence in as_read(text(app))
    said = json.loads(screen.downloads(app)["json_diagnosis"])
    (told,) = (f for f in said["findings"] if f["kind"] == "class-names")
    wanted_of_it = json.loads(json.dumps(finding.to_dict()))
    # Batches of another size round otherwise.
    p_value = wanted_of_it["certainty"]["p_value"]
    wanted_of_it["certainty"]["p_value"] = pytest.approx(p_value, rel=1e-4)
    assert told == wanted_of_it
    cards = screen.cards(app)
    assert [card.name for card in cards] == list(finding.images[:6])


def test_independent_labels_say_what_is_not_defined(
    app: AppTest, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    vit = attnlib.load(
        library.vit.module, class_names=demo.CLASS_NAMES, device="cpu", outputs="labels"
    )
    app.run()
    use(app, vit, monkeypatch)
    app = diagnosed(settle(app.run()))
    read = as_read(text(app))
    assert read.count("the model does not tell classes apart of which one is right") >= 2
    assert "no image has one right class" in read


def links(app: AppTest) -> str:
    """The words of the ways to other pages."""
    return "\n".join(element.proto.label for element in app.get("page_link"))


def test_the_gallery_says_the_costliest_finding(oblong: AppTest, library: Library) -> None:
    sentence = planted([]).sentence
    plant(lambda examined: [planted(library.wrong[:3]), planted([], mistakes=9, sentence="Big.")])
    # Nothing is begun while the page is drawn: the first cards come first.
    page = finish(oblong.switch_page(path("prediction_debugging")).run())
    assert "Big." not in text(page)
    diagnosed(page)
    page = finish(page.switch_page(path("prediction_debugging")).run())
    shown = as_read(text(page))
    assert "Big. 1 finding more." in shown and sentence not in shown
    next(b for b in page.button if b.key and b.key.startswith("found_")).click().run()
    assert page.session_state["diagnosis_open"] == "planted"


def test_the_gallery_says_that_nothing_was_found(oblong: AppTest, library: Library) -> None:
    plant(lambda examined: [])
    plant(lambda examined: [], kind="dear", passes=10**6, alone=False)
    page = finish(oblong.switch_page(path("prediction_debugging")).run())
    assert "looked for by itself" in links(page)
    page = finish(diagnosed(page).switch_page(path("prediction_debugging")).run())
    said = "nothing was found in 1 question; 1 that cost more can be asked: a dear cause."
    assert said in links(page)
