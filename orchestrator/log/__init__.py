"""The log: which messages are shown, where (spec 5.1). Knows categories, not what is said.

A message goes straight to its sinks: terminal.py, file.py, system.py.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from orchestrator.clock import Clock, MonotonicClock
from orchestrator.errors import UsageError
from orchestrator.log.file import LogFile
from orchestrator.log.system import facility_code, open_syslog, to_syslog
from orchestrator.log.terminal import Terminal, before_startup
from orchestrator.logic.message import escape, to_text, without_passwords

NORMAL, WARN, ERROR = "Normal", "Warn", "Error"

Sink = Callable[[str, str], None]
"""Writes a message, of a category, somewhere. Deals with its own errors."""


class Log:
    """Called as `log(category, *parts)`. Never raises because of what it is told, nor because of where it goes.

    Until `configure` is called, everything goes to stderr without a time. May be called from any thread.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or MonotonicClock()
        self._named: set[str] = set()
        self._all = False
        self._scarce = False
        self._detached = False
        self._lock = threading.RLock()
        self._sinks: list[Sink] = [before_startup]
        self._file: LogFile | None = None
        self._terminal = Terminal(self._clock)

    def __call__(self, category: str, *parts: Any) -> None:
        if not self.shows(category):
            return
        text = escape(without_passwords("".join(map(to_text, parts))))
        category = category if category.isalpha() else escape(category)
        with self._lock:
            for sink in self._sinks:
                sink(category, text)

    def shows(self, category: str) -> bool:
        """Whether anybody would see it. Asked before anything costly is formatted."""
        if self._all:
            return True
        if category in (ERROR, WARN):
            return True
        if self._scarce:
            return False
        return category == NORMAL or category in self._named

    def enable(self, name: str) -> None:
        """One `-log NAME`. Of `all` and `scarce` the later one counts; `scarce` silences named ones too (as 2.2.3).

        Raises UsageError for a name that does not begin with a capital.
        """
        if name in ("all", "scarce"):
            self._all = name == "all"
            self._scarce = name == "scarce"
        elif name[:1].isalpha() and name[:1].isupper():
            self._named.add(name)
        else:
            raise UsageError(f"'{name}' is not a valid logging category")

    def configure(
        self,
        *,
        nodaemon: bool = False,
        logfile: str | bytes | None = None,
        facility: str | int | None = None,
        ident: str | None = None,
    ) -> None:
        """Switch to the places of a running daemon. Called again after a reset; until then the old ones stay.

        Raises OrchestratorError where the log file can't be opened or the facility is unknown; nothing
        has been switched then.
        """
        code = facility_code(facility)
        file = self._open(logfile)
        if file and self._file and file.path == self._file.path:
            file.take_over(self._file)
        sinks: list[Sink] = []
        if not self._detached:
            sinks.append(self._terminal)
        if file:
            sinks.append(file)
        elif not nodaemon:
            open_syslog(ident or "lsyncd", code)
            sinks.append(to_syslog)
        with self._lock:
            self._sinks = sinks
            if self._file:
                self._file.close()
            self._file = file

    def check(self, *, logfile: str | bytes | None = None, facility: str | int | None = None) -> None:
        """Raise what `configure` would, and switch nothing."""
        facility_code(facility)
        file = self._open(logfile)
        if file:
            file.close()

    def _open(self, logfile: str | bytes | None) -> LogFile | None:
        return LogFile(os.path.abspath(os.fsencode(logfile)), self._clock) if logfile else None

    @property
    def logfile(self) -> bytes | None:
        """The log file's absolute path, where one is set: children's output goes there as well."""
        return self._file.path if self._file else None

    def detach(self) -> None:
        """From now on there is no terminal: nothing is written to stdout and stderr any more."""
        self._detached = True
        with self._lock:
            self._sinks = [sink for sink in self._sinks if sink != self._terminal]

    def close(self) -> None:
        """Let go of every place. What is logged later is lost."""
        with self._lock:
            self._sinks = []
            if self._file:
                self._file.close()
                self._file = None
