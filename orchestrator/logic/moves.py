"""Finds the two halves of a rename among raw inotify events (spec 3.1).

The kernel reports `rename` as moved-from in the one directory and moved-to in the other, one right
behind the other, with a cookie in common (inotify(7)). Where only one of the directories is
watched, only one half comes. Halves that are not neighbours are left alone: a Delete and a Create
say the same, only at a higher price.

Pure: knows masks and cookies, not what a watch descriptor stands for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

IN_MOVED_FROM: Final = 0x40
IN_MOVED_TO: Final = 0x80

RawEvent: TypeAlias = "tuple[int, int, int, bytes]"
"""(watch descriptor, mask, cookie, name)"""


def pair_moves(events: Sequence[RawEvent]) -> list[tuple[RawEvent, RawEvent | None]]:
    """Every event in its order, with its moved-to where it is a moved-from that has one.

    Before that, as long as `is_halfway(events)` holds, the caller reads once more without waiting
    and adds what came, so that a pair which straddles two reads is not torn.
    """
    paired: list[tuple[RawEvent, RawEvent | None]] = []
    origin: RawEvent | None = None  # a moved-from that was the last event
    for event in events:
        mask = event[1]
        if origin is not None:
            if mask & IN_MOVED_TO and event[2] == origin[2]:
                paired.append((origin, event))
                origin = None
                continue
            paired.append((origin, None))
            origin = None
        if mask & IN_MOVED_FROM:
            origin = event
        else:
            paired.append((event, None))
    if origin is not None:
        paired.append((origin, None))
    return paired


def is_halfway(events: Sequence[RawEvent]) -> bool:
    """Whether the last event is a moved-from, whose partner may be the next to be read.

    The kernel queues both halves within one system call, so one more read finds it; when that
    read brings nothing, the file went where nobody watches.
    """
    return bool(events) and bool(events[-1][1] & IN_MOVED_FROM)
