"""A change of the file system, as a monitor tells it to the syncs."""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """What happened (spec 3.1): one of the five types of change, and where.

    `path` and, for a Move, `path2` (its destination) are absolute; a directory's ends with a slash.
    """

    etype: str
    path: bytes
    path2: bytes | None = None


class Found(Change):
    """A Create of what no event told: it was found in a directory that is new."""

    __slots__ = ()
