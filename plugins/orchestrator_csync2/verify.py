"""What csync2's own test says of its hosts (`csync2 -T`), as differences of a sync (Action.verify).

csync2 compares the databases of the hosts, not their files: a file that was changed on another host counts once that
host's csync2 has checked it. For each path that differs it writes a line, X for two that are unlike, L for one that
this host alone has, R for one that the other alone has:

    X	THIS-HOST	OTHER-HOST	%prefix%/PATH

The rest of a path with a newline stands in the next line. csync2 says what its prefixes stand for at `-v -v -v` only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.api import CONTENT, EXTRA, MISSING, Compared, Difference
from orchestrator_csync2.output import Output
from orchestrator_csync2.program import Csync2Program

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from orchestrator.api import Inlet
    from orchestrator_csync2.options import Csync2Settings

_LINE = re.compile(rb"([XLR])\t[^\t]+\t[^\t]+\t(.*)", re.DOTALL)
_KINDS = {b"X": CONTENT, b"L": MISSING, b"R": EXTRA}

_EQUAL, _UNLIKE, _FAILED = 2, 0, 1
"""csync2's exit codes, with `-T` alone."""

_POLL = 0.2
"""Seconds between two looks at `stop`, while another job has the database."""


class HostTest:
    """The comparison of one sync, for a job's thread. `paths`: None for all of them."""

    def __init__(
        self, settings: Csync2Settings, inlet: Inlet, lock: threading.Lock, paths: Sequence[bytes] | None
    ) -> None:
        self._settings = settings
        self._inlet = inlet
        self._lock = lock
        self._wanted = None if paths is None else {path.rstrip(b"/"): path for path in paths}

    def __call__(self, stop: threading.Event, found: Callable[[Difference], None]) -> Compared:
        program = Csync2Program(self._settings, self._inlet, stop)
        while not self._lock.acquire(timeout=_POLL):
            if stop.is_set():
                return Compared()
        try:
            return self._test(program, found)
        finally:
            self._lock.release()

    def _test(self, program: Csync2Program, found: Callable[[Difference], None]) -> Compared:
        lines: list[bytes] = []

        def read(line: bytes) -> None:
            if _LINE.match(line) or not lines:
                lines.append(line)
            else:
                lines[-1] += b"\n" + line

        code, said = program.run_apart(("-T",), read)
        prefixes = Output()
        if lines:
            program.run(("-H", "-v", "-v", "-v"), prefixes.feed)
        source = self._inlet.source.rstrip(b"/")
        for line in lines:
            match = _LINE.fullmatch(line)
            path = b"" if match is None else prefixes.real_path(match[2])
            if match is not None and (path == source or path.startswith(source + b"/")):
                self._tell(Difference(path[len(source) :] or b"/", _KINDS[match[1]]), found)
        if code in (_EQUAL, _UNLIKE):
            return Compared()
        last = said.strip().rsplit(b"ERROR: ", 1)[-1].split(b"\n")[0]
        return Compared(error=f"csync2 could not compare everything: {last.decode('utf-8', 'backslashreplace')}")

    def _tell(self, difference: Difference, found: Callable[[Difference], None]) -> None:
        if self._wanted is None:
            found(difference)
        elif difference.path.rstrip(b"/") in self._wanted:
            found(Difference(self._wanted[difference.path.rstrip(b"/")], difference.kind))
