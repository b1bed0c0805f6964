"""What a whole visit leaves in the server's log."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from tests.dashboard import browsing
from tests.dashboard.browsing import in_a_browser
from tests.dashboard.conftest import browser as browser
from tests.dashboard.conftest import page as page
from tests.dashboard.driving import png

MARK = "zebrafish"


@in_a_browser
def test_no_name_and_no_label_of_a_person_is_logged(page: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{MARK}-label/{MARK}-image.png", png(1))
        archive.writestr(f"{MARK}-label/{MARK}-broken.png", b"no image")
    file = {
        "name": f"{MARK}-files.zip",
        "mimeType": "application/zip",
        "buffer": content.getvalue(),
    }
    with browsing.serving(environment={"ATTNLIB_LOG_JSON": "1"}, log=log) as url:
        page.goto(f"{url}/cls-attention?image={MARK}-image.png&note={MARK}")
        # The link names the image already: only its arrival says that it was sent.
        with page.expect_response(lambda response: "/upload_file/" in response.url):
            page.locator("input[type=file]").first.set_input_files([file])
        shown = page.get_by_text(f"{MARK}-image.png").first
        shown.wait_for()
        page.goto(f"{url}/{MARK}?image={MARK}")
    said = log.read_text()
    assert MARK not in said
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    paths = [line["message"].split()[1] for line in lines if line["logger"] == "attnlib.requests"]
    assert {"/cls-attention", "/_stcore/stream", "/_stcore/upload_file/…"} <= set(paths)
    # Once the app is there, everything is JSON.
    begun = said.index('"Application startup complete."')
    rest = said[said.index("\n", begun) :].strip().splitlines()
    assert all(line.startswith("{") for line in rest), rest
