"""How a new change and an older delay of the same sync get on with each other (spec 3.3, 3.4).

A change that arrives (N) is held against the pending delays from the newest to the oldest; the
first one (O) that conflicts decides. This module says, for one such pair, what happens:

    absorb    O does N's work as well: N is dropped.
    replace   O takes over N's type, at its old place in the queue and with its old alarm.
    block     N waits until O is gone.
    turn      O is a Move onto N's path, which nobody needs any more: O turns into a Delete of its
              origin, and N waits until that is done.
    split     N is a Move that cannot run as one: it is combined anew as Delete and Create.
    beside    the same file, but two kinds of change that must both be seen: look at older ones.
    (None)    nothing to do with each other.

Two rules are above the tables. Init and Blanket concern everything, so all that comes later waits
for them. An active one is being transferred right now: nothing is absorbed into it, replaced in
it or turned, or a change made during its own transfer would be lost.

A Move that meets anything is split, as lsyncd does. An action may say that it chains Moves: then one waits for what it
meets and stays a Move where its origin will have on the target what it had in the source (`may_follow`).

lsyncd compares whole paths only, so it lets `mkdir a` run beside the `rm` of a file `a` that was
there before, and the `rm` of a file `d` beside a `cp` into the directory `d` that took its place.
Here such paths touch each other: a file and a directory of one name, and a file whose path is
above another path.

A directory that is itself new and is renamed before anything of it was done, takes along what waits to be moved into it
(`may_carry`).

Pure: knows neither the queue nor the time. logic/queue.py applies it with the help of an index,
the property tests with a plain backward scan; both ask `combine`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from orchestrator.logic.event import ACTIVE, ATTRIB, BARRIERS, CREATE, DELETE, FULL, MODIFY, PART
from orchestrator.logic.paths import key_of, touches
from orchestrator.logic.text import to_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.logic.delay import Delay

ABSORB: Final = "absorb"
REPLACE: Final = "replace"
BLOCKED: Final = "block"
TURN: Final = "turn"
SPLIT: Final = "split"
BESIDE: Final = "beside"

Table: TypeAlias = "Mapping[tuple[str, str], str]"
"""(type of the old delay, type of the new change) -> what happens."""

WHOLE_MATRIX: Final[Table] = {
    (ATTRIB, ATTRIB): ABSORB,
    (ATTRIB, MODIFY): REPLACE,
    (ATTRIB, CREATE): REPLACE,
    (ATTRIB, DELETE): REPLACE,
    (MODIFY, ATTRIB): ABSORB,
    (MODIFY, MODIFY): ABSORB,
    (MODIFY, CREATE): REPLACE,
    (MODIFY, DELETE): REPLACE,
    (CREATE, ATTRIB): ABSORB,
    (CREATE, MODIFY): ABSORB,
    (CREATE, CREATE): ABSORB,
    (CREATE, DELETE): REPLACE,
    (DELETE, ATTRIB): ABSORB,
    (DELETE, MODIFY): ABSORB,
    (DELETE, CREATE): REPLACE,
    (DELETE, DELETE): ABSORB,
}
"""The same file twice, where a transfer brings paths up to date whatever happened to them."""

AS_RELEASED: Final[Table] = {
    (ATTRIB, ATTRIB): ABSORB,
    (MODIFY, MODIFY): ABSORB,
    (CREATE, CREATE): ABSORB,
    (DELETE, DELETE): ABSORB,
    (DELETE, CREATE): REPLACE,
    # Not in lsyncd: with `CloseWrite only` a file can come back without a Create. Were its Modify
    # absorbed into one from before the Delete, the Delete would have the last word.
    (DELETE, MODIFY): BLOCKED,
    (DELETE, ATTRIB): BLOCKED,
}
"""The same file twice, where user-written handlers are to see each kind of change: what is not
listed queues side by side, as lsyncd 2.2.3 and 2.3.1 do."""

DIRECTORIES: Final[Table] = {(ATTRIB, ATTRIB): ABSORB}
"""The same directory twice; what is not listed blocks."""


def combine(etype: str, path: bytes, path2: bytes | None, old: Delay, sets: bool) -> str | None:
    """What a new change does when it meets the pending delay `old`: a word of the list above.

    The new change is one of a path (never Init, Blanket or Full); `path2` is given for a Move.
    `sets`: the whole matrix holds for files, else the one as released.
    """
    old_etype = old.etype
    if old_etype in BARRIERS or old_etype == PART:
        return BLOCKED
    if old_etype == FULL:
        return None
    if path2 is not None:
        ends = (path, path2)
        met = any(touches(end, old.path) or (old.path2 is not None and touches(end, old.path2)) for end in ends)
        return SPLIT if met else None
    if old.path2 is not None:
        if touches(path, old.path):
            return BLOCKED
        if path == old.path2 and etype in (CREATE, DELETE) and old.status != ACTIVE:
            return TURN
        return BLOCKED if touches(path, old.path2) else None
    if path == old.path:
        if old.status == ACTIVE:
            return BLOCKED
        if path.endswith(b"/"):
            return DIRECTORIES.get((old_etype, etype), BLOCKED)
        return (WHOLE_MATRIX if sets else AS_RELEASED).get((old_etype, etype), BESIDE)
    return BLOCKED if touches(path, old.path) else None


LONGEST_CHAIN: Final = 16
"""Of so many changes of one place a Move may be the next that waits for the others; a storm of renames is none to
be repeated one by one."""


def may_follow(end: bytes, old: Delay) -> bool:
    """Whether a Move that is done after `old`, which touches one of its ends, is still right as a Move.

    After other Moves: all is where it was in the source, if they are done in turn. After the directory that it goes
    into was made, or got other attributes. Not after anything that has to do with contents: what was written is
    looked for under the old name, and would be forgotten.
    """
    if old.path2 is not None:
        return True
    return old.etype in (CREATE, ATTRIB) and old.path.endswith(b"/") and key_of(end).startswith(old.path)


MOST_CARRIED: Final = 1000
"""So many changes are carried along with a directory; of more, none."""


def may_carry(path: bytes, inside: Sequence[Delay]) -> bool:
    """Whether the pending changes at and below a directory, oldest first, can be done under another name in its place.

    It was made by the first of them, and something was moved into it: only that saves a transfer.
    """
    if not path.endswith(b"/") or not inside or inside[0].etype != CREATE or inside[0].path != path:
        return False
    ends = [end for old in inside for end in (old.path, old.path2) if end is not None]
    return all(end == path or key_of(end) != key_of(path) for end in ends) and any(
        old.path2 is not None and not old.path.startswith(path) for old in inside
    )


def is_in_the_way(old: Delay, inside: Sequence[Delay], *, is_origin: bool) -> bool:
    """Whether a pending change at or above one end of a Move forbids that: what waits for it would no longer do so."""
    if old in inside or (is_origin and old.seq < inside[0].seq):
        return False
    return old.etype != ATTRIB or not old.path.endswith(b"/")


def carried(end: bytes, path: bytes, path2: bytes) -> bytes:
    """Where a path lies once the directory `path` is `path2`."""
    return path2 + end[len(path) :] if end.startswith(path) else end


def describe(verdict: str | None, etype: str, path: bytes, path2: bytes | None, old: Delay | None) -> str:
    """The line of `-log Delay` that says what became of a new change, in lsyncd's words."""
    there = _show(path)
    if old is None or verdict is None:
        return f"New {etype}: {there}" + (f" -> {_show(path2)}" if path2 is not None else "")
    theirs = f"{old.etype}: {_show(old.path)}"
    if verdict == BLOCKED:
        # no spaces around this arrow: lsyncd's own inconsistency, and log readers match on it
        return f"{etype}: {there}" + (f"->{_show(path2)}" if path2 is not None else "") + f" blocked by {theirs}"
    if verdict == SPLIT:
        return f"{etype}: {there} -> {_show(path2)} splits on {theirs}"
    if verdict == TURN:
        return f"{etype}: {there} turns {theirs} -> {_show(old.path2)} into Delete: {_show(old.path)}"
    return f"{etype}: {there} {_VERBS[verdict]} {theirs}"


def describe_carried(path: bytes, path2: bytes, old: Delay) -> str:
    """The line where a Move carries along what waits."""
    return f"Move: {_show(path)} -> {_show(path2)} renames {old.etype}: {_show(old.path)} and all that waits below it"


_VERBS: Final[Mapping[str, str]] = {ABSORB: "absorbed by", REPLACE: "replaces"}


def _show(path: bytes | None) -> str:
    return "" if path is None else to_text(path)
