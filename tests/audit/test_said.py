"""What people say of an audit's images: nothing is lost when two say it at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnlib.audit.runs.manifest import Folder
from attnlib.audit.runs.said import HELD_S, Said, merged
from attnlib.data.remarks import Remark

TAGS = st.lists(st.sampled_from("abcde"), unique=True, max_size=4).map(tuple)
REMARKS = st.builds(
    Remark, TAGS, st.sampled_from(["", "one", "two", "three"]), st.sampled_from(["", "cat", "dog"])
)


@given(REMARKS, REMARKS, REMARKS)
def test_what_either_gave_is_there_and_what_either_took_is_not(
    before: Remark, mine: Remark, theirs: Remark
) -> None:
    now = merged(before, mine, theirs)
    given_, taken = set(mine.tags) - set(before.tags), set(before.tags) - set(mine.tags)
    assert given_ | (set(theirs.tags) - taken) | (set(mine.tags) & set(before.tags)) == set(
        now.tags
    )
    assert len(set(now.tags)) == len(now.tags)
    if mine.note != before.note and mine.note and theirs.note not in (before.note, mine.note):
        assert mine.note in now.note and theirs.note in now.note
    if mine == before:
        assert (now.note, now.should_be) == (theirs.note, theirs.should_be)
    if theirs == before:
        assert (set(now.tags), now.note, now.should_be) == (
            set(mine.tags),
            mine.note,
            mine.should_be,
        )


def test_another_process_sees_it_and_damaged_files_harm_nothing(tmp_path: Path) -> None:
    one, other = Said(Folder(str(tmp_path))), Said(Folder(str(tmp_path)))
    assert one.all() == {}
    first = Remark(("label error",), "a note", "dog")
    name = "../äöü/<b>.jpg"
    assert one.change(name, Remark(), first) == first
    assert other.all() == {name: first}
    other.change(name, first, Remark(("label error", "mine"), "a note", "dog"))
    assert one.all()[name].tags == ("label error", "mine")
    # Another who still saw the first: their note and the tag of the other are both kept.
    one.change(name, first, Remark(("label error",), "another note", "dog"))
    assert other.all()[name] == Remark(("label error", "mine"), "another note", "dog")
    assert sorted(path.parent.name for path in tmp_path.rglob("*.json")) == ["said"]
    for number, damaged in enumerate([b"", b"[]", b'{"name": 1}', b"\xff", b'{"name": "x"']):
        (tmp_path / "said" / f"{number}.json").write_bytes(damaged)
    assert set(other.all(now=True)) == {name}
    one.change(name, one.all()[name], Remark())
    assert other.all(now=True) == {}


def test_the_folder_is_listed_once_in_a_while_and_at_once_for_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, listed = [0.0], []
    files = Folder.files
    monkeypatch.setattr(Folder, "files", lambda *of: listed.append(of) or files(*of))
    mine = Said(Folder(str(tmp_path)), lambda: seconds[0])
    theirs = Said(Folder(str(tmp_path)))
    assert mine.all() == mine.all() == {} and len(listed) == 1
    theirs.change("a", Remark(), Remark(("x",)))
    seconds[0] = HELD_S - 0.01
    assert mine.all() == {} and len(listed) == 1
    assert mine.all(now=True) == {"a": Remark(("x",))}
    theirs.change("b", Remark(), Remark(("y",)))
    seconds[0] += HELD_S
    assert set(mine.all()) == {"a", "b"} and len(listed) == 3
    mine.change("a", Remark(("x",)), Remark(("x", "z")))
    assert mine.all()["a"] == Remark(("x", "z")) and len(listed) == 4
    assert HELD_S <= 2


def test_it_works_on_any_file_system() -> None:
    said = Said(Folder("memory://audits/said-test"))
    said.change("a", Remark(), Remark(("x",)))
    said.change("a", Remark(("x",)), Remark(("x",), "note"))
    assert said.all() == {"a": Remark(("x",), "note")}
