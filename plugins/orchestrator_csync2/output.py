"""The meaning of csync2's output (csync2 2.0, Debian's 2.0-42). Pure: takes lines, starts nothing.

With `-v` csync2 prints for each path "Updating PATH on HOST ..." or "Deleting PATH on HOST ...", and says
"File stays in dirty state. Try again later..." after it where the host did not take it. Both an exit code
of 0 and of 1 go with that: a path whose parent directory the host does not have, and of which csync2 does
not know it either, stays dirty under "Finished with 0 errors." So the words count, not the exit code.

Only with `-v -v -v` there is a reason, the peer's answer: "response from peer(PATH): HOST [10] <- File is
also marked dirty here!" is a conflict that `auto` did not resolve. There it also says what its prefixes
stand for; `csync2 -f`, which resolves the conflict, knows a path by its real name only.

"Finished with N errors." is the last line of a run that came to its end, unless N is 0 and there is no
`-v`. A run that gave up (no such configuration, key not readable, database locked) says why instead.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

TAIL = 5
"""Last lines kept of what csync2 said, for when it gave up."""

_START = re.compile(rb"(?:Updating|Deleting) (?P<path>.+) on (?P<host>\S+) \.\.\.", re.DOTALL)
_STAYS = b"File stays in dirty state. Try again later..."
_ANSWER = re.compile(rb"response from peer\((?P<path>.*)\): \S+ \[\d+\] <- (?P<words>.*)", re.DOTALL)
_UNREACHABLE = re.compile(rb"ERROR: Connection to remote host [`'](?P<host>\S+)' failed\.")
_PREFIX = re.compile(rb"Prefix '(?P<name>.*)' is set to '(?P<directory>/.*)'\.")
_FINISHED = re.compile(rb"Finished with \d+ errors\.")
_UNREAD = b" in scandir: "
CONFLICT = b"also marked dirty"
"""In the answer of a host that has a change of its own to the path."""

_MISSING_PARENT = b"missing parent dir : "

_OPENERS = (b"Updating ", b"Deleting ", b"response from peer(")
"""What begins a message that holds a path: it goes over several lines where the path does."""

_LONGEST = 8192
"""Bytes. A message that is still open after so many is not one: a path is 4096 at most."""


class HostPath(NamedTuple):
    """A path, as csync2 writes it (with a `%prefix%`), on a host."""

    path: bytes
    host: bytes


class Output:
    """Takes csync2's lines one by one; holds what they say so far.

    `refused` are the places whose host did not take the path, with the reason where it was given.
    `unreachable` are hosts that could not be connected to, `unread` what was said of directories that
    could not be read. `missing_parent` says that a host lacks a
    directory that csync2 does not know here. `finished`: csync2 came to its end. `on_path` is called with
    each path that csync2 names.
    """

    def __init__(self, on_path: Callable[[bytes], None] = lambda path: None) -> None:
        self.refused: dict[HostPath, bytes] = {}
        self.unreachable: set[bytes] = set()
        self.unread: list[bytes] = []
        self.missing_parent = False
        self.finished = False
        self._prefixes: dict[bytes, bytes] = {}
        self.tail: deque[bytes] = deque(maxlen=TAIL)
        self._on_path = on_path
        self._open = b""
        self._place: HostPath | None = None
        self._reason = b""

    @property
    def is_clean(self) -> bool:
        """Whether everything has been delivered to every host."""
        return self.finished and not self.refused and not self.unreachable

    def real_path(self, path: bytes) -> bytes:
        """The path on this host, where csync2 said what its prefix stands for; else as csync2 writes it."""
        prefix, _, rest = path[1:].partition(b"%")
        if path.startswith(b"%") and prefix in self._prefixes:
            return self._prefixes[prefix] + rest
        return path

    def feed(self, line: bytes) -> None:
        """Take one line, without its newline."""
        self.tail.append(line)
        if self._open or line.startswith(_OPENERS):
            self._message(line)
        # After it, not else: "auto resolving... response = 10File stays in dirty state." has lost its newline.
        if line.endswith(_STAYS):
            self._stays()
        elif _UNREAD in line:
            self.unread.append(line)
        elif line.startswith(_MISSING_PARENT):
            self.missing_parent = True
        elif match := _UNREACHABLE.match(line):
            self.unreachable.add(match["host"])
        elif match := _PREFIX.fullmatch(line):
            self._prefixes[match["name"]] = match["directory"]
        elif _FINISHED.match(line):
            self.finished = True

    def _message(self, line: bytes) -> None:
        text = self._open + b"\n" + line if self._open else line
        if match := _START.fullmatch(text):
            self._place = HostPath(match["path"], match["host"])
            self._on_path(match["path"])
            self._reason = b""
            # Tried again in the same run, as the winner of a conflict: the last try counts.
            self.refused.pop(self._place, None)
            self._open = b""
        elif match := _ANSWER.fullmatch(text):
            self._reason = match["words"]
            self._open = b""
        else:
            self._open = b"" if len(text) > _LONGEST else text

    def _stays(self) -> None:
        self._open = b""
        if self._place is not None:
            self.refused[self._place] = self._reason
            self._place = None
