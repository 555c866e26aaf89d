"""A change of the file system, as a monitor reports it to the syncs."""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """One of the five types of change (spec 3.1), and its paths.

    `path` and, for a Move, `path2` (its destination) are absolute where a monitor reports them, and begin at the source
    where an action hands them on; a directory's ends with a slash.
    """

    etype: str
    path: bytes
    path2: bytes | None = None


class Found(Change):
    """A Create without an event of its own: the entry was found in a directory that is new."""

    __slots__ = ()
