"""Processes that start nothing: each program or job is recorded, and ends when its owner says so.

For dry runs (`orchestrator check`) and tests. All else is as it is with real ones: what counts, what is called when.
"""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.process.child import Child
from orchestrator.process.jobs import result_of
from orchestrator.process.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.clock import Clock
    from orchestrator.logic.verdict import JobResult
    from orchestrator.masterloop import LoopLike
    from orchestrator.process.jobs import Job
    from orchestrator.process.processes import LogLike


@dataclass(eq=False)
class Started:
    """A program (`child.argv`, `stdin`, `env`), or a job for a worker thread, that would run now.

    `keeps_stderr`: the end of what it writes to stderr is kept; `on_stderr`, `on_stderr_line`: see Processes.spawn.
    """

    child: Child
    stdin: bytes | None = None
    env: Mapping[bytes, bytes] | Mapping[str, str] | None = None
    job: Job | None = None
    keeps_stderr: bool = False
    on_stderr: Callable[[bytes], object] | None = None
    on_stderr_line: Callable[[bytes], object] | None = None


class DryProcesses(Processes):
    """`started`: all that was ever started, oldest first. `signals`: those that were sent, each with its child."""

    def __init__(self, loop: LoopLike, log: LogLike, clock: Clock) -> None:
        super().__init__(loop, log, clock)
        self.started: list[Started] = []
        self.signals: list[tuple[Child, int]] = []
        self._now = clock.now

    def note(self, started: Started) -> None:
        """Something is started."""
        self.started.append(started)

    def spawn(
        self,
        argv: Sequence[bytes],
        *,
        stdin: bytes | None = None,
        on_exit: Callable[[Child, int], None],
        env: Mapping[bytes, bytes] | Mapping[str, str] | None = None,
        stderr_tail: bool = False,
        on_stderr: Callable[[bytes], object] | None = None,
        on_stderr_line: Callable[[bytes], object] | None = None,
        is_transfer: bool = True,
    ) -> Child:
        child = Child(list(argv), self._now(), on_exit)
        child.is_transfer = is_transfer
        self._pending[child] = None
        self.note(Started(child, stdin, env, None, stderr_tail, on_stderr, on_stderr_line))
        return child

    def run_job(
        self,
        job: Job,
        on_exit: Callable[[Child, int], None],
        argv: Sequence[bytes] | None = None,
        *,
        is_transfer: bool = True,
    ) -> Child:
        child = Child(list(argv or ()), self._now(), on_exit)
        child.is_transfer = is_transfer
        child.stop = threading.Event()
        self._pending[child] = None
        self.note(Started(child, job=job))
        return child

    def kill(self, child: Child, signum: int = signal.SIGTERM) -> None:
        if child not in self._pending:
            return
        self.signals.append((child, signum))
        if child.stop is not None:
            child.stop.set()

    def running(self) -> list[Started]:
        """Those that have not ended, oldest first."""
        return [started for started in self.started if started.child in self._pending]

    def end(self, started: Started, result: int | JobResult, stderr: bytes = b"") -> None:
        """It ends with an exit code, of a job maybe with a cause, having written that to stderr.

        Its `on_exit` is called before this returns.

        Raises ValueError where it has ended already.
        """
        child = started.child
        if child not in self._pending:
            raise ValueError(f"it has ended: {child}")
        if stderr and started.on_stderr is not None:
            started.on_stderr(stderr)
        if started.on_stderr_line is not None:
            for line in stderr.splitlines():
                started.on_stderr_line(line)
        if started.keeps_stderr:
            child.stderr_tail = stderr
        ended = result_of(result)
        child.cause = ended.cause
        self._ended.append((child, ended.exit_code))
        self._deliver()
