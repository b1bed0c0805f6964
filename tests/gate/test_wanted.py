"""A link survives the sign-in, and leads nowhere else."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from streamlit import config

from attnlib.dashboard.gate import wanted
from tests.gate.asking import ORIGIN, ask, signed_in

HOST = ORIGIN.removeprefix("https://")


def kept(answer: Any) -> dict[str, str]:
    (line,) = (c for c in answer.cookies if c.startswith(wanted.NAME))
    name, value = line.split(";")[0].split("=", 1)
    return {name: value}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/cls-attention", ""),
        ("/cls-attention", "image=a%20b.png&layer=3"),
        ("/", "image=x&note=%2F%2Fevil.example"),
        ("/head-similarity", "q=%22%3Cscript%3E&a=1,2;3"),
        ("/rollout-vs-flow", "image=%E2%82%AC.png"),
    ],
)
def test_the_page_is_shown_after_the_sign_in(signing_in: Any, path: str, query: str) -> None:
    turned = ask(path, query=query, host=HOST)
    assert turned.status == 401
    assert "HttpOnly" in turned.cookies[0] and "SameSite=Lax" in turned.cookies[0]
    back = ask("/", host=HOST, cookies={**kept(turned), **signed_in()})
    place = path + (f"?{query}" if query else "")
    assert (back.status, back.headers["location"]) == (303, place)
    assert any("Max-Age=0" in cookie for cookie in back.cookies)
    assert not back.reached


def test_it_is_given_back_only_to_who_signed_in_and_at_the_first_page(signing_in: Any) -> None:
    cookie = kept(ask("/cls-attention", host=HOST))
    assert ask("/", host=HOST, cookies=cookie).status == 401
    there = {**cookie, **signed_in()}
    assert ask("/head-similarity", host=HOST, cookies=there).reached
    assert ask("/", host=HOST, query="image=x", cookies=there).reached
    assert ask("/_stcore/host-config", host=HOST, cookies=there).reached


@pytest.mark.parametrize(
    "place",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%2f/evil.example",
        "/%2fevil.example",
        "/%5cevil.example",
        "https:evil.example",
        "https://evil.example",
        "///evil.example",
        "/.//evil.example",
        "/a/../../evil",
        "/a/b",
        "evil.example",
        "javascript:alert(1)",
        "/page\r\nSet-Cookie: a=b",
        "/page%0d%0aSet-Cookie:a=b",
        "/page?x=\r\nLocation: https://evil.example",
        "/page?x=\x00",
        "/page?x=é",
        "/page#fragment",
        "/page;evil",
        "@evil.example",
        "/@evil.example",
        "/\tevil",
        " /page",
        "/page ",
        "?x",
    ],
)
def test_a_forged_place_leads_nowhere(signing_in: Any, place: str) -> None:
    as_it_is = place.isascii() and place.isprintable() and ";" not in place and " " not in place
    for value in [quote(place, safe=""), *([place] if as_it_is else [])]:
        back = ask("/", host=HOST, cookies={wanted.NAME: value, **signed_in()})
        assert back.status == 200
        assert back.reached
        assert "location" not in back.headers


def test_an_address_that_could_lead_elsewhere_is_not_kept(signing_in: Any) -> None:
    for path in ("//evil.example", "/\\evil", "/a/b", "/media/x.png", "/_stcore/stream"):
        answer = ask(path, host=HOST)
        assert answer.status == 401
        assert answer.cookies == []


def test_a_link_that_is_too_long_says_so(signing_in: Any) -> None:
    fits = ask("/cls-attention", query="a=" + "b" * 3000, host=HOST)
    assert len(fits.cookies[0]) < 4096
    assert "open it again" not in fits.body
    long = ask("/cls-attention", query="a=" + "b" * 4000, host=HOST)
    assert long.cookies == []
    assert "open it again after the sign-in" in long.body


def test_below_a_path_of_its_own(signing_in: Any) -> None:
    config.set_option("server.baseUrlPath", "vit")
    turned = ask("/vit/cls-attention", query="a=b", host=HOST)
    assert 'href="/vit/sign-in"' in turned.body
    cookies = {**kept(turned), **signed_in()}
    assert ask("/vit/", host=HOST, cookies=cookies).headers["location"] == "/vit/cls-attention?a=b"
    elsewhere = {wanted.NAME: quote("/other/page", safe=""), **signed_in()}
    assert ask("/vit/", host=HOST, cookies=elsewhere).reached
    assert ask("/vit/healthz", host=HOST).reached
    assert not ask("/healthz2", host=HOST).reached
