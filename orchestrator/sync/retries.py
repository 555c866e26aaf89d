"""Changes that failed and are tried again, and when (spec 6 rows 13 and 16b).

Three ways. One change that fails, or one part of a startup, stands aside alone, with pauses of its own: what it does
not block goes on; so do those of a list of which its action knows that it was they that failed. When a list fails
and nobody knows which part of it, or one list after the other, it is the target that does not answer: the whole sync
waits, or each new change would be tried at once, only to fail. When the target's host cannot be reached, all
syncs that go there wait together (logic/endpoint.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.logic.backoff import Backoff
from orchestrator.logic.endpoint import UNREACHABLE
from orchestrator.logic.event import DELETE, PART, SPECIAL, WAIT
from orchestrator.sync.inlet import Agent, EventList

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from orchestrator.logic.delay import Delay
    from orchestrator.logic.endpoint import Endpoint, Member
    from orchestrator.logic.queue import Queue
    from orchestrator.sync.outcome import Outcome


TRIES_AT_ONCE: Final = 5
"""Lists that may fail one after the other, each for changes that did not fail before, until the sync pauses."""


class Retries:
    """The failures of one sync."""

    def __init__(self, queue: Queue, first_pause: float) -> None:
        self.on_end: Callable[[list[Delay], bool], None] | None = None
        """Called with changes that were tried again apart and are not any more, and whether they have arrived."""
        self._queue = queue
        self._first_pause = first_pause
        self._target = Backoff(first_pause)
        self._alone: dict[Delay, Backoff] = {}
        self._failed: dict[Delay, None] = {}  # all that failed, alone or in a list
        self._hold_until = 0.0
        self._failed_in_a_row = 0  # lists with something in them that had not failed before
        self._member: Member | None = None

    def __len__(self) -> int:
        """Single changes that wait to be tried again."""
        return len(self._alone)

    def share(self, endpoint: Endpoint, wants: Callable[[float], bool], wake: Callable[[], None]) -> None:
        """Wait together with the other syncs that go there. `wants(now)`: whether anything would be transferred
        if nothing held it up; `wake`: something may be transferred again."""

        def released() -> None:
            self.try_now()
            wake()

        self._member = endpoint.join(self._first_pause, wants, released)

    def leave(self) -> None:
        """The sync starts nothing any more: no other one waits for it."""
        if self._member is not None:
            self._member.endpoint.leave(self._member)

    def try_now(self) -> None:
        """What stopped the sync is over: what has failed need not wait until its pause is."""
        self._hold_until = 0.0
        for delay in self._failed:
            if delay not in self._alone and delay in self._queue and delay.status == WAIT:
                self._queue.retry(delay, 0.0)

    def end_pauses(self) -> None:
        """An administrator wants all that has failed to be tried now, that of the host included."""
        if self._member is not None:
            self._member.endpoint.try_now(self._member)
        for delay in self._alone:
            if delay in self._queue and delay.status == WAIT:
                self._queue.retry(delay, 0.0)
        self.try_now()

    def hold_until(self, now: float) -> float:
        """Before that time of the monotonic clock nothing is to be tried."""
        member = self._member
        return self._hold_until if member is None else max(self._hold_until, member.endpoint.next_try(member, now))

    def is_failing(self) -> bool:
        """Whether anything has failed and did not succeed since, or waits for a host that cannot be reached."""
        if self._target.failures or self._alone:
            return True
        return self.unreachable() is not None and len(self._queue) > 0

    def unreachable(self) -> str | None:
        """The host that this sync waits for."""
        member = self._member
        return member.endpoint.name if member is not None and member.endpoint.holds(member) else None

    def would_grow(self, outcome: Outcome) -> bool:
        """Whether the pause after this failure is longer than the last: worth a log line."""
        member = self._unreached(outcome)
        if member is not None:
            return member.endpoint.would_grow(member, outcome.started)
        delays = outcome.agent.delays
        if outcome.agent.is_list and delays and all(delay in self._alone for delay in delays):
            return any(self._alone[delay].would_grow() for delay in delays)
        return self._backoff_of(outcome.agent).would_grow()

    def begins(self, now: float) -> None:
        """A transfer is started."""
        if self._member is not None:
            self._member.endpoint.begins(self._member, now)

    def again(self, outcome: Outcome, delays: list[Delay]) -> str | None:
        """The delays have failed: they wait again, longer each time.

        Gives the host's name where it is now found that it cannot be reached, and others go there, too.
        """
        news = None
        member = self._unreached(outcome)
        if member is not None:
            endpoint = member.endpoint
            was_held = endpoint.holds(member)
            backoff = self._target
            backoff.fail()
            due = self._hold_until = endpoint.failed(member, outcome.started, outcome.ended)
            if endpoint.is_shared() and endpoint.holds(member) and not was_held:
                news = endpoint.name
        else:
            self._ended()
            backoff = self._backoff_of(outcome.agent)
            backoff.fail()
            due = outcome.ended + backoff.pause
            if backoff is self._target:
                self._hold_until = due
        self._drop_stale()
        for delay in delays:
            if backoff is not self._target:
                self._stand_aside(delay, backoff, due)
            else:
                self._wait(delay, due)
        return news

    def at_once(self, outcome: Outcome, delays: list[Delay]) -> None:
        """The delays have failed for a reason that is gone by now: they are offered again without a pause."""
        self._ended()
        self._drop_stale()
        for delay in delays:
            self._wait(delay, outcome.ended)

    def set_aside(self, outcome: Outcome, failed: Collection[Delay], rest: Collection[Delay]) -> None:
        """Of a list it is known which changes have failed: they wait apart, each longer each time. The rest, of which
        nobody knows, is offered again at once: unless list after list fails for something new."""
        self._ended()
        self._drop_stale()
        if not all(delay in self._alone for delay in failed):
            self._failed_in_a_row += 1
            if self._failed_in_a_row > TRIES_AT_ONCE:
                self._target.fail()
                self._hold_until = outcome.ended + self._target.pause
        for delay in failed:
            backoff = self._alone.get(delay) or Backoff(self._first_pause)
            backoff.fail()
            self._stand_aside(delay, backoff, outcome.ended + backoff.pause, is_separate=True)
        for delay in rest:
            self._wait(delay, self._hold_until)

    def _stand_aside(self, delay: Delay, backoff: Backoff, due: float, *, is_separate: bool = False) -> None:
        if _is_deleted_later(delay):
            was_alone = self._alone.pop(delay, None) is not None
            self._failed.pop(delay, None)
            self._queue.remove(delay)
            if was_alone:
                self._tell([delay], is_done=False)
            return
        self._alone[delay] = backoff
        self._wait(delay, due, is_separate=is_separate)

    def _wait(self, delay: Delay, due: float, *, is_separate: bool = False) -> None:
        self._failed[delay] = None
        self._queue.retry(delay, due, is_separate=is_separate)

    def dropped(self, delay: Delay) -> None:
        """An action has dropped a change."""
        self._failed.pop(delay, None)
        if self._alone.pop(delay, None) is not None:
            self._tell([delay], is_done=False)

    def _drop_stale(self) -> None:
        """What an action has dropped."""
        if len(self._failed) > len(self._queue):
            self._failed = {delay: None for delay in self._failed if delay in self._queue}
            dropped = [delay for delay in self._alone if delay not in self._queue]
            self._alone = {delay: backoff for delay, backoff in self._alone.items() if delay in self._queue}
            self._tell(dropped, is_done=False)

    def succeeded(self, delays: list[Delay], exit_code: int | None = None) -> str | None:
        """The delays are done with; the target answers. Gives the host's name where it could not be reached before."""
        self._target.succeed()
        self._hold_until = 0.0
        self._failed_in_a_row = 0
        if self.on_end is not None and self._alone:
            self._tell([delay for delay in delays if delay in self._alone], is_done=True)
        for delay in delays:
            self._alone.pop(delay, None)
            self._failed.pop(delay, None)
            self._queue.remove(delay)
        member = self._member
        if member is None or exit_code in UNREACHABLE:  # such a code that somebody calls a success
            self._ended()
            return None
        endpoint = member.endpoint
        return endpoint.name if endpoint.reached(member) and endpoint.is_shared() else None

    def hold(self, now: float) -> None:
        """Something failed that served no delay yet: try nothing for a while, longer each time."""
        self._target.fail()
        self._hold_until = now + self._target.pause
        self._queue.offer_again()

    def _ended(self) -> None:
        if self._member is not None:
            self._member.endpoint.ended(self._member)

    def _unreached(self, outcome: Outcome) -> Member | None:
        """This sync at its host, where the transfer failed since that could not be reached; else None."""
        return self._member if not outcome.error and outcome.exit_code in UNREACHABLE else None

    def forget(self, path: bytes) -> None:
        """A path is gone, with all below it. A change that failed there can only fail again, and would block its
        deletion. But for a Move: its destination is not gone.
        """
        for delay in list(self._alone) if self._alone else ():
            is_gone = delay.path == path or (path.endswith(b"/") and delay.path.startswith(path))
            if is_gone and delay.path2 is None and delay.status == WAIT:
                del self._alone[delay]
                self._failed.pop(delay, None)
                self._queue.remove(delay)
                self._tell([delay], is_done=False)

    def _tell(self, delays: list[Delay], *, is_done: bool) -> None:
        if self.on_end is not None and delays:
            self.on_end(delays, is_done)

    def _backoff_of(self, agent: Agent) -> Backoff:
        if isinstance(agent, EventList) or (agent.etype in SPECIAL and agent.etype != PART):
            return self._target
        return self._alone.get(agent.delay) or Backoff(self._first_pause)


def _is_deleted_later(delay: Delay) -> bool:
    """Whether its path, or a directory above it, goes in what waits for it: another try would fail again."""
    if delay.path2 is not None:
        return False
    waiting = list(delay.blocks or ())
    while waiting:
        newer = waiting.pop()
        is_above = newer.path == delay.path or (newer.path.endswith(b"/") and delay.path.startswith(newer.path))
        if newer.etype == DELETE and is_above:
            return True
        waiting += newer.blocks or ()
    return False
