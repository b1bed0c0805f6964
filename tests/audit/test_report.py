"""The report as a browser would parse it: nothing from outside, nothing unescaped."""

import base64
import io
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from attnlib.audit import Summary
from attnlib.audit.report import ReportEntry, Section, html_report
from attnlib.pictures.overlay import jpeg_bytes, png_bytes

PNG = png_bytes(Image.new("RGB", (4, 4), (200, 30, 60)))
SUMMARY = Summary(120, 100, 8, 0.92, (0.8501, 0.9589), 0.93, 0.61)
HOSTILE = """"'></title></style><script>alert(1)</script><img src=x onerror=alert(1)>&amp;"""


class Page(HTMLParser):
    """All elements with their attributes, and all text outside of the style sheet."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def entry(text: str = "tabby cat", images: int = 2) -> ReportEntry:
    top = [(text, 0.7), ("lynx", 0.2), ("other", 0.1)]
    return ReportEntry(text, "lynx", text, top, [(text, PNG)] * images, text)


def page(entries: list[ReportEntry], title: str = "Audit", summary: Summary = SUMMARY) -> Page:
    return Page(html_report(title, "vit_tiny", summary, entries))


def test_the_page_is_complete_and_well_nested() -> None:
    parsed = page([entry(), entry("dog")])
    assert parsed.open == []
    assert len(parsed.all("article")) == 2
    assert len(parsed.all("img")) == 4
    assert parsed.all("html") == [{"lang": "en"}]


def test_pictures_are_inside_and_nothing_comes_from_outside() -> None:
    parsed = page([entry()])
    sources = [attributes["src"] for attributes in parsed.all("img")]
    for source in sources:
        assert source is not None
        content = base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True)
        assert Image.open(io.BytesIO(content)).size == (4, 4)
    names = {name for _, attributes in parsed.elements for name in attributes}
    assert not names & {"href", "srcset", "action", "data", "poster"}
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in parsed.elements}


def test_the_policy_allows_inner_pictures_and_styles_only() -> None:
    document = html_report("Audit", "vit", SUMMARY, [entry()])
    (policy,) = (a for a in Page(document).all("meta") if "http-equiv" in a)
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert document.index("Content-Security-Policy") < document.index("<style>")
    assert "url(" not in document
    assert "@import" not in document


@settings(max_examples=50)
@given(st.text() | st.just(HOSTILE))
def test_hostile_text_stays_text(text: str) -> None:
    plain = [(tag, sorted(a)) for tag, a in page([entry("x")], "x").elements]
    if not text:
        text = " "
    document = html_report(text, text, SUMMARY, [entry(text)])
    parsed = Page(document)
    assert [(tag, sorted(a)) for tag, a in parsed.elements] == plain
    assert document.encode("utf-8")


def test_hostile_text_is_shown_as_written() -> None:
    parsed = Page(html_report(HOSTILE, HOSTILE, SUMMARY, [entry(HOSTILE)]))
    # Title, heading, model; file name, predicted class, two captions, bar, note.
    assert parsed.text.count(HOSTILE) == 9
    assert [a["alt"] for a in parsed.all("img")] == [f"{HOSTILE}, {HOSTILE}"] * 2


def test_a_hostile_true_class_is_escaped() -> None:
    hostile = ReportEntry("a.png", HOSTILE, "cat", [("cat", 1.0)], [])
    parsed = page([hostile])
    assert HOSTILE in parsed.text
    assert not parsed.all("script")


def test_a_broken_file_name_can_still_be_written() -> None:
    broken = html_report("caf\udce9", "vit", SUMMARY, [])
    assert "caf?" in broken.encode("utf-8").decode("utf-8")


def test_numbers_are_shown() -> None:
    text = page([entry()]).text.replace("\N{NO-BREAK SPACE}", " ")
    for number in ("120", "100 with a label", "92.0 %", "85.0 to 95.9 %", "93.0 %", "61.0 %"):
        assert number in text
    assert "1 wrong prediction shown" in text


def test_nothing_labelled_is_said_and_not_shown_as_zero() -> None:
    unlabelled = Summary(5, 0, 0, None, None, None, None)
    text = page([], summary=unlabelled).text
    assert "unknown" in text
    assert "%" not in text
    assert "No wrong prediction to show." in text


def test_bars_are_as_long_as_the_probability_and_name_their_role() -> None:
    parsed = page([entry()])
    assert [a["style"] for a in parsed.all("i")] == ["width:70.0%", "width:20.0%", "width:10.0%"]
    assert [a["class"] for a in parsed.all("li")] == ["predicted", "true", ""]


def test_the_time_is_the_one_given() -> None:
    made = datetime(2024, 2, 3, 14, 5, tzinfo=UTC)
    document = html_report("Audit", "vit", SUMMARY, [], made)
    assert "2024-02-03 14:05 UTC" in document
    assert "202" not in page([]).text


def test_jpeg_is_taken_and_anything_else_refused() -> None:
    jpeg = jpeg_bytes(Image.new("RGB", (4, 4)))
    parsed = page([ReportEntry("a", "b", "c", [], [("photo", jpeg)])])
    assert str(parsed.all("img")[0]["src"]).startswith("data:image/jpeg;base64,")
    with pytest.raises(ValueError, match="neither PNG nor JPEG"):
        page([ReportEntry("a", "b", "c", [], [("photo", b"<svg onload=alert(1)>")])])


def test_sections_come_first_and_are_escaped() -> None:
    sections = [Section(HOSTILE, [("For", HOSTILE)], [(HOSTILE, PNG)]), Section("second", [])]
    document = html_report("Audit", "vit_tiny", SUMMARY, [entry()], sections=sections)
    parsed = Page(document)
    assert parsed.open == []
    assert not parsed.all("script")
    assert parsed.text.count(HOSTILE) == 3
    assert len(parsed.all("img")) == 3
    assert document.index("second") < document.index("Predicted")
    assert len(parsed.all("article")) == 3
