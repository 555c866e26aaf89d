"""`orchestrator events`: each event as a line."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.control.eventlines import TOPICS, USUAL, line_of
from orchestrator.requests import protocol

NOW = 1_800_000_000.0

TRANSFER = {"id": 17, "pid": 4711, "kind": "changes", "since": NOW, "paths": 2, "sample": ["/a", "/b"], "bytes": None}
FULL = TRANSFER | {"kind": "startup", "sample": []}
END = TRANSFER | {"verdict": "ok", "exit_code": 0, "cause": None, "duration": 0.42, "files": 2, "bytes": 12_345}


def said(event: str, **fields: Any) -> str:
    line = line_of({"event": event, "time": NOW, "sync": "web1"} | fields)
    clock = time.strftime("%H:%M:%S", time.localtime(NOW))
    assert line.startswith(f"{clock} web1 ")
    return line.removeprefix(f"{clock} web1 ")


@pytest.mark.parametrize(
    ("event", "fields", "line"),
    [
        ("state", {"state": "retrying", "stuck": None}, "is retrying"),
        ("state", {"state": "syncing", "stuck": "pid 3"}, "is syncing, stuck: pid 3"),
        ("queue", {"waiting": 1, "oldest": NOW - 90}, "1 change waits, the oldest for 1m"),
        ("queue", {"waiting": 0, "oldest": None}, "0 changes wait"),
        ("change", {"etype": "Modify", "path": "/a", "path2": None}, "Modify /a"),
        ("change", {"etype": "Move", "path": "/a", "path2": "/b"}, "Move /a -> /b"),
        ("started", {"transfer": TRANSFER}, "started 17 (process 4711): /a /b"),
        ("started", {"transfer": TRANSFER | {"pid": None, "paths": 12}}, "started 17: /a /b and 10 more"),
        ("started", {"transfer": FULL}, "started 17 (process 4711): startup run"),
        ("started", {"transfer": TRANSFER | {"kind": "verify", "sample": []}}, "started 17 (process 4711): verify"),
        ("ended", END, "ended 17 ok (0.4 s, 12.3 kB, 2 files): /a /b"),
        (
            "ended",
            END | {"verdict": "again", "exit_code": 12, "cause": "no route", "bytes": None, "files": 0},
            "ended 17 again, exit code 12 (0.4 s): no route",
        ),
        ("difference", {"kind": "content", "path": "/a"}, "differs content: /a"),
        ("verified", {"is_equal": True, "differences": 0, "compared": 9}, "verified: equal, 9 paths compared"),
        ("verified", {"is_equal": False, "differences": 2, "compared": 9}, "verified: 2 differences"),
        ("verified", {"is_equal": False, "error": "no route"}, "not verified: no route"),
        ("log", {"category": "Warn", "text": "careful"}, "log Warn: careful"),
        ("ending", {"reason": "TERM"}, "the daemon ends: TERM"),
        ("lost", {"count": 3}, "3 events left out, as they came faster than they were read"),
        ("reloaded", {"syncs": [1, 2]}, "reloaded: 2 syncs"),
        ("novel", {}, "novel"),
    ],
)  # fmt: skip
def test_lines(event: str, fields: dict[str, Any], line: str) -> None:
    assert said(event, **fields) == line


def test_what_is_of_no_sync_has_none_in_front() -> None:
    assert line_of({"event": "ending", "time": NOW, "reason": ""}).endswith(":00 the daemon ends")


def test_what_comes_often_comes_when_it_is_asked_for() -> None:
    assert set(TOPICS) - set(USUAL) == {"queue", "log"}
    assert set(TOPICS) == protocol.TOPICS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "kind", "sample", "paths"]), inner)
    ),
    max_leaves=5,
)


@given(
    st.sampled_from(TOPICS),
    st.dictionaries(
        st.sampled_from(["time", "sync", "state", "waiting", "transfer", "duration", "syncs", "verdict", "bytes"]), JSON
    ),
)
def test_any_event_is_a_line(topic: str, fields: dict[str, Any]) -> None:
    assert line_of({"time": NOW} | fields | {"event": topic})
