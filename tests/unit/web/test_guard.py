"""Who may read and who may steer, by the headers of a request: a table of attackers."""

from __future__ import annotations

import pytest

from orchestrator.control.web.guard import Guard

TOKEN = "correct-horse-battery"
PORT = 9324


def guard(*, token: str | None = TOKEN, is_open: bool = True) -> Guard:
    return Guard(PORT, token, is_open=is_open, hosts=frozenset({"Sync.example", "proxy.example:8443"}))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1:9324", True),
        ("127.0.0.1", True),
        ("127.9.9.9:9324", True),
        ("localhost:9324", True),
        ("LOCALHOST:9324", True),
        ("[::1]:9324", True),
        ("sync.example", True),
        ("SYNC.example:443", True),
        ("proxy.example:8443", True),
        ("proxy.example", False),
        ("127.0.0.1:9325", False),
        ("rebound.example:9324", False),
        ("127.0.0.1.rebound.example:9324", False),
        ("localhost.rebound.example", False),
        ("192.0.2.1:9324", False),
        ("", False),
        ("[::1", False),
        ("localhost:x", False),
    ],
)
def test_a_name_that_leads_to_the_loopback_address_is_not_enough(host: str, is_own: bool) -> None:
    assert (guard().refuse_host({"host": host}) is None) is is_own


def test_with_a_token_for_reading_any_name_will_do() -> None:
    assert guard(is_open=False).refuse_host({"host": "files.example"}) is None


@pytest.mark.parametrize("is_open", [True, False])
def test_reading(is_open: bool) -> None:
    one = guard(is_open=is_open)
    strangers = ({}, bearer(""), bearer(TOKEN[:-1]), bearer(TOKEN + "x"), {"authorization": f"Basic {TOKEN}"})
    assert [one.refuse_reading(headers, {}) is None for headers in strangers] == [is_open] * 5
    assert one.refuse_reading({}, {one.cookie: "x"}) is None or not is_open
    assert one.refuse_reading(bearer(TOKEN), {}) is None
    assert one.refuse_reading({"authorization": f"bearer {TOKEN}"}, {}) is None
    assert one.refuse_reading({}, {one.cookie: one.session()}) is None


OWN = {"host": "localhost:9324", "origin": "http://localhost:9324"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (OWN, None),
        ({"host": "localhost:9324", "origin": "https://proxy.example:8443"}, None),
        ({"host": "localhost:9324", "origin": "https://sync.example"}, None),
        ({"host": "localhost:9324"}, 403),
        ({"host": "localhost:9324", "origin": "null"}, 403),
        ({"host": "localhost:9324", "origin": "http://evil.example"}, 403),
        # another port of the same host is another site's, and gets the cookie nevertheless
        ({"host": "localhost:9324", "origin": "http://localhost:8080"}, 403),
        ({"host": "localhost:9324", "origin": "http://[::1"}, 403),
        ({"origin": "http://"}, 403),
    ],
)
def test_steering_by_cookie_needs_a_page_of_ours(headers: dict[str, str], status: int | None) -> None:
    one = guard()
    refusal = one.refuse_steering(headers, {one.cookie: one.session()})
    assert (refusal and refusal.status) == status


@pytest.mark.parametrize("is_open", [True, False])
def test_steering_needs_the_token(is_open: bool) -> None:
    one = guard(is_open=is_open)
    for headers, cookies in (
        (OWN, {}),
        (OWN, {one.cookie: ""}),
        (OWN, {one.cookie: TOKEN}),
        (OWN, {"orchestrator-1": one.session()}),
        ({**OWN, **bearer("correct-horse-batterx")}, {}),
        ({**OWN, **bearer("")}, {}),
    ):
        refusal = one.refuse_steering(headers, cookies)
        assert refusal
        assert refusal.status == 401
        assert not one.may_steer(headers, cookies)
    # no other site can make a browser send it, so no origin is asked for
    assert one.refuse_steering(bearer(TOKEN), {}) is None


def test_without_a_token_nobody_steers() -> None:
    one = guard(token=None)
    for headers, cookies in (({}, {}), (bearer(""), {}), (OWN, {one.cookie: one.session()}), (bearer("None"), {})):
        refusal = one.refuse_steering(headers, cookies)
        assert refusal
        assert refusal.status == 403
        assert not one.may_steer(headers, cookies)
    assert not one.is_token("")


def test_a_session_proves_the_token_and_does_not_contain_it() -> None:
    assert guard().session() == guard().session()
    assert guard().session() != guard(token="correct-horse-batterx").session()
    assert TOKEN not in guard().session()
