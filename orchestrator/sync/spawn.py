"""The process that an action asks for, and the check before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from orchestrator.logic.maxdelete import DeletionCount, MaxDelete


def nothing() -> None:
    """Do nothing."""


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
        """Why it cannot be started as the hooks have left it; None: it can."""
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
    """A check before a full run that must not delete too much (`maxDelete`).

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
