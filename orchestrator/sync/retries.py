"""What has failed and is to be tried again, and when (spec 6 rows 13 and 16b).

Two lanes. One change that fails stands aside alone, with pauses of its own: what it does not block
goes on. When a list or a startup fails, it is the target that does not answer: the whole sync
waits, or each new change would be tried in vain at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.backoff import Backoff
from orchestrator.logic.event import DELETE, SPECIAL, WAIT
from orchestrator.sync.event import Agent, EventList

if TYPE_CHECKING:
    from orchestrator.logic.delay import Delay
    from orchestrator.logic.queue import Queue


class Retries:
    """The failures of one sync. `hold_until`: before that time of the monotonic clock nothing is to be tried."""

    def __init__(self, queue: Queue, first_pause: float) -> None:
        self._queue = queue
        self._first_pause = first_pause
        self._target = Backoff(first_pause)
        self._alone: dict[Delay, Backoff] = {}
        self.hold_until = 0.0

    def __len__(self) -> int:
        """Single changes that wait to be tried again."""
        return len(self._alone)

    def is_failing(self) -> bool:
        """Whether anything has failed and did not succeed since."""
        return bool(self._target.failures or self._alone)

    def would_grow(self, agent: Agent) -> bool:
        """Whether the pause after one more failure is longer than the last: worth a log line."""
        return self._backoff_of(agent).would_grow()

    def again(self, agent: Agent, delays: list[Delay], now: float) -> None:
        """The delays have failed: they wait again, longer each time."""
        backoff = self._backoff_of(agent)
        backoff.fail()
        due = now + backoff.pause
        if backoff is self._target:
            self.hold_until = due
        for delay in delays:
            if backoff is not self._target:
                if _is_deleted_later(delay):
                    self._queue.remove(delay)
                    continue
                self._alone[delay] = backoff
            self._queue.retry(delay, due)

    def succeeded(self, delays: list[Delay]) -> None:
        """The delays are done with; the target answers."""
        self._target.succeed()
        self.hold_until = 0.0
        for delay in delays:
            self._alone.pop(delay, None)
            self._queue.remove(delay)

    def hold(self, now: float) -> None:
        """Something failed that served no delay yet: try nothing for a while, longer each time."""
        self._target.fail()
        self.hold_until = now + self._target.pause
        self._queue.offer_again()

    def forget(self, path: bytes) -> None:
        """A path is gone, with all below it. What failed there can only fail again, and would block its deletion."""
        for delay in list(self._alone) if self._alone else ():
            if delay.path.startswith(path) and delay.status == WAIT and (path.endswith(b"/") or delay.path == path):
                del self._alone[delay]
                self._queue.remove(delay)

    def _backoff_of(self, agent: Agent) -> Backoff:
        if isinstance(agent, EventList) or agent.etype in SPECIAL:
            return self._target
        return self._alone.get(agent.delay) or Backoff(self._first_pause)


def _is_deleted_later(delay: Delay) -> bool:
    """Whether its path, or a directory above it, goes in what waits for it: trying again would be in vain."""
    waiting = list(delay.blocks or ())
    while waiting:
        newer = waiting.pop()
        is_above = newer.path == delay.path or (newer.path.endswith(b"/") and delay.path.startswith(newer.path))
        if newer.etype == DELETE and is_above:
            return True
        waiting += newer.blocks or ()
    return False
