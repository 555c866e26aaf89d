"""A circuit breaker for a host that several syncs transfer to (spec 6 row 13).

Closed: all transfers may begin. Open: the host could not be reached, and nothing begins before a pause is over, which
grows with each failure. Half-open: one sync's transfer is the probe, and the others wait for its result; a success
closes the circuit for all. The sync that has waited longest without trying makes the probe, so one that can't succeed
keeps nobody from trying; and one that has not failed itself waits for the others' failures for a short time only, and
then tries once. One that fails although another has just succeeded has trouble of its own (a module that is not there,
a login that is refused): it has a circuit breaker of its own from then on, until it succeeds, and holds up nobody.

Pure: time is an argument (seconds of the monotonic clock), syncs are the members that `join` gives.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.logic.backoff import LONGEST, Backoff, next_pause

if TYPE_CHECKING:
    from collections.abc import Callable

UNREACHABLE: Final = frozenset({5, 10, 12, 30, 35, 255})
"""Exit codes of rsync and ssh for trouble on the way to the host, not with the files to transfer (rsync(1), ssh(1)):
starting the protocol, socket, protocol stream, time out, connection time out, ssh itself."""

LONGEST_UNTRIED: Final = 15.0
"""Seconds that a sync waits that has not failed itself: the others' failures may be trouble of their own."""

LOOK_AGAIN: Final = 0.5
"""Seconds until a member looks again whether it is its turn."""

# compiled where they are needed: a daemon that only mirrors locally has no use for them
_URL: Final = r"rsync://(?:[^/]*@)?(\[[^\]]*\]|[^/:]*)(?::([^/]*))?(?:/|$)"
_REMOTE: Final = r"(?:[^/]*@)?(\[[^\]]*\]|[^/:]*)(::?)"
_PORT: Final = r"(?:^|\s)(?:-p\s*|-o\s*[Pp]ort[= ])(\S+)"


def endpoint_of(target: str, remote_shell: str = "") -> str | None:
    """The host and the service there that an rsync target names; None: it is local.

    `HOST`, `HOST:PORT` of another port than 22, `rsync://HOST`, `rsync://HOST:PORT`. Two services of a host are two
    endpoints: one may be down while the other is not. `remote_shell`: with its arguments, for the port.
    """
    if ":" not in target:
        return None
    url = re.match(_URL, target)
    if url is not None:
        return f"rsync://{url[1].lower()}{_port(url[2], '873')}"
    remote = re.match(_REMOTE, target)
    if remote is None or not remote[1]:
        return None
    if remote[2] == "::":
        return f"rsync://{remote[1].lower()}"
    port = re.search(_PORT, remote_shell)
    return remote[1].lower() + _port(port[1] if port is not None else None, "22")


def _port(port: str | None, usual: str) -> str:
    return f":{port}" if port and port != usual else ""


class Member:
    """One sync's share in an endpoint. `wants(now)`: whether it has something to transfer; `wake`: it may try now.

    `has_own_trouble`: it fails where others succeed, and is not held by the circuit breaker that they share.
    """

    __slots__ = ("backoff", "endpoint", "failed_at", "first", "has_own_trouble", "wake", "wants", "was_released")

    def __init__(
        self, endpoint: Endpoint, first: float, wants: Callable[[float], bool], wake: Callable[[], None]
    ) -> None:
        self.endpoint = endpoint
        self.first = first
        self.wants = wants
        self.wake = wake
        self.backoff = Backoff(first)
        self.failed_at = float("-inf")
        self.has_own_trouble = False
        self.was_released = False


class Endpoint:
    """The circuit breaker of a host. `pause` is the last one, in seconds; 0: it is closed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pause = 0.0
        self._members: list[Member] = []
        self._down_since = 0.0
        self._step_at = 0.0
        self._probing: Member | None = None
        self._probe_began = 0.0

    def join(self, first_pause: float, wants: Callable[[float], bool], wake: Callable[[], None]) -> Member:
        """One more sync. `first_pause` in seconds, at least 1: after its first failure."""
        member = Member(self, max(1.0, first_pause), wants, wake)
        self._members.append(member)
        return member

    def leave(self, member: Member) -> None:
        """A sync starts nothing any more."""
        self._members.remove(member)
        self.ended(member)

    def is_shared(self) -> bool:
        return len(self._members) > 1

    def holds(self, member: Member) -> bool:
        """Whether the circuit is open, or half-open, for a member."""
        return self.pause > 0 and not member.has_own_trouble

    def try_now(self, member: Member) -> None:
        """Somebody knows better: a member need not wait for the end of the pause. The next one is as long as ever."""
        self._step_at = member.failed_at = float("-inf")

    def next_try(self, member: Member, now: float) -> float:
        """Until when a member is not to start anything; a time that is over: it may."""
        if not self.holds(member):
            return 0.0
        longest = self.pause
        if member.failed_at < self._down_since:
            longest = min(longest, LONGEST_UNTRIED)
        step = max(self._step_at + longest, _own_step(member))
        if now < step:
            return step
        if self._probing is not None:
            return self._probe_began + longest
        if member.wants(now) and any(
            other.failed_at < member.failed_at
            and not other.has_own_trouble
            and _own_step(other) <= now
            and other.wants(now)
            for other in self._members
        ):
            return now + LOOK_AGAIN
        return step

    def begins(self, member: Member, now: float) -> None:
        """A member starts a transfer. Where the circuit is open, that is the probe: the others wait for its result, but
        not longer than another pause, as it may be a long one that goes well."""
        if self.holds(member):
            self._probing = member
            self._probe_began = now

    def would_grow(self, member: Member, began: float) -> bool:
        """Whether `failed` would make a pause longer: worth a log line. `began`: when the transfer did."""
        if self._is_own_trouble(member):
            return member.backoff.would_grow()
        return self._is_news(began) and next_pause(self.pause, min(member.first, LONGEST)) > self.pause

    def failed(self, member: Member, began: float, now: float) -> float:
        """The host could not be reached. Gives until when the member is not to try again.

        A transfer that `began` before the pause after the others' failure was over does not count.
        """
        member.has_own_trouble = self._is_own_trouble(member)
        member.backoff.fail()
        member.failed_at = now
        self.ended(member)
        if member.has_own_trouble:
            return now + member.backoff.pause
        if self._is_news(began):
            if not self.pause:
                self._down_since = now
            self.pause = next_pause(self.pause, min(member.first, LONGEST))
            self._step_at = now
        return max(self._step_at + self.pause, _own_step(member))

    def reached(self, member: Member) -> bool:
        """A transfer has reached the host: the circuit is closed. True: it was not before."""
        self.ended(member)
        member.has_own_trouble = False
        member.was_released = False
        member.backoff.succeed()
        if not self.pause:
            return False
        self.pause = 0.0
        for other in self._members:
            if other.backoff.failures and not other.has_own_trouble:
                other.was_released = True
                other.wake()
        return True

    def ended(self, member: Member) -> None:
        """A transfer has ended, in whatever way."""
        if self._probing is member:
            self._probing = None

    def _is_news(self, began: float) -> bool:
        return not self.pause or began >= self._step_at + self.pause

    def _is_own_trouble(self, member: Member) -> bool:
        return member.has_own_trouble or (member.was_released and not self.pause)


def _own_step(member: Member) -> float:
    """Until when a member that has failed waits whatever the others do: by a `delay` that is longer than all pauses."""
    return member.failed_at + member.first if member.first > LONGEST else 0.0
