"""One transfer as it is asked for: what it serves, what it runs, what must be found out before."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from orchestrator.sync.progress import UNKNOWN
from orchestrator.sync.spawn import Spawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.process.child import Child
    from orchestrator.process.jobs import Job
    from orchestrator.process.processes import Processes
    from orchestrator.process.sshshare import SshConnection, SshUse
    from orchestrator.sync.inlet import Agent
    from orchestrator.sync.progress import Progress
    from orchestrator.sync.spawn import Check

_NUMBERS: Final = count(1)


def _unknown() -> Progress:
    return UNKNOWN


class Transfer:
    """`work` serves `agent`: a program, or a job of a worker thread, which gives its exit code.

    `stands_for`: the program whose work a job does; what a hook makes another program of is run as that.
    `check` decides whether it may begin; `on_finished` is called once nothing of it is left to come. `keeps_stderr`:
    whether the end of the program's stderr is wanted. `is_recorded`: nothing is claimed of its paths any more, so it
    may begin. `through`: the shared ssh connection that the program was given, with the `use` that it makes of it.
    `id`: its number in this daemon. `has_begun`: something was started for it. `progress()`: how far a job is; any
    thread may be at work on it meanwhile.
    """

    __slots__ = (
        "agent", "check", "has_begun", "id", "is_recorded", "keeps_stderr", "on_finished", "progress", "stands_for",
        "through", "use", "work",
    )  # fmt: skip

    def __init__(
        self,
        agent: Agent,
        work: Spawn | Job,
        on_finished: Callable[[], object],
        check: Check | None,
        keeps_stderr: bool,
        stands_for: Spawn | None = None,
    ) -> None:
        self.id = next(_NUMBERS)
        self.has_begun = False
        self.progress: Callable[[], Progress] = _unknown
        self.agent = agent
        self.work = work
        self.on_finished = on_finished
        self.check = check
        self.is_recorded = False
        self.keeps_stderr = keeps_stderr
        self.stands_for = stands_for
        self.through: SshConnection | None = None
        self.use: SshUse | None = None

    @property
    def spawn(self) -> Spawn | None:
        """The program, where it is one."""
        return self.work if isinstance(self.work, Spawn) else None

    def start(
        self,
        processes: Processes,
        on_exit: Callable[[Child, int], None],
        on_stderr_line: Callable[[bytes], object] | None = None,
    ) -> Child:
        """Start the work. `on_exit(child, exit_code)` comes through the loop. `on_stderr_line`: see Processes.spawn."""
        work = self.work
        if isinstance(work, Spawn):
            return processes.spawn(
                work.argv,
                stdin=work.stdin,
                on_exit=on_exit,
                env=work.env,
                stderr_tail=self.keeps_stderr or work.on_stderr is not None or on_stderr_line is not None,
                on_stderr=work.on_stderr,
                on_stderr_line=on_stderr_line,
            )
        return processes.run_job(work, on_exit, None if self.stands_for is None else self.stands_for.argv)
