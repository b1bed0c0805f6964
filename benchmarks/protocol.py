"""A visitor without a browser: Streamlit's own protocol over a WebSocket."""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

# Names of images that the benchmark uploads: which session's they are, and a number.
NAME = re.compile(rb"s(\d\d)x\d+\.png")


@dataclass
class Visitor:
    """One session.

    Attributes:
        number: of the session; the names of its images begin with it.
        seen: numbers of all sessions whose images stood in what the server sent.
        errors: what went wrong, as the server told this visitor.
        texts: labels and texts of the elements that the last run drew.
    """

    url: str
    number: int
    seen: set[int] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    _ids: dict[str, tuple[str, str]] = field(default_factory=dict)
    _parts: dict[str, str] = field(default_factory=dict)
    _again: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._http = httpx.Client(base_url=self.url, headers={"Origin": self.url}, timeout=180)
        self._http.get("/_stcore/health").raise_for_status()
        token = self._http.cookies.get("_streamlit_xsrf") or ""
        self._http.headers["X-Xsrftoken"] = token
        address = self.url.replace("http", "ws") + "/_stcore/stream"
        self._socket = connect(
            address,
            max_size=None,
            origin=Origin(self.url),
            subprotocols=[Subprotocol("streamlit")],
        )

    def close(self) -> None:
        """Close the tab."""
        self._http.close()
        self._socket.close()

    def open(self, path: str = "", query: str = "") -> float:
        """Open a page by its address; the seconds until it is drawn."""
        return self._run(path=path, query=query)

    def press(self, label: str) -> float:
        """Press the button whose label begins so; the seconds until the page is drawn."""
        id = self._id("button", label)
        return self._run(WidgetState(id=id, trigger_value=True), fragment=self._parts[id])

    def choose(self, label: str, option: str) -> float:
        """Choose an option of a select box; as in a browser, only its part of the page is drawn."""
        id = self._id("selectbox", label)
        return self._run(WidgetState(id=id, string_value=option), fragment=self._parts[id])

    def has(self, kind: str, label: str) -> bool:
        """Whether the page has such a control."""
        return any(k == kind and key.startswith(label) for key, (k, _) in self._ids.items())

    def upload(self, files: dict[str, bytes]) -> float:
        """Add files to the uploader in the sidebar, in the place of those it has."""
        request = BackMsg()
        request.file_urls_request.request_id = uuid.uuid4().hex
        request.file_urls_request.file_names.extend(files)
        self._socket.send(request.SerializeToString())
        while True:
            answer = self._receive()
            if answer.WhichOneof("type") == "file_urls_response":
                break
        key = next(i for label, (k, i) in self._ids.items() if k == "file_uploader")
        state = WidgetState(id=key)
        for (name, data), urls in zip(
            files.items(), answer.file_urls_response.file_urls, strict=True
        ):
            answered = self._http.put(urls.upload_url, files={"file": (name, data)})
            answered.raise_for_status()
            info = state.file_uploader_state_value.uploaded_file_info.add()
            info.name, info.size, info.file_id = name, len(data), urls.file_id
            info.file_urls.CopyFrom(urls)
        return self._run(state)

    @property
    def waits(self) -> bool:
        """Whether parts of the page ask to be drawn again and again: something is computed."""
        return bool(self._again)

    def listen(self, seconds: float) -> None:
        """After so many seconds, draw those parts again, as a browser does by itself."""
        time.sleep(seconds)
        for fragment in list(self._again):
            if fragment in self._again:
                self._run(fragment=fragment, by_itself=True)

    def _id(self, kind: str, label: str) -> str:
        for key, (found, id) in self._ids.items():
            if found == kind and key.startswith(label):
                return id
        known = [key for key, (found, _) in self._ids.items() if found == kind]
        raise LookupError(f"There is no {kind} {label!r} among {known}.")

    def _run(
        self,
        *states: WidgetState,
        path: str | None = None,
        query: str | None = None,
        fragment: str = "",
        by_itself: bool = False,
    ) -> float:
        message = BackMsg()
        client = message.rerun_script
        if path is not None:
            self._page, self._query = path, query or ""
        client.page_name, client.query_string = self._page, self._query
        client.fragment_id, client.is_auto_rerun = fragment, by_itself
        client.widget_states.widgets.extend(states)
        client.context_info.timezone, client.context_info.locale = "UTC", "en"
        start = time.perf_counter()
        self._socket.send(message.SerializeToString())
        if not fragment:
            self._forget()
        while True:
            found = self._receive()
            kind = found.WhichOneof("type")
            if kind == "script_finished":
                if found.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    # The whole page is drawn now.
                    self._forget()
                    continue
                if found.script_finished == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY:
                    if fragment:
                        return time.perf_counter() - start
                    continue
                if found.script_finished != ForwardMsg.FINISHED_SUCCESSFULLY:
                    self.errors.append(f"script ended with {found.script_finished}")
                return time.perf_counter() - start

    def _forget(self) -> None:
        self._ids, self._parts, self.texts, self._again = {}, {}, [], set()

    def _receive(self) -> ForwardMsg:
        data = self._socket.recv(timeout=180)
        assert isinstance(data, bytes)
        self.seen |= {int(number) for number in NAME.findall(data)}
        message: ForwardMsg = ForwardMsg.FromString(data)
        kind = message.WhichOneof("type")
        if kind == "auto_rerun":
            self._again.add(message.auto_rerun.fragment_id)
        if kind == "stop_auto_rerun":
            self._again -= set(message.stop_auto_rerun.fragment_ids)
        if kind == "page_info_changed":
            self._query = message.page_info_changed.query_string
        if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._note(message.delta.new_element, message.delta.fragment_id)
        return message

    def _note(self, element: Any, fragment: str) -> None:
        kind = element.WhichOneof("type")
        part = getattr(element, kind)
        if kind == "exception" or (kind == "alert" and part.format == part.ERROR):
            self.errors.append(part.message if kind == "exception" else part.body)
        label = getattr(part, "label", "") or getattr(part, "body", "") or getattr(part, "text", "")
        if isinstance(label, str) and label:
            self.texts.append(label)
        if getattr(part, "id", ""):
            self._ids[label if isinstance(label, str) else ""] = kind, part.id
            self._parts[part.id] = fragment
