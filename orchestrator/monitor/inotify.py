"""The inotify monitor: raw events in, changes with absolute paths out (spec 3.1).

Knows no sync and no filter beyond `wants`. One tight loop reads the events; what concerns directories goes to the
survey's events, what concerns the sources themselves to the roots.
"""

from __future__ import annotations

import gc
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.errors import MonitorError
from orchestrator.logic.change import Change
from orchestrator.monitor.base import Monitor
from orchestrator.monitor.kernel import (
    ATTRIB,
    CLOSE_WRITE,
    CREATE,
    DELETE,
    HEADER,
    IGNORED,
    ISDIR,
    MODIFY,
    MOVE_SELF,
    MOVED_FROM,
    MOVED_TO,
    Q_OVERFLOW,
    UNMOUNT,
    Kernel,
)
from orchestrator.monitor.roots import Roots
from orchestrator.monitor.survey.survey import Survey
from orchestrator.monitor.survey.tree import SLICE, make_tree
from orchestrator.monitor.watches import Node, Watches

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.monitor.base import Progress
    from orchestrator.monitor.pollcycle import PollCycle
    from orchestrator.monitor.polled import Polled

CONTENT_FLAGS = {
    "CloseWrite": CLOSE_WRITE,
    "CloseWrite only": CLOSE_WRITE,
    "Modify": MODIFY,
    "CloseWrite or Modify": CLOSE_WRITE | MODIFY,
}
"""inotifyMode: what reports that a file's content changed."""

_FILE_KINDS = {CREATE: "Create", CLOSE_WRITE: "Modify", MODIFY: "Modify", ATTRIB: "Attrib", DELETE: "Delete"}
_SELF_KINDS = IGNORED | UNMOUNT | MOVE_SELF
_HEADER_SIZE = HEADER.size
_READ_AHEAD = 100_000  # raw events taken up by one call of read() at most, beyond those that waited at its beginning
_PARTNER_WITHIN = 32  # events between the two halves of a rename at most: other processors' events may slip in
_PATIENCE = 3  # times that we step back for the second half of a rename
_MEAN_EVENT = 40  # bytes
_FEW = 100 * _MEAN_EVENT
_COSTLY = 10  # changes that an event of a directory or a rename counts as: 0.1 s of work, all in all


def content_flags(mode: str) -> int:
    """What reports changed content, by the setting inotifyMode. Raises MonitorError."""
    flags = CONTENT_FLAGS.get(mode)
    if flags is None:
        raise MonitorError(f"'{mode}' not a valid inotfiyMode.")
    return flags


class Limits(NamedTuple):
    """`held`: bytes of raw events in memory at most, some 400,000 of them; `changes`: see `SLICE`."""

    held: int = 16 * 1024 * 1024
    changes: int = SLICE


_LIMITS = Limits()


class InotifyMonitor(Monitor):
    """Watches source trees. One `read()` gives all changes that happened since the last one, in order."""

    def __init__(
        self,
        mode: str,
        wants: Callable[[bytes], bool],
        log: Callable[[str, str], None],
        *,
        make_kernel: Callable[[int], Kernel] = Kernel,
        make_poll_cycle: Callable[..., PollCycle[Node]] | None = None,
        limits: Limits = _LIMITS,
    ) -> None:
        """`mode`: the setting inotifyMode. `wants(directory)`: False for one that no sync wants watched.

        `log(category, message)`. `make_poll_cycle(wants, log, wake)`: polls directories when there are no more
        watches; without it that is a MonitorError. Raises MonitorError.
        """
        content = content_flags(mode)
        self.overflowed = False
        """Set by `read()` when the kernel has dropped events; the caller clears it, and calls `rescan()`."""
        self._kinds = dict(_FILE_KINDS)
        if mode == "CloseWrite only":
            del self._kinds[CREATE]
        self._pieces: deque[bytes] = deque()
        self._taken = 0  # bytes taken from the kernel since read() was called
        self._costly = 0  # events of directories, and renames, that this read() has worked off
        self._limit = limits.held
        self._held = 0  # bytes in the pieces
        self._has_dropped = False
        self._paired: set[int] = set()  # cookies of renames whose second half is still to be passed
        self._remounted: set[bytes] = set()  # where something was mounted or unmounted
        self._kernel = make_kernel(content)
        self._watches = Watches()
        self._polled: Polled | None = None
        if make_poll_cycle is not None:
            from orchestrator.monitor.polled import Polled  # only those who want it wait for it

            poll_cycle = make_poll_cycle(wants, log, self._kernel.wake)
            self._kernel.also_poll(poll_cycle.fileno())
            self._kernel.is_limit_fatal = False
            self._polled = Polled(self._kernel, self._watches, wants, log, poll_cycle)
        tree = make_tree(self._kernel, self._watches, self.drain, limits.changes)
        self._account = tree.account
        self._pace = tree.pace
        self._survey = Survey(tree, wants, log, self._polled)
        self._events = self._survey.events
        self._roots = Roots(self._kernel, self._watches, self._survey)

    def fileno(self) -> int:
        """Readable when `read()` has something to do, events held in memory included."""
        return self._kernel.fileno()

    def watch(self, root: bytes, progress: Progress | None = None) -> None:
        """Watches a source (absolute, with a slash at the end) with everything below it that is wanted.

        `progress(directories)` is called now and then. A source that does not exist is reported of by
        `lost_roots()`, and watched when it appears. Raises MonitorError when the kernel has no watches left.
        """
        is_collecting = gc.isenabled()
        gc.disable()  # 100,000 new objects, none of them garbage: looking for some again and again is half the time
        try:
            with self._pace.reporting(progress):
                self._roots.add(root)
        finally:
            if is_collecting:
                gc.enable()
        self._drain()
        if not self._pieces:
            self._survey.trust()
        self._wake()

    def unwatch(self, root: bytes) -> None:
        """Ends the watching of a source; what other sources need stays watched."""
        self._roots.remove(root)
        self._wake()

    def rescan(self, progress: Progress | None = None) -> None:
        """Reads all trees again, after an overflow or other filters: watches what is new and wanted, drops what is not.

        No changes are reported of it.
        """
        with self._pace.reporting(progress):
            self._roots.check()
            for top in self._roots.tops():
                self._survey.sweep(top)
        self._wake()

    def is_behind(self) -> bool:
        """Whether events wait in memory: `read()` has come to its end before it was through."""
        return bool(self._pieces) or self._account.is_partial

    def has_shortage(self) -> bool:
        """Whether directories wait that could not be read."""
        return self._survey.unread.is_short

    def pause(self, root: bytes) -> None:
        """Ends all watches below the source; what waits of it in memory is dropped."""
        self._roots.pause(root)
        self._wake()

    def resume(self, root: bytes, progress: Progress | None = None) -> None:
        with self._pace.reporting(progress):
            self._roots.resume(root)
        self._wake()

    def lost_roots(self) -> list[bytes]:
        """Sources that are gone, replaced or unmounted, each once."""
        return self._roots.lost()

    def returned_roots(self) -> list[bytes]:
        """Lost sources that are in place and watched again, each once; their contents are not reported."""
        return self._roots.returned()

    def contents(self, directory: bytes) -> list[Change]:
        """A Create for everything now below a directory: for a sync that takes a Move of it as Delete and Create."""
        for top in self._roots.tops():
            node = self._watches.find(top, directory)
            if node is not None:
                return list(self._survey.contents(node))
        return []

    def watched(self) -> list[bytes]:
        """All watched directories, in order of being watched, each with a slash at the end."""
        return self._watches.all_paths()

    def count_watched(self) -> int:
        """At no cost, however many there are."""
        return len(self._watches.nodes)

    def polled(self) -> list[bytes]:
        """All directories that are polled as there are no more watches, each with a slash at the end."""
        return [] if self._polled is None else self._polled.paths()

    def close(self) -> None:
        if self._polled is not None:
            self._polled.close()
        self._kernel.close()

    def drain(self) -> None:
        """Takes all events that wait in the kernel's queue (16,384 at most) into memory; quick.

        To be called now and then by whoever is busy for long. `fileno()` stays readable until `read()`.
        """
        if self._drain():
            self._kernel.wake()

    def read(self) -> list[Change]:
        """The changes since the last call, oldest first, or a part of them if that takes long: `is_behind`."""
        kernel, roots, survey = self._kernel, self._roots, self._survey
        self._taken = 0
        self._costly = 0
        self._drain()
        if self._has_dropped:
            self._has_dropped = False
            self._miss_events()
        if kernel.has_mounts_changed():
            roots.needs_check = True
            self._remounted |= kernel.moved_mounts
            self._drain()  # all that happened before that is to be worked off before it is looked at
        if survey.unread.is_short and not self._account.is_partial:
            survey.retry_unread()
        while self._work_off():
            if self._remounted:
                places, self._remounted = self._remounted, set()
                survey.remounted(roots.tops(), places)
            if roots.needs_check or self._watches.is_source_watch_lost:
                roots.check()
            elif self._taken >= _READ_AHEAD * _MEAN_EVENT or not survey.settle():
                break
            self._drain()
        changes = self._account.take()
        kernel.clear_wake()
        if self._polled is not None:
            changes += self._poll(self._polled)
        self._wake()
        return changes

    def _work_off(self) -> bool:
        """Decodes what waits; False: it is enough for once before that is done."""
        pieces = self._pieces
        if self._account.is_partial:
            self._survey.go_on()
            if self._account.is_partial:
                return False
        while pieces:
            if self._is_enough():
                return False
            self._decode(self._next_piece())
            if self._costly == 0 and self._taken < _FEW and self._kernel.is_drained:
                continue  # that took no time: what has come meanwhile is for the next read()
            if self._taken < _READ_AHEAD * _MEAN_EVENT:
                self._drain()
            if self._account.is_partial:
                return False
        return True

    def _is_enough(self) -> bool:
        return self._costly * _COSTLY + len(self._account.changes) >= self._account.limit

    def _next_piece(self) -> bytes:
        piece = self._pieces.popleft()
        self._held -= len(piece)
        return piece

    def _poll(self, polled: Polled) -> list[Change]:
        """Looks after what is polled; gives what was found there."""
        polled.take()
        if polled.is_due():
            self._roots.check()
        polled.unwatched_ancestors = len(self._roots.unwatched_ancestors)
        if polled.work():
            self._kernel.wake()
        if polled.has_adopted:
            polled.has_adopted = False
            self._roots.needs_check = True
        changes, polled.changes = polled.changes, []
        return changes

    def _wake(self) -> None:
        if self._pieces or self._account.is_partial or self._account.changes or self._roots.needs_check:
            self._kernel.wake()

    def _drain(self) -> bool:
        """Takes what the kernel has; gives whether there was anything."""
        read, append = self._kernel.read, self._pieces.append
        taken = 0
        while piece := read():
            if self._held + len(piece) > self._limit:
                self._pieces.clear()
                self._held = 0
                self._has_dropped = True
            if not self._has_dropped:
                append(piece)
                self._held += len(piece)
            taken += len(piece)
            if self._kernel.is_drained:
                break
        self._taken += taken
        return taken > 0

    def _decode(self, piece: bytes) -> None:
        """Turns raw events into changes. The cost of a burst is the cost of this loop."""
        unpack, kinds, paths, path_of = HEADER.unpack_from, self._kinds, self._watches.paths, self._watches.path_of
        make, append, deleted = tuple.__new__, self._account.changes.append, self._events.deleted
        position, end, awaited = 0, len(piece), self._roots.awaited
        while position < end:
            wd, mask, cookie, size = unpack(piece, position)
            start = position + _HEADER_SIZE
            position = start + size
            kind = kinds.get(mask)
            if kind is not None:
                above = paths.get(wd) or path_of(wd)
                if awaited and (wd, piece[start:position].rstrip(b"\0")) in awaited:
                    self._roots.needs_check = True
                if above is not None and size:
                    name = piece[start : piece.index(0, start)]
                    append(make(Change, (kind, above + name, None)))
                    if mask == DELETE:
                        deleted(wd, name)
                continue
            name = piece[start:position].rstrip(b"\0")
            if mask & MOVED_FROM:
                piece, position = self._renamed(wd, mask, cookie, name, piece, position)
                end = len(piece)
            else:
                self._decode_rest(wd, mask, cookie, name)
            self._costly += 1
            if position < end and self._is_enough():
                self._pieces.appendleft(piece[position:])
                self._held += end - position
                return

    def _miss_events(self) -> None:
        self.overflowed = self._roots.needs_check = True
        self._paired.clear()

    def _decode_rest(self, wd: int, mask: int, cookie: int, name: bytes) -> None:
        """All events but those of `_kinds` and moved-from."""
        if mask & Q_OVERFLOW:
            self._miss_events()
            return
        if mask & _SELF_KINDS:
            self._roots.hint(wd)
            if mask & UNMOUNT:
                self._events.unmounted(wd)
            if mask & IGNORED:
                self._events.ended(wd)
            return
        if (mask & ISDIR and self._roots.is_ancestor(wd)) or (wd, name) in self._roots.awaited:
            self._roots.needs_check = True
        if mask & MOVED_TO and cookie in self._paired:
            self._paired.discard(cookie)
            return
        node = self._watches.nodes.get(wd)
        if node is not None and name:
            self._report(node, mask, name)
        elif node is not None and mask & ATTRIB:
            path = self._watches.path_of(wd)
            if path is not None and self._roots.is_source(path):
                self._account.changes.append(Change("Attrib", path))

    def _report(self, node: Node, mask: int, name: bytes) -> None:
        changes, events = self._account.changes, self._events
        path = (self._watches.path_of(node.wd) or b"") + name
        # MODIFY of a directory is of its times, where inotifyMode asks for it
        if not mask & (ATTRIB | MODIFY):
            events.happened(node, name)
        if not mask & ISDIR:
            if mask & MOVED_FROM:
                events.file_left(node, name, path)
            elif mask & MOVED_TO:
                events.file_arrived(node, name, path)
            elif not self._kernel.is_unfinished(path):
                changes.append(Change("Create", path))
            return
        path += b"/"
        if mask & MOVED_TO:
            events.arrived(node, name, path)
        elif mask & CREATE:
            events.appeared(node, name, path)
        elif mask & (DELETE | MOVED_FROM):
            events.vanished(node, name, path)
        elif mask & (ATTRIB | MODIFY):
            events.touched(node, name, path)

    def _renamed(self, wd: int, mask: int, cookie: int, name: bytes, piece: bytes, position: int) -> tuple[bytes, int]:
        """A moved-from with its moved-to, if that comes soon. Gives where to go on reading."""
        if mask & ISDIR and self._roots.is_ancestor(wd):
            self._roots.needs_check = True
        origin = self._watches.nodes.get(wd)
        if origin is None:
            return piece, position
        piece, position, partner = self._ahead(
            piece, position, lambda at, event, other: bool(event & MOVED_TO) and other == cookie
        )
        destination = None if partner is None else self._watches.nodes.get(partner[0])
        if partner is None or destination is None:
            self._report(origin, mask, name)
            return piece, position
        self._paired.add(cookie)
        name2 = partner[1]
        path = self._watches.path(origin) + name
        path2 = self._watches.path(destination) + name2
        if not mask & ISDIR:
            self._events.file_renamed((origin, name, path), (destination, name2, path2))
            return piece, position
        ends = (origin, name, path + b"/"), (destination, name2, path2 + b"/")
        suspects = self._events.suspects(*ends)
        is_exchange = False
        if suspects:
            again = (wd, name), (partner[0], name2)

            def is_who(at: tuple[int, bytes], event: int, _: int) -> bool:
                if event & MOVED_FROM:
                    return at in again  # renamed once more: too late
                return bool(event & MOVE_SELF) and at[0] in suspects

            piece, position, moved = self._ahead(piece, position, is_who)
            is_exchange = moved != (suspects[0], b"")
        self._events.renamed(*ends, is_exchange=is_exchange)
        return piece, position

    def _ahead(
        self, piece: bytes, position: int, is_it: Callable[[tuple[int, bytes], int, int], bool]
    ) -> tuple[bytes, int, tuple[int, bytes] | None]:
        """Looks for an event that belongs to the one just read, by `is_it((watch, name), mask, cookie)`.

        Gives its watch and name; before them, the same place to go on reading as was given. Nothing else about the
        names of a rename can come in between: the kernel holds both directories locked until it has reported all of it.
        Where the piece ends too early, the next one is put behind what is left of it.
        """
        patience = _PATIENCE
        at = position
        for _ in range(_PARTNER_WITHIN):
            while at >= len(piece):
                if self._pieces or self._drain():
                    piece = piece[position:] + self._next_piece()
                    at -= position
                    position = 0
                elif patience:
                    patience -= 1
                    self._kernel.yield_cpu()
                else:
                    return piece, position, None
            wd, mask, cookie, size = HEADER.unpack_from(piece, at)
            start = at + _HEADER_SIZE
            at = start + size
            found = wd, piece[start:at].rstrip(b"\0")
            if is_it(found, mask, cookie):
                return piece, position, found
        return piece, position, None
