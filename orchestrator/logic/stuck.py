"""Whether a sync is stuck, and what it waits for, in a few words.

Its oldest change is older than it should be, or a transfer has moved nothing for so long. A change has as long as its
sync's delay beside that. A startup or full run may take as long as it likes while it moves something, and so may what
waits for it. Pure: all times are of one clock, in seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Running(NamedTuple):
    """A transfer that runs. `what`: in words, `a transfer of /a/b (pid 12)`; `moved_at`: when it was last seen to move
    anything; None: nobody can know. `is_whole`: a startup or full run."""

    what: str
    since: float
    moved_at: float | None
    is_whole: bool


class Waiting(NamedTuple):
    """`oldest`: when the oldest change happened, None: there is none; `allowance`: how long a change waits by itself;
    `reason`: why nothing begins, as far as that is known, else empty."""

    oldest: float | None
    allowance: float = 0.0
    reason: str = ""


def why_stuck(now: float, stale_after: float, waiting: Waiting, running: Sequence[Running]) -> str | None:
    """Why it is; None: it is not."""
    for transfer in running:
        if transfer.moved_at is not None and now - transfer.moved_at >= stale_after:
            return f"{transfer.what} has moved nothing for {duration(now - transfer.moved_at)}"
    if waiting.oldest is None or now - waiting.oldest < stale_after + waiting.allowance:
        return None
    if any(transfer.is_whole and transfer.moved_at is not None for transfer in running):
        return None
    age = duration(now - waiting.oldest)
    if waiting.reason:
        return f"a change has been waiting for {age}: {waiting.reason}"
    oldest = min(running, key=lambda transfer: transfer.since, default=None)
    if oldest is not None:
        return f"a change has been waiting for {age}: {oldest.what} has been running for {duration(now - oldest.since)}"
    return f"a change has been waiting for {age}"


def next_look(now: float, stale_after: float, waiting: Waiting, running: Sequence[Running]) -> float | None:
    """When the answer may be another one, though nothing happens until then; None: not by itself."""
    times = [transfer.moved_at + stale_after for transfer in running if transfer.moved_at is not None]
    if waiting.oldest is not None:
        times.append(waiting.oldest + stale_after + waiting.allowance)
    return min((time for time in times if time > now), default=None)


def duration(seconds: float) -> str:
    """`20 s`, `14 min`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
