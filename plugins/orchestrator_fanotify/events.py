"""Raw fanotify events, taken apart: fanotify(7). Pure."""

from __future__ import annotations

from itertools import combinations
from struct import Struct, pack
from typing import TYPE_CHECKING, NamedTuple

from orchestrator_fanotify.calls import (
    ATTRIB,
    CLOSE_WRITE,
    CREATE,
    DELETE,
    FID_RECORD,
    MODIFY,
    MOVED_FROM,
    MOVED_TO,
    NAME_RECORD,
    NEW_NAME_RECORD,
    OLD_NAME_RECORD,
    ONDIR,
    RENAME,
)
from orchestrator_fanotify.places import DeletedDirectory, Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = Struct("=IBBHQiiBBH8xI")
"""An event and the head of its first record: event's size, version, -, size of the head, mask, descriptor, pid,
kind of record, -, size of the record, (identity of the file system,) size of the handle."""

NO_RECORD = bytes(FIRST.size - 24)
"""To be put behind a piece: its last event may have no record (that events were lost)."""

RECORD = 24  # where the first record begins
KEY = 28  # where the identity of the file system and the handle begin: the key of a directory
HANDLE = 44  # where what is particular to the handle begins

FILE_SYSTEM = 8
"""So many bytes at the beginning of a key report the file system, the rest is the handle."""

_HEAD = Struct("=BBH8xI")
_SIZES = Struct("=I4xQ")
DELETE_DIRECTORY = DELETE | ONDIR
_RENAMED = pack("=Q", RENAME | ONDIR)
_REMOVED = [pack("=Q", mask | ONDIR) for mask in (DELETE, DELETE | CREATE)]

CONTENT = {
    "CloseWrite": CLOSE_WRITE,
    "CloseWrite only": CLOSE_WRITE,
    "Modify": MODIFY,
    "CloseWrite or Modify": CLOSE_WRITE | MODIFY,
}
"""inotifyMode: what reports that a file's content changed."""


class Record(NamedTuple):
    """What an event reports: a directory, or a name in it (empty where there is none)."""

    kind: int
    key: bytes
    name: bytes


def asked_for(content: int, *, reports_renames: bool) -> int:
    """What the kernel is to report; `reports_renames`: it reports both halves of a rename in one event."""
    return CREATE | DELETE | ATTRIB | content | ONDIR | (RENAME if reports_renames else MOVED_FROM | MOVED_TO)


def records(piece: bytes, position: int) -> dict[int, Record]:
    """All records of the event at a position, by their kind."""
    size, _ = _SIZES.unpack_from(piece, position)
    end = position + size
    at = position + RECORD
    found = {}
    while at < end:
        kind, _, length, count = _HEAD.unpack_from(piece, at)
        stop = at + HANDLE - RECORD + count
        found[kind] = Record(kind, piece[at + KEY - RECORD : stop], piece[stop : at + length].rstrip(b"\0"))
        at += length
    return found


def has_directories(pieces: list[bytes]) -> bool:
    """Whether there may be an event of a directory renamed or deleted: quicker than looking at each."""
    return any(mark in piece for piece in pieces for mark in (_RENAMED, *_REMOVED))


def without(piece: bytes, outside: set[bytes]) -> bytes:
    """A piece without the events of names in directories whose keys are in `outside`; of a rename: both directories.

    Deletions of directories stay: where one was that is gone by now, nothing else says. This is what keeps us going
    when others write to the file system, or to a paused source, faster than their events could be looked at.
    """
    unpack, unpack_head = FIRST.unpack_from, _HEAD.unpack_from
    kept: list[bytes] = []
    position = start = 0
    end = len(piece)
    padded = piece + NO_RECORD
    while position < end:
        size, _, _, _, mask, _, _, kind, _, length, count = unpack(padded, position)
        at, position = position, position + size
        if kind == NAME_RECORD:
            if piece[at + KEY : at + HANDLE + count] not in outside or mask & DELETE_DIRECTORY == DELETE_DIRECTORY:
                continue
        elif kind == OLD_NAME_RECORD:
            if piece[at + KEY : at + HANDLE + count] not in outside:
                continue
            second = at + length
            kind, _, _, count = unpack_head(piece, second + RECORD)
            if kind != NEW_NAME_RECORD or piece[second + KEY : second + HANDLE + count] not in outside:
                continue
        else:
            continue
        kept.append(piece[start:at])
        start = position
    if not start:
        return piece
    kept.append(piece[start:])
    return b"".join(kept)


def directories(pieces: list[bytes]) -> tuple[dict[bytes, list[tuple[Entry, Entry]]], dict[bytes, DeletedDirectory]]:
    """The renames of directories by file system, in order, and the deleted ones by their handle."""
    renames: dict[bytes, list[tuple[Entry, Entry]]] = {}
    deleted_directories: dict[bytes, DeletedDirectory] = {}
    for piece, position, mask in _each(pieces):
        if not mask & ONDIR or not mask & (RENAME | DELETE):
            continue
        found = records(piece, position)
        if mask & RENAME:
            origin, destination = found[OLD_NAME_RECORD], found[NEW_NAME_RECORD]
            renames.setdefault(origin.key[:FILE_SYSTEM], []).append((_entry(origin), _entry(destination)))
        elif FID_RECORD in found and NAME_RECORD in found:
            identity, handle = found[FID_RECORD].key[:FILE_SYSTEM], found[FID_RECORD].key[FILE_SYSTEM:]
            deleted_directories[handle] = DeletedDirectory(_entry(found[NAME_RECORD]), len(renames.get(identity, ())))
    return renames, deleted_directories


def _each(pieces: list[bytes]) -> Iterator[tuple[bytes, int, int]]:
    for piece in pieces:
        position = 0
        while position < len(piece):
            size, mask = _SIZES.unpack_from(piece, position)
            yield piece, position, mask
            position += size


def _entry(record: Record) -> Entry:
    return Entry(record.key[FILE_SYSTEM:], record.name)


def etypes_by_mask(content: int, *, reports_creates: bool) -> dict[int, tuple[str, ...]]:
    """The changes that an event of a file stands for; the kernel puts events of one file together.

    Masks that leave open what happened are not in it: creation and deletion in one; without `reports_creates`, a
    creation alone.
    """
    flags = [CREATE, ATTRIB, DELETE, *(flag for flag in (CLOSE_WRITE, MODIFY) if content & flag)]
    masks = [sum(chosen) for count in range(1, len(flags) + 1) for chosen in combinations(flags, count)]
    return {
        mask: tuple(etypes(mask, content, is_new=bool(mask & CREATE) and reports_creates))
        for mask in masks
        if not mask & CREATE or not (mask & DELETE or (not reports_creates and not mask & content))
    }


def etypes(mask: int, content: int, *, is_new: bool) -> Iterator[str]:
    """The changes of a file in the order in which they usually happen."""
    if is_new:
        yield "Create"
    if mask & ATTRIB:
        yield "Attrib"
    if mask & content:
        yield "Modify"
    if mask & DELETE:
        yield "Delete"
