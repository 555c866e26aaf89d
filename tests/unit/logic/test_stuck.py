"""Whether a sync is stuck, and the words for it."""

from __future__ import annotations

import pytest

from orchestrator.logic.stuck import Running, Waiting, duration, next_look, why_stuck

NOW, LIMIT = 10_000.0, 600.0
MOVES = Running("a transfer of /a (pid 12)", NOW - 3000, NOW - 1, False)
HANGS = MOVES._replace(moved_at=NOW - 840)
UNSEEN = MOVES._replace(moved_at=None)
STARTUP = Running("the startup (pid 9)", NOW - 7200, NOW - 1, True)
OLD, NEW = Waiting(NOW - 840), Waiting(NOW - 20)

CASES: dict[str, tuple[Waiting, list[Running], str | None]] = {
    "nothing waits": (Waiting(None), [], None),
    "a new change": (NEW, [], None),
    "an old change": (OLD, [], "a change has been waiting for 14 min"),
    "one that waits for its delay": (OLD._replace(allowance=300.0), [], None),
    "one that waits longer than that": (OLD._replace(allowance=200.0), [], "a change has been waiting for 14 min"),
    "with a reason": (OLD._replace(reason="held by x"), [], "a change has been waiting for 14 min: held by x"),
    "a reason alone": (NEW._replace(reason="held by x"), [], None),
    "one that hangs": (NEW, [MOVES, HANGS], "a transfer of /a (pid 12) has moved nothing for 14 min"),
    "one that hangs, and nothing waits": (
        Waiting(None), [HANGS], "a transfer of /a (pid 12) has moved nothing for 14 min",
    ),
    "one that takes long": (
        OLD, [MOVES], "a change has been waiting for 14 min: a transfer of /a (pid 12) has been running for 50 min",
    ),
    "one that nobody can see into": (
        OLD, [UNSEEN], "a change has been waiting for 14 min: a transfer of /a (pid 12) has been running for 50 min",
    ),
    "a startup that moves": (OLD, [STARTUP], None),
    "a startup that hangs": (
        OLD, [STARTUP._replace(moved_at=NOW - 600)], "the startup (pid 9) has moved nothing for 10 min",
    ),
    "a startup that nobody can see into": (
        OLD, [STARTUP._replace(moved_at=None)],
        "a change has been waiting for 14 min: the startup (pid 9) has been running for 2 h",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_why(case: str) -> None:
    waiting, running, wanted = CASES[case]
    assert why_stuck(NOW, LIMIT, waiting, running) == wanted


@pytest.mark.parametrize("case", CASES)
def test_the_answer_changes_by_itself_only_when_it_is_said(case: str) -> None:
    """Up to the next look it is the same, then it may be another one; after the last one it stays."""
    waiting, running, _ = CASES[case]
    now = NOW
    while (look := next_look(now, LIMIT, waiting, running)) is not None:
        assert look > now
        before = why_stuck(now, LIMIT, waiting, running)
        assert (why_stuck(look - 0.001, LIMIT, waiting, running) is None) == (before is None)
        now = look
    assert (why_stuck(now, LIMIT, waiting, running) is None) == (why_stuck(now + 1e6, LIMIT, waiting, running) is None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (119.9, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (7500, "2 h 5 min"),
        (172_800, "2 d"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
