"""The figures of one sync, of transfers that have ended and that run: the one place where they are kept.

Transfers says what begins, Collector how it ended, the sync counts its changes here. Whoever shows them (the control
socket, hooks, metrics) asks `Sync.status`. A transfer costs a few numbers: texts are made, and running programs looked
at, when somebody asks.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from orchestrator.logic.alarms import INFINITY
from orchestrator.logic.event import FULL, INIT, SPECIAL
from orchestrator.logic.secrets import mask
from orchestrator.logic.text import text_of
from orchestrator.logic.verdict import AGAIN, DIE, OK, PARTIAL
from orchestrator.process.moved import moved_by
from orchestrator.sync.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.logic.delay import Delay
    from orchestrator.process.child import Child
    from orchestrator.sync.host import Host
    from orchestrator.sync.inlet import Agent
    from orchestrator.sync.outcome import Collected, Outcome
    from orchestrator.sync.transfer import Transfer

RECENT: Final = 20
"""Ends of transfers that are remembered."""

SAMPLE: Final = 10
"""Paths of a transfer that are named."""

STARTUP: Final = "startup"
FULL_RUN: Final = "full"
CHANGES: Final = "changes"
CHECK: Final = "check"
"""A look before a transfer: how much it would delete, whether its target is there."""
VERIFY: Final = "verify"
COUNTED: Final = frozenset((STARTUP, FULL_RUN, CHANGES))
"""Kinds of which `counts` has the bytes while they run."""
COMMAND: Final = "command"
"""onBatchStart or onBatchEnd."""


def kind_of(agent: Agent) -> str:
    """The kind of a transfer, by the changes that it serves."""
    delays = agent.delays
    if not delays or delays[0].etype not in SPECIAL:
        return CHANGES
    return FULL_RUN if delays[0].etype == FULL else STARTUP


class Ended(NamedTuple):
    """The end of a transfer. `since` in seconds of the monotonic clock; `paths`: how many changes of paths it served;
    `sample`: the first of these; `files`, `bytes` None: nobody knows."""

    id: int
    pid: int | None
    kind: str
    verdict: str
    exit_code: int
    cause: str
    since: float
    duration: float
    paths: int
    sample: list[bytes]
    files: int | None
    bytes: int | None

    def shown(self, host: Host) -> dict[str, Any]:
        """As contrib/CONTROL.md has it."""
        return {
            **self._asdict(),
            "since": host.since_1970(self.since),
            "sample": [text_of(path) for path in self.sample],
        }


class Seen:
    """The bytes that a running transfer had moved when somebody last looked; None: nobody knows. `moved_at`: when it
    was last seen at work, in seconds of the monotonic clock; None: nobody can see that."""

    __slots__ = ("activity", "bytes", "moved_at")

    def __init__(self) -> None:
        self.activity = -1
        self.bytes: int | None = None
        self.moved_at: float | None = None

    def note(self, count: int | None, activity: int | None, now: float) -> None:
        """Somebody looks."""
        if count is not None:
            self.bytes = max(self.bytes or 0, count)  # a process that ended in between takes its account along
        if activity is not None and activity > self.activity:
            self.activity, self.moved_at = activity, now


class Observing(Protocol):
    """What wants to hear of transfers; see Observers."""

    def begins(self, id: int, kind: str, delays: Sequence[Delay], since: float, pid: int | None) -> None: ...
    def ends(self, ended: Ended, delays: Sequence[Delay]) -> None: ...


class Figures:
    """Of one sync. Numbers since the start of the sync: a reload that makes it anew begins with zeros."""

    def __init__(self, host: Host, name: str) -> None:
        self.changes = 0
        """Changes that came in, and are not excluded."""
        self.transfers = {OK: 0, PARTIAL: 0, AGAIN: 0, DIE: 0}
        self.files = 0
        """Paths that were brought over, where that is known."""
        self.bytes = 0
        self.seconds = 0.0
        self.retries = 0
        """How often something was left to be tried again."""
        self.full_runs = 0
        self.recent: deque[Ended] = deque(maxlen=RECENT)
        """The newest is the last."""
        self.apart_since = INFINITY
        """When the oldest change happened that an action tries again outside of the queue, in seconds of the monotonic
        clock: as far as is known, since actions tell of paths, not of changes. Holds while any path is."""
        self.observers: Observing | None = None
        """Of plugins; None: nobody wants to hear of transfers."""
        self._host = host
        self._name = name
        self._seen: WeakKeyDictionary[Child, Seen] = WeakKeyDictionary()

    def counts(self) -> dict[str, Any]:
        """Since the start; `seconds` of transfers."""
        return {
            "changes": self.changes,
            "transfers": dict(self.transfers),
            "files": self.files,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "retries": self.retries,
            "full_runs": self.full_runs,
        }

    # ---- transfers ----------------------------------------------------------------------------

    def begins(self, transfer: Transfer, child: Child, kind: str) -> None:
        """A program or job has been started for a transfer, which may not be the first one."""
        child.kind = kind
        if self.observers is not None:
            delays = transfer.agent.delays
            self.observers.begins(transfer.id, kind_of(transfer.agent), delays, child.started, child.pid or None)
        if not transfer.has_begun:
            transfer.has_begun = True
            if "started" in self._host.feed.topics:
                self._host.feed.tell("started", self._name, transfer=self.running(child, transfer))

    def ends(self, outcome: Outcome, verdict: str, collected: Collected | None = None) -> None:
        """A transfer is over, or what had to come before it failed. `verdict`: as onBatchEnd gets it."""
        delays = outcome.agent.delays
        kind = kind_of(outcome.agent)
        count = len(delays) if kind == CHANGES else 0
        files, moved = outcome.progress.files_done, outcome.progress.bytes_done
        if files is None and kind == CHANGES:
            failed = collected.failed if collected is not None else None
            files = max(0, count - len(failed or ())) if verdict in (OK, PARTIAL) else 0
        self.transfers[verdict] = self.transfers.get(verdict, 0) + 1
        self.files += files or 0
        self.bytes += moved or 0
        self.seconds += outcome.duration
        self.retries += verdict in (AGAIN, PARTIAL)
        if kind != CHANGES:
            self.full_runs += verdict in (OK, PARTIAL) and delays[0].etype in (INIT, FULL)
        cause = "" if verdict == OK else mask(outcome.error or (collected.cause if collected else "") or outcome.cause)
        ended = Ended(
            outcome.id, outcome.pid, kind, verdict, outcome.exit_code, cause,
            outcome.started, outcome.duration, count, [delay.path for delay in delays[:SAMPLE]] if count else [],
            files, moved,
        )  # fmt: skip
        self.recent.append(ended)
        if self.observers is not None:
            self.observers.ends(ended, delays)
        if "ended" in self._host.feed.topics:
            self._host.feed.tell("ended", self._name, **ended.shown(self._host))

    def tried_apart(self, agent: Agent) -> None:
        """Something of it failed that its action itself tries again."""
        self.apart_since = min([self.apart_since, *(delay.since for delay in agent.delays)])

    def withdrawn(self, transfer: Transfer) -> None:
        """A transfer does not follow after what came before it: its changes wait again."""
        wants = "ended" in self._host.feed.topics
        if not transfer.has_begun or not (wants or self.observers is not None):
            return
        now, kind = self._host.clock.now(), kind_of(transfer.agent)
        ended = Ended(transfer.id, None, kind, AGAIN, 0, "withdrawn", now, 0.0, 0, [], 0, 0)
        if self.observers is not None:
            self.observers.ends(ended, transfer.agent.delays)
        if wants:
            self._host.feed.tell("ended", self._name, **ended.shown(self._host))

    def running(self, child: Child, transfer: Transfer | None) -> dict[str, Any]:
        """One that runs, as the status shows it. `transfer` None: an onBatchEnd."""
        is_of_paths = transfer is not None and kind_of(transfer.agent) == CHANGES
        delays: Sequence[Delay] = transfer.agent.delays if transfer is not None and is_of_paths else ()
        return {
            "id": 0 if transfer is None else transfer.id,
            "pid": child.pid or None,
            "kind": child.kind,
            "since": self._host.since_1970(child.started),
            "paths": len(delays),
            "sample": [text_of(delay.path) for delay in delays[:SAMPLE]],
            "bytes": self.look_at(child, transfer).bytes,
        }

    def look_at(self, child: Child, transfer: Transfer | None) -> Seen:
        """How much a running program or job has moved so far, and when it was last seen to move."""
        seen = self._seen.setdefault(child, Seen())  # for as long as anybody knows the child
        now = self._host.clock.now()
        if child.pid:
            moved = moved_by(child.pid)
            if moved is not None:
                seen.note(moved.bytes, moved.activity, now)
        elif transfer is not None:
            progress = transfer.progress()
            seen.note(progress.bytes_done, progress.steps, now)
        return seen


def total(parts: Sequence[Progress]) -> Progress:
    """The sums; None where a part is not known."""
    sums: list[int | None] = []
    for numbers in zip(*parts, strict=True):
        known = [number for number in numbers if number is not None]
        sums.append(sum(known) if len(known) == len(numbers) else None)
    return Progress(*sums)
