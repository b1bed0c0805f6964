"""Who somebody is, and what they may do, by the claims of the provider."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from attnlib.dashboard.state import people
from attnlib.dashboard.state.people import NoRole
from attnlib.errors import SignInError
from attnlib.store.people import LOCAL
from tests.gate.asking import claims

Setting = Callable[..., Any]


def test_where_nobody_signs_in_everybody_is_local() -> None:
    assert people.person() == LOCAL
    assert not people.sign_in_is_on()


def test_a_person_is_the_issuer_and_the_subject() -> None:
    found = people.of_claims(claims("ada", groups=["lab", "admins"]))
    assert found.id == "https://provider.example|ada"
    assert (found.name, found.email) == ("Ada", "ada@example.org")
    assert found.groups == {"lab", "admins"}
    assert found.role == "editor"
    other = people.of_claims(claims("ada", iss="https://other.example"))
    assert other.id != found.id


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"name": None}, "ada@example.org"),
        ({"name": "", "preferred_username": "a.l."}, "a.l."),
        ({"name": None, "email": None}, "ada"),
        ({"name": "<b>*A*</b>"}, "<b>*A*</b>"),
    ],
)
def test_somebody_has_a_name(more: dict[str, Any], name: str) -> None:
    assert people.of_claims(claims("ada", **more)).name == name


@pytest.mark.parametrize(
    "more",
    [
        {"is_logged_in": False},
        {"is_logged_in": None},
        {"iss": None},
        {"sub": ""},
        {"sub": 7},
        {"iat": None},
        {"iat": "now"},
        {"iat": True},
        {"iat": float("nan")},
        {"iat": time.time() + 4000},
        {"iat": time.time() - 169 * 3600},
    ],
)
def test_nobody_is_signed_in(more: dict[str, Any]) -> None:
    with pytest.raises(SignInError):
        people.of_claims(claims(**more))


def test_a_sign_in_lasts_as_long_as_the_settings_say(setting: Setting) -> None:
    old = claims(iat=time.time() - 3 * 3600)
    setting(session_hours=4)
    assert people.of_claims(old)
    setting(session_hours=2)
    with pytest.raises(SignInError, match="too long ago"):
        people.of_claims(old)


def role(groups: list[str] | None = None, **more: Any) -> str:
    return people.of_claims(claims("ada", groups=groups or [], **more)).role


def test_roles_come_from_groups_the_highest_wins(setting: Setting) -> None:
    setting(
        admin_groups=("a",), editor_groups=("e", "f"), viewer_groups=("v",), default_role="viewer"
    )
    assert role(["v"]) == "viewer"
    assert role(["f"]) == "editor"
    assert role(["v", "e", "x"]) == "editor"
    assert role(["v", "a", "e"]) == "admin"
    assert role(["A", "aa", "a "]) == "viewer"
    assert role([]) == "viewer"


def test_whom_nobody_gave_a_role_may_be_kept_out(setting: Setting) -> None:
    setting(default_role="none", viewer_groups=("v",))
    assert role(["v"]) == "viewer"
    with pytest.raises(NoRole, match="Whoever runs it"):
        role(["x"])


def test_a_list_names_who_administers(setting: Setting) -> None:
    setting(admins=("Ada@Example.org", "https://provider.example|bo"), default_role="viewer")
    assert role() == "admin"
    assert role(email="other@example.org") == "viewer"
    assert role(email_verified=True) == "admin"
    assert role(email_verified=False) == "viewer", "anybody can claim an address"
    assert people.of_claims(claims("bo")).role == "admin"
    assert people.of_claims(claims("bo", iss="https://evil.example")).role == "viewer"
    setting(admins=("",), default_role="viewer")
    assert role(email="") == "viewer"


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("groups", {"groups": ["a"]}),
        ("groups", {"groups": "a"}),
        ("roles", {"roles": ["a"]}),
        ("https://x.example/groups", {"https://x.example/groups": ["a"]}),
        ("realm_access.roles", {"realm_access": {"roles": ["b", "a", 7]}}),
    ],
)
def test_groups_stand_in_a_claim_of_any_name(
    setting: Setting, name: str, more: dict[str, Any]
) -> None:
    setting(groups_claim=name, admin_groups=("a",))
    assert people.of_claims(claims(**more)).role == "admin"


@pytest.mark.parametrize("odd", [7, {"a": 1}, [["a"]], [{"a": 1}], None, True])
def test_a_claim_of_another_form_is_no_group(setting: Setting, odd: object) -> None:
    setting(admin_groups=("a",))
    assert people.of_claims(claims(groups=odd)).groups == frozenset()
    setting(groups_claim="groups.a.b")
    assert people.of_claims(claims(groups=odd)).groups == frozenset()
