"""Noticing that two names changed places in one step (rename(2), RENAME_EXCHANGE).

The kernel reports that as two renames, `a` to `b` and at once `b` to `a`, as if one thing went to and fro. But the
second is of the thing that was under `b` before the first. No event of the two names comes in between, as the kernel
holds both directories locked; events of other directories may. Each is followed by an event of the renamed directory
itself, if that was watched, which identifies it.

Pure: knows the reported changes, and neither the kernel nor the tree.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from orchestrator.logic.change import Change

if TYPE_CHECKING:
    from orchestrator.monitor.survey.tree import Account
    from orchestrator.monitor.watches import Node

End = tuple["Node", bytes, bytes]
"""Where a rename comes from or goes to: parent, name, path (of a directory: with a slash behind)."""

_REMEMBERED = 32  # renames: events of other directories that may slip in between are fewer


class Rename:
    """A rename of late. `is_repeated`: the tree did the same; `is_old`: all events were worked off since; `replaced`:
    the watch of the directory that was known at its destination, or why it had none; None if none was known.
    """

    __slots__ = ("destination", "is_old", "is_repeated", "origin", "place", "replaced")

    def __init__(self, origin: End, destination: End, place: int, is_repeated: bool, replaced: int | None) -> None:
        self.origin = origin
        self.destination = destination
        self.place = place  # where in the account it stands, if it does
        self.is_repeated = is_repeated
        self.replaced = replaced
        self.is_old = False

    @property
    def is_clear(self) -> bool:
        """Whether nothing can have been at its destination."""
        return self.is_repeated and self.replaced is None

    @property
    def is_directory(self) -> bool:
        return self.origin[2].endswith(b"/")


class Exchanges:
    """Remembers the last renames."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._renames: deque[Rename] = deque(maxlen=_REMEMBERED)
        self._arrivals: deque[tuple[Node, bytes, bool]] = deque(maxlen=_REMEMBERED)

    def note(self, origin: End, destination: End, *, is_repeated: bool, replaced: int | None = None) -> None:
        """A rename was reported, if `is_repeated` as the last thing."""
        self._renames.append(Rename(origin, destination, len(self._account.changes) - 1, is_repeated, replaced))

    def first_half(self, origin: End, destination: End) -> Rename | None:
        """The rename that this one is the reverse of."""
        for rename in reversed(self._renames):
            ends = rename.origin[:2], rename.destination[:2]
            if ends == (destination[:2], origin[:2]):
                return rename
        return None

    def happened(self, *ends: tuple[Node, bytes]) -> None:
        """Something else happened under these names: what was renamed from or to them was not exchanged."""
        if self._renames:
            for rename in [*self._renames]:
                if rename.origin[:2] in ends or rename.destination[:2] in ends:
                    self._renames.remove(rename)

    def note_arrival(self, parent: Node, name: bytes, *, is_directory: bool) -> None:
        """Something came from outside, perhaps in exchange for what is reported next to go there."""
        self._arrivals.append((parent, name, is_directory))

    def arrival(self, parent: Node, name: bytes) -> bool | None:
        """Whether what came of late under the name of what goes outside is a directory; None: nothing did.

        Reported once for each.
        """
        for arrival in reversed(self._arrivals):
            if arrival[:2] == (parent, name):
                self._arrivals.remove(arrival)
                return arrival[2]
        return None

    def settle(self) -> None:
        """All events are worked off: what is reversed from now on was, most probably, not exchanged."""
        for rename in self._renames:
            rename.is_old = True

    def make_room(self, rename: Rename, replaced: bytes) -> bool:
        """Reports that `replaced`, of the other name, went away before the rename; False: that was taken already."""
        changes, place = self._account.changes, rename.place
        reported = changes[place] if 0 <= place < len(changes) else None
        if reported is None or reported.etype != "Move" or reported[1:] != (rename.origin[2], rename.destination[2]):
            return False
        changes.insert(place, Change("Delete", replaced))
        for other in self._renames:
            if other.place > place:
                other.place += 1
        return True
