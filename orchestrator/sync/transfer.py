"""One transfer as it is asked for: what it serves, what it runs, what must be found out before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from orchestrator.logic.maxdelete import DeletionCount, MaxDelete
    from orchestrator.process.child import Child
    from orchestrator.process.jobs import Job
    from orchestrator.process.processes import Processes
    from orchestrator.sync.event import Agent


def nothing() -> None:
    """What is to be done when nothing is."""


class Spawn:
    """A process that is about to be started. A hook may change argv and env; env None: the daemon's own."""

    def __init__(
        self,
        argv: list[bytes],
        stdin: bytes | None = None,
        env: dict[str, str] | None = None,
        on_stderr: Callable[[bytes], object] | None = None,
    ) -> None:
        self.argv = argv
        self.on_stderr = on_stderr
        self.stdin = stdin
        self.env = env
        self._as_made = (tuple(argv), stdin, env)

    def is_changed(self) -> bool:
        """Whether a hook has made something else of it."""
        return (tuple(self.argv), self.stdin, self.env) != self._as_made

    def problem(self) -> str | None:
        """What keeps it from being started, after hooks have had their way with it."""
        argv: object = self.argv
        if not isinstance(argv, (list, tuple)) or not argv or not all(isinstance(word, bytes) for word in argv):
            return f"its arguments are no list of bytes: {argv!r}"
        env: object = self.env
        is_dict = env is None or isinstance(env, dict)
        if not is_dict or not all(isinstance(word, str) for pair in (self.env or {}).items() for word in pair):
            return f"its environment is no dict of str: {env!r}"
        if any(b"\0" in word for word in self.argv) or any("\0" in "".join(pair) for pair in (self.env or {}).items()):
            return "a NUL can be handed to no program"
        return None


class Check:
    """What stands before a full run that must not delete too much (`maxDelete`).

    `count(stop, spawn)` finds out, in a worker thread, what the run would delete; `spawn` is what would be started,
    None for a job. `announce` is said when the run begins. `limited(argv, allowed)`: the arguments that keep it
    to what is allowed, should more be gone by then. `was_cut(exit_code, stderr)`: whether that has stopped it.
    """

    __slots__ = ("announce", "count", "limit", "limited", "was_cut")

    def __init__(
        self,
        limit: MaxDelete,
        count: Callable[[threading.Event, Spawn | None], DeletionCount],
        announce: bytes = b"",
        limited: Callable[[list[bytes], int], list[bytes]] = lambda argv, allowed: argv,
        was_cut: Callable[[int, bytes], bool] = lambda exit_code, stderr: False,
    ) -> None:
        self.limit = limit
        self.count = count
        self.announce = announce
        self.limited = limited
        self.was_cut = was_cut


class Transfer:
    """`work` serves `agent`: a program, or a job of a worker thread, which gives its exit code.

    `stands_for`: the program whose work a job does; what a hook makes another program of is run as that.
    `check` decides whether it may begin; `on_finished` is called once nothing of it is left to come. `keeps_stderr`:
    whether the end of the program's stderr is wanted.
    """

    __slots__ = ("agent", "check", "keeps_stderr", "on_finished", "stands_for", "work")

    def __init__(
        self,
        agent: Agent,
        work: Spawn | Job,
        on_finished: Callable[[], object],
        check: Check | None,
        keeps_stderr: bool,
        stands_for: Spawn | None = None,
    ) -> None:
        self.agent = agent
        self.work = work
        self.on_finished = on_finished
        self.check = check
        self.keeps_stderr = keeps_stderr
        self.stands_for = stands_for

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
