"""The links on the way to sources (`current` → `releases/12`), and when they come to lead elsewhere.

Each directory that holds such a link is watched for changes of names in it. Links are followed as
`orchestrator.descent` does: those of root and of our own user.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from inotify_simple import INotify, flags

from orchestrator.descent import follow

if TYPE_CHECKING:
    from collections.abc import Iterable

_ASKED = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.MOVE_SELF | flags.DELETE_SELF
_ASKED |= flags.ONLYDIR
_TRIES = 10  # somebody may change the way while it is looked at


class Ways:
    """Of some paths. Raises OSError where the kernel has no more to give (instances, descriptors)."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        """`paths`: absolute, as the administrator has named the sources."""
        self._inotify = INotify(nonblocking=True)
        self._paths = list(paths)
        self._links: dict[int, set[bytes]] = {}  # watch → names
        self._ask()

    def fileno(self) -> int:
        """To be waited for: when it can be read, `changed` is to be asked."""
        fd: int = self._inotify.fileno()
        return fd

    def changed(self, *, anew: bool = False) -> dict[bytes, bytes | None] | None:
        """Where each path leads now, with a slash at the end: see `real`. None if no link on the way was touched.

        `anew`: there is reason to look all the same.
        """
        events = self._inotify.read(timeout=0)
        is_hint = any(
            event.wd in self._links and (not event.name or os.fsencode(event.name) in self._links[event.wd])
            for event in events
        )
        if not (is_hint or anew):
            return None
        self._ask()
        return {path: real(path) for path in self._paths}

    def close(self) -> None:
        self._inotify.close()

    def _ask(self) -> None:
        """Asks of all links on the ways, as they are now."""
        before = self._links
        wanted = self._wanted()
        for _ in range(_TRIES):
            self._links = {}
            for directory, names in wanted.items():
                try:
                    wd = self._inotify.add_watch(directory, _ASKED)
                except OSError:
                    continue  # gone again, or no watch left: seen with the next change of another link
                self._links.setdefault(wd, set()).update(names)
            asked, wanted = wanted, self._wanted()
            if asked == wanted:  # nothing has changed before it was asked
                break
        for wd in before.keys() - self._links.keys():
            try:
                self._inotify.rm_watch(wd)
            except OSError:
                pass  # it went with its directory

    def _wanted(self) -> dict[bytes, set[bytes]]:
        wanted: dict[bytes, set[bytes]] = {}
        for path in self._paths:
            for link in links(path):
                directory, _, name = link.rpartition(b"/")
                wanted.setdefault(directory or b"/", set()).add(name)
        return wanted


def real(path: bytes) -> bytes | None:
    """Where a path leads, all links resolved, slash at the end; None if nowhere, or by a link of another user."""
    try:
        place, _ = follow(path)
    except OSError:
        return None
    try:
        return os.readlink(b"/proc/self/fd/%d" % place).rstrip(b"/") + b"/"
    except OSError:
        return None
    finally:
        os.close(place)


def links(path: bytes) -> list[bytes]:
    """The links on a way, as far as it goes; where it goes no further, the name that is missing or in the way, too."""
    found: list[bytes] = []
    try:
        place, _ = follow(path, found)
    except OSError:
        return found
    os.close(place)
    return found
