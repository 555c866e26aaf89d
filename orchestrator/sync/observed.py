"""What the observers of one sync hear of its transfers: one object for each, from its start to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.event import SPECIAL
from orchestrator.sync.hooks import OF_TRANSFERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.logic.delay import Delay
    from orchestrator.sync.figures import Ended
    from orchestrator.sync.host import Host
    from orchestrator.sync.inlet import Inlet

STARTED, ENDED, FULL_RUN, RETRY = OF_TRANSFERS


class ObservedTransfer:
    """One transfer as hooks see it: the same object at its start and at its end. Only to be read."""

    def __init__(self, id: int, sync: str, kind: str, paths: Sequence[bytes], since: float) -> None:
        self.id = id
        """The number of the transfer; no other one of the daemon has it. The control socket has the same."""
        self.sync = sync
        """The name of its sync."""
        self.kind = kind
        """`startup`, `full` or `changes`."""
        self.paths = paths
        """The paths that it is for, with leading slashes, both ends of a Move; none of a startup or full run."""
        self.since = since
        """When it began, in seconds since 1970."""
        self.pid: int | None = None
        """The process id of the program that runs for it, or ran last; None: there is none, it is a job of a thread."""
        self.is_over = False
        self.verdict = ""
        """Once it is over: `ok`, `partial`, `again` or `die`."""
        self.exit_code: int | None = None
        """Once it is over: 128 + signal for a program that was killed, 255 for one that could not be started."""
        self.cause = ""
        """Once it is over: why it failed, in a few words, without passwords."""
        self.duration = 0.0
        """Once it is over: seconds that its program or job ran."""
        self.files: int | None = None
        """Once it is over: paths that were brought over; None: nobody knows."""
        self.bytes: int | None = None
        """Once it is over: bytes that were moved; None: nobody knows."""

    def end(self, ended: Ended) -> None:
        """It is over."""
        self.is_over = True
        self.pid, self.verdict, self.exit_code, self.cause = ended.pid, ended.verdict, ended.exit_code, ended.cause
        self.duration, self.files, self.bytes = ended.duration, ended.files, ended.bytes


class Observers:
    """The observers of one sync, where there are any."""

    def __init__(self, host: Host, inlet: Inlet) -> None:
        self._host = host
        self._inlet = inlet
        self._running: dict[int, ObservedTransfer] = {}
        has = host.hooks.has
        self.wants_transfers = has(STARTED) or has(ENDED)
        self.wants_retries = has(RETRY)
        self._wants_full_runs = has(FULL_RUN)

    def begins(self, id: int, kind: str, delays: Sequence[Delay], since: float, pid: int | None) -> None:
        """A program or job has been started for a transfer, the first or a further one. `since`: of the monotonic
        clock."""
        transfer = self._running.get(id)
        if transfer is not None:
            transfer.pid = pid
            return
        transfer = self._running[id] = self._made(id, kind, delays, since)
        transfer.pid = pid
        self._host.hooks.tell(STARTED, inlet=self._inlet, transfer=transfer)

    def ends(self, ended: Ended, delays: Sequence[Delay]) -> None:
        """A transfer is over, or could not begin."""
        transfer = self._running.pop(ended.id, None)
        if transfer is None:
            transfer = self._made(ended.id, ended.kind, delays, ended.since)
        transfer.end(ended)
        self._host.hooks.tell(ENDED, inlet=self._inlet, transfer=transfer)

    def _made(self, id: int, kind: str, delays: Sequence[Delay], since: float) -> ObservedTransfer:
        return ObservedTransfer(id, self._inlet.name, kind, paths_of(delays), self._host.since_1970(since))

    def full_run_ended(self, *, is_startup: bool, verdict: str) -> None:
        """Everything has been brought over, or (`partial`) nearly everything."""
        if self._wants_full_runs:
            self._host.hooks.tell(FULL_RUN, inlet=self._inlet, is_startup=is_startup, verdict=verdict)

    def retry_ended(self, paths: Sequence[bytes], *, is_done: bool) -> None:
        """Paths that had failed are not tried again any more."""
        if paths and self.wants_retries:
            self._host.hooks.tell(RETRY, inlet=self._inlet, paths=paths, is_done=is_done)


def paths_of(delays: Iterable[Delay]) -> list[bytes]:
    """The paths of changes; none of those that are about everything."""
    paths: list[bytes] = []
    for delay in delays:
        if delay.etype not in SPECIAL:
            paths += [delay.path] if delay.path2 is None else [delay.path, delay.path2]
    return paths
