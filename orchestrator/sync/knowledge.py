"""Which transfers are recorded in a sync's state, and when (see the package `state`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from orchestrator.logic.event import CREATE, DELETE, MOVE, SPECIAL
from orchestrator.logic.known import Brought, Touched
from orchestrator.logic.verdict import OK

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from orchestrator.logic.delay import Delay
    from orchestrator.logic.known import Comparison, Moment
    from orchestrator.logic.queue import Queue
    from orchestrator.sync.inlet import Agent
    from orchestrator.sync.outcome import Collected, Outcome

MOST_PENDING = 10_000
"""Changes in the queue that are looked at when a directory has arrived; with more, it stays unknown."""


class Resumable(NamedTuple):
    """What an action promises of its transfers (see Action.resumable).

    `exit_codes`: with these, all paths that were asked for are on the target as they were in the source, except for
    those that vanished. `with_directories`: the attributes of the directories above are, too.
    """

    exit_codes: frozenset[int] = frozenset({0})
    with_directories: bool = False


class Keeper(Protocol):
    """A sync's state. Every `go` comes through the loop, or at once."""

    def compare(self, done: Callable[[Comparison], None]) -> None:
        """Compare the source with the state."""

    def begin(self, touched: Sequence[Touched] | None, go: Callable[[], None]) -> None:
        """A transfer is about to begin; None: a run over everything. It may when `go` is called."""

    def moment(self) -> Moment:
        """Now: the transfer begins."""

    def arrived(self, brought: Brought, since: Moment) -> None:
        """A transfer that began at a moment went well."""

    def everything_arrived(self, pending: Sequence[bytes], since: Moment) -> None:
        """A run over everything did, but for these paths."""

    def invalidate(self) -> None:
        """Nothing of the state holds any more until everything has arrived."""

    def close(self, *, is_at_rest: bool) -> None:
        """Let go of it. `is_at_rest`: no transfer runs."""


class Recorder:
    """Those of one sync. `is_chaining`: the action does Moves by renaming on the target, where nobody looks what it is
    that is renamed."""

    def __init__(self, keeper: Keeper, queue: Queue, resumable: Resumable, *, is_chaining: bool) -> None:
        self._keeper = keeper
        self._queue = queue
        self._resumable = resumable
        self._is_chaining = is_chaining
        self._began: dict[Agent, Moment] = {}
        self._startup: Moment | None = None  # when the first part of it began that went well
        self._left_out: list[bytes] = []  # by its parts
        self._has_gaps = False  # one of them has not brought everything

    def begin(self, agent: Agent, go: Callable[[], None]) -> None:
        """A transfer is about to begin. It may when `go` is called."""

        def begin() -> None:
            self._began[agent] = self._keeper.moment()
            go()

        self._keeper.begin(None if _is_of_all(agent) else list(_touched(agent.delays)), begin)

    def forget(self, agent: Agent) -> None:
        """It does not begin after all."""
        self._began.pop(agent, None)

    def ended(self, outcome: Outcome, collected: Collected, *, is_part: bool = False) -> None:
        """A transfer has ended, and this is the action's answer. `is_part`: more of a startup in parts follows."""
        agent = outcome.agent
        since = self._began.pop(agent, None)
        if since is None or collected.verdict not in (None, OK):
            return
        is_known = collected.unsettled is not None
        is_known = is_known or (collected.failed is None and outcome.exit_code in self._resumable.exit_codes)
        unsettled = collected.unsettled or ()
        if _is_of_all(agent):
            self._everything_ended(since, unsettled, is_known=is_known, is_part=is_part)
        elif is_known and not any(path == b"/" for path in unsettled):
            self._keeper.arrived(self._brought(agent.delays, {path.rstrip(b"/") for path in unsettled}), since)

    def _everything_ended(self, since: Moment, unsettled: Collection[bytes], *, is_known: bool, is_part: bool) -> None:
        """A run over everything is done with, or a part of it. `is_known`: so is what it has left out."""
        self._startup = since = min(since, self._startup or since)
        self._left_out += unsettled
        self._has_gaps = self._has_gaps or not is_known or b"/" in unsettled
        if is_part:
            return
        if not self._has_gaps:
            pending = [path for delay in self._queue for path in (delay.path, delay.path2) if path]
            self._keeper.everything_arrived([*pending, *self._left_out], since)
        self._startup, self._left_out, self._has_gaps = None, [], False

    def _brought(self, delays: Sequence[Delay], unsettled: set[bytes]) -> Brought:
        present: dict[bytes, None] = {}
        deleted: dict[bytes, None] = {}
        for delay in delays:
            etype, path, path2 = delay.etype, delay.path, delay.path2
            if etype in (DELETE, MOVE):
                deleted[path] = None
            else:
                present[path] = None
            if path2 is not None and not self._is_chaining:
                present[path2] = None
        pending, is_clear = self._pending(delays, [*deleted, *(path for path in present if path.endswith(b"/"))])
        if not is_clear:
            present, deleted = {path: None for path in present if not path.endswith(b"/")}, {}
        if unsettled:
            present = {path: None for path in present if not _is_below(path, unsettled)}
            deleted = {path: None for path in deleted if not _is_below(path, unsettled)}
        # what changed again meanwhile is not what was transferred
        again = set(pending)
        return Brought(
            [path for path in present if path not in again],
            [path for path in deleted if path not in present and path not in again],
            pending,
            self._resumable.with_directories,
        )

    def _pending(self, delays: Sequence[Delay], paths: Sequence[bytes]) -> tuple[list[bytes], bool]:
        """The other changes that wait at or below these paths, and whether that is certain."""
        queue = self._queue
        if not paths or len(queue) <= len(delays):
            return [], True
        if len(queue) > MOST_PENDING + len(delays):
            return [], False
        places, own = {path.rstrip(b"/") for path in paths}, set(delays)
        others = (path for delay in queue if delay not in own for path in (delay.path, delay.path2) if path)
        return [path for path in others if _is_below(path, places)], True


def _is_of_all(agent: Agent) -> bool:
    return any(delay.etype in SPECIAL for delay in agent.delays)


def _touched(delays: Iterable[Delay]) -> Iterable[Touched]:
    for delay in delays:
        etype = delay.etype
        for path in (delay.path, delay.path2):
            if path is not None:
                is_directory = path.endswith(b"/")
                changes_names = etype in (CREATE, DELETE, MOVE)
                yield Touched(path, is_directory and changes_names, is_directory and not changes_names)


def _is_below(path: bytes, places: set[bytes]) -> bool:
    """Whether it is one of the places (without slashes at the end), or lies below one."""
    place = path.rstrip(b"/")
    while place:
        if place in places:
            return True
        place = place[: place.rindex(b"/")] if b"/" in place else b""
    return False
