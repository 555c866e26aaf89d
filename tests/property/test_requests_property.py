"""Whatever a client sends, in whatever pieces: each line is answered in its order, nothing is kept of it, and others
are served meanwhile."""

from __future__ import annotations

import itertools
import json
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.logic.syncnames import UnknownSync, chosen
from orchestrator.requests.protocol import TOPICS
from tests.kit.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ["mail", "web1", "web[2]", "Sync1", "a*b", "\udc80", "rsync://u:***@h/m"]

CODES = {"bad request", "unknown command", "unknown sync", "denied", "failed", "ending"}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(0, 99) | st.text(max_size=3) | values,
        "command": st.sampled_from(["status", "subscribe", "unsubscribe", "detail", "x"]) | values,
        "syncs": st.lists(st.sampled_from(NAMES) | st.text("mailweb[]!-*?\\^123", max_size=6), max_size=3) | values,
        "sync": st.sampled_from(NAMES) | values,
        "limit": st.integers(-1, 10) | values,
        "topics": st.lists(st.sampled_from(sorted(TOPICS)), max_size=3) | values,
    },
)
lines = st.lists(
    requests.map(lambda request: json.dumps(request).encode())
    | st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"")),
    max_size=8,
)


@contextmanager
def serving() -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as box:
        served = Served(Path(box) / "socket", NAMES)
        try:
            yield served
        finally:
            served.close()


def is_request(line: bytes) -> bool:
    """Whether the line is answered, and not the last one."""
    try:
        value = json.loads(line, parse_constant=lambda constant: float("NaN" + constant))
    except (ValueError, RecursionError):
        return False
    number = value.get("id") if isinstance(value, dict) else []
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool) and abs(number) != float("inf")
    return number is None or isinstance(number, str) or is_number


@settings(max_examples=150, deadline=None)
@given(lines, st.lists(st.integers(1, 40), max_size=9))
def test_each_line_is_answered_in_its_order(sent: list[bytes], cuts: list[int]) -> None:
    with serving() as served:
        check_answers(served, sent, cuts)


def check_answers(served: Served, sent: list[bytes], cuts: list[int]) -> None:
    client, other = served.client(), served.client()
    data = b"".join(line + b"\n" for line in sent)
    places = [0, *itertools.accumulate(cuts), len(data)]
    for begin, end in itertools.pairwise(min(place, len(data)) for place in places):
        with suppress(BrokenPipeError):  # it may have been hung up on
            client.send(data[begin:end])
        served.turn()
    for line in sent:
        answer = client.line()
        if not is_request(line):
            assert (answer["id"], answer["error"]["code"]) == (None, "bad request")
            assert client.line_or_end() is None
            break
        assert answer["id"] == json.loads(line).get("id")
        assert "result" in answer or answer["error"]["code"] in CODES
    assert len(other.ask("status")["result"]["syncs"]) == len(NAMES)
    for one in (client, other):
        one.socket.close()
    served.turn(3)
    assert served.is_alone()
    assert served.feed.topics == frozenset()


@given(st.lists(st.text("mailweb[]!-*?\\^123Sync", max_size=12) | st.text(max_size=6), max_size=3))
def test_any_word_means_syncs_or_none(words: list[str]) -> None:
    known = [word for word in words if meant(word)]
    found = chosen(known, NAMES)
    assert found == sorted({place for word in known for place in meant(word)})
    assert set(found) >= {NAMES.index(word) for word in words if word in NAMES}


def meant(word: str) -> list[int]:
    try:
        return chosen([word], NAMES)
    except UnknownSync:
        return []


def test_a_pattern_that_could_be_tried_in_many_ways_is_not() -> None:
    names = ["a" * 200]
    with pytest.raises(UnknownSync):
        chosen(["*a" * 200 + "b"], names)
