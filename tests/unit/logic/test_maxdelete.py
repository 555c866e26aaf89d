"""How much a full run may delete (spec 6 row 22)."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.logic.maxdelete import DeletionCount, max_delete


@pytest.mark.parametrize(
    ("value", "there", "allowed"),
    [
        (0, 100, 0),
        (10, 5, 10),
        (10.7, 5, 10),
        ("25", 5, 25),
        ("10%", 100, 10),
        (" 10 % ", 19, 1),
        ("0%", 100, 0),
        ("0.5%", 1000, 5),
        ("100%", 7, 7),
        ("10%", 9, 0),
    ],
)
def test_numbers_and_percentages(value: Any, there: int, allowed: int) -> None:
    limit = max_delete(value)
    assert limit is not None
    assert limit.allowed(there) == allowed


def test_off() -> None:
    assert max_delete(None) is None
    assert max_delete(False) is None


@pytest.mark.parametrize("value", ["", "many", "-1", "10%%", "101%", "%", -1, True, float("inf"), float("nan"), [], {}])
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="must be a number"):
        max_delete(value)


def test_what_is_allowed_and_what_is_said_of_the_rest() -> None:
    limit = max_delete("10%")
    assert limit is not None
    assert limit.allows(DeletionCount(10, 100))
    too_much = DeletionCount(11, 100)
    assert not limit.allows(too_much)
    assert limit.refusal(too_much, "s", "/t/") == (
        "a full run of s would delete 11 of 100 files on /t/; maxDelete allows 10 (10%)."
    )
