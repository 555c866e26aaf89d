"""The differences between a source and its target, and which of them count.

While the trees are compared the source goes on changing: what a comparison finds may be nothing but a change that is
on its way. So a difference is a candidate at first. It counts when its path has been looked at a second time, had no
change that was still to be transferred when that look began, and none that came during it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MISSING: Final = "missing"
"""The source has it, the target has nothing under its name."""
EXTRA: Final = "extra"
"""The target alone has it, though what is gone from the source is deleted there."""
CONTENT: Final = "content"
"""Another content: other bytes, a link that leads elsewhere, another device."""
ATTRIBUTES: Final = "attributes"
"""The same content, with another mode, owner, time, extended attribute or hard link."""
TYPE: Final = "type"
"""Something else has its name on the target, as a directory instead of a file."""

KINDS: Final = (MISSING, EXTRA, CONTENT, ATTRIBUTES, TYPE)

MOST: Final = 100_000
"""Differences that are kept; more are counted only."""


_NOT_IN_THE_TREE: Final = frozenset((b"", b".", b".."))
"""Names that no path of a tree has in it."""


class Difference(NamedTuple):
    """`path`: with a leading slash, relative to the source; a directory's ends with a slash. `kind`: one of KINDS."""

    path: bytes
    kind: str


class Found:
    """The differences that one comparison finds: by path, each once, `MOST` of them; `left_out` counts the others."""

    def __init__(self) -> None:
        self.kinds: dict[bytes, str] = {}
        self.left_out = 0

    def add(self, difference: Difference) -> None:
        """One more. Of a path that has lost one thing and gained another, as a file that became a directory, the type
        is different."""
        path, kind = difference
        if path != b"/" and not _NOT_IN_THE_TREE.isdisjoint(path.strip(b"/").split(b"/")):
            self.left_out += 1  # a name with a newline in it, perhaps, in the output of somebody's program
            return
        plain = path.rstrip(b"/") or b"/"
        other = plain if path != plain else path + b"/"
        before = self.kinds.get(path) or self.kinds.get(other)
        if before is not None and {before, kind} == {MISSING, EXTRA}:
            self.kinds.pop(other, None)
            self.kinds[path] = TYPE
        elif path in self.kinds or len(self.kinds) < MOST:
            self.kinds[path] = kind
        else:
            self.left_out += 1


class Candidates:
    """The differences that one verification has found, until they have been looked at again.

    `pending()` gives a function that says whether a change of a path, or of what is above or below it, is still to be
    transferred.
    """

    def __init__(self, pending: Callable[[], Callable[[bytes], bool]]) -> None:
        self._pending = pending
        self._paths: dict[bytes, str] = {}
        self._looking: set[bytes] = set()
        self._touched: set[bytes] = set()
        self._touched_directories: set[bytes] = set()

    def __len__(self) -> int:
        """Paths of which nobody knows yet whether they differ."""
        return len(self._paths)

    def add(self, found: Mapping[bytes, str]) -> None:
        """The first comparison has ended."""
        self._paths.update(found)

    def look(self) -> list[bytes]:
        """A second look begins: the paths to be looked at, those that nothing is pending of."""
        is_pending = self._pending()
        paths = [path for path in self._paths if not is_pending(path)]
        self._looking = set(paths)
        self._touched.clear()
        self._touched_directories.clear()
        return paths

    def touch(self, path: bytes) -> None:
        """Something changed in the source."""
        if not self._looking:
            return
        if path.endswith(b"/"):
            self._touched_directories.add(path)
        else:
            self._touched.update(self._looking.intersection((path, path + b"/")))
        self._touched.update(directory for directory in _above(path) if directory in self._looking)

    def looked(self, found: Mapping[bytes, str]) -> list[Difference]:
        """The second look has ended, with the differences that it found, by their paths. Gives those that count now."""
        is_pending = self._pending()
        looking, self._looking = self._looking, set()
        counting = []
        for path in looking:
            if self._is_touched(path) or is_pending(path):
                continue
            del self._paths[path]
            if path in found:
                counting.append(Difference(path, found[path]))
        return sorted(counting)

    def _is_touched(self, path: bytes) -> bool:
        if path in self._touched:
            return True
        directories = self._touched_directories
        return bool(directories) and (
            path in directories or path + b"/" in directories or any(above in directories for above in _above(path))
        )


def _above(path: bytes) -> Iterator[bytes]:
    """The directories that a path is in, up to the root."""
    place = path.rstrip(b"/")
    while place:
        place = place[: place.rfind(b"/")]
        yield place + b"/"


class Compared(NamedTuple):
    """The end of a comparison. `compared`: so many files and directories of the source were looked at; None: nobody
    knows. `error`: why not all of it could be compared; empty: all was."""

    compared: int | None = None
    error: str = ""


class Verified(NamedTuple):
    """The result of a verification.

    `time`: in seconds since 1970, when it ended. `differences`: how many. `unsettled`: paths that kept changing, or
    waited for their transfer, until nobody would look at them again. `error`: why it says nothing, or not all.
    """

    time: float
    differences: int = 0
    compared: int | None = None
    unsettled: int = 0
    error: str = ""

    @property
    def is_equal(self) -> bool:
        return not self.differences and not self.error

    def fields(self) -> dict[str, object]:
        """The fields of the protocol."""
        return {
            "time": self.time,
            "is_equal": self.is_equal,
            "differences": self.differences,
            "compared": self.compared,
            "unsettled": self.unsettled,
            "error": self.error or None,
        }
