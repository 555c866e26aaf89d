"""The state of a target as far as it is recorded, and what is different in the source now.

A record says of a name in a directory which kinds of file the target may have there and, where a transfer that went
well brought it, the status that the source's file had all the while. A record without a status says only that a
transfer began that may have changed it. Only equal statuses prove anything, so whatever is not proved is transferred
again:

* A file is as it was transferred if its status is the same: type, inode, size, mtime and ctime. Nothing but the kernel
  sets a ctime, and a rename does as well as a write.
* What is below a directory says something only if the directory is the same one (its inode). Otherwise, or if nothing
  is known of it, all below it is new; and the target may have more in it, so that is to be deleted.
* What is recorded, but is not there any more, is to be deleted.
"""

from __future__ import annotations

import stat
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from orchestrator.logic.event import ATTRIB, CREATE, DELETE, MODIFY

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping, Sequence

FILE: Final = 1
"""Anything that is no directory."""
DIRECTORY: Final = 2
ROOT: Final = 1
"""The number of the source directory itself."""

_STATUS: Final = Struct("<BQQqq")
IDENTITY: Final = 9
"""Bytes of a status for type and inode."""
_UNTIL_CTIME: Final = 25

_pack = _STATUS.pack
_TYPE_BITS: Final = 12
_DIRECTORY_TYPE: Final = stat.S_IFDIR >> _TYPE_BITS


class Record(NamedTuple):
    """`kinds`: FILE, DIRECTORY, or both. `status` None: not known. `number`: of a directory; `below`: the checksum over
    the records in it."""

    kinds: int
    status: bytes | None = None
    number: int | None = None
    below: int = 0


class Descent(NamedTuple):
    """A directory to be compared next: its name, and its number where it has records. `is_known`: it is the directory
    that was recorded, so the records in it count."""

    name: bytes
    number: int | None
    below: int
    is_known: bool


class Difference(NamedTuple):
    """`name` with a slash at the end for a directory."""

    etype: str
    name: bytes


class Comparison(NamedTuple):
    """What a comparison of the source with the state has found.

    `reason`: why the state says nothing; empty: `changes` (type and path) of `total` paths are to be transferred.
    `until`: when the last transfer was over, in seconds since 1970; None: unknown.
    """

    reason: str = ""
    changes: Sequence[tuple[str, bytes]] = ()
    total: int = 0
    until: float | None = None


class Touched(NamedTuple):
    """A path that a transfer may change. `with_below`: and all below it; `attributes_only`: of a directory."""

    path: bytes
    with_below: bool = False
    attributes_only: bool = False


class Brought(NamedTuple):
    """The paths of a transfer that went well, directories with a slash at the end.

    `present`: brought as they were; `deleted`: deleted, if they are gone. `pending`: changes at or below these that
    wait for another transfer: this one may have brought them along. `with_directories`: it brought the attributes of
    all directories above its paths, too.
    """

    present: Sequence[bytes]
    deleted: Sequence[bytes] = ()
    pending: Sequence[bytes] = ()
    with_directories: bool = False


class Moment(NamedTuple):
    """`coarse`: ns since 1970; whatever is changed later has a ctime that is not before it. `offset`: in ns, of that
    clock against one that is never set."""

    coarse: int
    offset: int

    def seen_from(self, later: Moment) -> int:
        """`coarse`, or less where the clock was set back meanwhile."""
        return self.coarse + min(0, later.offset - self.offset)


def status_of(found: os.stat_result) -> bytes:
    """The status of a file as it is recorded. Of a directory the size says nothing."""
    kind = found.st_mode >> _TYPE_BITS
    size = 0 if kind == _DIRECTORY_TYPE else found.st_size
    return _pack(kind, found.st_ino, size, found.st_mtime_ns, found.st_ctime_ns)


def is_directory(status: bytes) -> bool:
    return status[0] == _DIRECTORY_TYPE


def kind_of(status: bytes) -> int:
    return DIRECTORY if is_directory(status) else FILE


def without_attributes(status: bytes) -> bytes:
    """The status of the same directory with a ctime that it never has: its attributes are not known."""
    return status[:_UNTIL_CTIME] + b"\xff" * 8


def ctime_of(status: bytes) -> int:
    """In ns since 1970."""
    return int.from_bytes(status[_UNTIL_CTIME:], "little", signed=True)


def checksum(name: bytes, record: Record) -> int:
    """Of a record: the checksum over a directory is the exclusive or of those in it. The status is no part of it: one
    that is damaged equals none."""
    return crc32(name, (record.number or 0) << 2 & 0xFFFFFFFC | record.kinds)


def checksum_of(records: Mapping[bytes, Record]) -> int:
    """The checksum over a directory's records."""
    total = 0
    for name, record in records.items():
        total ^= checksum(name, record)
    return total


def unchanged(records: Mapping[bytes, Record], entries: Mapping[bytes, bytes]) -> list[Descent] | None:
    """The directories to be compared next where all in this one is as it was recorded; None: something differs.

    As `differences` would say, in a fraction of the time: most directories are like that.
    """
    if {name: record[1] for name, record in records.items()} != entries:
        return None
    return [Descent(name, number, below, True) for name, (_, _, number, below) in records.items() if number is not None]


def differences(
    records: Mapping[bytes, Record], entries: Mapping[bytes, bytes], *, is_known: bool
) -> tuple[list[Difference], list[Descent]]:
    """The differences in one directory, and its directories, which are to be compared as well.

    `entries`: the statuses of what is there now by name. `is_known` False: whatever is there is new.
    """
    found: list[Difference] = []
    descents: list[Descent] = []
    for name, status in entries.items():
        record = records.get(name)
        if is_directory(status):
            found += _of_directory(name, status, record, descents, is_known=is_known)
        elif record is None or record.status != status or not is_known:
            found += _of_file(name, status, record, is_known=is_known)
    if len(records) != len(entries) or records.keys() != entries.keys():
        for name in records.keys() - entries.keys():
            found += (Difference(DELETE, place) for place in _places(name, records[name].kinds))
    return found, descents


def _of_file(name: bytes, status: bytes, record: Record | None, *, is_known: bool) -> Iterator[Difference]:
    if record is not None and record.kinds & DIRECTORY:
        yield Difference(DELETE, name + b"/")
    is_same_kind = is_known and record is not None and record.status is not None and record.status[0] == status[0]
    yield Difference(MODIFY if is_same_kind else CREATE, name)


def _of_directory(
    name: bytes, status: bytes, record: Record | None, descents: list[Descent], *, is_known: bool
) -> Iterator[Difference]:
    path = name + b"/"
    if record is None:
        descents.append(Descent(name, None, 0, False))
        yield Difference(CREATE, path)
        return
    is_same = is_known and record.status is not None and record.status[:IDENTITY] == status[:IDENTITY]
    descents.append(Descent(name, record.number, record.below, is_same))
    if not is_same:
        yield from (Difference(DELETE, place) for place in _places(name, record.kinds))
        yield Difference(CREATE, path)
    elif record.status != status:
        yield Difference(ATTRIB, path)


def _places(name: bytes, kinds: int) -> Iterable[bytes]:
    if kinds & FILE:
        yield name
    if kinds & DIRECTORY:
        yield name + b"/"
