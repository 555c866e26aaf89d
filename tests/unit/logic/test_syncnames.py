"""Which syncs somebody means (contrib/CONTROL.md)."""

from __future__ import annotations

import pytest

from orchestrator.logic.syncnames import MOST_PATTERNS, TooManyPatterns, UnknownSync, chosen

MANY = [f"[{number}]" for number in range(MOST_PATTERNS + 1)]


def test_names_that_look_like_patterns_are_names() -> None:
    assert chosen(MANY, MANY) == [*range(len(MANY))]


def test_patterns_are_few_unless_they_may_have_been_names() -> None:
    with pytest.raises(TooManyPatterns):
        chosen(["*"] * len(MANY), ["0"])
    assert chosen(MANY, ["0", "1", "x"], skips_unknown=True) == [0, 1]


def test_a_word_that_means_none() -> None:
    with pytest.raises(UnknownSync):
        chosen(["web"], ["mail"])
    assert chosen(["web"], ["mail"], skips_unknown=True) == []
