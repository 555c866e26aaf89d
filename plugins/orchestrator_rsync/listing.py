"""The way of a batch: by the names of its changes alone (`--files-from`), or by a filter list (spec 4.2).

With a filter list rsync reads and stats each directory on the way as a whole, on both sides, so the cost grows with
the number of entries. With a list of names it grows with the number of changes. Deletions go by names where rsync can
do that (missing.py), else by a filter list of their own.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from orchestrator.api import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.api import Config
    from orchestrator_rsync.filterlist import ChangedPath

AUTO: Final = "auto"

ARGUMENTS: Final = (b"--from0", b"--ignore-missing-args", b"--files-from=-")
"""A name that is gone by then is no error: its deletion has an event of its own. Nothing says what may be deleted below
a directory of the target that is in the way, so nothing is: no `--force`."""

DELETING: Final = (b"--from0", b"--delete-missing-args", b"--files-from=-")
"""A name that is gone is deleted on the target."""

NOT_BELOW: Final = ("--no-r", "--dirs")
"""A directory by itself: new things in it have events of their own."""

LARGE: Final = 65_536
"""Bytes of directories, as stat(2) has them, beyond the first block of each: 2,000 to 4,000 names on ext4, XFS, Btrfs
and tmpfs. Below that reading them costs less than the start of a program."""

MANY: Final = 5000
"""Changes. rsync compares each name that it reads with each entry of a filter list."""

_BLOCK: Final = 4096

_LONGEST: Final = 4000
"""Bytes of a name in a list; rsync cuts longer ones than PATH_MAX off."""

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH

_UNFIT: Final = frozenset(
    {
        *("F", "cvs-exclude", "exclude", "exclude-from", "filter", "include", "include-from"),
        *("prune-empty-dirs", "one-file-system"),
        *("del", "delete", "delete-after", "delete-before", "delete-delay", "delete-during"),
        *("delete-missing-args", "force", "ignore-missing-args", "max-delete"),
        *("no-d", "no-dirs", "no-i-d", "no-implied-dirs", "no-relative", "old-d", "old-dirs"),
        *("files-from", "from0", "no-from0", "iconv", "protocol"),
    }
)
"""Options that mean something else with a list of names than with a list of rules, or nothing: rules of the user's own
say nothing of the directories above a listed name."""


class Deletions(Enum):
    """The way in which deletions reach the target."""

    NONE = auto()
    """It does not."""
    BY_RULES = auto()
    BY_NAME = auto()
    UNKNOWN = auto()
    """By rules, until it is known whether rsync can do it by name."""


def check_listed(table: Config) -> None:
    """Raises ConfigError where `rsync.listed` is none of what it may be."""
    value = table.get("listed")
    if value is not None and not isinstance(value, bool) and value != AUTO:
        raise ConfigError(f'Parameter "rsync.listed" must be true, false or "{AUTO}".')


def listed_of(table: Config | None) -> bool | None:
    """`rsync.listed`; None: "auto"."""
    value = None if table is None else table.get("listed")
    return value if isinstance(value, bool) else None


def unfit(names: Iterable[str]) -> list[str]:
    """Those of these options that do not go with a list of names, sorted."""
    return sorted(_UNFIT.intersection(names))


def is_large(source: bytes, changes: Sequence[ChangedPath]) -> bool:
    """Whether a filter list is dear: rsync would read large directories to reach these paths, or they are many.

    `source`: absolute, with a trailing slash.
    """
    if len(changes) >= MANY:
        return True
    seen: set[bytes] = set()
    beyond = 0
    for change in changes:
        directory = change.path
        while directory != b"/":
            directory = directory[: directory.rfind(b"/", 0, -1) + 1]
            if directory in seen:
                break
            seen.add(directory)
            try:
                size = os.lstat(source + directory[1:-1]).st_size
            except OSError:
                continue
            if size > _BLOCK:
                beyond += size - _BLOCK
    return beyond >= LARGE


def alike(path: bytes) -> str:
    """The common form of all paths that a target may take for the same: one that ignores case, or how an accent is
    encoded."""
    return unicodedata.normalize("NFD", os.fsdecode(path.rstrip(b"/"))).casefold()


class Names:
    """The names of one batch that can be listed, as the source is now.

    `gone`: the changes that were listed to be deleted. `wants_deletions`: some would be, if rsync could.
    """

    def __init__(
        self, source: bytes, whole: Iterable[bytes], *, is_wary: bool, follows_links: bool, deletions: Deletions
    ) -> None:
        """`source`: absolute, with a trailing slash. `whole`: paths of the batch that go with all below them, without a
        directory's slash. `is_wary`: rsync, which follows a link on the way to a listed name, must not be led elsewhere
        by others than root. `follows_links`: a link may be a directory on the target."""
        self.gone: list[ChangedPath] = []
        self.wants_deletions = False
        self._source = source
        self._whole = frozenset(whole)
        self._is_wary = is_wary and os.geteuid() == 0
        self._follows_links = follows_links
        self._deletions = deletions
        self._is_firm = {b"": self._directory(b"")}

    def of(self, change: ChangedPath) -> bytes | None:
        """Its name in the list; None: it needs a filter list; empty: any other name brings it along.

        The leading dot has rsync send the attributes of the root as well.
        """
        path = change.path.rstrip(b"/")
        if not path:
            return b""
        if len(path) > _LONGEST or path in self._whole:
            return None
        parent = path[: path.rfind(b"/")]
        if self._way(parent) is None:
            return None
        try:
            mode = os.lstat(self._source + path[1:]).st_mode
        except OSError:
            return self._of_gone(change, path, parent)
        return None if stat.S_ISLNK(mode) and self._follows_links else b"." + path

    def _of_gone(self, change: ChangedPath, path: bytes, parent: bytes) -> bytes | None:
        """The same of a path that is gone from a directory that is there."""
        if self._deletions is Deletions.NONE:
            return b"." + parent if parent else None
        if self._deletions is Deletions.BY_RULES:
            return None
        self.wants_deletions = True
        if self._deletions is Deletions.UNKNOWN:
            return None
        self.gone.append(change)
        return b"." + path

    def _way(self, path: bytes) -> bool | None:
        """As `_directory`, and None if what is above it is in the way."""
        found = self._is_firm
        unknown = []
        while path not in found:
            unknown.append(path)
            path = path[: path.rfind(b"/")]
        state = found[path]
        for below in reversed(unknown):
            state = None if state is None or (self._is_wary and not state) else self._directory(below)
            found[below] = state
        return state

    def _directory(self, path: bytes) -> bool | None:
        """Whether nobody but root can exchange what is in this directory; None: it is none."""
        try:
            status = os.lstat(self._source + path[1:])
        except OSError:
            return None
        if not stat.S_ISDIR(status.st_mode):
            return None
        return status.st_uid == 0 and not status.st_mode & _OTHERS_WRITE
