"""What becomes of a directory that is watched but could not be read.

Most reasons end by an event: one that is gone has its own on the way, one that is closed to us is told of when its
attributes change. A shortage of descriptors or memory ends silently; what fell victim to it waits here.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from orchestrator.logic.text import to_text
from orchestrator.monitor.kernel import is_shortage
from orchestrator.monitor.watches import REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.monitor.survey.branches import Branches
    from orchestrator.monitor.watches import Node

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Unread:
    """Deals with failures, and keeps those directories that are to be read again."""

    def __init__(self, branches: Branches, log: Callable[[str, str], None]) -> None:
        self._branches = branches
        self._log = log
        self._waiting: dict[Node, bool] = {}
        self._is_short = False  # that has been said

    def add(self, node: Node, path: bytes, error: OSError, report: bool) -> None:
        """A directory could not be read; `report`: whether what is in it is to be told."""
        if is_gone(error):
            self._branches.miss(node)
        elif is_shortage(error):
            self.wait(node, path, error, report)
        else:
            self._log("Warn", refusal(path, error))
            if node.parent is not None:
                self._branches.replace(node, REFUSED)

    def wait(self, node: Node, path: bytes, error: OSError, report: bool) -> None:
        """There is a shortage of what it takes to watch or read a directory."""
        if not self._is_short:
            self._is_short = True
            self._log("Warn", f"Cannot read {to_text(path)}: {error.strerror}. Trying again.")
        self._waiting[node] = report

    def is_short(self) -> bool:
        """Whether there is anything to try again, or the end of a shortage to be told."""
        return bool(self._waiting) or self._is_short

    def take(self) -> list[tuple[Node, bool]]:
        """What is to be tried again now, some of which may be gone: directories, and whether to tell of their contents.

        What fails once more comes back by `add`. Afterwards, `finish` is to be called.
        """
        waiting, self._waiting = self._waiting, {}
        return list(waiting.items())

    def finish(self) -> None:
        """All that was taken has been tried again."""
        if self._is_short and not self._waiting:
            self._is_short = False
            self._log("Normal", "All directories could be read now.")


def is_gone(error: OSError) -> bool:
    """Whether there is no directory at that path, or none any more."""
    return error.errno in _GONE


def refusal(path: bytes, error: OSError) -> str:
    """What is said of a directory that we may not watch or read."""
    return f"Cannot watch {to_text(path)}: {error.strerror}. Trying again when its attributes change."
