"""Changed paths, each brought up to date from the source as it is now.

The kind of a change hardly matters, nor do its order and number: the source is looked at, and the target made the
same. Only two things are taken from the kind of change: unless it concerns attributes alone, equal size and time prove
nothing (proofs.py), and a Move may be a rename on the target, too.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from orchestrator_native.mirror import target_status
from orchestrator_native.proofs import ANY_CHANGE
from orchestrator_native.report import Stopped
from orchestrator_native.rules import Trust, identity
from orchestrator_native.temps import is_ours
from orchestrator_native.trees import ELSEWHERE, join, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from orchestrator.api import Change
    from orchestrator_native.entry import Entry
    from orchestrator_native.mirror import Mirror
    from orchestrator_native.run import MirrorRun

ATTRIBUTES = frozenset({"Attrib", "Modify"})
"""Of a directory: nothing about what lies in it."""


def relative(path: bytes) -> str:
    return os.fsdecode(path.strip(b"/"))


def update(run: MirrorRun, changes: Iterable[Change]) -> None:
    """Hands to `run` what is large or a whole directory; `run.drain` afterwards."""
    changes = list(changes)
    batch = _Batch(run, {relative(change.path) for change in changes if _makes_anew(change)})
    for change, end in zip(changes, _ends(changes), strict=True):
        if run.task.stop.is_set():
            raise Stopped
        if change.path2 is None:
            batch.path(relative(change.path), change.etype)
        else:
            origin, destination = relative(change.path), relative(change.path2)
            run.name_went(destination)
            run.links.rename(origin, destination)
            batch.rename(origin, relative(end))
            batch.path(origin, "Delete")
            batch.path(destination, "Move")


def _makes_anew(change: Change) -> bool:
    """Whether there may be another directory of that name by now: with the inode number of the old one, even."""
    return change.etype in ("Create", "Delete") and change.path.endswith(b"/")


def _ends(changes: Sequence[Change]) -> list[bytes]:
    """For each change, where its path is in the end: what was renamed may have been renamed once more, and the source
    knows nothing any more of the names between."""
    renamed_on: dict[bytes, bytes] = {}
    ends: list[bytes] = []
    for change in reversed(changes):
        end = change.path2 or change.path
        end = renamed_on.pop(end, end)
        renamed_on.pop(change.path, None)
        if change.path2 is not None:
            renamed_on[change.path] = end
        ends.append(end)
    return ends[::-1]


class _Batch:
    def __init__(self, run: MirrorRun, made_anew: set[str]) -> None:
        """`made_anew`: directories that some change of the batch creates or deletes, be it a later one."""
        self.run = run
        self.task = run.task
        self.mirror: Mirror = run.mirror
        self.begun: set[str] = set()
        self.made_anew = made_anew
        self.named: set[str] = set()
        """Directories that may be others by now; what is in them is looked through once all changes have been."""
        self.renamed: set[str] = set()
        """Files that were renamed on the target, and lay where nothing had happened to them."""

    def path(self, path: str, etype: str) -> None:
        """Make `path` on the target what it is in the source."""
        if not path:
            self._root(etype)
            return
        is_write = etype == "Modify"
        parent, name = split(path)
        if is_ours(name):
            return
        is_begun = self._is_begun(parent)
        if is_begun and not is_write:
            return
        try:
            wanted = _status(self.mirror.source.open, parent, name)
        except OSError as error:
            self.task.report.trouble("read", path, error)
            return
        if wanted is None or (wanted.st_dev, wanted.st_ino) != self.run.links.key(path):
            self.run.name_went(path)
        if wanted is None:
            if not is_begun:
                self._gone(path)
            return
        if self.task.is_excluded(path, is_dir=stat.S_ISDIR(wanted.st_mode)):
            return
        if is_write and wanted.st_nlink > 1 and self.task.rule.hard_links and not stat.S_ISDIR(wanted.st_mode):
            # whatever becomes of this name, the others are to have what was written
            self.run.later_link(path, wanted, trust=Trust.FINISHED, is_written=True)
        if is_begun:
            return
        try:
            entry = self.mirror.entry(path)
        except OSError:
            self._ancestor(parent)
            return
        have = target_status(entry)
        if have is None and self.task.may_be_deleted(path, wanted, entry.target):
            self.task.defer(path, entry.source, entry.target)
            return
        if stat.S_ISDIR(wanted.st_mode):
            if have is None or not stat.S_ISDIR(have.st_mode):
                self.begun.add(path)
            elif etype in ATTRIBUTES:
                self.run.later_settle(path)
                return
            self.named.add(path)
        trust = self._trust(entry, etype)
        self.mirror.entries.bring(entry, wanted, have, trust, is_written=is_write)
        self.run.later_settle(parent)

    def _trust(self, entry: Entry, etype: str) -> Trust:
        """How far what lies on the target is trusted. Where it is in a directory that is not known to be the one of
        before, not at all; and what is put there now does not belong to what was there before."""
        if not self._are_pair(entry.source, entry.target):
            self.task.part(entry.source, entry.target)
            return Trust.NONE
        is_same = etype == "Attrib" or (etype == "Move" and entry.path in self.renamed)
        if is_same and not _is_below(entry.path, self.named) and not _is_below(entry.path, self.made_anew):
            return Trust.QUICK
        return Trust.FINISHED

    def _are_pair(self, source: int, target: int) -> bool:
        return self.task.proofs.is_pair(identity(os.fstat(source)), identity(os.fstat(target)))

    def _root(self, etype: str) -> None:
        if etype in ATTRIBUTES:
            self.run.later_settle("")
        else:
            self.named.add("")
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

    def _gone(self, path: str) -> None:
        parent, name = split(path)
        self.run.later_settle(parent)
        have = self._target_status(parent, name) if self.task.removal.deletes else None
        if have is not None:
            self.mirror.let_in(parent)
        if have is not None:
            self.named.add(path)
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
        self.renamed.discard(destination)
        if is_ours(split(origin)[1]):
            return  # what another mirror of ours has just finished, with all of it only now
        if not self.task.removal.deletes:
            return
        try:
            self._rename(split(origin), split(destination))
        except OSError:
            return
        self.mirror.target.forget()
        self.mirror.remover.tree.forget()
        self.task.let_in.clear()
        self.run.later_settle(split(origin)[0])
        self.run.later_settle(split(destination)[0])

    def _rename(self, origin: tuple[str, str], destination: tuple[str, str]) -> None:
        """OSError: there is nothing to rename, or it does not go; no harm is done."""
        mirror = self.mirror
        mirror.let_in(origin[0])
        mirror.let_in(destination[0])
        wanted = _status(mirror.source.open, *destination)
        have = _status(mirror.target.open, *origin)
        if wanted is None or have is None or stat.S_IFMT(wanted.st_mode) != stat.S_IFMT(have.st_mode):
            raise FileNotFoundError
        is_dir = stat.S_ISDIR(wanted.st_mode)
        if _status(mirror.source.open, *origin) or self.task.is_excluded(join(*destination), is_dir=is_dir):
            raise FileExistsError
        if is_dir:
            mirror.let_in(join(*origin))  # rename(2): ".." in it changes
            self.run.later_settle(join(*destination))
        old = mirror.remover.tree.open(origin[0])
        new = mirror.target.open(destination[0])
        self.task.proofs.name_goes(destination[1], new)
        with self._changing(old, new, origin[1] if is_dir else None):
            os.rename(origin[1], destination[1], src_dir_fd=old, dst_dir_fd=new)
        if not is_dir:
            was_right = self._was_right(origin, old)
            mirror.task.proofs.spoil(have, wanted.st_ctime_ns if was_right else ANY_CHANGE)
            if was_right:
                self.renamed.add(join(*destination))

    @contextmanager
    def _changing(self, old: int, new: int, moved: str | None) -> Iterator[None]:
        """Within: a rename from one open directory to another. `moved`: the name of a directory, which changes too."""
        with ExitStack() as changing:
            directories = [old, new]
            if moved is not None:
                directories.append(os.open(moved, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=old))
                changing.callback(os.close, directories[-1])
            different = {identity(os.fstat(directory)): directory for directory in directories}
            for _, directory in sorted(different.items()):  # in one order: no two threads wait for each other
                changing.enter_context(self.task.changing(directory))
            yield

    def _was_right(self, origin: tuple[str, str], old: int) -> bool:
        """Nothing of a file need be read if it was right where it was: in a directory that is still the one of before,
        and that no change before this one says otherwise of."""
        try:
            is_pair = self._are_pair(self.mirror.source.open(origin[0]), old)
        except OSError:
            return False
        return is_pair and not _is_below(join(*origin), self.named)


def _is_below(path: str, directories: set[str]) -> bool:
    while directories and path:
        path = split(path)[0]
        if path in directories:
            return True
    return False


def _status(open_directory: Callable[[str], int], parent: str, name: str) -> os.stat_result | None:
    """None: there is no such entry. OSError: there is no telling."""
    try:
        return os.stat(name, dir_fd=open_directory(parent), follow_symlinks=False)
    except OSError as error:
        if error.errno in ELSEWHERE:
            return None
        raise
