"""How a transfer ended, and what its action makes of that: values that are made once and passed on.

An Outcome is made when a process or job has ended, or when it turns out that there will be none. The verdict is found
from it, then hooks, onBatchEnd, the history and the retries are given it. Nothing is ever written into one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.logic.cause import cause_of
from orchestrator.logic.text import text_of
from orchestrator.sync.progress import UNKNOWN, Progress

if TYPE_CHECKING:
    from collections.abc import Collection

    from orchestrator.logic.verdict import Judgement, Verdict
    from orchestrator.process.child import Child
    from orchestrator.sync.inlet import Agent
    from orchestrator.sync.transfer import Transfer


@dataclass(frozen=True)
class Outcome:
    """The end of a transfer. Times are seconds of the monotonic clock."""

    agent: Agent
    """The event, or list of events, that it served."""

    exit_code: int
    """The program's or the job's; 128 + signal for a program that was killed; 255 for one that could not be started,
    and for a job that raised."""

    started: float = 0.0
    ended: float = 0.0

    stderr: bytes = b""
    """The end of what a program wrote there (kept for actions with `sets`); it need not end with a newline."""

    error: str = ""
    """Why the exit code is none of its own: it could not be started, or the job raised."""

    never_ran: bool = False
    """It could not be started, for a resource shortage that passes by itself: there is no end to judge."""

    was_cut: bool = False
    """It was a full run that `maxDelete` stopped: there was more to delete than had been counted."""

    lost_connection: bool = False
    """It ended with the shared ssh connection that it went through: it is started again at once, without that one."""

    was_stopped: bool = False
    """It was a job that was asked to stop."""

    reported: str = ""
    """The cause that a job has given with its exit code (JobResult)."""

    id: int = 0
    """The number of the transfer, the same as at its beginning; no other one of the daemon has it."""

    pid: int | None = None
    """The process id that the program had; None for a job, and where nothing was started."""

    progress: Progress = UNKNOWN
    """How far it came. Of a program only the bytes are known that it has moved."""

    @property
    def duration(self) -> float:
        """Seconds that it ran."""
        return self.ended - self.started

    @property
    def cause(self) -> str:
        """Why it failed, in a few words; empty where nothing but the exit code is known."""
        return self.error or self.reported or text_of(cause_of(self.stderr))


@dataclass(frozen=True)
class Collected:
    """The answer of an action's `collect`."""

    verdict: Verdict | None = None
    """None: the common rule decides (spec 3.7)."""

    failed: Collection[bytes] | None = None
    """The paths that did not arrive (leading slash); None: no part is known to have failed.

    Where the verdict is ok, hooks and onBatchEnd get `partial` instead. The agent's changes that these paths belong to
    stay in the queue, apart from all others: they come back after growing pauses, in lists of their own (`get_events`
    never mixes the two). The rest is done with if the verdict is ok; if it is again, it is offered again at once, and
    the sync pauses only when nothing gets through several times in a row. An empty collection: something failed, and
    the action itself retries it.
    """

    cause: str = ""
    """Why it failed, in a few words for the status; empty: it is taken from stderr."""

    unsettled: Collection[bytes] | None = None
    """Where the verdict is ok: the paths (leading slash) that nevertheless are not on the target as they are in the
    source, as the action itself tries them again, or leaves them alone. None: none if `failed` is None, else unknown.
    A restart looks at them again (setting `stateDir`)."""

    judgement: Judgement | None = None
    """What the common rule found; None: it was not asked. The core fills this in."""


def outcome_of(
    child: Child,
    transfer: Transfer,
    exit_code: int,
    ended: float,
    *,
    was_cut: bool = False,
    lost_connection: bool = False,
) -> Outcome:
    """The outcome of a process or job that has just ended."""
    return Outcome(
        transfer.agent,
        exit_code,
        child.started,
        ended,
        child.stderr_tail,
        child.error or "",
        never_ran=child.is_resource_shortage,
        was_cut=was_cut,
        lost_connection=lost_connection,
        was_stopped=child.stop is not None and child.stop.is_set(),
        reported=child.cause,
        id=transfer.id,
        pid=child.pid or None,
        progress=Progress(bytes_done=child.moved) if child.pid else transfer.progress(),
    )
