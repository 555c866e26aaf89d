"""Remembers over restarts which syncs are paused: by an empty file for each in the directory of states."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from orchestrator.state.place import file_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.state.writer import Writer

SUFFIX: Final = ".paused"


class PausedSyncs:
    """Of one directory. Raises OSError where it cannot be read. `in_loop(callback)`: has it called by the loop."""

    def __init__(self, directory: str, writer: Writer, in_loop: Callable[[Callable[[], None]], None]) -> None:
        self._directory = directory
        self._writer = writer
        self._in_loop = in_loop
        self._names = {name for name in os.listdir(directory) if name.endswith(SUFFIX)}

    def __len__(self) -> int:
        return len(self._names)

    def has(self, key: str) -> bool:
        """Whether the sync that is known by that is paused."""
        return file_name(key) + SUFFIX in self._names

    def add(self, key: str, done: Callable[[str], None]) -> None:
        """It is. `done(problem)` is called by the loop when that is on disk; a problem is why it is not."""
        self._names.add(file_name(key) + SUFFIX)
        self._work(self._make, key, done)

    def remove(self, key: str, done: Callable[[str], None]) -> None:
        """It is not; `done` as for `add`."""
        self._names.discard(file_name(key) + SUFFIX)
        self._work(self._unlink, key, done)

    # ---- the writer's thread ------------------------------------------------------------------

    def _work(self, change: Callable[[str, int], None], key: str, done: Callable[[str], None]) -> None:
        def work() -> None:
            problem = ""
            try:
                directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    change(file_name(key) + SUFFIX, directory)
                    os.fsync(directory)
                finally:
                    os.close(directory)
            except OSError as error:
                problem = error.strerror or str(error)
            self._in_loop(lambda: done(problem))

        self._writer.call(work)

    def _make(self, name: str, directory: int) -> None:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=directory))

    def _unlink(self, name: str, directory: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
