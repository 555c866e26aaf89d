"""Changed paths, each brought up to date from the source as it is now.

What happened to a path hardly matters, nor in what order: the source is looked at, and the target made the
same. Only two things are taken from the kind of change: a write means that equal size and time prove
nothing (rules.is_same_data), and a Move may be a rename on the target, too.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from orchestrator_native.report import Stopped
from orchestrator_native.trees import ELSEWHERE, join, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator_native.mirror import Mirror
    from orchestrator_native.run import Run
    from orchestrator_native.spot import Spot

ATTRIBUTES = frozenset({"Attrib", "Modify"})
"""Of a directory: nothing about what lies in it."""

WRITES = frozenset({"Modify", "Create"})


class Change(NamedTuple):
    """Paths as lsyncd has them: a leading slash, a directory's with a trailing one."""

    etype: str
    path: bytes
    path2: bytes | None = None


def relative(path: bytes) -> str:
    return os.fsdecode(path.strip(b"/"))


def update(run: Run, changes: Iterable[Change]) -> None:
    """Hands to `run` what is large or a whole directory; `run.drain` afterwards."""
    batch = _Batch(run)
    for change in changes:
        if run.task.stop.is_set():
            raise Stopped
        if change.path2 is None:
            batch.path(relative(change.path), change.etype)
        else:
            origin, destination = relative(change.path), relative(change.path2)
            batch.rename(origin, destination)
            batch.path(origin, "Delete")
            batch.path(destination, "Move")


class _Batch:
    def __init__(self, run: Run) -> None:
        self.run = run
        self.task = run.task
        self.mirror: Mirror = run.mirror
        self.begun: set[str] = set()

    def path(self, path: str, etype: str) -> None:
        """Make `path` on the target what it is in the source."""
        if not path:
            self._root(etype)
            return
        parent, name = split(path)
        if self._is_begun(parent):
            return
        try:
            wanted = _status(self.mirror.source.open, parent, name)
        except OSError as error:
            self.task.report.trouble("read", path, error)
            return
        self._old_names(path, wanted)
        if wanted is None:
            self._gone(path)
            return
        if self.task.is_excluded(path, is_dir=stat.S_ISDIR(wanted.st_mode)):
            return
        try:
            spot = self.mirror.spot(path)
        except OSError:
            self._ancestor(parent)
            return
        have = _target_status(spot)
        if stat.S_ISDIR(wanted.st_mode):
            if have is None or not stat.S_ISDIR(have.st_mode):
                self.begun.add(path)
            elif etype in ATTRIBUTES:
                self.run.later_settle(path)
                return
        written = etype == "Modify" or (etype == "Create" and wanted.st_nlink == 1)
        self.mirror.entries.bring(spot, wanted, have, written=written)
        self.run.later_settle(parent)

    def _root(self, etype: str) -> None:
        if etype in ATTRIBUTES:
            self.run.later_settle("")
        else:
            self.run.later_directory("", touched=True)

    def _is_begun(self, parent: str) -> bool:
        """It lies in a directory that is new on the target, and comes with it."""
        while self.begun:
            if parent in self.begun:
                return True
            if not parent:
                return False
            parent = split(parent)[0]
        return False

    def _old_names(self, path: str, wanted: os.stat_result | None) -> None:
        """A name of a file with several has gone over to another file: what was written to the former under
        this name has no other event."""
        key = self.run.links.key(path)
        if key is None or (wanted is not None and (wanted.st_dev, wanted.st_ino) == key):
            return
        self.run.links.discard(key, path)
        for other in self.run.links.names(key):
            try:
                status = _status(self.mirror.source.open, *split(other))
            except OSError:
                continue
            if status is not None and (status.st_dev, status.st_ino) == key:
                self.run.later_link(other, status, written=True)
                return

    def _gone(self, path: str) -> None:
        parent, name = split(path)
        self.run.later_settle(parent)
        have = self._target_status(parent, name) if self.task.deletes else None
        if have is not None:
            self.mirror.remover.remove(path, have.st_mode)
            self.mirror.target.forget()

    def _ancestor(self, path: str) -> None:
        """The target has no such directory: bring over the topmost that is missing, with all in it."""
        names = path.split("/")
        for count in range(1, len(names) + 1):
            top = "/".join(names[:count])
            parent, name = split(top)
            have = self._target_status(parent, name)
            if have is None or not stat.S_ISDIR(have.st_mode):
                self.path(top, "Create")
                return

    def _target_status(self, parent: str, name: str) -> os.stat_result | None:
        try:
            return _status(self.mirror.target.open, parent, name)
        except OSError:
            return None

    def rename(self, origin: str, destination: str) -> None:
        """Follow a Move by a rename on the target where that makes sense; what comes of it is compared
        with the source in any case. Where nothing may be deleted, the old name stays."""
        if not self.task.deletes:
            return
        try:
            self._rename(split(origin), split(destination))
        except OSError:
            return
        self.mirror.target.forget()
        self.mirror.remover.tree.forget()
        self.run.later_settle(split(origin)[0])
        self.run.later_settle(split(destination)[0])

    def _rename(self, origin: tuple[str, str], destination: tuple[str, str]) -> None:
        """OSError: there is nothing to rename, or it does not go; no harm is done."""
        mirror = self.mirror
        wanted = _status(mirror.source.open, *destination)
        have = _status(mirror.target.open, *origin)
        if wanted is None or have is None or stat.S_IFMT(wanted.st_mode) != stat.S_IFMT(have.st_mode):
            raise FileNotFoundError
        is_dir = stat.S_ISDIR(wanted.st_mode)
        if _status(mirror.source.open, *origin) or self.task.is_excluded(join(*destination), is_dir=is_dir):
            raise FileExistsError
        old = mirror.remover.tree.open(origin[0])
        new = mirror.target.open(destination[0])
        os.rename(origin[1], destination[1], src_dir_fd=old, dst_dir_fd=new)


def _target_status(spot: Spot) -> os.stat_result | None:
    try:
        return os.stat(spot.name, dir_fd=spot.target, follow_symlinks=False)
    except OSError:
        return None


def _status(opens: Callable[[str], int], parent: str, name: str) -> os.stat_result | None:
    """None: there is no such entry. OSError: there is no telling."""
    try:
        return os.stat(name, dir_fd=opens(parent), follow_symlinks=False)
    except OSError as error:
        if error.errno in ELSEWHERE:
            return None
        raise
