"""One program or job that was started."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from orchestrator.process.feed import Feed
    from orchestrator.process.stderr import Stderr

EXIT_NOT_EXECUTED = 255
"""What a program that could not be started, or a job that raised, is collected with."""


class Child:
    """A program or a job that is running, or has ended.

    `pid` is 0 for a job and for what could not be started. `started` is in seconds of the monotonic clock. `error` says
    why it could not be started; `cause`: why it failed, where a job says so; `is_resource_shortage`: as something was
    short that comes back by itself. `stderr_tail` holds the end of what it wrote, where that was asked for. `stop` is a
    job's: set when it should come to an end. `is_transfer`: see Processes. `serves`: the name of the sync that it was
    started for, where that is known; `kind`: what it does for it. `moved`: how many bytes a program that has ended has
    moved; None: nobody knows.
    """

    __slots__ = (
        *("argv", "cause", "error", "feed", "is_resource_shortage", "is_transfer", "kind", "moved", "on_exit", "pid"),
        *("serves", "started", "stderr", "stderr_tail", "stop", "thread", "__weakref__"),
    )

    def __init__(self, argv: Sequence[bytes], started: float, on_exit: Callable[[Child, int], None]) -> None:
        self.argv = argv
        self.started = started
        self.on_exit = on_exit
        self.is_transfer = True
        self.pid = 0
        self.serves = ""
        self.cause = ""
        self.kind = ""
        self.moved: int | None = None
        self.error: str | None = None
        self.is_resource_shortage = False
        self.stderr_tail = b""
        self.stop: threading.Event | None = None
        self.thread: threading.Thread | None = None
        self.feed: Feed | None = None
        self.stderr: Stderr | None = None

    def described(self, now: float) -> bytes:
        """What it is, of which sync, and for how long it has been running, for the log."""
        what = b"a job" if self.stop is not None else b"%s (pid %d)" % (self.argv[0], self.pid)
        whose = f" of {self.serves}".encode("utf-8", "surrogateescape") if self.serves else b""
        return b"%s%s, for %d s" % (what, whose, int(now - self.started))

    def __repr__(self) -> str:
        return f"<Child {self.pid} {self.argv!r}>"
