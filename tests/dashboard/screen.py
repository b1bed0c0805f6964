"""What left the server for the screen or for a file, read back from a run of the app."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.testing.v1 import AppTest

from attnlib.pictures.markdown import JOINER

Pixels = NDArray[np.uint8]


def as_read(markdown: str) -> str:
    """What a person reads of a text that went through the door to Markdown."""
    return re.sub(r"\\(.)", r"\1", markdown.replace(JOINER, ""))


@dataclass(frozen=True)
class Cells:
    """One picture of cells that can be pointed at.

    Attributes:
        pixels: ``(h, w, 3)`` as sent to the browser.
        shape: rows and columns of cells.
        values: ``(rows, cols)`` read out under the pointer; None where there are none.
        said: everything else that was sent.
    """

    pixels: Pixels
    shape: tuple[int, int]
    values: NDArray[np.float32] | None
    said: dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One picture of a board, with the map that the browser lays over it.

    Attributes:
        base: ``(h, w, 3)`` of the picture as sent.
        layer: ``(rows, cols, 4)`` RGBA of the map as sent; None without a map.
        values: ``(rows, cols)`` as read out under the pointer, in the unit that is said.
        said: everything else that was sent.
    """

    caption: str
    base: Pixels
    layer: Pixels | None
    values: NDArray[np.float32] | None
    said: dict[str, Any]


@dataclass(frozen=True)
class Card:
    """One image of a board.

    Attributes:
        figures: its own pictures.
        pairs: of each reference, its pictures and its words.
        said: everything that was sent.
    """

    name: str
    figures: list[Figure]
    pairs: list[tuple[list[Figure], str]]
    said: dict[str, Any]


@dataclass
class Screen:
    """Reads runs of an app: its pictures, cells, charts, words and the files behind its buttons."""

    files: dict[str, bytes] = field(default_factory=dict)
    makers: dict[str, Callable[[], bytes | str]] = field(default_factory=dict)

    def pictures(self, app: AppTest) -> list[tuple[str, Pixels]]:
        """Caption and pixels of every picture, in the order of the page."""
        found = []
        for element in app.get("image") or app.get("imgs"):
            for one in element.proto.imgs:
                name = one.url.rsplit("/", 1)[-1].split(".")[0]
                found.append((as_read(str(one.caption)), pixels(self.files[name])))
        return found

    def frames(self, app: AppTest) -> list[int]:
        """How many frames every picture has."""
        names = [
            one.url.rsplit("/", 1)[-1].split(".")[0]
            for element in app.get("image") or app.get("imgs")
            for one in element.proto.imgs
        ]
        return [getattr(Image.open(io.BytesIO(self.files[n])), "n_frames", 1) for n in names]

    def cells(self, app: AppTest) -> dict[str, Cells]:
        """Every picture of cells, by key."""
        found = {}
        for element in app.get("bidi_component"):
            if element.proto.component_name != "attnlib_cells":
                continue
            said = json.loads(element.proto.json)
            shape = said["rows"], said["cols"]
            values = None
            if said["values"]:
                raw = np.frombuffer(base64.b64decode(said["values"]), np.float32)
                values = raw.reshape(shape)
            picture = base64.b64decode(said["image"].split(",", 1)[1])
            key = element.proto.id.split("-", 2)[2]
            found[key] = Cells(pixels(picture), shape, values, said)
        return found

    def cards(self, app: AppTest) -> list[Card]:
        """The cards of the boards on the page, in order, without those of the sidebar."""
        boards = [
            e
            for e in app.get("bidi_component")
            if e.proto.component_name == "attnlib_board" and "-pick" not in e.proto.id
        ]
        found = []
        for said in (json.loads(board.proto.json) for board in boards):
            pictures = {name: pixels(_data(uri)) for name, uri in said["pictures"].items()}
            for card in said["cards"]:
                pairs = [
                    ([_figure(one, pictures) for one in pair["figures"]], pair["words"])
                    for pair in card["pairs"]
                ]
                own = [_figure(one, pictures) for one in card["figures"]]
                found.append(Card(card["name"], own, pairs, card))
        return found

    def download(self, app: AppTest, label: str) -> bytes:
        """What the only button of that label hands out when it is pressed."""
        (button,) = (b for b in app.get("download_button") if b.proto.label == label)
        return self._press(button)

    def downloads(self, app: AppTest) -> dict[str, bytes]:
        """What every download button with a key hands out, by key; each is pressed."""
        found = {}
        for button in app.get("download_button"):
            key = button.proto.id.split("-", 2)[2]
            found[key] = self._press(button)
        return found

    def files_behind_buttons(self, app: AppTest) -> list[bytes]:
        """What every download button hands out, in the order of the page."""
        return [self._press(button) for button in app.get("download_button")]

    def _press(self, button: Any) -> bytes:
        made = self.makers[button.proto.deferred_file_id]()
        return made.encode() if isinstance(made, str) else made


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Keeps the files that runs of the app hand out, which the server would delete."""
    read = Screen()
    store, defer = MemoryMediaFileStorage.load_and_get_id, MediaFileManager.add_deferred

    def stored(self: Any, data: Any, *args: Any, **rest: Any) -> str:
        name = store(self, data, *args, **rest)
        read.files[name] = data if isinstance(data, bytes) else Path(data).read_bytes()
        return name

    def deferred(self: Any, maker: Any, *args: Any, **rest: Any) -> str:
        name = defer(self, maker, *args, **rest)
        read.makers[name] = maker
        return name

    monkeypatch.setattr(MemoryMediaFileStorage, "load_and_get_id", stored)
    monkeypatch.setattr(MediaFileManager, "add_deferred", deferred)
    return read


def _data(uri: str) -> bytes:
    return base64.b64decode(uri.split(",", 1)[1])


def _figure(said: dict[str, Any], pictures: dict[str, Pixels]) -> Figure:
    layer = np.asarray(Image.open(io.BytesIO(_data(said["layer"])))) if said["layer"] else None
    values = None
    if said["values"]:
        raw = np.frombuffer(base64.b64decode(said["values"]), np.float32)
        values = raw.reshape(said["rows"], said["cols"])
    return Figure(said["caption"], pictures[said["base"]], layer, values, said)


def pixels(data: bytes) -> Pixels:
    """The pixels ``(h, w, 3)`` of an encoded picture."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def charted(chart: Any, layer: int = 0) -> list[dict[str, Any]]:
    """The data of a drawn chart, as rows.

    Args:
        chart: an element of ``app.get("vega_lite_chart")``.
        layer: which of the chart's marks, the lowest first.
    """
    spec = json.loads(chart.proto.spec)
    listed: list[dict[str, Any]] = spec["layer"][layer]["data"]["values"]
    return listed


def table(data: bytes) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))
