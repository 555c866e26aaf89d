"""Do two directories plainly hold the same? The one question a startup asks for every directory.

Kept apart, and kept short, because it is nearly all the time of a startup on an equal tree. "No" costs
nothing but a second, careful look (mirror.py), so everything out of the ordinary is a "no".
"""

from __future__ import annotations

import os
from binascii import crc32
from typing import TYPE_CHECKING, NamedTuple

from orchestrator_native import xattrs
from orchestrator_native.rules import TICK, Trust, is_finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator_native.rules import CopyRule

IFMT = 0o170000
IFREG = 0o100000
IFDIR = 0o040000
IFLNK = 0o120000

LARGE = 100_000
"""Bytes that a directory takes. One of this size has some thousands of entries (file systems count differently), and is
compared in parts."""

PAUSE = 255
"""So many entries are compared without a pause; one less than a power of two."""


class Part(NamedTuple):
    """A share of a directory's entries, the same on both sides: a matter of the name alone."""

    number: int
    parts: int

    def of(self, entries: Iterable[os.DirEntry[str]]) -> Iterable[os.DirEntry[str]]:
        if self.parts == 1:
            return entries
        return (entry for entry in entries if crc32(os.fsencode(entry.name)) % self.parts == self.number)


WHOLE = Part(0, 1)


def quick_compare(
    source: int,
    target: int,
    rule: CopyRule,
    *,
    alone: bool = False,
    part: Part = WHOLE,
    holds: Callable[[os.stat_result, os.stat_result, Trust], bool] | None = None,
    pause: Callable[[], object] | None = None,
) -> list[str] | None:
    """The names of the sub-directories if the entries of both are the same, else None.

    `source`, `target`: descriptors. Contents of sub-directories are not looked at. `alone`: the process does
    nothing else, so its working directory may be changed. `part`: of the entries. `holds`: of Proofs, where they can be
    asked. `pause`: called now and then.
    """
    quick = rule.trust is Trust.QUICK
    with os.scandir(target) as entries:
        there = {entry.name: entry for entry in part.of(entries)}
    directories: list[str] = []
    names: list[str] = []
    with os.scandir(source) as entries:
        for entry in part.of(entries):
            name = entry.name
            names.append(name)
            if pause is not None and not len(names) & PAUSE:
                pause()
            # taken out, as an entry keeps its state: with all of them in memory this takes a fifth longer
            other = there.pop(name, None)
            if other is None:
                return None
            have = other.stat(follow_symlinks=False)
            wanted = entry.stat(follow_symlinks=False)
            mode = wanted.st_mode
            time = wanted.st_mtime_ns
            if (
                mode != have.st_mode
                or (time != have.st_mtime_ns and time - time % rule.granularity != have.st_mtime_ns)
                or (
                    (wanted.st_gid != have.st_gid or wanted.st_uid != have.st_uid)
                    and (rule.root or (wanted.st_gid != have.st_gid and wanted.st_gid in rule.groups))
                )
            ):
                return None
            kind = mode & IFMT
            if kind == IFREG:
                if wanted.st_size != have.st_size or 0 <= have.st_ctime_ns - time < TICK:
                    return None
                if not (quick or (holds(wanted, have, rule.trust) if holds else is_finished(wanted, have))):
                    return None
            elif kind == IFDIR:
                directories.append(name)
            elif kind == IFLNK:
                if os.readlink(name, dir_fd=source) != os.readlink(name, dir_fd=target):
                    return None
            elif wanted.st_rdev != have.st_rdev:
                return None
            if wanted.st_nlink > 1 and rule.hard_links and kind != IFDIR:
                return None
    if there:
        return None
    if rule.xattrs and not xattrs.are_same(source, target, names, rule, alone=alone):
        return None
    return directories
