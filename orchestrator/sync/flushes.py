"""Waits until the changes that waited in a queue have been transferred (`orchestrator flush --wait`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.logic.alarms import INFINITY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.sync.host import Host
    from orchestrator.sync.sync import Sync

    Done = Callable[[list["Flushed"]], None]


class Flushed(NamedTuple):
    """A sync that was flushed. `is_done`: what waited then has been transferred. `waiting`: changes in its queue."""

    sync: Sync
    is_done: bool
    waiting: int


@dataclass(eq=False)
class _Waiter:
    """`asked`: when, in seconds of the monotonic clock: changes that happened until then are waited for. `is_wanted()`:
    whether anybody still wants to know."""

    syncs: Sequence[Sync]
    asked: float
    until: float
    done: Done
    is_wanted: Callable[[], bool]


class Flushes:
    """Those that are waited for. Nobody looks by a clock: `settle` is called after each turn, as long as there are any,
    and one alarm stands for the soonest time limit."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._waiters: list[_Waiter] = []
        self._alarm = INFINITY

    def __len__(self) -> int:
        return len(self._waiters)

    def wait(self, syncs: Sequence[Sync], seconds: float, done: Done, is_wanted: Callable[[], bool]) -> None:
        """Call `done` once all that waits now has been transferred, or so many seconds have passed; not at all once
        `is_wanted` says that nobody wants to know any more."""
        now = self._host.clock.now()
        until = now + seconds
        self._waiters.append(_Waiter(syncs, now, until, done, is_wanted))
        self._set_alarm(until)
        self.settle()

    def settle(self) -> None:
        """Tell those whose wait is over."""
        now = self._host.clock.now()
        for waiter in list(self._waiters):
            if not waiter.is_wanted():
                self._waiters.remove(waiter)
            elif now >= waiter.until or all(_is_over(sync, waiter.asked) for sync in waiter.syncs):
                self._waiters.remove(waiter)
                waiter.done([Flushed(sync, _is_done(sync, waiter.asked), len(sync.queue)) for sync in waiter.syncs])

    def _set_alarm(self, when: float) -> None:
        if when < self._alarm:
            self._alarm = when
            self._host.alarms.add(when, self._fire)

    def _fire(self) -> None:
        self._alarm = INFINITY
        self.settle()
        self._set_alarm(min((waiter.until for waiter in self._waiters), default=INFINITY))


def _is_done(sync: Sync, asked: float) -> bool:
    """Whether nothing that had happened by then waits any more: not in the queue, nor where failing paths are kept."""
    oldest = sync.oldest()
    return oldest is None or oldest > asked


def _is_over(sync: Sync, asked: float) -> bool:
    """Whether there is nothing to wait for: all has gone, or nothing will until somebody does something about it."""
    life = sync.life
    return _is_done(sync, asked) or life.is_stopped or life.is_paused or life.is_leaving
