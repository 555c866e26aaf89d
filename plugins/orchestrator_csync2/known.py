"""The entries that csync2 knows, so that it may take something else for one of them: what is racily clean to it.

csync2 knows a file by its size, the second of its mtime and its attributes, a directory or a link by its attributes
alone. An entry that looks like what it knows of a path is no news to it: a file written again in the same second, a
directory that came, went and came again. Such a path has to be marked (`-m`).

But what another host has just delivered must not be: it would count as a change made here, and where the other host
changes the file once more before that is settled, csync2 sees a conflict that nobody made. An entry that came from
elsewhere does not look like what was known here, or has not changed since csync2 was last shown it.
"""

from __future__ import annotations

import os
import stat
import time
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_LAG = 1.0
"""Seconds by which the clock that files get their times from may be behind ours."""

_MOST = 100_000
"""So many paths are known by the time of their last change, too; of others, eight bytes each, only what they looked
like."""

_SENT_FOR = 3600.0
"""Seconds for which it is known what was delivered; longer than any `delay` in use."""

_FIELDS = (b"mtime", b"mode", b"uid", b"gid")
_CHANGED_SINCE = -1


class _Shown(NamedTuple):
    path: bytes
    text: bytes
    look: int
    ctime: int


class Known:
    """Of one sync. Paths are absolute; those that csync2 writes may begin with a `%prefix%`: the rest counts."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._listed = array("Q")
        self._since = 0.0
        self._shown: dict[int, int] = {}
        self._sent: dict[bytes, float] = {}
        self._left_out: frozenset[bytes] = frozenset()

    def begin_list(self) -> List:
        """csync2 is about to look at everything; feed the answer with the lines of `-L` that follow."""
        return List(self, self._now() - _LAG)

    def replace(self, hashes: list[int], since: float, left_out: frozenset[bytes]) -> None:
        """The entries that List has read."""
        self._listed = array("Q", sorted(hashes))
        self._since = since
        self._left_out = left_out
        self._shown.clear()

    def show(self, paths: Iterable[bytes]) -> Callable[[], None]:
        """csync2 is about to look at these; call the answer when it has."""
        oldest = self._now() - _SENT_FOR
        self._sent = {path: when for path, when in self._sent.items() if when > oldest}
        before = {path.rstrip(b"/"): self._look(path) for path in paths}

        def has_looked() -> None:
            if len(self._shown) + len(before) > _MOST:
                self._listed = array("Q", sorted({*self._listed, *self._shown}))
                self._shown.clear()
            for path, shown in before.items():
                now = self._look(path)
                if shown is not None:
                    self._shown[shown.look] = shown.ctime
                if now is not None and (shown is None or now.look != shown.look):
                    self._shown[now.look] = _CHANGED_SINCE  # it has seen the one or the other

        return has_looked

    def sent(self, path: bytes) -> None:
        """A run delivers this path, as csync2 writes it."""
        self._sent[_rest(path).rstrip(b"/")] = self._now()

    def was_sent(self, path: bytes, seconds: float) -> bool:
        """Whether that was in the last so many seconds."""
        oldest = self._now() - seconds
        return any(self._sent.get(end, oldest) > oldest for end in _ends(path.rstrip(b"/")))

    def is_racy(self, path: bytes) -> bool:
        """Whether csync2 may take the entry that is here for the one that it knows, though it has changed."""
        shown = self._look(path)
        if shown is None:
            return False
        ctime = self._shown.get(shown.look)
        if ctime is not None:
            return ctime != shown.ctime
        is_listed = any(self._is_listed(_hash(end, shown.text)) for end in _ends(shown.path))
        return is_listed and shown.ctime >= self._since * 1e9

    def _is_listed(self, look: int) -> bool:
        place = bisect_left(self._listed, look)
        return place < len(self._listed) and self._listed[place] == look

    def _look(self, path: bytes) -> _Shown | None:
        path = path.rstrip(b"/")
        try:
            status = os.lstat(path)
        except OSError:
            return None
        text = text_of(status, self._left_out)
        return _Shown(path, text, _hash(path, text), status.st_ctime_ns)


class List:
    """Takes what `csync2 -L` prints, line by line."""

    def __init__(self, known: Known, since: float) -> None:
        self._known = known
        self._since = since
        self._hashes: list[int] = []
        self._left_out: frozenset[bytes] = frozenset()

    def feed(self, line: bytes) -> None:
        text, tab, path = line.partition(b"\t")
        if not tab:
            return
        if not self._left_out and b"type=reg" in text:
            # by the group's `ignore`
            self._left_out = frozenset(field for field in _FIELDS if field + b"=" not in text)
        self._hashes.append(_hash(_rest(path), text))

    def end(self) -> None:
        self._known.replace(self._hashes, self._since, self._left_out)


def text_of(status: os.stat_result, left_out: frozenset[bytes] = frozenset()) -> bytes:
    """An entry as csync2 writes it down (2.0)."""
    mode = status.st_mode
    values = {b"mode": mode, b"uid": status.st_uid, b"gid": status.st_gid}
    if stat.S_ISREG(mode):
        values = {b"mtime": int(status.st_mtime), **values}
        kind = b"type=reg:size=%d" % status.st_size
    elif stat.S_ISLNK(mode):
        kind = b"type=lnk:target="
    elif stat.S_ISDIR(mode):
        kind = b"type=dir"
    else:
        kind = b"type=%d" % stat.S_IFMT(mode)
    fields = [b"%s=%d" % (name, value) for name, value in values.items() if name not in left_out]
    return b":".join([b"v1", *fields, kind])


def _hash(path: bytes, text: bytes) -> int:
    return hash((path, text)) & (1 << 64) - 1


def _rest(path: bytes) -> bytes:
    """Without the `%prefix%`."""
    return path[path.find(b"%", 1) + 1 :] if path.startswith(b"%") else path


def _ends(path: bytes) -> Iterable[bytes]:
    """The path, and what is left of it without the first directories: what may stand behind a prefix."""
    at = 0
    while at >= 0:
        yield path[at:]
        at = path.find(b"/", at + 1)
