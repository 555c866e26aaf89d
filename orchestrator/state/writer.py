"""The thread that reads and writes all states.

What transfers wait for comes first; else tasks are worked off in pieces (generators), in their order, so that the
former waits for one piece at most.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

Task = Iterator[None]

MOST_WAITING: Final = 400_000
"""Paths to be recorded that may wait; what is more is not recorded."""


class Writer:
    """One for all syncs. Calls and tasks catch what goes wrong themselves. The thread begins with the first of them."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._calls: deque[Callable[[], None]] = deque()
        self._tasks: deque[tuple[Task, int]] = deque()
        self._waiting = 0
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def call(self, function: Callable[[], None]) -> None:
        """Have it called before all tasks."""
        with self._condition:
            self._calls.append(function)
            self._wake()

    def begin(self, task: Task, size: int = 0) -> bool:
        """Have a task worked off. `size`: in paths. False: too many wait already."""
        with self._condition:
            if size and self._waiting + size > MOST_WAITING:
                return False
            self._waiting += size
            self._tasks.append((task, size))
            self._wake()
        return True

    def close(self, patience: float) -> None:
        """Finish what is there, and end; at most for so many seconds."""
        with self._condition:
            self._is_closing = True
            self._condition.notify()
            thread = self._thread
        if thread is not None:
            thread.join(patience)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="states")
            self._thread.start()
        self._condition.notify()

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._calls and not self._tasks:
                    if self._is_closing:
                        self._thread = None
                        return
                    self._condition.wait()
                function = self._calls.popleft() if self._calls else None
                task, size = self._tasks[0] if function is None else (None, 0)
            if function is not None:
                function()
            elif task is not None and next(task, _OVER) is _OVER:
                with self._condition:
                    self._tasks.popleft()
                    self._waiting -= size


_OVER: Final = object()
