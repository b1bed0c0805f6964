"""An audit of the images that are loaded: the library's numbers, on any server, for one visitor."""

from __future__ import annotations

import gc
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.state import audits
from attnlib.data.collection import Sample
from attnlib.data.remarks import Remark
from attnlib.data.sets.held import Held
from attnlib.errors import AttnlibError, StoreError
from tests.dashboard.driving import click, finish, path, png, settle, text, upload, visitor
from tests.dashboard.library import Library
from tests.dashboard.screen import as_read


def listed(page: AppTest) -> Any:
    (frame,) = (t.value for t in page.dataframe if "confidence" in t.value and "name" in t.value)
    return frame


def folder(page: AppTest) -> Path:
    return Path(page.session_state["tasks"]["audit_own"].result.folder.name)


@pytest.fixture
def hosted(setting: Callable[..., Any]) -> None:
    setting(audits=(), local_files=False)


def audited(app: AppTest) -> AppTest:
    return click(finish(app.switch_page(path("audits")).run()), "Audit these images")


def test_a_server_for_others_audits_what_is_loaded(
    oblong: AppTest, hosted: None, library: Library
) -> None:
    page = finish(oblong.switch_page(path("audits")).run())
    assert "80 images loaded here, 80 with a label" in text(page)
    assert not [field for field in page.text_input if field.key == "audit_folder"]
    page = click(page, "Audit these images")
    said, wrong = as_read(text(page)), library.wrong
    assert f"**80** images · **{len(wrong)}** of 80 wrong" in said
    frame = listed(page)
    assert frame["name"].tolist() == wrong[:24]
    assert frame["image"].str.startswith("data:image/png").all()
    for row in frame.itertuples():
        shares = library.records[row.name].probabilities
        assert row.confidence == pytest.approx(shares.max(), abs=1e-5)
        assert row.label == library.vit.class_names[library.true[row.name]]
    # What is said of an image here is said of the session's image.
    page.session_state["audit_table"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    finish(page.run())
    next(b for b in page.button_group if b.label.startswith("Tags of")).set_value(
        ["label error"]
    ).run()
    session = page.session_state["session"]
    assert session.remarks == {wrong[0]: Remark(("label error",))}
    assert "stays in this tab" not in text(page)
    samples, files = session.samples, dict(session.files)
    next(b for b in page.button if b.label.startswith("Look at")).click().run()
    finish(page)
    assert (session.samples, session.files) == (samples, files)


def test_uploads_are_audited_and_seen_by_nobody_else(oblong: AppTest, hosted: None) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in (
            ("set/cat/<i>a.png", png(1)),
            ("set/dog/b.png", png(2)),
            ("set/dog/broken.png", png(3)[:60]),
        ):
            archive.writestr(name, data)
    page = audited(upload(oblong, ("set.zip", out.getvalue(), "application/zip")))
    assert "3 images loaded here, 3 with a label" in text(page)
    assert "**3** images" in as_read(text(page)) and "**1** refused" in as_read(text(page))
    page.segmented_control(key="audit_outcome").set_value("all").run()
    frame = listed(page).set_index("name")
    assert frame["label"].to_dict() == {
        "set/cat/<i>a.png": "cat",
        "set/dog/b.png": "dog",
        "set/dog/broken.png": "dog",
    }
    assert frame["error"].notna().tolist() == [name.endswith("broken.png") for name in frame.index]
    place = folder(page)
    assert place.is_dir() and place.stat().st_mode & 0o077 == 0
    with pytest.raises(AttnlibError, match="that its operator chose"):
        audits.get(str(place))
    other = settle(visitor().run())
    other.query_params["audit_folder"] = str(place)
    other.query_params["audit"] = str(place)
    finish(other.switch_page(path("audits")).run())
    assert "broken.png" not in text(other) and not other.dataframe
    # Other images: the audit of those before is gone, from the machine too.
    page = finish(upload(page, ("c.png", png(7), "image/png")))
    finish(page.switch_page(path("audits")).run())
    assert "**3** images" not in as_read(text(page))
    gc.collect()
    assert not place.exists()


def test_ones_own_machine_has_both(oblong: AppTest, setting: Callable[..., Any]) -> None:
    setting(audits=(), local_files=True)
    page = finish(oblong.switch_page(path("audits")).run())
    assert "Make one in a shell" in text(page)
    page.segmented_control(key="audit_of").set_value("The images loaded here").run()
    assert "80 images loaded here" in text(page) and "Make one in a shell" not in text(page)


def test_held_images_are_a_set() -> None:
    class Gone:
        size = 1

        def read(self) -> bytes:
            raise StoreError("It is gone.")

    samples = (
        Sample("a/1.png", b"one", "sha1", "a"),
        Sample("2.png", Gone(), "sha2", None),  # type: ignore[arg-type]
    )
    held = Held(samples, {"a/1.png": "ant"})
    entries = list(held.entries())
    assert [(e.name, e.label, e.file) for e in entries] == [
        ("a/1.png", "ant", "sha1"),
        ("2.png", None, "sha2"),
    ]
    second, first = held.read(entries[::-1])
    assert first == b"one" and isinstance(second, StoreError)
