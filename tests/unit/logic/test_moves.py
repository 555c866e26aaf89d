"""Pairing the halves of renames (spec 3.1)."""

from __future__ import annotations

import pytest

from orchestrator.logic.moves import RawEvent, is_halfway, pair_moves

CREATE, FROM, TO, ISDIR = 0x100, 0x40, 0x80, 0x4000_0000


def event(mask: int, cookie: int, name: bytes, wd: int = 1) -> RawEvent:
    return wd, mask, cookie, name


A, B, B2 = event(FROM, 1, b"a"), event(TO, 1, b"b"), event(TO, 2, b"b")
D, E = event(FROM | ISDIR, 3, b"d"), event(TO | ISDIR, 3, b"e", wd=2)
C = event(CREATE, 0, b"c")


@pytest.mark.parametrize(
    ("description", "events", "expected"),
    [
        ("nothing", [], []),
        ("a rename", [A, B], [(A, B)]),
        ("a directory, into another", [D, E], [(D, E)]),
        ("among others", [C, A, B, C], [(C, None), (A, B), (C, None)]),
        ("two in a row", [A, B, D, E], [(A, B), (D, E)]),
        ("gone to where nobody watches", [A, C], [(A, None), (C, None)]),
        ("come from there", [B], [(B, None)]),
        ("different cookies", [A, B2], [(A, None), (B2, None)]),
        ("something between", [A, C, B], [(A, None), (C, None), (B, None)]),
        ("one half, then a whole", [A, D, E], [(A, None), (D, E)]),
        ("in the wrong order", [B, A], [(B, None), (A, None)]),
        ("a partner for one only", [A, B, B], [(A, B), (B, None)]),
    ],
)
def test_pairs(description: str, events: list[RawEvent], expected: list[tuple[RawEvent, RawEvent | None]]) -> None:
    assert pair_moves(events) == expected


def test_a_moved_from_at_the_end_asks_for_one_more_read() -> None:
    assert is_halfway([C, A])
    assert not is_halfway([A, B])
    assert not is_halfway([])
