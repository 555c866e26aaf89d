"""Children: the one door to other programs, and to jobs in threads (spec 3.6, 3.7, 5.2).

It starts, feeds, and tells the end. It does not know what a sync is, nor what an exit code means.
Nothing here waits: input goes out as the child takes it, ends come through the loop. posix_spawn(3) does not copy
the parent, however large it is.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

from orchestrator.clock import Clock, MonotonicClock
from orchestrator.logic.execline import exec_line
from orchestrator.logic.secrets import mask_output
from orchestrator.process.child import EXIT_NOT_EXECUTED, Child
from orchestrator.process.spawn import _IGNORED, _keep_descriptors, _pipe, _prepare_feed, _program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.masterloop import LoopLike

TAIL = 2048
"""Bytes kept of the end of a child's stderr, where asked for."""

_PLAIN_FAILURES = frozenset({errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR})
"""What `Failed executing` says well enough by itself."""

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})
"""Descriptors, processes, memory: all come back by themselves."""

UNCLAIMED = 60.0
"""Seconds after which a child that has ended and that nobody here waits for is taken for a stranger's."""


class LogLike(Protocol):
    """What is asked of a Log."""

    def __call__(self, category: str, *parts: object) -> None: ...
    def shows(self, category: str) -> bool: ...


class _Stderr:
    """The reading end of a child's stderr and where it goes on to. May outlive the child (a master of ssh keeps it)."""

    __slots__ = ("fd", "on", "tail")

    def __init__(self, fd: int, on: int) -> None:
        self.fd = fd
        self.on = on
        self.tail = b""


class Processes:
    """All that runs for us. A child counts (`len`) until its `on_exit` is called.

    Transfers count: limits, fading and `onepass` look at them. What only serves transfers (a tunnel) is
    started with `counts=False`: a helper, which nothing waits for.

    `output` is the path of a file that children's stdout and stderr are appended to; None: they have
    ours. It is opened for each child, so a rotated log file is not written to for long.
    """

    def __init__(self, loop: LoopLike, log: LogLike, clock: Clock | None = None) -> None:
        self.before_end: Callable[[], None] = lambda: None
        """Called before ends are told: what changed while a transfer ran must be known when it is done with."""
        self.output: bytes | None = None
        self.environment: Mapping[bytes, bytes] = dict(os.environb)
        """What children get that are not given one of their own. Kept: making it anew takes longer than all else."""
        self._loop = loop
        self._log = log
        self._clock = clock or MonotonicClock()
        self._running: dict[int, Child] = {}
        self._pending: dict[Child, None] = {}
        self._ended: deque[tuple[Child, int]] = deque()
        self._stderrs: dict[_Stderr, None] = {}
        self._strangers: dict[int, float] = {}
        loop.on_signal(signal.SIGCHLD, self._reap)

    def __len__(self) -> int:
        return sum(child.counts for child in self._pending)

    def __iter__(self) -> Iterator[Child]:
        return iter([child for child in self._pending if child.counts])

    def helpers(self) -> list[Child]:
        """What runs and does not count."""
        return [child for child in self._pending if not child.counts]

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
        counts: bool = True,
    ) -> Child:
        """Start a program; `argv[0]` is looked up in PATH. `on_exit(child, exit_code)` comes through the loop.

        The exit code is 128 + signal for one that was killed. What can't be started is no exception:
        it is logged, and `on_exit` is called with 255, never before this returns. `stdin` None: the
        child has our stdin. `env` None: our environment. `counts` False: a helper. It gets a session of
        its own, so Ctrl-C at a terminal does not take it from the transfers that still run, and `kill`
        reaches what it has started.
        """
        if self._log.shows("Exec"):
            self._log("Exec", exec_line(argv, stdin))
        child = Child(argv, self._clock.now(), on_exit)
        child.counts = counts
        self._pending[child] = None
        try:
            self._start(child, stdin, env, stderr_tail)
        except (OSError, ValueError, MemoryError) as error:
            # ValueError: a NUL in an argument. Cutting it off there, as C would, runs another command.
            self._not_started(child, error)
        return child

    def run_job(self, job: Callable[[threading.Event], int], on_exit: Callable[[Child, int], None]) -> Child:
        """Run `job(stop)` in a thread of its own; its result is the exit code.

        A job that raises, or returns anything but an int, is logged and ends with 255. There is no
        pool: as many jobs run as the limits of spec 3.5 allow, and an idle daemon has no threads.
        """
        name = getattr(job, "__qualname__", None) or type(job).__qualname__
        child = Child((os.fsencode(name),), self._clock.now(), on_exit)
        stop = child.stop = threading.Event()
        self._pending[child] = None

        def work() -> None:
            code, trouble = _run(job, stop)
            self._loop.soon_threadsafe(lambda: self._job_ended(child, code, trouble))

        child.thread = threading.Thread(target=work, daemon=True, name=f"job {name}")
        try:
            child.thread.start()
        except RuntimeError as error:  # no more threads to be had
            child.thread = None
            child.is_for_want = True
            code, trouble = EXIT_NOT_EXECUTED, str(error)
            self._loop.soon(lambda: self._job_ended(child, code, trouble))
        return child

    def kill(self, child: Child, signum: int = signal.SIGTERM) -> None:
        """Send a signal; a job is asked to stop instead. Nothing is done to what has ended."""
        if child.stop is not None:
            child.stop.set()
        elif child.pid in self._running:
            # Not collected yet, so the pid can't belong to somebody else.
            (os.kill if child.counts else os.killpg)(child.pid, signum)

    def stop_jobs(self) -> None:
        """Ask every job to come to an end (on fading)."""
        for child in self._pending:
            if child.stop is not None:
                child.stop.set()

    def abandon(self) -> None:
        """Let go of the transfers that still run: they go on, nobody hears of their end."""
        self._pending = dict.fromkeys(self.helpers())

    def close(self) -> None:
        """Close what is open towards children. They go on; nobody hears of their end."""
        for child in self._running.values():
            self._stop_feeding(child)
        for stderr in list(self._stderrs):
            self._close_stderr(stderr)
        self._running.clear()
        self._pending.clear()
        self._ended.clear()

    def _start(
        self,
        child: Child,
        stdin: bytes | None,
        env: Mapping[bytes, bytes] | Mapping[str, str] | None,
        stderr_tail: bool,
    ) -> None:
        theirs: list[int] = []  # descriptors that the child gets, and its end of pipes
        ours: list[int] = []  # and those that stay with us, if there is a child
        places = {}  # where the child finds what it gets
        try:
            output = self._open_output()
            if output is not None:
                theirs.append(output)
                places[1] = places[2] = output
            if stdin is not None:
                places[0], child.feed_fd = _pipe(theirs, ours, reads=True)
                _prepare_feed(child.feed_fd, len(stdin))
            if stderr_tail:
                places[2], reading = _pipe(theirs, ours, reads=False)
                os.set_blocking(reading, False)
                on = os.dup(2 if output is None else output)
                ours.append(on)
                child.stderr = _Stderr(reading, on)
            _keep_descriptors()
            child.pid = os.posix_spawnp(
                _program(child.argv, env),
                list(child.argv),
                self.environment if env is None else env,
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, place) for place, fd in places.items()],
                setsigdef=_IGNORED,
                setsid=not child.counts,
            )
        except BaseException:
            for fd in ours:
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        self._running[child.pid] = child
        if stdin is not None:
            child.feed = memoryview(stdin)
            self._feed(child)
        if child.stderr is not None:
            stderr = child.stderr
            self._stderrs[stderr] = None
            self._loop.add_reader(stderr.fd, lambda: self._read_stderr(stderr))

    def _open_output(self) -> int | None:
        if self.output is None:
            return None
        try:
            return os.open(self.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, 0o666)
        except OSError:
            return None  # the log itself tells when its file can't be written

    def _not_started(self, child: Child, error: Exception) -> None:
        child.feed_fd = -1
        child.stderr = None
        child.is_for_want = isinstance(error, MemoryError) or getattr(error, "errno", None) in _SHORTAGES
        child.error = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self._log("Error", "Failed executing [ ", child.argv[0] if child.argv else b"", " ]!")
        if getattr(error, "errno", None) not in _PLAIN_FAILURES:
            self._log("Warn", child.argv[0] if child.argv else b"", ": ", child.error)
        self._ended.append((child, EXIT_NOT_EXECUTED))
        self._loop.soon(self._deliver)

    def _feed(self, child: Child) -> None:
        """Give as much as the pipe takes; the rest when it takes more."""
        try:
            while child.feed:
                child.feed = child.feed[os.write(child.feed_fd, child.feed) :]
        except BlockingIOError:
            self._loop.add_writer(child.feed_fd, lambda: self._feed(child))
            return
        except BrokenPipeError:
            self._log("Normal", "broken pipe.")
        self._stop_feeding(child)

    def _stop_feeding(self, child: Child) -> None:
        if child.feed_fd >= 0:
            self._loop.remove_writer(child.feed_fd)
            os.close(child.feed_fd)
        child.feed_fd = -1
        child.feed = memoryview(b"")

    def _read_stderr(self, stderr: _Stderr) -> None:
        while True:
            try:
                data = os.read(stderr.fd, 65536)
            except BlockingIOError:
                return
            if not data:
                self._close_stderr(stderr)
                return
            data = mask_output(data)
            stderr.tail = (stderr.tail + data)[-TAIL:]
            try:
                os.write(stderr.on, data)
            except OSError:
                pass  # where it would have gone is gone, as it would be for the child

    def _close_stderr(self, stderr: _Stderr) -> None:
        if stderr in self._stderrs:
            del self._stderrs[stderr]
            self._loop.remove_reader(stderr.fd)
            os.close(stderr.fd)
            os.close(stderr.on)

    def _reap(self) -> None:
        for child in list(self._running.values()):
            try:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                # Somebody else has waited for it (a Lua library that waits for any). Not known to have
                # succeeded, so not taken as a success.
                code = EXIT_NOT_EXECUTED
            else:
                if pid == 0:
                    continue
                code = os.waitstatus_to_exitcode(status)
            self._program_ended(child, code if code >= 0 else 128 - code)
        if os.getpid() == 1:
            self._bury_strangers()
        self._deliver()

    def _bury_strangers(self) -> None:
        """The first process of a container inherits what has lost its parent, and has to wait for it (wait(2)).

        What Lua or a plugin has started by itself must be left for them to collect; they do so soon.
        """
        now = self._clock.now()
        ended = {pid: self._strangers.get(pid, now) for pid in _zombies() if pid not in self._running}
        for pid, since in ended.items():
            if now - since >= UNCLAIMED:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass  # somebody came for it after all
        self._strangers = {pid: since for pid, since in ended.items() if now - since < UNCLAIMED}

    def _program_ended(self, child: Child, code: int) -> None:
        del self._running[child.pid]
        if child.feed_fd >= 0:
            # It has not read all. A process of its own may hold the pipe open, which is then nobody's to feed.
            self._feed(child)
            self._stop_feeding(child)
        if child.stderr is not None:
            if child.stderr in self._stderrs:
                self._read_stderr(child.stderr)
            child.stderr_tail = child.stderr.tail
        self._ended.append((child, code))

    def _job_ended(self, child: Child, code: int, trouble: str | None) -> None:
        if child.thread is not None:
            child.thread.join()  # it has nothing left to do but to end
        if trouble is not None:
            child.error = trouble
            self._log("Error", child.argv[0], " failed: ", trouble)
        self._ended.append((child, code))
        self._deliver()

    def _deliver(self) -> None:
        try:
            if self._ended:
                self.before_end()
            while self._ended:
                child, code = self._ended.popleft()
                # None: closed meanwhile.
                if child in self._pending:
                    del self._pending[child]
                    child.on_exit(child, code)
        finally:
            if self._ended:  # one raised; SIGCHLD won't come again for the others
                self._loop.soon(self._deliver)


def _zombies() -> list[int]:
    """Our children that have ended and were not waited for. See proc(5), task/children and stat."""
    found = []
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            children = file.read().split()
    except OSError:
        return []
    for pid in children:
        try:
            with open(b"/proc/%b/stat" % pid, "rb") as file:
                state = file.read().rpartition(b")")[2].split()[0]
        except OSError:  # collected meanwhile
            continue
        if state == b"Z":
            found.append(int(pid))
    return found


def _run(job: Callable[[threading.Event], int], stop: threading.Event) -> tuple[int, str | None]:
    """A job's exit code, and what to say where it failed. Catches all: a thread's exception goes nowhere."""
    try:
        code = job(stop)
        if not isinstance(code, int):
            raise TypeError(f"a job must return an exit code, not {code!r}")
        return code, None
    except BaseException as error:
        return EXIT_NOT_EXECUTED, f"{type(error).__name__}: {error}"
