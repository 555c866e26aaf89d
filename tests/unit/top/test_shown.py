"""The texts of the live view: they fit, they say what there is to say, and nothing in them steers a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.control.answer import StatusAnswer, status_of
from orchestrator.control.top.picture import Activity
from orchestrator.control.top.shown import LEAST_NAME, Widths, detail, head, heads, matches, outcome, row
from orchestrator.logic.message import printable
from orchestrator.logic.words import width

NOW = 1_700_000_000.0

HOSTILE = "a\x1b[31m\n[red]b\u202e\\xff"


def status(**values: Any) -> StatusAnswer:
    sync = {"name": "web", "state": "in sync", "source": "/srv/www/", "target": "web1::www", **values}
    return status_of({"daemon": {"pid": 7, "time": NOW, "config": "/etc/lsyncd.lua"}, "syncs": [sync]})


def cells(columns: int = 80, **values: Any) -> tuple[str, ...]:
    (sync,) = status(**values).syncs
    return row(sync, Activity(), NOW, Widths(columns, 8))


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, ("web", "in sync", "", "")),
        ({"state": "syncing", "waiting": 12, "oldest": NOW - 130}, ("web", "syncing", "12", "2m")),
        ({"state": "starting", "startup": {"parts_done": 3, "parts": 8}}, ("web", "starting 3/8", "", "")),
        ({"state": "syncing", "stuck": "nothing has moved"}, ("web", "stuck", "", "")),
        ({"oldest": NOW + 5}, ("web", "in sync", "", "0s")),
        ({"name": HOSTILE}, ("a\\x1b[31m\\n[red]b\\u20…", "in sync", "", "")),
    ],
)
def test_a_row(values: dict[str, Any], wanted: tuple[str, ...]) -> None:
    assert tuple(cell.strip() for cell in cells(**values))[:4] == wanted


def test_the_rate_and_the_last_minutes() -> None:
    (sync,) = status().syncs
    activity = Activity()
    activity.note(NOW - 30, 0)
    activity.note(NOW - 20, 2000)
    activity.note(NOW + 5, 32000)
    *_, rate, line = row(sync, activity, NOW + 5, Widths(80, 8))
    assert rate.strip() == "2.00 kB/s"
    assert line.endswith("▁ █")


@given(
    columns=st.integers(min_value=50, max_value=250),
    name=st.text(min_size=1, max_size=60),
    cause=st.text(max_size=80),
    waiting=st.integers(min_value=0, max_value=10**6),
)
def test_everything_fits(columns: int, name: str, cause: str, waiting: int) -> None:
    found = status(
        name=name, state="left alone", waiting=waiting, stuck=cause, target=cause, oldest=NOW - 10**7, source=name
    )
    (sync,) = found.syncs
    widths = Widths(columns, width(name))
    titles = heads(widths)
    assert sum(columns for _, columns in titles) <= columns
    for cell, (title, most) in zip(row(sync, Activity(), NOW, widths), titles, strict=True):
        assert width(cell) <= most
        assert printable(cell) == cell
        assert len(title) <= most
    assert width(head(found, columns)) <= columns
    recent = [
        {
            "verdict": "again",
            "since": NOW,
            "duration": 1.5,
            "kind": "changes",
            "bytes": None,
            "cause": cause,
            "sample": [],
        }
    ]
    paths = [{"etype": "Move", "path": f"/{name}", "path2": name, "age": 3.5, "status": "wait"}]
    answer = {"sync": {"waiting": waiting, "transfers": []}, "paths": paths, "recent": recent}
    for line, _ in detail(sync, answer, NOW, columns):
        assert width(line) <= columns
        assert printable(line) == line


def test_the_name_has_its_place_in_a_narrow_terminal_and_the_trouble_in_a_wide_one() -> None:
    assert Widths(60, 8).name >= LEAST_NAME
    assert [title.strip() for title, _ in heads(Widths(80, 8))] == [
        *("sync", "state", "waiting", "oldest", "rate", "last minutes")
    ]
    assert heads(Widths(140, 8))[-1][0].strip() == "trouble"
    assert cells(140, stuck="nothing has moved for 14 min")[-1] == " nothing has moved for 14 min"


def test_the_detail_of_a_sync_in_trouble() -> None:
    (sync,) = status(
        state="retrying",
        waiting=3,
        last_success=NOW - 60,
        last_error={"time": NOW - 3, "exit_code": 255, "cause": "No route to host"},
        unreachable={"host": "web1", "next_try": NOW + 20},
    ).syncs
    answer = {
        "sync": {
            "waiting": 3,
            "transfers": [
                {"kind": "changes", "pid": 12, "since": NOW - 5, "bytes": 1500, "paths": 2, "sample": ["/a", "/b"]},
                {"kind": "verify", "pid": None, "since": NOW - 5, "bytes": None, "paths": 0, "sample": []},
            ],
        },
        "paths": [
            {"etype": "Modify", "path": "/a", "path2": None, "age": 4.2, "status": "active"},
            {"etype": "Move", "path": "/b", "path2": HOSTILE, "age": 1.0, "status": "wait"},
        ],
        "recent": [
            {"verdict": "again", "since": NOW, "duration": 0.25, "kind": "changes", "bytes": 12, "cause": "No route"},
            {"verdict": "ok", "since": NOW, "duration": 2.0, "kind": "startup", "bytes": None, "sample": ["/c"]},
        ],
    }
    lines = detail(sync, answer, NOW, 78)
    assert [line for line, look in lines if look == "title"] == ["running", "waiting: 3, the oldest 2", "recent"]
    assert lines[:3] == [
        ("/srv/www/ → web1::www", ""),
        ("web1 cannot be reached, next try in 20s; No route to host (3s ago)", "poor"),
        ("last success: 1m ago", ""),
    ]
    texts = [" ".join(line.split()) for line, _ in lines]
    assert "changes process 12 for 5s 1.50 kB 2 paths /a /b" in texts
    assert "verify for 5s" in texts
    assert "4s active Modify /a" in texts
    assert "1s wait Move /b -> a\\x1b[31m\\n[red]b\\u202e\\xff" in texts
    *_, failed, done = lines
    assert (failed[0].split()[1:], failed[1]) == (["again", "changes", "0.2", "s", "12", "B", "No", "route"], "poor")
    assert (done[0].split()[1:], done[1]) == (["ok", "startup", "2.0", "s", "/c"], "good")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"sync": None},
        {"sync": {"transfers": [{}]}},
        {"sync": {"transfers": 7}},
        {"sync": {}, "paths": [{}]},
        {"sync": {}, "paths": [{"path": "/a", "age": "old"}]},
        {"sync": {}, "recent": [{"verdict": "ok", "since": 1e300, "duration": 1}]},
        {"sync": {}, "recent": ["x"]},
    ],
)
def test_a_detail_that_no_daemon_gives(answer: dict[str, Any]) -> None:
    (sync,) = status().syncs
    assert detail(sync, answer, NOW, 78)[-1] == ("(the daemon's answer is not understood)", "bad")


@pytest.mark.parametrize(
    ("words", "is_shown"),
    [("", True), ("we", True), ("WEB1", True), ("sync web", True), ("web2", False), ("web retrying", False)],
)
def test_the_filter(words: str, is_shown: bool) -> None:
    (sync,) = status().syncs
    assert matches(sync, words) is is_shown


@pytest.mark.parametrize(
    ("command", "result", "text"),
    [
        ("pause", {"syncs": ["web"]}, "web: paused"),
        ("resume", {}, "web: goes on"),
        ("run", {}, "web: a full run is queued"),
        ("flush", {}, "web: all that waits goes now"),
        ("verify", {"syncs": [{"name": "web", "is_equal": True, "differences": 0}]}, "web: target equals source"),
        ("verify", {"syncs": [{"name": "web", "is_equal": False, "differences": 3}]}, "web: 3 differences"),
        ("verify", {"syncs": [{"name": "web", "is_equal": False, "differences": ["/a"]}]}, "web: 1 difference"),
        ("verify", {"syncs": [{"name": "web", "error": "no\nhost"}]}, "web: not verified: no\\nhost"),
        ("verify", {"syncs": 7}, "web: verified"),
    ],
)
def test_what_a_command_has_done(command: str, result: dict[str, Any], text: str) -> None:
    assert outcome(command, ["web"], result) == text
