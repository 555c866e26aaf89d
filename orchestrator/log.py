"""Where messages go, in which form (spec 5.1). Knows categories and lines, not what is said.

A message goes straight to its sinks. loguru is what plugins may speak through (`adopt_loguru`): it is
loaded with the first of them, and not otherwise, since it takes as long to load (asyncio, ssl and
multiprocessing come with it) and as much memory as all the rest of the daemon.
"""

from __future__ import annotations

import os
import re
import select
import sys
import syslog
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from orchestrator.clock import Clock, MonotonicClock
from orchestrator.errors import LogfileError, OrchestratorError, UsageError
from orchestrator.logic.secrets import mask

NORMAL, WARN, ERROR = "Normal", "Warn", "Error"

_LEVELS = ((40, ERROR), (30, WARN), (20, NORMAL), (0, "Debug"))
"""Categories of what comes by loguru, by its numbers, the highest first."""

_PRIORITIES = {WARN: syslog.LOG_WARNING, ERROR: syslog.LOG_ERR}
"""All others are LOG_NOTICE: LOG_DEBUG would be thrown away by most syslogs, and it was asked for."""

FACILITIES: dict[str, int] = {
    name[4:].lower(): getattr(syslog, name)
    for name in (
        *("LOG_KERN", "LOG_USER", "LOG_MAIL", "LOG_DAEMON", "LOG_AUTH", "LOG_SYSLOG", "LOG_LPR", "LOG_NEWS"),
        *("LOG_UUCP", "LOG_CRON", "LOG_AUTHPRIV", "LOG_FTP", *(f"LOG_LOCAL{number}" for number in range(8))),
    )
    if hasattr(syslog, name)
}
"""Names that `logfacility` takes."""

_SYSLOG_MAX = 60_000
"""Characters. A longer message is refused by the kernel as a datagram, and nobody would see any of it."""

_MASKED = 1 << 16
"""Characters of a message in which passwords are looked for."""

_CONTROLS = bytes(set(range(32)) - {0x09, 0x0A}) + b"\x7f"
_FORGERY = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]"  # moves a terminal's cursor, or ends a line for some reader
    r"|\n(?=(?:\w{3} \w{3} [ \d]\d )?\d\d:\d\d:\d\d )"  # would start a line that looks like one of ours
)
_ESCAPES = {"\n": "\\n", "\r": "\\r"}


def escape(text: str) -> str:
    """Make a text harmless for a log: nothing in it can pass for another line or steer a terminal.

    Newlines between the items of a list stay, so do tabs. Costs one pass over the bytes where there
    is nothing to do, which is nearly always, also for a list of 200,000 paths.
    """
    data = to_bytes(text)
    if len(data.translate(None, _CONTROLS)) == len(data) and not (b":" in data or b"\xc2" in data or b"\xe2" in data):
        return text
    return _FORGERY.sub(lambda match: _ESCAPES.get(match[0]) or _numbered(ord(match[0])), text)


def _masked(text: str) -> str:
    """Without passwords. What a config says stands at a message's beginning; what follows is a list of paths."""
    return mask(text) if len(text) <= _MASKED else mask(text[:_MASKED]) + text[_MASKED:]


def _numbered(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def to_bytes(text: str) -> bytes:
    """What was bytes becomes the same bytes again; a stray half of a surrogate pair is written out."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def to_text(part: Any) -> str:
    """One argument of a log call as lsyncd prints it. Bytes keep every byte (surrogateescape)."""
    if isinstance(part, str):
        return part
    if isinstance(part, bytes):
        return part.decode("utf-8", "surrogateescape")
    if part is None:
        return "(nil)"
    if isinstance(part, bool):
        return "(true)" if part else "(false)"
    return str(part)


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
        self._sinks: list[Sink] = [_before_startup]
        self._file: _File | None = None

    def __call__(self, category: str, *parts: Any) -> None:
        if not self.shows(category):
            return
        text = escape(_masked("".join(map(to_text, parts))))
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
        code = _facility(facility)
        file = self._open(logfile)
        if file and self._file and file.path == self._file.path:
            file.take_over(self._file)
        sinks: list[Sink] = []
        if not self._detached:
            sinks.append(self._to_console)
        if file:
            sinks.append(file)
        elif not nodaemon:
            syslog.openlog(ident or "lsyncd", 0, code)
            sinks.append(_to_syslog)
        with self._lock:
            self._sinks = sinks
            if self._file:
                self._file.close()
            self._file = file

    def check(self, *, logfile: str | bytes | None = None, facility: str | int | None = None) -> None:
        """Raise what `configure` would, and switch nothing."""
        _facility(facility)
        file = self._open(logfile)
        if file:
            file.close()

    def _open(self, logfile: str | bytes | None) -> _File | None:
        return _File(os.path.abspath(os.fsencode(logfile)), self._stamp_long) if logfile else None

    @property
    def logfile(self) -> bytes | None:
        """The log file's absolute path, where one is set: children's output goes there as well."""
        return self._file.path if self._file else None

    def detach(self) -> None:
        """From now on there is no terminal: nothing is written to stdout and stderr any more."""
        self._detached = True
        with self._lock:
            self._sinks = [sink for sink in self._sinks if sink != self._to_console]

    def close(self) -> None:
        """Let go of every place. What is logged later is lost."""
        with self._lock:
            self._sinks = []
            if self._file:
                self._file.close()
                self._file = None

    def adopt_loguru(self) -> None:
        """What plugins say through loguru comes here from now on, if any of them has loaded it.

        Its levels become categories (`_LEVELS`); a traceback that comes along is one line, the exception's.
        """
        loguru = sys.modules.get("loguru")
        if loguru is not None:
            loguru.logger.remove()
            loguru.logger.add(self._from_loguru, level=0, format="{message}", backtrace=False, diagnose=False)

    def _from_loguru(self, message: Any) -> None:
        record = message.record
        category = next(category for number, category in _LEVELS if record["level"].no >= number)
        error = record["exception"]
        told = f": {error.type.__name__}: {error.value}" if error is not None and error.type is not None else ""
        self(category, record["message"], told)

    def _to_console(self, category: str, text: str) -> None:
        stamp = _time_of_day(int(self._clock.wall()))
        _write_terminal(2 if category == ERROR else 1, to_bytes(f"{stamp} {category}: {text}\n"))

    def _stamp_long(self) -> bytes:
        return _date(int(self._clock.wall()))


class _File:
    """The log file. Follows logrotate: opened anew when the name means another file, or none.

    The descriptor is kept rather than taken for each message, so that there is something to write to
    when descriptors have run out. A disk that is full must not end the daemon: the messages are
    counted, and the number is the first thing written when there is room again.
    """

    def __init__(self, path: bytes, stamp: Callable[[], bytes]) -> None:
        self.path = path
        self._stamp = stamp
        self._fd = -1
        self._lost = 0
        self._trouble = ""
        self._torn = False
        try:
            self._open()
        except OSError:
            raise LogfileError(f"Cannot open logfile [{os.fsdecode(path)}]!") from None

    def __call__(self, category: str, text: str) -> None:
        stamp = self._stamp()
        line = b"%s %s\n" % (stamp, to_bytes(f"{category}: {text}"))
        if self._lost:
            told = f"{WARN}: {self._lost} messages could not be written to this file: {self._trouble}"
            line = b"%s %s\n%s" % (stamp, to_bytes(told), line)
        if self._torn:
            line = b"\n" + line
        try:
            self._follow()
            self._write(line)
        except OSError as error:
            self._lost += 1
            self._trouble = error.strerror or str(error)
        else:
            self._lost = 0

    def take_over(self, old: _File) -> None:
        """What is still to be told of the same file."""
        self._lost, self._trouble, self._torn = old._lost, old._trouble, old._torn

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
        fd = os.open(self.path, flags, 0o666)
        self.close()
        self._fd = fd

    def _follow(self) -> None:
        if self._fd >= 0:
            try:
                if os.path.samestat(os.stat(self.path), os.fstat(self._fd)):
                    return
            except FileNotFoundError:
                pass
        self._open()

    def _write(self, line: bytes) -> None:
        view = memoryview(line)
        while view:
            written = os.write(self._fd, view)
            self._torn = written > 0 and view[written - 1] != 0x0A
            view = view[written:]


# Of one second there are many messages.
@lru_cache(maxsize=1)
def _time_of_day(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    # asctime has the form of C's ctime, in English whatever the locale.
    return time.asctime(time.localtime(second)).encode("ascii")


def _before_startup(category: str, text: str) -> None:
    _write_terminal(2, to_bytes(f"{category}: {text}\n"))


def _to_syslog(category: str, text: str) -> None:
    if len(text) > _SYSLOG_MAX:
        text = f"{text[:_SYSLOG_MAX]}… ({len(text) - _SYSLOG_MAX} more)"
    # Python's syslog takes no surrogates, so bytes that are not UTF-8 go as \xNN.
    line = to_bytes(f"{category}, {text}").decode("utf-8", "backslashreplace")
    syslog.syslog(_PRIORITIES.get(category, syslog.LOG_NOTICE), line)


def _write_terminal(fd: int, data: bytes) -> None:
    """Write past Python's buffers, which a crash would lose. A terminal that is gone is no reason to stop."""
    stream = sys.stdout if fd == 1 else sys.stderr
    try:
        if stream is not None:
            stream.flush()  # what Lua's or a plugin's print has put there came first
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:  # whoever shares the terminal made it non-blocking
                if not _takes_more(fd):
                    return
    except (OSError, ValueError):
        pass


def _takes_more(fd: int) -> bool:
    """Whether `fd` takes more within a second."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(1000))


def _facility(facility: str | int | None) -> int:
    if facility is None:
        return syslog.LOG_USER
    if isinstance(facility, str):
        code = FACILITIES.get(facility.lower())
    else:  # syslog(3)'s own number, a multiple of 8
        code = int(facility) if facility in FACILITIES.values() else None
    if code is None:
        raise OrchestratorError(f"Logging facility '{facility}' unknown.")
    return code
