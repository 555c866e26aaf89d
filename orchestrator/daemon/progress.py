"""How far the startups are, for somebody who looks on at a terminal: one line, written in its place again and again.

Only with -nodaemon, only where stdout is a terminal, and only until the startups are over. Short ones show nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.logic.message import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.sync.host import Host
    from orchestrator.sync.sync import Sync

FIRST: Final = 5.0
"""Seconds from the start to the first line."""

EVERY: Final = 2.0
"""Seconds from one line to the next."""


class StartupProgress:
    """Made when the startups have begun. `show(text)` writes the line in place of the last one; empty: there is none
    any more."""

    def __init__(self, host: Host, syncs: Callable[[], Sequence[Sync]], show: Callable[[str], None]) -> None:
        self._host = host
        self._syncs = syncs
        self._show = show
        self._next(FIRST)

    def _next(self, seconds: float) -> None:
        self._host.alarms.add(self._host.clock.now() + seconds, self._look)

    def _look(self) -> None:
        starting = [sync.status() for sync in self._syncs() if not sync.life.is_started_up]
        self._show("; ".join(words_of(starting, self._host.clock.wall())))
        # one that waits for its turn, or for its host, goes on later
        if any(status["startup"] is not None for status in starting):
            self._next(EVERY)


def words_of(starting: Sequence[Mapping[str, Any]], now: float) -> Iterator[str]:
    """How far these syncs are, as their status says; nothing of those of which nothing runs. `now`: seconds since
    1970."""
    from orchestrator.logic.words import age, size  # late: few daemons need it

    for status in starting:
        startup, transfers = status["startup"], status["transfers"]
        if startup is None or not transfers:
            continue
        words = [f"starting for {age(max(0.0, now - startup['since']))}"]
        if (startup["parts"] or 0) > 1:
            words.append(f"{startup['parts_done']} of {startup['parts']} parts")
        done = startup["bytes_done"]
        if done is None:
            counted = [one["bytes"] for one in transfers if one["bytes"] is not None]
            done = sum(counted) if counted else None
        if done is not None:
            words.append(size(done))
        yield printable(f"{status['name']}: {', '.join(words)}")
