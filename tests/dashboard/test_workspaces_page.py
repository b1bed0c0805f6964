"""What the page of workspaces does with them, compared with the store."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.state import storage
from attnlib.errors import NotFound
from attnlib.store import LOCAL, Person
from tests.dashboard.driving import click, path, text
from tests.dashboard.screen import Screen
from tests.dashboard.test_workspaces import (
    ANNE,
    BERT,
    CLEO,
    as_person,
    contents,
    home,
    link,
    one_image,
    opened,
)

ANSWER = """
import streamlit as st
from attnlib.dashboard.workspaces import opened
opened._delete.__wrapped__(st.session_state["asked"])
"""
# Fixtures of the other file.
__all__ = ["as_person", "home"]


def this_one(app: AppTest) -> AppTest:
    """The page about the workspace that is open."""
    app.switch_page(path("workspaces"))
    app.session_state["workspaces_view"] = "This one"
    return app.run()


def listed(app: AppTest) -> list[str]:
    """The names in the list, as this person sees it."""
    app.session_state["workspaces_view"] = "All workspaces"
    app.run()
    return [str(name) for table in app.dataframe for name in table.value["name"]]


def test_a_duplicate_is_opened_and_goes_its_own_way(app: AppTest) -> None:
    one_image(app)
    first, before = link(app), contents(app)
    click(this_one(app), "Duplicate")
    assert link(app) != first
    assert contents(opened(link(app))) == before
    storage.store().delete(LOCAL, first)
    assert contents(opened(link(app))) == before


def test_an_export_is_imported_as_the_same(app: AppTest, screen: Screen) -> None:
    one_image(app)
    first, before = link(app), contents(app)
    data = screen.download(this_one(app), "Export as one file")
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        stored = [made.read(name) for name in made.namelist()]
    assert before[0][2] in stored, "the image's own bytes lie in it"
    listed(app)
    (uploader,) = (u for u in app.file_uploader if u.label.startswith("One file"))
    uploader.set_value([("w.zip", data, "application/zip")]).run()
    click(app, "Import")
    assert link(app) != first
    storage.store().delete(LOCAL, first)
    assert contents(opened(link(app))) == before


@pytest.mark.parametrize("data", [b"no zip", b"PK\x05\x06" + 18 * b"\0"])
def test_what_is_no_export_is_refused_in_a_sentence(app: AppTest, data: bytes) -> None:
    one_image(app)
    before = link(app)
    listed(this_one(app))
    (uploader,) = (u for u in app.file_uploader if u.label.startswith("One file"))
    uploader.set_value([("w.zip", data, "application/zip")]).run()
    click(app, "Import")
    assert not app.exception
    assert "workspace" in text(app)
    assert link(app) == before
    assert len(storage.store().workspaces(LOCAL)) == 1


def test_an_archived_one_is_out_of_the_list_until_it_is_restored(app: AppTest) -> None:
    one_image(app)
    click(this_one(app), "Archive")
    assert storage.store().head(LOCAL, link(app)).archived
    assert listed(app) == []
    click(this_one(app), "Restore")
    assert not storage.store().head(LOCAL, link(app)).archived
    assert len(listed(app)) == 1


def test_it_is_deleted_for_good_after_a_question(app: AppTest) -> None:
    one_image(app)
    id = link(app)
    click(this_one(app), "Delete …")
    assert storage.store().head(LOCAL, id), "the question alone deletes nothing"
    assert "There is no way back" in text(app)
    # A dialog is a part that runs alone, which these tests cannot: it is run as a script.
    dialog = AppTest.from_string(ANSWER)
    dialog.session_state["asked"] = storage.store().head(LOCAL, id)
    click(dialog.run(), "Delete for good")
    with pytest.raises(NotFound):
        storage.store().head(LOCAL, id)
    assert "cannot be opened" in app.run().title[0].value


def test_what_is_shared_is_in_anothers_list(
    app: AppTest, as_person: Callable[[Person], None]
) -> None:
    as_person(ANNE)
    one_image(app)
    id = link(app)
    as_person(BERT)
    assert "cannot be opened" in opened(id).title[0].value
    as_person(ANNE)
    this_one(app)
    seen = next(group for group in app.get("button_group") if group.label == "Seen by")
    seen.set_value("team").run()
    assert storage.store().head(ANNE, id).access == "private", "not before it is saved"
    click(app, "Save who sees it")
    assert storage.store().head(ANNE, id).access == "team"
    for person in (BERT, CLEO):
        as_person(person)
        assert [head.id for head in storage.store().workspaces(person)] == [id]
        assert contents(opened(id)) == contents(app)


def test_only_its_admins_share_and_delete_it(
    app: AppTest, as_person: Callable[[Person], None]
) -> None:
    as_person(ANNE)
    one_image(app)
    id = link(app)
    storage.store().share(ANNE, id, "team", {BERT.email: "editor"})
    for person, buttons in ((BERT, {"Archive", "Duplicate"}), (CLEO, {"Duplicate"})):
        as_person(person)
        shown = {button.label for button in this_one(opened(id)).button}
        offered = {"Archive", "Duplicate", "Delete …", "Save who sees it"} & shown
        assert offered == buttons, person.name
