"""Makes the names of a file with several (hard links) one file on the target, too: see links.py."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from orchestrator_native.report import Stopped
from orchestrator_native.trees import join, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator_native.links import Key, Links
    from orchestrator_native.mirror import Mirror
    from orchestrator_native.rules import Trust
    from orchestrator_native.task import Task
    from orchestrator_native.trees import OpenTree


def search(tree: OpenTree, keys: Iterable[Key], links: Links, task: Task) -> None:
    """Find all names of some files in the source. Reads directories only: their entries have the inodes."""
    wanted = set(keys)
    inodes = {inode for _, inode in wanted}
    pending = [""]
    while pending:
        if task.stop.is_set():
            raise Stopped
        directory = pending.pop()
        try:
            with os.scandir(tree.open(directory)) as listing:
                for entry in listing:
                    path = join(directory, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        if not task.is_excluded(path, is_dir=True):
                            pending.append(path)
                    elif entry.inode() in inodes:
                        status = entry.stat(follow_symlinks=False)
                        key = (status.st_dev, status.st_ino)
                        if key in wanted and not task.is_excluded(path, is_dir=False):
                            links.add(key, path)
        except OSError:
            continue


def bring_together(mirror: Mirror, key: Key, links: Links, named: Mapping[str, Trust], trust: Trust) -> None:
    """One file with several names: up to date under one of them, the others linked to that. `named`: how far what
    lies under a name on the target is trusted; `trust`: under all of them."""
    names = [_Name(path, wanted, max(named.get(path, trust), trust)) for path, wanted in names_now(mirror, key, links)]
    leader = _leader(mirror, names)
    if leader is None:
        return
    lead = _target_status(mirror, leader.path)
    if lead is None:
        return
    for name in names:
        path = name.path
        have = _target_status(mirror, path)
        if name is leader or (have is not None and (have.st_dev, have.st_ino) == (lead.st_dev, lead.st_ino)):
            continue
        parent = split(path)[0]
        mirror.let_in(parent)
        try:
            mirror.maker.link(leader.path, path, mirror.target.open(parent))
            mirror.task.proofs.spoil(lead, leader.wanted.st_ctime_ns)
        except OSError:
            # No links between these two, or too many: a copy is right but for the link.
            _put(mirror, name, have, len(names))
        mirror.work_queue.later_settle(parent)


class _Name(NamedTuple):
    path: str
    wanted: os.stat_result
    trust: Trust


def names_now(mirror: Mirror, key: Key, links: Links) -> list[tuple[str, os.stat_result]]:
    """Those that are still right; what is not is forgotten."""
    found: list[tuple[str, os.stat_result]] = []
    for path in links.names(key):
        parent, name = split(path)
        try:
            status = os.stat(name, dir_fd=mirror.source.open(parent), follow_symlinks=False)
        except OSError:
            status = None
        if status is not None and (status.st_dev, status.st_ino) == key and not stat.S_ISDIR(status.st_mode):
            found.append((path, status))
        else:
            links.discard(key, path)
    return found


def _leader(mirror: Mirror, names: list[_Name]) -> _Name | None:
    """The first name whose target is right already, else the first that can be put there. Names that have
    to be read to be compared come last: one that is right is enough."""
    here = [(name, _target_status(mirror, name.path)) for name in sorted(names, key=lambda name: name.trust)]
    for name, have in here:
        if have is not None and mirror.is_same(name.path, name.wanted, have, name.trust):
            _put(mirror, name, have, len(names))
            return name
    for name, have in here:
        _put(mirror, name, have, len(names))
        now = _target_status(mirror, name.path)
        if now is not None and (have is None or now.st_ino != have.st_ino):
            mirror.work_queue.later_settle(split(name.path)[0])
            return name
    return None


def _put(mirror: Mirror, name: _Name, have: os.stat_result | None, names: int) -> None:
    try:
        entry = mirror.entry(name.path)
    except OSError as error:
        mirror.task.report.trouble("mirror", name.path, error)
        return
    mirror.entries.bring(entry, name.wanted, have, name.trust, names=names)


def _target_status(mirror: Mirror, path: str) -> os.stat_result | None:
    parent, name = split(path)
    try:
        return os.stat(name, dir_fd=mirror.target.open(parent), follow_symlinks=False)
    except OSError:
        return None
