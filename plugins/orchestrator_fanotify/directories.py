"""The directories that events name by their keys: where they are, as seen from the sources."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from orchestrator_fanotify.events import FILE_SYSTEM
from orchestrator_fanotify.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from orchestrator_fanotify.handles import Handles
    from orchestrator_fanotify.kernel import Kernel
    from orchestrator_fanotify.places import DeletedDirectory, Entry

_CACHED = 50_000  # directories remembered

_REMEMBERED = 2
"""For so many calls of read(): what happened in a directory that cannot be found may be what emptied it before another
one was renamed onto it. No event reports that directory's end, so a Delete is reported before what takes its place."""

Inside = tuple[bytes | None, ...]
"""The path of a directory as seen from each mount of its file system; None where it is not within a source."""


class _View:
    """One mount, and the places of directories as seen from it."""

    def __init__(self, handles: Handles) -> None:
        self.handles = handles
        self.places = Places(self.handles.look)


class Directories:
    """While a batch of events is worked off: `begin`, `passed` for each rename of a directory, `end`.

    `known`: what was found, by key, which is what `find` gives: a burst of events asks it first. It is emptied
    whenever something in it may be out of date.
    """

    def __init__(self, kernel: Kernel, wants: Callable[[bytes], bool]) -> None:
        """`wants(directory)`: False where nothing in it is to be reported."""
        self._kernel = kernel
        self.known: dict[bytes, Inside] = {}
        self.outside: set[bytes] = set()
        """Keys of directories which neither lie within a source nor hold one: `events.without` skips what happens in
        them. Valid between two batches."""
        self._wants = wants
        self._roots: tuple[bytes, ...] = ()
        self._views: dict[bytes, list[_View]] = {}  # by file system
        self._next_views: dict[bytes, list[_View]] | None = None  # from the end of the batch on
        self._is_in_batch = False
        self._matters_next: dict[bytes, deque[bool]] = {}  # by file system: whether the renames to come concern sources
        self._unplaced = 0
        self._has_deletions = False

    def see(self, roots: Iterable[bytes], points: Mapping[bytes, Iterable[bytes]]) -> None:
        """These are the sources now, and a directory on each mount by the identity of its file system."""
        self.forget()
        self._roots = tuple(roots)
        self._next_views = {
            identity: [_View(self._kernel.handles(point, self.is_at_source)) for point in some]
            for identity, some in points.items()
        }
        if not self._is_in_batch:
            self._change_views()

    def forget(self) -> None:
        """The paths found may be out of date."""
        self.known.clear()
        self.outside.clear()

    def close(self) -> None:
        """Lets go of the mounts until they are needed again."""
        for views in self._views.values():
            for view in views:
                view.handles.close()

    def _change_views(self) -> None:
        if self._next_views is not None:
            self.close()
            self._views, self._next_views = self._next_views, None

    # ---- a batch of events --------------------------------------------------------------------

    def begin(
        self, renames: Mapping[bytes, Sequence[tuple[Entry, Entry]]], deleted: Mapping[bytes, DeletedDirectory]
    ) -> None:
        """The renames of directories in the batch by file system, in order, and the deleted ones by their handle."""
        self._has_deletions = bool(deleted)
        self._is_in_batch = True
        for identity, views in self._views.items():
            moved = [view.places.begin(renames.get(identity, ()), deleted) for view in views]
            matters = self._matters_next[identity] = deque(
                any(map(self._matters, rename)) for rename in zip(*moved, strict=True)
            )
            if any(matters):
                self.forget()

    def passed(self, key: bytes) -> None:
        """A rename of a directory has been worked off; `key`: of a directory on its file system."""
        for view in self._views.get(key[:FILE_SYSTEM], ()):
            view.places.passed()
        matters = self._matters_next.get(key[:FILE_SYSTEM])
        if not matters or matters.popleft():
            self.forget()

    def end(self) -> None:
        for views in self._views.values():
            for view in views:
                view.places.end()
        self._is_in_batch = False
        self._change_views()
        if self._has_deletions:
            self.known.clear()

    def settle(self) -> None:
        """All events are worked off."""
        self._unplaced = max(0, self._unplaced - 1)

    # ---- questions ----------------------------------------------------------------------------

    def find(self, key: bytes) -> Inside:
        """A directory's paths within the sources, one for each mount; empty if it has none."""
        found = self.known.get(key)
        if found is None:
            places = [view.places.of(key[FILE_SYSTEM:]) for view in self._views.get(key[:FILE_SYSTEM], ())]
            if None in places:
                self._unplaced = _REMEMBERED
                if not any(places):
                    return ()  # asked for again, so that it is noticed again
            found = tuple(path if path is not None and self._is_wanted(path) else None for path in places)
            if not any(found):
                found = ()
            if len(self.known) >= _CACHED:
                self.forget()
            self.known[key] = found
            if not any(path is None or self._concerns_source(path) for path in places):
                self.outside.add(key)
        return found

    def find_both(self, key: bytes, key2: bytes) -> list[tuple[bytes | None, bytes | None]]:
        """The paths of two directories of one file system, from each of its mounts."""
        nowhere = (None,) * len(self._views.get(key[:FILE_SYSTEM], ()))
        return list(zip(self.find(key) or nowhere, self.find(key2) or nowhere, strict=True))

    def has_unplaced(self) -> bool:
        """Whether something happened of late in a directory that is gone, nobody knows where."""
        return self._unplaced > 0

    def is_named(self, key: bytes) -> bool:
        """Whether a file has a name left."""
        return any(view.handles.is_named(key[FILE_SYSTEM:]) for view in self._views.get(key[:FILE_SYSTEM], ()))

    def is_at_source(self, path: bytes) -> bool:
        """Whether a directory is a source, or lies below one."""
        return path.startswith(self._roots)

    def _matters(self, rename: tuple[bytes | None, bytes | None]) -> bool:
        """Whether a renamed directory is within a source, or a source within it."""
        return any(path is not None and self._concerns_source(path) for path in rename)

    def _concerns_source(self, path: bytes) -> bool:
        return any(path.startswith(root) or root.startswith(path) for root in self._roots)

    def _is_wanted(self, path: bytes) -> bool:
        """Whether a directory is within a source, and wanted: none is below one that is not."""
        return path.startswith(self._roots) and self._wants(path)
