"""Children: the one door to whatever runs for us (spec 3.6, 3.7, 5.2).

Programs are started by spawn.py, jobs by jobs.py; here they are kept until they end. It does not know what a sync
is, nor what an exit code means. Nothing here waits: input goes out as the child takes it, ends come through the
loop.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import deque
from typing import TYPE_CHECKING, Protocol

from orchestrator.clock import Clock, MonotonicClock
from orchestrator.lifeline import begins, ended
from orchestrator.logic.execline import exec_line
from orchestrator.logic.verdict import JobResult
from orchestrator.process.child import EXIT_NOT_EXECUTED, Child
from orchestrator.process.feed import Feed
from orchestrator.process.jobs import Job, Stop, Trouble, name_of, nicely, start_job
from orchestrator.process.moved import moved_before
from orchestrator.process.spawn import start_program
from orchestrator.process.stderr import Stderrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.masterloop import LoopLike

_PLAIN_FAILURES = frozenset({errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR})
"""What `Failed executing` says well enough by itself."""

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})
"""Descriptors, processes, memory: all come back by themselves."""


class LogLike(Protocol):
    """The part of a Log that is used here."""

    def __call__(self, category: str, *parts: object) -> None: ...
    def shows(self, category: str) -> bool: ...


class Processes:
    """All that runs for us. A child counts (`len`) until its `on_exit` is called.

    Transfers count: limits, fading and `onepass` look at them. What only serves transfers (a tunnel) is
    started with `is_transfer=False`: a helper, which nothing waits for.

    `output` is the path of a file that children's stdout and stderr are appended to; None: they have
    ours. It is opened for each child, so a rotated log file is not written to for long.
    """

    def __init__(self, loop: LoopLike, log: LogLike, clock: Clock | None = None) -> None:
        self.before_end: Callable[[], None] = lambda: None
        """Called before ends are reported: all changes made while a transfer ran must be known before it is judged."""
        self.output: bytes | None = None
        self.environment: Mapping[bytes, bytes] = dict(os.environb)
        """What children get that are not given one of their own. Kept: making it anew takes longer than all else."""
        self._loop = loop
        self._log = log
        self._clock = clock or MonotonicClock()
        self._running: dict[int, Child] = {}
        self._pending: dict[Child, None] = {}
        self._ended: deque[tuple[Child, int]] = deque()
        self._stderrs = Stderrs(loop)
        loop.on_signal(signal.SIGCHLD, self._reap)

    def __len__(self) -> int:
        return sum(child.is_transfer for child in self._pending)

    def __iter__(self) -> Iterator[Child]:
        return iter([child for child in self._pending if child.is_transfer])

    def helpers(self) -> list[Child]:
        """What runs and does not count."""
        return [child for child in self._pending if not child.is_transfer]

    def get(self, pid: int) -> Child | None:
        """The running program with this pid, if it is one of ours."""
        return self._running.get(pid)

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
        """Start a program; `argv[0]` is looked up in PATH. `on_exit(child, exit_code)` comes through the loop.

        The exit code is 128 + signal for one that was killed. A failure to start is no exception:
        it is logged, and `on_exit` is called with 255, never before this returns. `stdin` None: the
        child has our stdin. `stderr_tail`: the end of what it says is kept; all of it is given to `on_stderr`, where
        there is one; `on_stderr_line` is given its lines, which then go nowhere else. `env` None: our environment.
        `is_transfer` False: a helper. It gets a session of its own, so Ctrl-C at a terminal does not take it from the
        transfers that still run, and `kill` reaches what it has started.
        """
        if self._log.shows("Exec"):
            self._log("Exec", exec_line(argv, stdin))
        child = Child(argv, self._clock.now(), on_exit)
        child.is_transfer = is_transfer
        self._pending[child] = None
        try:
            started = start_program(
                argv,
                env,
                self.environment,
                input_size=None if stdin is None else len(stdin),
                keeps_stderr=stderr_tail,
                output=self.output,
                own_session=not is_transfer,
            )
            child.pid = started.pid
            self._running[child.pid] = child
            begins(child.pid)
            if stdin is not None:
                self._give(child, started.feed, stdin)
            if stderr_tail:
                child.stderr = self._stderrs.add(started.stderr, started.on, on_stderr, on_stderr_line)
        except (OSError, ValueError, MemoryError) as error:
            # ValueError: a NUL in an argument. Cutting it off there, as C would, runs another command.
            self._not_started(child, error)
        return child

    def run_job(
        self,
        job: Job,
        on_exit: Callable[[Child, int], None],
        argv: Sequence[bytes] | None = None,
        *,
        is_transfer: bool = True,
    ) -> Child:
        """Run `job(stop)` in a thread of its own; its result is the exit code. `argv`: of a program whose work it does.

        A job that raises, or returns anything but an int, is logged and ends with 255. `is_transfer` False: a helper,
        with a lower priority.
        """
        if argv is not None and self._log.shows("Exec"):
            self._log("Exec", exec_line(argv, None))
        child = Child((os.fsencode(name_of(job)),) if argv is None else argv, self._clock.now(), on_exit)
        child.stop = Stop(self._loop)
        child.is_transfer = is_transfer
        self._pending[child] = None

        def job_ended(result: JobResult, trouble: Trouble | None) -> None:
            self._job_ended(child, result, trouble)

        try:
            child.thread = start_job(job if is_transfer else nicely(job), child.stop, self._loop, job_ended)
        except RuntimeError as error:  # no more threads to be had
            child.is_resource_shortage = True
            trouble = Trouble(str(error))
            self._loop.soon(lambda: job_ended(JobResult(EXIT_NOT_EXECUTED), trouble))
        return child

    def kill(self, child: Child, signum: int = signal.SIGTERM) -> None:
        """Send a signal; a job is asked to stop instead. Nothing is done to what has ended."""
        if child.stop is not None:
            child.stop.set()
        elif child.pid in self._running:
            # Not collected yet, so the pid can't belong to somebody else.
            (os.kill if child.is_transfer else os.killpg)(child.pid, signum)

    def stop_jobs(self) -> None:
        """Ask every job to come to an end (on fading)."""
        for child in self._pending:
            if child.stop is not None:
                child.stop.set()

    def abandon(self) -> None:
        """Let go of the transfers that still run: nobody hears of their end any more."""
        self._pending = dict.fromkeys(self.helpers())

    def close(self) -> None:
        """Close what is open towards children. Nobody hears of their end any more."""
        for child in self._running.values():
            if child.feed is not None:
                child.feed.stop()
        self._stderrs.close()
        self._running.clear()
        self._pending.clear()
        self._ended.clear()

    def _give(self, child: Child, fd: int, stdin: bytes) -> None:
        try:
            written = os.write(fd, stdin)
        except OSError:
            written = 0  # the feed tries again, and knows what that means
        if written == len(stdin):  # as nearly always
            os.close(fd)
            return
        child.feed = Feed(self._loop, self._log, fd, memoryview(stdin)[written:])
        child.feed.go_on()

    def _not_started(self, child: Child, error: Exception) -> None:
        child.is_resource_shortage = isinstance(error, MemoryError) or getattr(error, "errno", None) in _SHORTAGES
        child.error = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self._log("Error", "Failed executing [ ", child.argv[0] if child.argv else b"", " ]!")
        if getattr(error, "errno", None) not in _PLAIN_FAILURES:
            self._log("Warn", child.argv[0] if child.argv else b"", ": ", child.error)
        self._ended.append((child, EXIT_NOT_EXECUTED))
        self._loop.soon(self._deliver)

    def _reap(self) -> None:
        for child in list(self._running.values()):
            try:
                if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    continue
                if child.is_transfer:
                    child.moved = moved_before(child.pid)  # what the kernel knows of it goes with it
                _, status = os.waitpid(child.pid, 0)
            except ChildProcessError:
                # Somebody else has waited for it (a Lua library that waits for any). Not known to have
                # succeeded, so not taken as a success.
                code = EXIT_NOT_EXECUTED
            else:
                code = os.waitstatus_to_exitcode(status)
            self._program_ended(child, code if code >= 0 else 128 - code)
        self._deliver()

    def _program_ended(self, child: Child, code: int) -> None:
        del self._running[child.pid]
        ended(child.pid)
        if child.feed is not None:
            child.feed.child_ended()
        if child.stderr is not None:
            child.stderr_tail = self._stderrs.tail(child.stderr)
        self._ended.append((child, code))

    def _job_ended(self, child: Child, result: JobResult, trouble: Trouble | None) -> None:
        if child.thread is not None:
            child.thread.join()  # it has nothing left to do but to end
        if trouble is not None:
            child.error = trouble.text
            self._log("Error", child.argv[0], " failed: ", trouble.text)
            if trouble.trace:
                self._log("Debug", trouble.trace)
        child.cause = result.cause
        self._ended.append((child, result.exit_code))
        self._deliver()

    def _deliver(self) -> None:
        try:
            if self._ended:
                self.before_end()
            while self._ended:
                child, code = self._ended.popleft()
                # not there: closed meanwhile
                if child in self._pending:
                    del self._pending[child]
                    child.on_exit(child, code)
        finally:
            if self._ended:  # one raised; SIGCHLD won't come again for the others
                self._loop.soon(self._deliver)
