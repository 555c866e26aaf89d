"""The log: which messages are shown, and where (spec 5.1). Knows categories, not what the messages are about.

loguru is the engine. lsyncd's categories are its levels (levels.py), the places of a daemon its sinks (terminal.py,
file.py, system.py), and messages that modules of plugins log through loguru come here as well (plugins.py). Our own
part is the form of the lines, harmless text, and a log file that follows logrotate and survives a full disk.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from orchestrator.clock import Clock, MonotonicClock
from orchestrator.errors import UsageError
from orchestrator.log.engine import classes
from orchestrator.log.file import LogFile
from orchestrator.log.levels import ERROR, NORMAL, SHOWN_IF_NAMED, WARN, add_level, number_of
from orchestrator.log.system import SYSLOG_FORM, facility_code, open_syslog, to_syslog
from orchestrator.log.terminal import Terminal, before_startup
from orchestrator.logic.message import escape, to_text, without_passwords

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loguru import Level, Logger, Message

ALWAYS_SHOWN: Final = frozenset({ERROR, WARN, NORMAL})
"""Categories that nobody need ask for."""

FORM = "{level.name}: {message}"
"""loguru's format for every place but the syslog. Sinks put the time in front of it."""

Sink = Callable[["Message"], None]
"""Writes a message, which is a line in the form that goes with the sink, newline included. Must not raise."""


_locks: weakref.WeakSet[Any] = weakref.WeakSet()


def _hold_locks() -> None:
    for lock in _locks:
        lock.acquire()


def _release_locks() -> None:
    for lock in _locks:
        lock.release()


# As loguru does with its locks, which are taken after these. Else a lock that another thread holds is never free
# in the child.
os.register_at_fork(before=_hold_locks, after_in_parent=_release_locks, after_in_child=_release_locks)


def _new_logger() -> tuple[Logger, Any]:
    """A logger of loguru, with its core, that shares nothing with the one that modules import.

    Any module may call `logger.remove()`, `disable("")` or `configure()` on that one, and the daemon's log must go on.
    For this loguru documents `copy.deepcopy(logger)`, which needs all sinks to be removed before; those of a process
    that merely imports this package are not ours to remove. Hence three names that loguru does not export, a handler's
    `emit` among them: pyproject.toml keeps to the versions that have them.
    """
    options = dict.fromkeys(("exception", "record", "lazy", "colors", "raw", "capture"))
    core = classes.Core()
    made = classes.Logger(core=core, depth=0, patchers=[], extra={}, **options)
    return cast("Logger", made), core


class Log:
    """Called as `log(category, *parts)`. Never raises, whatever the parts are and whatever happens to the places.

    Until `configure` is called, everything goes to stderr without a time. May be called from any thread, from signal
    handlers, and from a `__del__` that happens to run while another message is being written.
    """

    def __init__(self, clock: Clock | None = None, sink: Sink = before_startup) -> None:
        """`sink`: where messages go until `configure` is called."""
        self._clock = clock or MonotonicClock()
        self._named: set[str] = set()
        self._hearers: tuple[Callable[[str, str], None], ...] = ()
        self._all = False
        self._scarce = False
        self._detached = False
        self._lock = threading.RLock()
        _locks.add(self._lock)
        self._is_writing = False
        self._held: list[tuple[str, tuple[Any, ...]]] | None = None
        self._holder = 0
        self._nested: deque[tuple[Level, str]] = deque()
        self._logger, self._core = _new_logger()
        self._levels: dict[str, Level] = {}  # of the categories that have been shown
        self._handlers: list[int] = []
        self._file: LogFile | None = None
        self._terminal: int | None = None
        self._screen: Terminal | None = None
        self._use([(sink, FORM)])

    def __call__(self, category: str, *parts: Any) -> None:
        if self._held is not None and self._holder == threading.get_ident():
            self._held.append((category, parts))
            return
        level = self._levels.get(category)
        if level is None:
            if not self.shows(category):
                return
            level = self._levels[category] = add_level(self._logger, category)
        text = ""
        for part in parts:
            text += part if type(part) is str else to_text(part)
        text = escape(without_passwords(text))
        for hear in self._hearers:
            hear(category, text)
        with self._lock:
            if self._is_writing:  # loguru's locks are not reentrant
                self._nested.append((level, text))
                return
            self._is_writing = True
            try:
                self._emit(level, text)
                while self._nested:
                    self._emit(*self._nested.popleft())
            finally:
                self._is_writing = False

    def _emit(self, level: Level, text: str) -> None:
        """As `Logger.log`, without the caller, file, thread and process of the record: nobody sees them in a line, and
        looking them up takes as long as all the rest."""
        record = {"level": level, "message": text, "exception": None}
        for handler in self._core.handlers.values():
            handler.emit(record, level.name, False, False, None)

    def hold(self) -> None:
        """From now on messages of this thread wait, in their order, for `release`, which must follow soon.

        For a program whose start is not to wait for the log.
        """
        if self._held is None:
            self._held, self._holder = [], threading.get_ident()

    def release(self) -> None:
        """Write what waits; messages are written at once again."""
        held, self._held = self._held or (), None
        for category, parts in held:
            self(category, *parts)

    def shows(self, category: str) -> bool:
        """Whether anybody would see it. Asked before anything costly is formatted."""
        if self._all:
            return True
        if category in (ERROR, WARN):
            return True
        if self._scarce:
            return False
        return category == NORMAL or category in self._named

    def lowest_level(self) -> int:
        """The lowest of loguru's level numbers of which a message may be shown."""
        if self._all:
            return 0
        if self._scarce:
            return number_of(WARN)
        return 0 if self._named else number_of(NORMAL)

    def enable(self, name: str) -> None:
        """One `-log NAME`. Of `all` and `scarce` the later one counts; `scarce` silences named ones too (as 2.2.3).

        Raises UsageError for a name that does not begin with a capital.
        """
        if name in ("all", "scarce"):
            self._all = name == "all"
            self._scarce = name == "scarce"
            self._levels.clear()
        elif name[:1].isalpha() and name[:1].isupper():
            self._named.add(name)
        else:
            raise UsageError(f"'{name}' is not a valid logging category")

    def change(self, on: Iterable[str], off: Iterable[str]) -> None:
        """Turn categories on and off while messages come. `all` and `scarce` are as of -log; where one of them is off,
        the named ones are shown as ever.

        Raises UsageError for one that nobody knows, or that is always on; nothing has changed then.
        """
        for name in (*on, *off):
            if name not in self.categories() | {"all", "scarce"}:
                known = ", ".join(sorted(SHOWN_IF_NAMED | self._named))
                raise UsageError(f'there is no category "{name[:100]}"; there are: all, scarce, {known}')
        for name in off:
            if name in ALWAYS_SHOWN:
                raise UsageError(f'{name} cannot be turned off; "scarce" shows Error and Warn only')
        for name in on:
            self.enable(name)
        for name in off:
            self._disable(name)

    def _disable(self, name: str) -> None:
        self._named.discard(name)
        self._all &= name != "all"
        self._scarce &= name != "scarce"
        self._levels.clear()

    def shown(self) -> list[str]:
        """The categories that are known by name, and shown."""
        return sorted(filter(self.shows, self.categories()))

    @contextmanager
    def heard(self, hear: Callable[[str, str], None]) -> Iterator[None]:
        """Meanwhile `hear(category, text)` is called with each message that is shown, in whichever thread."""
        self._hearers += (hear,)
        try:
            yield
        finally:
            self._hearers = tuple(other for other in self._hearers if other is not hear)

    def categories(self) -> set[str]:
        """The categories that are known by name: lsyncd's own and those of `-log NAME`."""
        return set(ALWAYS_SHOWN) | SHOWN_IF_NAMED | self._named

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
        screen = None if self._detached else Terminal(self._clock)
        sinks: list[tuple[Sink, str]] = [] if screen is None else [(screen, FORM)]
        if file:
            sinks.append((file, FORM))
        elif not nodaemon:
            open_syslog(ident or "lsyncd", code)
            sinks.append((to_syslog, SYSLOG_FORM))
        with self._lock:
            if self._file:
                if file and file.path == self._file.path:
                    file.take_over(self._file)
                self._file.close()
            self._file = file
            self._use(sinks)
            self._terminal = None if self._detached else self._handlers[0]
            self._screen = screen

    def check(self, *, logfile: str | bytes | None = None, facility: str | int | None = None) -> None:
        """Raise the errors that `configure` would raise, and switch nothing."""
        facility_code(facility)
        file = self._open(logfile)
        if file:
            file.close()

    def _open(self, logfile: str | bytes | None) -> LogFile | None:
        return LogFile(os.path.abspath(os.fsencode(logfile)), self._clock) if logfile else None

    def _use(self, sinks: list[tuple[Sink, str]]) -> None:
        """Replace the sinks. The lock is held: a message goes to all of the old ones or to all of the new ones."""
        for handler in self._handlers:
            self._logger.remove(handler)
        # Errors are the sinks' own business. catch=True would swallow what a signal handler raises meanwhile.
        self._handlers = [self._logger.add(sink, format=form, level=0, catch=False) for sink, form in sinks]

    def show_progress(self, text: str) -> None:
        """Write a line on the terminal that the next message takes the place of; empty: take it away."""
        with self._lock:
            if self._screen is not None and not self._is_writing:
                self._screen.show(text)

    @property
    def logfile(self) -> bytes | None:
        """The log file's absolute path, where one is set: children's output goes there as well."""
        return self._file.path if self._file else None

    def detach(self) -> None:
        """From now on there is no terminal: nothing is written to stdout and stderr any more."""
        with self._lock:
            self._detached = True
            if self._terminal is not None:
                self._handlers.remove(self._terminal)
                self._logger.remove(self._terminal)
                self._terminal = self._screen = None

    def close(self) -> None:
        """Close all places. Messages that are logged later are lost."""
        with self._lock:
            self._use([])
            self._terminal = None
            if self._file:
                self._file.close()
                self._file = None
