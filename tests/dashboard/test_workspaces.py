"""Workspaces that last: what one visitor did, the next one with its link finds again."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.dashboard.parts import kept
from attnlib.dashboard.state import model_reference, models, people, restoring, saving, storage
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.session import Session, demo_samples
from attnlib.dashboard.state.weights import sha256_of
from attnlib.data.annotation import Coco, CocoObject
from attnlib.data.collection import Sample
from attnlib.data.image import sha256
from attnlib.data.remarks import Remark
from attnlib.errors import StoreError
from attnlib.model import demo
from attnlib.model.vit import Vit
from attnlib.store import LOCAL, Person, Store
from tests.dashboard.driving import path, png, settle, text, upload, visitor
from tests.dashboard.screen import Screen

ANNE = Person("anne", "Anne", "anne@example.org", "admin")
BERT = Person("bert", "Bert", "bert@example.org", "editor")
CLEO = Person("cleo", "Cleo", "cleo@example.org", "viewer")


@pytest.fixture(autouse=True)
def home(setting: Callable[..., Any], tmp_path: Path) -> Iterator[Path]:
    """A store of this test's own."""
    setting(home=tmp_path)
    storage._door.clear()
    yield tmp_path
    storage._door.clear()


@pytest.fixture
def as_person(monkeypatch: pytest.MonkeyPatch) -> Callable[[Person], None]:
    """Who the runs that follow belong to."""

    def become(person: Person) -> None:
        monkeypatch.setattr(people, "person", lambda: person)
        monkeypatch.setattr(people, "sign_in_is_on", lambda: True)

    return become


def link(app: AppTest) -> str:
    """The id that the address names."""
    found = app.query_params[kept.KEY]
    return found if isinstance(found, str) else found[0]


def opened(id: str, **more: str) -> AppTest:
    """Somebody else's visit to a link."""
    app = visitor()
    app.query_params[kept.KEY] = id
    for key, value in more.items():
        app.query_params[key] = value
    app.run()
    return settle(app) if "session" in app.session_state else app


def saved(app: AppTest) -> AppTest:
    """Run until nothing is being saved."""
    for _ in range(50):
        app.run()
        stored = app.session_state["session"].stored
        if not stored.saving and not stored.unsent and not stored.failure:
            return app
        if stored.work is not None:
            stored.work._ended.wait(5)
    raise AssertionError(f"not saved: {app.session_state['session'].stored.failure}")


def one_image(app: AppTest, name: str = "a.png") -> None:
    """A visit whose one image is saved."""
    settle(app.run())
    upload(app, (name, png(1), "image/png"))
    saved(app)


def brought() -> tuple[tuple[str, bytes, str], ...]:
    """A zip with two classes, a mask among them, and a table that names one image anew."""
    out = io.BytesIO()
    mask = io.BytesIO()
    Image.fromarray(np.eye(48, dtype=np.uint8) * 255).save(mask, "PNG")
    with zipfile.ZipFile(out, "w") as archive:
        for seed, name in enumerate(("cat/a", "cat/b", "dog/c")):
            archive.writestr(f"set/{name}.png", png(seed))
        archive.writestr("set/cat/a_mask.png", mask.getvalue())
    table = b"filename,label\nc.png,frog\n"
    return ("set.zip", out.getvalue(), "application/zip"), ("labels.csv", table, "text/csv")


def contents(app: AppTest) -> list[tuple[str, str | None, bytes, str]]:
    samples: tuple[Sample, ...] = app.session_state["session"].samples
    return [(s.name, s.label, s.data, s.note) for s in samples]


def say(app: AppTest, name: str, **parts: Any) -> None:
    app.session_state["session"].remarks[name] = Remark(**parts)


def test_whoever_has_the_link_finds_all_of_it_again(app: AppTest) -> None:
    settle(app.run())
    assert kept.KEY not in app.query_params, "the demo alone is nothing to keep"
    upload(app, *brought())
    first = app.session_state["session"]
    say(app, "set/cat/b.png", tags=("blurred", "label error"), note="a *note*", should_be="dog")
    first.manual["set/cat/a.png"] = ("horse",)
    saved(app)
    there = opened(link(app))
    second = there.session_state["session"]
    assert contents(there) == contents(app)
    assert second.objects.masks == first.objects.masks != {}
    assert second.remarks == first.remarks
    assert second.manual == first.manual
    labels = [a.session_state["workspace"].labels.labels for a in (app, there)]
    assert labels[0] == labels[1] and len(labels[0]) == 3
    shares = [
        [p.probabilities for p in a.session_state["workspace"].predictions] for a in (app, there)
    ]
    np.testing.assert_array_equal(shares[0], shares[1])
    assert link(there) == link(app)


def test_bytes_are_read_again_from_the_store_and_are_the_same(app: AppTest, home: Path) -> None:
    one_image(app)
    (sample,) = app.session_state["session"].samples
    assert sample.data == png(1)
    (blob,) = (p for p in (home / "blobs").rglob("*") if p.is_file() and p.name == sample.sha256)
    blob.write_bytes(b"damaged")
    with pytest.raises(StoreError, match=r"a\.png"):
        _ = sample.data  # memory was given back when it was stored


def test_a_link_opens_one_case_on_another_page(app: AppTest) -> None:
    settle(app.run())
    upload(app, *((f"{n}.png", png(i), "image/png") for i, n in enumerate("abc")))
    saved(app)
    there = opened(link(app), image="b.png")
    there.switch_page(path("cls_attention")).run()
    assert there.session_state["image"] == "b.png"
    assert "b.png" in text(there)
    assert not there.exception


def test_what_is_chosen_for_the_model_comes_back_and_a_link_wins_over_it(app: AppTest) -> None:
    settle(app.run())
    upload(app, ("a.png", png(1), "image/png"))
    app.session_state["outputs"] = "labels"
    saved(app)
    assert app.session_state["workspace"].vit.outputs.kind == "labels"
    saved(app)
    there = opened(link(app))
    assert there.session_state["workspace"].vit.outputs.kind == "labels"
    other = opened(link(app), outputs="features")
    assert other.session_state["workspace"].vit.outputs.kind == "features"


def test_nothing_of_a_workspace_that_one_may_not_see(
    app: AppTest, as_person: Callable[[Person], None]
) -> None:
    as_person(ANNE)
    settle(app.run())
    upload(app, ("secret.png", png(1), "image/png"))
    say(app, "secret.png", tags=("hidden",))
    saved(app)
    id = link(app)
    as_person(BERT)
    words = [text(opened(asked)) for asked in (id, "0" * 32)]
    assert words[0] == words[1], "one that is not there looks the same"
    assert "secret" not in words[0] and "hidden" not in words[0]
    refused = opened(id)
    assert [t.value for t in refused.title] == ["This workspace cannot be opened"]
    assert "session" not in refused.session_state, "no demo stands in its place"
    refused.button[0].click().run()
    settle(refused)
    assert kept.KEY not in refused.query_params
    assert len(refused.session_state["session"].samples) == 80


def test_two_people_at_one_case_keep_both_their_words(
    app: AppTest, as_person: Callable[[Person], None]
) -> None:
    as_person(ANNE)
    one_image(app)
    storage.store().share(ANNE, link(app), "team", {})
    as_person(BERT)
    other = opened(link(app))
    as_person(ANNE)
    say(app, "a.png", tags=("blurred",), note="Anne's words")
    saved(app)
    as_person(BERT)
    # Bert has not looked since: he writes over what he saw.
    stored = other.session_state["session"].stored
    say(other, "a.png", tags=("too dark",), note="Bert's words")
    saved(other)
    both = other.session_state["session"].remarks["a.png"]
    assert set(both.tags) == {"blurred", "too dark"}
    assert "Anne's words" in both.note and "Bert's words" in both.note
    assert stored.cases["a.png"].remark == both
    as_person(ANNE)
    app.run()
    assert app.session_state["session"].remarks["a.png"] == both
    assert any("Bert" in toast.value for toast in app.toast)


def test_a_viewer_looks_and_comments_and_changes_nothing(
    app: AppTest, as_person: Callable[[Person], None]
) -> None:
    as_person(ANNE)
    one_image(app)
    id = link(app)
    storage.store().share(ANNE, id, "team", {})
    as_person(CLEO)
    other = opened(id, image="a.png")
    say(other, "a.png", tags=("mine alone",))
    field = next(t for t in other.text_input if t.label == "Add a comment")
    field.set_value("why a *frog*?").run()
    saved(other)
    assert "You may look and comment" in text(other)
    there = storage.store().open(ANNE, id)
    assert there.cases == {}
    assert [(c.author_name, c.text) for c in there.comments["a.png"]] == [("Cleo", "why a *frog*?")]
    as_person(ANNE)
    app.session_state["image"] = "a.png"
    app.session_state["talk_open"] = True
    app.run()
    assert r"why a \*frog\*?" in text(app)


def test_what_could_not_be_saved_is_said_and_saved_later(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_image(app)

    def full(*_: object) -> None:
        raise StoreError("The disk is full: make room, then it goes on.")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "say", full)
        say(app, "a.png", tags=("blurred",))
        app.run()
        app.run()
        assert "Not saved: The disk is full" in text(app).replace("\\", "")
        assert app.session_state["session"].remarks["a.png"].tags == ("blurred",)
    monkeypatch.setattr(saving, "AGAIN_S", 0.0)
    saved(app).run()
    assert "Not saved" not in text(app)
    assert storage.store().open(LOCAL, link(app)).cases["a.png"].remark.tags == ("blurred",)


def test_more_than_one_person_may_have_is_refused_and_stays_in_the_tab(
    app: AppTest, setting: Callable[..., Any]
) -> None:
    setting(max_images=2)
    settle(app.run())
    upload(app, *((f"{n}.png", png(i), "image/png") for i, n in enumerate("abc")))
    app.run()
    assert "you would have 3 stored images of 2" in text(app)
    assert len(app.session_state["session"].samples) == 3


def test_nothing_is_seen_of_a_workspace_that_is_deleted_or_unshared_meanwhile(
    app: AppTest, as_person: Callable[[Person], None]
) -> None:
    as_person(ANNE)
    one_image(app, "secret.png")
    storage.store().share(ANNE, link(app), "private", {BERT.email: "editor"})
    as_person(BERT)
    other = opened(link(app))
    assert "secret.png" in other.session_state["workspace"].by_name
    storage.store().share(ANNE, link(app), "private", {})
    other.run()
    assert "cannot be opened" in other.title[0].value
    assert "session" not in other.session_state and "secret" not in text(other)
    as_person(ANNE)
    storage.store().delete(ANNE, link(app))
    app.run()
    assert "cannot be opened" in app.title[0].value


def test_the_list_opens_and_a_new_one_begins_with_the_demo(app: AppTest) -> None:
    one_image(app)
    first = link(app)
    app.session_state["workspace_open"] = True
    app.run()
    next(b for b in app.button if b.label == "New workspace").click().run()
    settle(app)
    assert kept.KEY not in app.query_params
    upload(app, ("b.png", png(2), "image/png"))
    saved(app)
    assert link(app) != first
    app.switch_page(path("workspaces")).run()
    (table,) = app.dataframe
    assert [name.split(",")[0] for name in table.value["name"]] == ["b.png", "a.png"]
    assert list(table.value["images"]) == [1, 1]


def test_the_queue_shows_unjudged_mistakes_most_confident_first(
    app: AppTest, screen: Screen
) -> None:
    settle(app.run())
    space = app.session_state["workspace"]
    wrong = sorted((p for p in space.predictions if p.wrong), key=lambda p: -p.confidence)
    say(app, wrong[0].name, tags=("blurred",))
    saved(app)
    app.run()
    next(b for b in app.button if b.label == f"Queue: {len(wrong) - 1}").click().run()
    settle(app)
    assert [card.name for card in screen.cards(app)] == [p.name for p in wrong[1:7]]


def test_nothing_is_kept_on_an_open_server_without_a_sign_in(
    app: AppTest, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(people, "alone", lambda: False)
    settle(app.run())
    upload(app, ("a.png", png(1), "image/png"))
    app.run()
    assert kept.KEY not in app.query_params
    assert not list(home.rglob("*.sqlite3"))
    app.session_state["workspace_open"] = True
    app.run()
    assert "so nothing is kept" in text(app)


def test_an_uploaded_model_masks_and_annotations_come_back(vit: Vit) -> None:
    demo_vit = vit
    weights = demo.WEIGHTS.read_bytes()
    parts = {k: v for k, v in demo.ARCHITECTURE.items() if k not in ("img_size", "num_classes")}
    choice = ModelChoice(
        "vit_tiny_patch16_224",
        digest=sha256(weights),
        img_size=(32, 32),
        model_args=tuple(parts.items()),
        class_names=demo.CLASS_NAMES,
        file="best.safetensors",
    )
    visitor = Session(demo_samples(), choice=choice, upload=weights)
    name, picture = visitor.samples[3].name, visitor.samples[3].sha256
    visitor.objects.masks[picture] = png(7)
    outline = CocoObject("cat", ((1.0, 2.5, 30.0, 2.5, 30.0, 28.0),))
    coco = Coco({name: (32, 32), "other.png": (8, 9)}, {name: (outline,)})
    visitor.objects.coco = ("digest", coco)
    vit = models.get(choice, weights)
    assert vit is not demo_vit
    saving.save(visitor, LOCAL, saving.Chosen(vit, {"source": ["upload"]}), wait=30)
    assert not visitor.stored.failure and visitor.stored.head is not None
    again = restoring.load(LOCAL, visitor.stored.id)
    assert (again.choice, again.upload) == (choice, weights)
    assert again.choice.title == "best.safetensors (vit_tiny_patch16_224)"
    assert again.objects.masks == visitor.objects.masks
    assert again.objects.coco is not None and again.objects.coco[1] == coco
    there = storage.store().open(LOCAL, visitor.stored.id).setup.model
    # The hash names the numbers, not the file that they came in.
    assert there["weights_sha256"] == sha256_of(vit) == sha256_of(demo_vit)
    other = demo.build()
    other.pretrained_cfg = demo.DATA_CONFIG
    with torch.no_grad():
        other.head.bias[3] += 1e-3
    assert there["weights_sha256"] != sha256_of(attnlib.load(other, device="cpu"))


@pytest.mark.parametrize(
    "part",
    [
        {"checkpoint": "/etc/passwd"},
        {"source": "local-dir:/etc", "digest": "0" * 64},
        {"img_size": [10**6, 3]},
        {"precision": "float1"},
        {"model_args": {"a": {"b": 1}}},
        {"class_names": 3},
        {"names": {"names": [1]}},
    ],
)
def test_a_model_that_somebody_wrote_into_a_workspace_is_judged(
    part: dict[str, Any], vit: Vit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "local_files_allowed", lambda: False)
    good = model_reference.written(ModelChoice("auto", digest="0" * 64), vit)
    assert model_reference.read(good) == ModelChoice("auto", digest="0" * 64)
    with pytest.raises(StoreError):
        model_reference.read({**good, **part})


@pytest.mark.parametrize("demos", [("demo", "demo-objects"), ("demo-objects", "demo")])
def test_a_workspace_keeps_its_demo_where_another_one_opens_now(
    app: AppTest, setting: Callable[..., Any], demos: tuple[str, str]
) -> None:
    setting(opening_demo=demos[0])
    settle(app.run())
    assert "source" not in app.query_params, "which demo opens stands in no address"
    before = contents(app)
    say(app, before[0][0], tags=("mark",))
    saved(app)
    setting(opening_demo=demos[1])
    there = opened(link(app))
    assert contents(there) == before
    assert there.session_state["session"].choice.source == demos[0]
    assert there.session_state["session"].remarks[before[0][0]].tags == ("mark",)
    assert contents(settle(visitor().run())) != before, "a new visit begins with the other one"


def test_looking_changes_nothing(app: AppTest) -> None:
    settle(app.run())
    upload(app, ("a.png", png(1), "image/png"))
    app.session_state["outputs"] = "labels"
    saved(app)
    saved(app)
    before = storage.store().head(LOCAL, link(app)).revision
    saved(opened(link(app)))
    assert storage.store().head(LOCAL, link(app)).revision == before
