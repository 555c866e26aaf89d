"""The differences between a source and its target, and which of them count."""

from __future__ import annotations

import pytest

from orchestrator.logic import difference
from orchestrator.logic.difference import Candidates, Difference, Found, Verified


def found(*differences: tuple[bytes, str]) -> Found:
    it = Found()
    for one in differences:
        it.add(Difference(*one))
    return it


@pytest.mark.parametrize(
    ("told", "kinds"),
    [
        ([(b"/f", "missing"), (b"/g", "content")], {b"/f": "missing", b"/g": "content"}),
        ([(b"/f", "content"), (b"/f", "content")], {b"/f": "content"}),
        ([(b"/d", "extra"), (b"/d/", "missing")], {b"/d/": "type"}),
        ([(b"/d/", "extra"), (b"/d", "missing")], {b"/d": "type"}),
        ([(b"/d/", "extra"), (b"/d/f", "extra")], {b"/d/": "extra", b"/d/f": "extra"}),
    ],
)
def test_a_path_differs_once(told: list[tuple[bytes, str]], kinds: dict[bytes, str]) -> None:
    assert found(*told).kinds == kinds


def test_differences_beyond_a_limit_are_counted_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(difference, "MOST", 2)
    it = found((b"/1", "extra"), (b"/2", "extra"), (b"/3", "extra"), (b"/4", "extra"), (b"/1", "content"))
    assert it.kinds == {b"/1": "content", b"/2": "extra"}
    assert it.left_out == 2


class Some:
    """Candidates about three paths, of which some may be pending."""

    def __init__(self) -> None:
        self.kinds = {b"/d/": "attributes", b"/d/f": "content", b"/e/g": "missing"}
        self.pending: set[bytes] = set()
        self.candidates = Candidates(lambda: self.pending.__contains__)
        self.candidates.add(self.kinds)


def test_a_difference_counts_when_the_second_look_finds_it_too() -> None:
    it = Some()
    assert it.candidates.look() == list(it.kinds)
    assert it.candidates.looked({b"/d/f": "content", b"/e/g": "type"}) == [(b"/d/f", "content"), (b"/e/g", "type")]
    assert len(it.candidates) == 0
    assert it.candidates.look() == []


def test_a_path_with_a_pending_change_is_looked_at_later() -> None:
    it = Some()
    it.pending = {b"/d/f"}
    assert it.candidates.look() == [b"/d/", b"/e/g"]
    assert it.candidates.looked(it.kinds) == [(b"/d/", "attributes"), (b"/e/g", "missing")]
    assert len(it.candidates) == 1
    it.pending = set()
    assert it.candidates.look() == [b"/d/f"]
    assert it.candidates.looked({}) == []
    assert len(it.candidates) == 0


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (b"/d/f", [b"/d/", b"/d/f"]),
        (b"/d/new", [b"/d/"]),
        (b"/d/", [b"/d/", b"/d/f"]),
        (b"/d/f/", [b"/d/", b"/d/f"]),
        (b"/e/", [b"/e/g"]),
        (b"/e", []),
        (b"/other", []),
        (b"/", [b"/d/", b"/d/f", b"/e/g"]),
    ],
)
def test_a_change_during_the_second_look_asks_for_another_one(change: bytes, left: list[bytes]) -> None:
    it = Some()
    it.candidates.look()
    it.candidates.touch(change)
    counting = it.candidates.looked(it.kinds)
    assert [path for path, _ in counting] == [path for path in it.kinds if path not in left]
    assert it.candidates.look() == left
    assert len(it.candidates.looked(it.kinds)) == len(left)


def test_a_change_that_is_pending_at_the_end_of_the_look_asks_for_another_one() -> None:
    it = Some()
    it.candidates.look()
    it.pending = {b"/e/g"}
    assert [path for path, _ in it.candidates.looked(it.kinds)] == [b"/d/", b"/d/f"]


def test_a_change_between_two_looks_is_no_matter() -> None:
    it = Some()
    it.candidates.touch(b"/")
    it.candidates.look()
    assert len(it.candidates.looked(it.kinds)) == 3


@pytest.mark.parametrize(
    ("result", "is_equal"),
    [(Verified(1.0), True), (Verified(1.0, unsettled=2), True), (Verified(1.0, 1), False),
     (Verified(1.0, error="no"), False)],
)  # fmt: skip
def test_equal_is_what_has_no_difference_and_no_error(result: Verified, is_equal: bool) -> None:
    assert result.is_equal is is_equal
    assert result.fields()["is_equal"] is is_equal


@pytest.mark.parametrize("path", [b"/../b", b"/a/../../b", b"/./a", b"/a//b", b"/.."])
def test_a_path_that_names_nothing_in_the_tree_is_counted_and_never_used(path: bytes) -> None:
    it = Found()
    for one in (path, b"/", b"/..b/", b"/a/.c"):
        it.add(Difference(one, "content"))
    assert list(it.kinds) == [b"/", b"/..b/", b"/a/.c"]
    assert it.left_out == 1
