"""The sign-in from end to end: a real provider, a real browser, the app as it is hosted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.web.server.starlette.starlette_app_utils import (
    create_signed_value,
    decode_signed_value,
)

from attnlib.dashboard.state.startup import ADDRESSES
from tests.dashboard.driving import png
from tests.signin.conftest import SECRET, Site

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
USER = "_streamlit_user"
Visitor = Callable[[], Any]


def sign_in(page: Any, site: Site, name: str, place: str = "/") -> None:
    """Open an address, and go through the provider as somebody; groups follow a plus sign."""
    page.goto(site.url + place)
    page.get_by_role("link", name="Sign in").click()
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("anything")
    page.locator("button[type=submit]").click()
    page.get_by_text("Authorize").wait_for()
    page.locator("button[type=submit]").click()
    shown(page)


def shown(page: Any) -> None:
    """Wait until the app is there, for somebody who is signed in."""
    page.get_by_role("button", name="Sign out").wait_for()
    page.get_by_role("heading", level=1).wait_for()


def cookie(page: Any, name: str = USER) -> dict[str, Any]:
    (found,) = (c for c in page.context.cookies() if c["name"] == name)
    return dict(found)


def replace(page: Any, value: str) -> None:
    kept = {key: cookie(page)[key] for key in ("name", "domain", "path")}
    page.context.add_cookies([{**kept, "value": value}])


def test_nothing_is_shown_before_the_sign_in(site: Site, visitor: Visitor) -> None:
    page = visitor()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    for place in ADDRESSES:
        answer = page.goto(f"{site.url}{place}?image=x.png")
        assert answer.status == 401
        assert page.inner_text("body").split() == [
            *("ViT", "debugger", "Nobody", "is", "signed", "in.", "Sign", "in", "to", "go", "on."),
            *("Sign", "in"),
        ]
    assert {url.split("?")[0].removeprefix(site.url) for url in asked} == set(ADDRESSES)


def test_a_link_survives_the_sign_in(site: Site, visitor: Visitor) -> None:
    page = visitor()
    link = "/cls-attention?attention_layer=2"
    sign_in(page, site, "ada+lab", link)
    expect(page.get_by_role("heading", level=1)).to_have_text("CLS attention")
    assert page.url == site.url + link
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("Ada (edits)")).to_be_visible()
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text("layer 2, mean over heads", exact=False)).to_be_visible()
    # It is given back once: afterwards the first page is the first page.
    page.goto(site.url)
    shown(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Prediction debugging")


@pytest.mark.parametrize(
    ("name", "role"), [("bo+admins+lab", "administers"), ("cy+others", "looks and comments")]
)
def test_groups_give_roles(site: Site, visitor: Visitor, name: str, role: str) -> None:
    page = visitor()
    sign_in(page, site, name)
    text = f"{name[:2].title()} ({role})"
    expect(page.get_by_test_id("stSidebar").get_by_text(text)).to_be_visible()


def test_it_outlives_a_reload_and_a_restart(site: Site, visitor: Visitor) -> None:
    page = visitor()
    sign_in(page, site, "ada+lab")
    page.reload()
    shown(page)
    site.stop()
    site.start()
    page.goto(f"{site.url}/head-similarity")
    shown(page)
    expect(page.get_by_test_id("stSidebar").get_by_text("Ada (edits)")).to_be_visible()


def test_nobody_sees_what_is_another_persons(site: Site, visitor: Visitor) -> None:
    ada, bo, nobody = visitor(), visitor(), visitor()
    asked: dict[Any, set[str]] = {ada: set(), bo: set()}
    for page, urls in asked.items():
        page.on("request", lambda request, urls=urls: urls.add(request.url))
    sign_in(ada, site, "ada+lab", "/cls-attention")
    sign_in(bo, site, "bo+lab", "/cls-attention")
    file = {"name": "adas-own-picture.png", "mimeType": "image/png", "buffer": png(7)}
    ada.locator("input[type=file]").first.set_input_files([file])
    expect(ada.get_by_text("adas-own-picture.png").first).to_be_visible()
    drawn = "() => [...document.images].some((i) => i.src.includes('/media/') && i.complete)"
    ada.wait_for_function(drawn)
    bo.reload()
    shown(bo)
    assert "adas-own-picture" not in bo.content()
    (upload,) = [url for url in asked[ada] if "/upload_file/" in url]
    hers = [url for url in asked[ada] - asked[bo] if url.startswith(f"{site.url}/media/")]
    hers = [url for url in hers if ada.request.get(url).ok]
    assert hers, "the page shows pictures from files"
    for url in hers:
        assert bo.request.get(url).status == 404
        assert nobody.request.get(url).status == 401
    form = {"file": {"name": "a.png", "mimeType": "image/png", "buffer": png(8)}}
    for page, status in ((bo, 404), (nobody, 401)):
        assert page.request.put(upload, multipart=form).status == status
        assert page.request.delete(upload).status == status


def test_a_cookie_that_was_changed_is_none(site: Site, visitor: Visitor) -> None:
    page = visitor()
    sign_in(page, site, "ada+lab")
    value = cookie(page)["value"]
    body, _, signature = value.rpartition(".")
    for forged in (
        f"{body}.{signature[::-1]}",
        value[:8] + ("A" if value[8] != "A" else "B") + value[9:],
        create_signed_value("another secret", USER, json.dumps({"sub": "ada"})).decode(),
    ):
        replace(page, forged)
        assert page.goto(site.url).status == 401
        expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    replace(page, value)
    page.goto(site.url)
    shown(page)


def test_a_sign_in_ends_after_its_time(site: Site, visitor: Visitor) -> None:
    page = visitor()
    sign_in(page, site, "ada+lab")
    signed = decode_signed_value(SECRET, USER, cookie(page)["value"])
    assert signed is not None, "the cookie is signed by the secret of the settings"
    claims = json.loads(signed)
    for age, status in ((167, 200), (169, 401)):
        old = {**claims, "iat": time.time() - age * 3600}
        replace(page, create_signed_value(SECRET, USER, json.dumps(old)).decode())
        assert page.goto(site.url).status == status
    expect(page.get_by_text("too long ago")).to_be_visible()


def test_signing_out_ends_it_at_the_provider_too(site: Site, visitor: Visitor) -> None:
    page = visitor()
    sign_in(page, site, "ada+lab")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    assert page.url == f"{site.url}/"
    assert [c for c in page.context.cookies() if c["name"].startswith(USER)] == []
    page.get_by_role("link", name="Sign in").click()
    expect(page.locator("input[name=password]")).to_be_visible()
    page.go_back()
    assert page.goto(f"{site.url}/cls-attention").status == 401
