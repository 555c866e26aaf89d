"""Where the sources are: for monitors that need no inotify watch per directory, but must notice when a source goes.

The rules are those of `roots`; nothing is watched but the sources themselves and the directories above them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.monitor.kernel import (
    HEADER,
    IGNORED,
    ISDIR,
    ITSELF,
    MOVE_SELF,
    Q_OVERFLOW,
    UNMOUNT,
    Kernel,
    is_out_of_watches,
)
from orchestrator.monitor.roots import Roots
from orchestrator.monitor.watches import ALIAS, POLLED, Node, Watches

if TYPE_CHECKING:
    from collections.abc import Callable


class SourceWatch:
    """The sources of a monitor: which are in place, which are lost, which are back.

    `fileno()` may stand for the whole monitor in the loop: see `also_poll` and `wake()`.
    """

    def __init__(
        self, make_kernel: Callable[[], Kernel] = lambda: Kernel(0, ITSELF), *, checks_anew: bool = False
    ) -> None:
        """`checks_anew`: the monitor does so now and then, and can do without watches. Raises MonitorError."""
        self._kernel = make_kernel()
        self._kernel.is_limit_fatal = not checks_anew
        self._watches = Watches()
        self._tops = _Tops(self._kernel, self._watches)
        self._roots = Roots(self._kernel, self._watches, self._tops)

    def fileno(self) -> int:
        """Readable when `check()` has something to do, when an attended descriptor is readable, and when rung."""
        return self._kernel.fileno()

    def also_poll(self, fd: int) -> None:
        """Makes `fileno()` readable when `fd` is, too."""
        self._kernel.also_poll(fd)

    def wake(self) -> None:
        """Makes `fileno()` readable until `clear_wake()`."""
        self._kernel.wake()

    def clear_wake(self) -> None:
        self._kernel.clear_wake()

    def add(self, root: bytes) -> None:
        """A source: absolute, with a slash at the end. One that is not there is lost from the beginning."""
        self._roots.add(root)
        self._roots.check()

    def remove(self, root: bytes) -> None:
        self._roots.remove(root)

    def pause(self, root: bytes) -> None:
        """The source is not in place until `resume`, and is not lost either."""
        self._roots.pause(root)
        self._roots.check()

    def resume(self, root: bytes) -> None:
        """A source that was left alone is in place again, or lost."""
        self._roots.resume(root)
        self._roots.check()

    def check(self, *, anew: bool = False) -> bool:
        """Finds out about the sources, if there is any hint, or `anew`. Gives whether there was.

        After True, `held()`, `lost()`, `returned()` and what is mounted where may have changed.
        """
        roots = self._roots
        while piece := self._kernel.read():
            self._decode(piece)
        if self._kernel.has_mounts_changed() or self._watches.is_source_watch_lost or anew:
            roots.needs_check = True
        needed_check = roots.needs_check
        if needed_check:
            roots.check()
        return needed_check

    def held(self) -> list[bytes]:
        """The sources in place, in the order in which they came to be."""
        return [self._watches.path(node) for node in (*self._watches.nodes.values(), *self._watches.idle)]

    def lost(self) -> list[bytes]:
        """Sources that are gone, replaced or unmounted, each once."""
        return self._roots.lost()

    def returned(self) -> list[bytes]:
        """Lost sources that are in place again, each once."""
        return self._roots.returned()

    def close(self) -> None:
        self._kernel.close()

    def _decode(self, piece: bytes) -> None:
        position = 0
        while position < len(piece):
            wd, mask, _, size = HEADER.unpack_from(piece, position)
            start = position + HEADER.size
            position = start + size
            is_awaited = (wd, piece[start:position].rstrip(b"\0")) in self._roots.awaited
            if mask & Q_OVERFLOW or (mask & ISDIR and self._roots.is_ancestor(wd)) or is_awaited:
                self._roots.needs_check = True
            if mask & (IGNORED | UNMOUNT | MOVE_SELF):
                self._roots.hint(wd)
            if mask & IGNORED:
                self._tops.ended(wd)


class _Tops:
    """Stands for a survey that knows no directory but the sources themselves."""

    def __init__(self, kernel: Kernel, watches: Watches) -> None:
        self._kernel = kernel
        self._watches = watches

    def enter(self, path: bytes) -> Node:
        """Raises OSError, MonitorError."""
        try:
            wd = self._kernel.watch(path)
        except OSError as error:
            if not is_out_of_watches(error):
                raise
            known = (idle for idle in self._watches.idle if idle.wd == POLLED and idle.name == path[:-1])
            return next(known, None) or self._watches.add(POLLED, None, path[:-1])
        node = self._watches.nodes.get(wd)
        if node is not None and self._watches.path(node) != path:
            if self._is_in_place(node):
                return self._watches.add(ALIAS, None, path[:-1])
            self.leave(node)
            wd, node = self._kernel.watch(path), None
        return node or self._watches.add(wd, None, path[:-1])

    def leave(self, top: Node) -> None:
        for wd in self._watches.drop(top):
            self._kernel.unwatch(wd)
        self._watches.is_source_watch_lost = True  # the watch may have been a guard's, too

    def ended(self, wd: int) -> None:
        node = self._watches.nodes.get(wd)
        if node is not None:
            self._watches.drop(node)
            self._watches.is_source_watch_lost = True

    def retry_missing(self) -> None:
        """There is nothing below."""

    def _is_in_place(self, node: Node) -> bool:
        try:
            return self._kernel.watch(self._watches.path(node)) == node.wd
        except OSError:
            return False
