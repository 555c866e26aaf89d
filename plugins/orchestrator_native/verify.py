"""Where the target differs from the source, found out by reading both; nothing is changed (Action.verify).

The rules are those of a run (rules.py, compare.py), but that nothing is taken on trust: the contents of files are read
on both sides. `quick`: size and time stand for them.
"""

from __future__ import annotations

import os
import stat
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.api import ATTRIBUTES, CONTENT, EXTRA, MISSING, TYPE, Compared, Difference
from orchestrator_native.compare import is_same_attributes, symlink_text
from orchestrator_native.content import is_same_content
from orchestrator_native.entry import Entry
from orchestrator_native.report import Vanished
from orchestrator_native.rules import is_same_time
from orchestrator_native.temps import is_ours
from orchestrator_native.trees import ELSEWHERE, OpenTree, join, split

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from orchestrator_native.rules import CopyRule
    from orchestrator_native.task import Excluded


class Trees(NamedTuple):
    """Two trees, and the rules of their comparison. `deletes`: an entry that the target alone has is a difference."""

    source: bytes
    target: bytes
    excluded: Excluded | None
    rule: CopyRule
    deletes: bool
    quick: bool


def compare(
    trees: Trees, paths: Iterable[bytes] | None, stop: threading.Event, found: Callable[[Difference], None]
) -> Compared:
    """Compare the whole trees, or these paths alone; each difference is given to `found`."""
    try:
        with closing(OpenTree.at(trees.source)) as here, closing(OpenTree.at(trees.target)) as there:
            comparison = _Comparison(trees, here, there, stop, found)
            if paths is None:
                comparison.everything()
            else:
                for path in paths:
                    comparison.one(os.fsdecode(path).strip("/"))
    except OSError as error:
        return Compared(0, f"{os.fsdecode(error.filename or b'')}: {error.strerror}")
    return Compared(comparison.count, comparison.trouble)


class _Comparison:
    def __init__(
        self,
        trees: Trees,
        source: OpenTree,
        target: OpenTree,
        stop: threading.Event,
        found: Callable[[Difference], None],
    ) -> None:
        self.count = 0
        self.trouble = ""
        self._trees = trees
        self._source = source
        self._target = target
        self._stop = stop
        self._found = found
        self._pending: list[str] = [""]
        self._links: dict[tuple[int, int], tuple[int, int]] = {}

    def everything(self) -> None:
        self._attributes("")
        while self._pending and not self._stop.is_set():
            path = self._pending.pop()
            try:
                self._directory(path)
            except OSError as error:
                if error.errno not in ELSEWHERE:
                    self._could_not(path, error)

    def one(self, path: str) -> None:
        """One path by itself, without what is below it."""
        if self._stop.is_set():
            return
        if not path:
            self._attributes("")
            return
        parent, name = split(path)
        wanted, have = _status(self._source, parent, name), _status(self._target, parent, name)
        if wanted is not None:
            self._compare(path, wanted, have)
        elif have is not None and self._trees.deletes:
            self._tell(path, have, EXTRA)

    def _directory(self, path: str) -> None:
        with os.scandir(self._source.open(path)) as listing:
            here = {entry.name for entry in listing}
        try:
            with os.scandir(self._target.open(path)) as listing:
                there = {entry.name for entry in listing}
        except OSError as error:
            if error.errno not in ELSEWHERE:
                raise
            there = set()
        for name in sorted(here):
            if self._stop.is_set():
                return
            inner = join(path, name)
            wanted = _status(self._source, path, name)
            if wanted is None or is_ours(name) or self._is_excluded(inner, wanted):
                continue
            self.count += 1
            self._compare(inner, wanted, _status(self._target, path, name) if name in there else None)
            if stat.S_ISDIR(wanted.st_mode):
                self._pending.append(inner)
        if self._trees.deletes:
            self._extra(path, sorted(there - here))

    def _compare(self, path: str, wanted: os.stat_result, have: os.stat_result | None) -> None:
        if have is None:
            self._tell(path, wanted, MISSING)
        elif stat.S_IFMT(wanted.st_mode) != stat.S_IFMT(have.st_mode):
            self._tell(path, wanted, TYPE)
        elif stat.S_ISDIR(wanted.st_mode):
            self._attributes(path)
        else:
            self._entry(path, wanted, have)

    def _entry(self, path: str, wanted: os.stat_result, have: os.stat_result) -> None:
        """Of the same type on both sides, and no directory."""
        parent, name = split(path)
        try:
            entry = Entry(path, name, self._source.open(parent), self._target.open(parent))
            if not self._is_same(entry, wanted, have):
                self._tell(path, wanted, CONTENT)
            elif not is_same_attributes(entry, wanted, have, self._trees.rule) or not self._is_linked(wanted, have):
                self._tell(path, wanted, ATTRIBUTES)
        except Vanished:
            pass  # the source's own event says so
        except OSError as error:
            if error.errno not in ELSEWHERE:
                self._could_not(path, error)

    def _is_same(self, entry: Entry, wanted: os.stat_result, have: os.stat_result) -> bool:
        if stat.S_ISLNK(wanted.st_mode):
            return symlink_text(entry) == os.readlink(entry.name, dir_fd=entry.target)
        if not stat.S_ISREG(wanted.st_mode):
            return wanted.st_rdev == have.st_rdev
        if wanted.st_size != have.st_size:
            return False
        if self._trees.quick:
            return is_same_time(wanted, have, self._trees.rule)
        return is_same_content(entry, self._stop)

    def _is_linked(self, wanted: os.stat_result, have: os.stat_result) -> bool:
        """Whether names of one file in the source are names of one file on the target, as far as they have been met."""
        if not self._trees.rule.hard_links or wanted.st_nlink < 2:
            return True
        there = (have.st_dev, have.st_ino)
        return self._links.setdefault((wanted.st_dev, wanted.st_ino), there) == there

    def _attributes(self, path: str) -> None:
        """Those of a directory."""
        try:
            entry = Entry(path, ".", self._source.open(path), self._target.open(path))
            wanted, have = os.fstat(entry.source), os.fstat(entry.target)
            if not is_same_attributes(entry, wanted, have, self._trees.rule):
                self._tell(path, wanted, ATTRIBUTES)
        except Vanished:
            pass
        except OSError as error:
            if error.errno not in ELSEWHERE:
                self._could_not(path, error)

    def _extra(self, parent: str, names: Iterable[str]) -> None:
        """Entries that the target alone has, with all that is in them. One that is left out stays, as does what is
        above it."""
        found: dict[str, os.stat_result] = {}
        pending = [join(parent, name) for name in reversed(list(names))]
        while pending and not self._stop.is_set():
            path = pending.pop()
            above, name = split(path)
            have = _status(self._target, above, name)
            if have is None:
                continue
            if is_ours(name) or self._is_excluded(path, have):
                while above in found:
                    del found[above]
                    above = split(above)[0]
                continue
            found[path] = have
            if stat.S_ISDIR(have.st_mode):
                try:
                    with os.scandir(self._target.open(path)) as listing:
                        pending += [join(path, entry.name) for entry in listing]
                except OSError as error:
                    if error.errno not in ELSEWHERE:
                        self._could_not(path, error)
        for path, have in found.items():
            self._tell(path, have, EXTRA)

    def _is_excluded(self, path: str, status: os.stat_result) -> bool:
        excluded = self._trees.excluded
        return excluded is not None and excluded(_plain(path, status))

    def _tell(self, path: str, status: os.stat_result, kind: str) -> None:
        self._found(Difference(_plain(path, status), kind))

    def _could_not(self, path: str, error: OSError) -> None:
        self.trouble = self.trouble or f"could not compare {path or '/'}: {error.strerror}"


def _plain(path: str, status: os.stat_result) -> bytes:
    """As the daemon has it: with a leading slash, a directory's with one at its end, too."""
    return b"/" + os.fsencode(path) + (b"/" if path and stat.S_ISDIR(status.st_mode) else b"")


def _status(tree: OpenTree, parent: str, name: str) -> os.stat_result | None:
    """None where nothing is there."""
    try:
        return os.stat(name, dir_fd=tree.open(parent), follow_symlinks=False)
    except OSError as error:
        if error.errno in ELSEWHERE:
            return None
        raise
