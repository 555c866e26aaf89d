"""Whether a directory is where we believe it to be.

A path is no proof: it may have come to lead to another directory since it was last looked at. The kernel's number is
one: asked to watch a directory that it watches already, it gives the same number again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.monitor.kernel import Kernel
    from orchestrator.monitor.watches import Node, Watches


class Identity:
    """Asks the kernel what is at a place. Leaves no watch behind that was not there before."""

    def __init__(self, kernel: Kernel, watches: Watches) -> None:
        self._kernel = kernel
        self._watches = watches

    def compare(self, place: bytes, wd: int) -> bool:
        """Whether the directory at a place is the one watched as `wd`. Raises OSError, MonitorError.

        A slash at the end of `place` follows a symlink, its absence does not.
        """
        found = self._kernel.watch(place)
        if found != wd and found not in self._watches.nodes and found not in self._watches.path_watches:
            self._kernel.unwatch(found)  # somebody else; if it is of interest, its own event or a second look comes
        return found == wd

    def is_same_directory(self, place: bytes, wd: int) -> bool:
        """As `compare`; False where it cannot be found out."""
        try:
            return self.compare(place, wd)
        except OSError:
            return False

    def is_in_place(self, node: Node, path: bytes | None = None) -> bool:
        """Whether a watched directory is where we believe it to be; `path`: that place, where it is at hand."""
        if path is None:
            path = self._watches.path(node)
        return self.is_same_directory(path if node.parent is None else path[:-1], node.wd)

    def is_file(self, path: bytes) -> bool:
        """Whether there is something at `path` that is no directory."""
        return self._kernel.is_file(path)

    def is_directory(self, path: bytes) -> bool:
        """Whether there is a directory at `path`, whichever."""
        return self._kernel.device(path) is not None
