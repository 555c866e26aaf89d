"""When are two entries the same? Every comparison of their states stands here; those that take
reading the entries are in compare.py.

How far size and time of change stand for a file's data is a matter of `Trust`. Because the kernel's time stamps come
in ticks, a file changed twice within one tick looks unchanged; see `is_racy`.
"""

from __future__ import annotations

import os
from enum import IntEnum
from typing import NamedTuple

TICK = 20_000_000
"""Nanoseconds. Time stamps of files are as coarse as the kernel's tick: 10 ms with CONFIG_HZ=100."""


class Trust(IntEnum):
    """How much must be equal for the data of two files to count as equal without being read. The greater, the less
    is trusted."""

    QUICK = 0
    """Size and time: rsync's quick check. What the first full run finds; what only had its attributes changed."""
    UNCHANGED = 1
    """As well, the source's inode has not changed since the target was finished, or last had to do with us; what has
    been written since has an event of its own."""
    FINISHED = 2
    """As well, the source's inode has not changed since the target was finished (proofs.py)."""
    NONE = 3


class CopyRule(NamedTuple):
    """Which properties of an entry can be, and are to be, carried over."""

    root: bool
    """Owners are set (and compared); others can only give files to their own groups."""
    groups: frozenset[int]
    granularity: int
    """Nanoseconds: times of the target's file system are multiples of it."""
    xattrs: bool
    hard_links: bool
    trust: Trust = Trust.QUICK
    """Of what is not named by a change, in directories that are known to belong together."""


def my_rule(
    *, granularity: int = 1, xattrs: bool = True, hard_links: bool = True, trust: Trust = Trust.QUICK
) -> CopyRule:
    groups = frozenset([os.getegid(), *os.getgroups()])
    return CopyRule(os.geteuid() == 0, groups, granularity, xattrs, hard_links, trust)


def identity(status: os.stat_result) -> int:
    """Device and inode."""
    return status.st_dev << 64 | status.st_ino


def is_same_time(source: os.stat_result, target: os.stat_result, rule: CopyRule) -> bool:
    wanted = source.st_mtime_ns
    return wanted == target.st_mtime_ns or wanted - wanted % rule.granularity == target.st_mtime_ns


def is_racy(source: os.stat_result, target: os.stat_result) -> bool:
    """The target was finished within a tick of the source's last change: another change in that
    same tick would not show. (The target's ctime is the moment we finished it.)"""
    return 0 <= target.st_ctime_ns - source.st_mtime_ns < TICK


def is_finished(source: os.stat_result, target: os.stat_result) -> bool:
    """The target's inode last changed after the source's did."""
    return source.st_ctime_ns + TICK < target.st_ctime_ns


def passes_quick_check(source: os.stat_result, target: os.stat_result, rule: CopyRule) -> bool:
    """Regular files are equal in size and time, and not racy."""
    return source.st_size == target.st_size and is_same_time(source, target, rule) and not is_racy(source, target)


def is_same_owner(source: os.stat_result, target: os.stat_result, rule: CopyRule) -> bool:
    if rule.root:
        return source.st_uid == target.st_uid and source.st_gid == target.st_gid
    return source.st_gid == target.st_gid or source.st_gid not in rule.groups


def is_same_meta(source: os.stat_result, target: os.stat_result, rule: CopyRule) -> bool:
    """Mode, owner and time; extended attributes are compared elsewhere."""
    return (
        source.st_mode == target.st_mode and is_same_time(source, target, rule) and is_same_owner(source, target, rule)
    )
