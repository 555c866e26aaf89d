"""The status file (spec 5.3): its text, how it is put in its place, and when.

`render` is pure; `write` touches the world; `StatusFile` decides when, by a time that it is given.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.logic.text import counted
from orchestrator.ownfiles import LastLink, Place, located

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from orchestrator.logic.delay import Delay

RETRY = 10.0
"""Seconds, at least, until a status file that could not be written is tried again."""

GONE_PAUSE = 1.0
"""Seconds until one that is gone is written again: who took it away may put one in its place, as logrotate does."""

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_NO_RENAME = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV, errno.ENAMETOOLONG})
"""Why a file beside the status file can't be made, or not put in its place."""


class Trouble(NamedTuple):
    """A sync that somebody should look at. Times in seconds since 1970; None: there is none, or was none yet."""

    state: str
    oldest: float | None = None
    last_success: float | None = None
    last_error: float | None = None
    cause: str = ""


class SyncReport(NamedTuple):
    """One sync's part. `delays` in the order of the queue; `retrying`: paths waiting in the lane of spec 6 row 16b;
    `trouble`: None where all is as it should be, and the part as lsyncd's."""

    name: str
    source: bytes
    delays: Iterable[Delay]
    filters: Sequence[bytes] = ()
    excludes: Sequence[bytes] = ()
    retrying: int = 0
    trouble: Trouble | None = None


class TunnelReport(NamedTuple):
    """One tunnel's part. `processes`: pid, type and start (as it is to be shown) of each that runs."""

    name: str
    status: str
    processes: Sequence[tuple[int, str, str]] = ()


class Report(NamedTuple):
    """What the status file says. `wall` in seconds since 1970; `watched`: every watched directory, in order;
    `polled`: every directory that there was no watch for.
    """

    wall: float
    syncs: Iterable[SyncReport]
    tunnels: Iterable[TunnelReport] = ()
    watched: Sequence[bytes] = ()
    polled: Sequence[bytes] = ()


def render(report: Report) -> bytes:
    """The file's content, byte for byte as lsyncd's where there is nothing that lsyncd does not know.

    Control characters in paths are shown as `\\xNN`: a line of the report is one thing, whatever
    somebody names a file.
    """
    lines = [b"Lsyncd status report at " + _stamp(report.wall), b""]
    for sync in report.syncs:
        _add_sync(lines, sync)
    for tunnel in report.tunnels:
        _add_tunnel(lines, tunnel)
    _add_directories(lines, b"Inotify watching", report.watched)
    if report.polled:
        _add_directories(lines, b"For want of watches polling", report.polled)
    lines.append(b"")
    return b"\n".join(lines)


def _add_sync(lines: list[bytes], sync: SyncReport) -> None:
    lines.append(b"%s source=%s" % (_plain(os.fsencode(sync.name)), _plain(sync.source)))
    head = len(lines)
    lines.append(b"")
    for delay in sync.delays:
        line = b"%-7s%s %s" % (delay.status.encode(), delay.etype.encode(), _plain(delay.path))
        lines.append(line if delay.path2 is None else line + b" -> " + _plain(delay.path2))
    lines[head] = b"There are %d delays" % (len(lines) - head - 1)
    if sync.trouble is not None:
        _add_trouble(lines, sync.trouble)
    if sync.retrying:
        lines.append(f"{counted(sync.retrying, 'path waits', 'paths wait')} to be tried again".encode())
    lines.append(b"Filtering:")
    lines += map(_plain, sync.filters)
    if sync.excludes:
        lines.append(b"From excludes:")
        lines += [b"- " + _plain(pattern) for pattern in sync.excludes]
    elif not sync.filters:
        lines.append(b"  nothing.")
    lines += (b"", b"")


def _add_trouble(lines: list[bytes], trouble: Trouble) -> None:
    lines.append(b"State: " + trouble.state.encode())
    if trouble.oldest is not None:
        lines.append(b"Oldest change: " + _stamp(trouble.oldest))
    lines.append(b"Last success: " + (_stamp(trouble.last_success) if trouble.last_success is not None else b"none"))
    if trouble.last_error is not None:
        cause = _plain(os.fsencode(trouble.cause))
        lines.append(b"Last error: %s: %s" % (_stamp(trouble.last_error), cause))


def _stamp(wall: float) -> bytes:
    return time.asctime(time.localtime(wall)).encode("ascii")


def _add_tunnel(lines: list[bytes], tunnel: TunnelReport) -> None:
    lines.append(b"Tunnel: name=%s status=%s" % (_plain(os.fsencode(tunnel.name)), tunnel.status.encode()))
    lines.append(b"Running processes: %d" % len(tunnel.processes))
    lines += [f"  pid={pid} type={kind} started={started}".encode() for pid, kind, started in tunnel.processes]
    lines += (b"", b"")


def _add_directories(lines: list[bytes], how: bytes, directories: Sequence[bytes]) -> None:
    lines.append(b"%s %d directories" % (how, len(directories)))
    lines += [b"  %d: %s" % (number, _plain(path)) for number, path in enumerate(directories, 1)]


def _plain(path: bytes) -> bytes:
    if _CONTROL.search(path) is None:
        return path
    return _CONTROL.sub(lambda match: b"\\x%02x" % match[0][0], path)


def write(path: bytes, data: bytes) -> os.stat_result:
    """Put `data` at `path` so that no reader ever sees half of it. OSError where that can't be done at all.

    Returns what the file is that holds it.

    By a file in the same directory and rename. In place where `path` is a device or a pipe, and where
    the directory is not ours to write. A link is followed, except somebody else's, and one out of a directory
    where everybody may put links, like /tmp: those are replaced.
    """
    with located(path, LastLink.NOT_FROM_SHARED) as place:
        old = place.stat()
        if old is not None and _is_special(old):
            # O_NONBLOCK: a pipe that nobody reads must not hold up the loop.
            return _write_in_place(place, data, os.O_NONBLOCK)
        try:
            return _write_and_rename(place, data, old)
        except OSError as error:
            if error.errno not in _NO_RENAME:
                raise
            return _write_in_place(place, data, os.O_CREAT | os.O_TRUNC)


def _is_special(status: os.stat_result) -> bool:
    return not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode) or stat.S_ISDIR(status.st_mode))


def _write_and_rename(place: Place, data: bytes, old: os.stat_result | None) -> os.stat_result:
    beside = place._replace(name=b".%s.new" % place.name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        fd = beside.open(flags)
    except FileExistsError:  # we were killed while writing it; or somebody has put there what cannot be removed
        beside = _freed(beside)
        fd = beside.open(flags)
    try:
        try:
            if old is not None and stat.S_ISREG(old.st_mode):
                _keep_owner(fd, old)
            _write_all(fd, data)
            written = os.fstat(fd)
        finally:
            os.close(fd)
        os.rename(beside.name, place.name, src_dir_fd=beside.directory, dst_dir_fd=place.directory)
    except BaseException:
        os.unlink(beside.name, dir_fd=beside.directory)
        raise
    return written


def _freed(beside: Place) -> Place:
    """A name that is free: this one without what is there, or one that nobody can foresee."""
    try:
        os.unlink(beside.name, dir_fd=beside.directory)
    except OSError:
        return beside._replace(name=b"%s.%s" % (beside.name, os.urandom(8).hex().encode()))
    return beside


def _keep_owner(fd: int, old: os.stat_result) -> None:
    """The new file belongs to whom the administrator has given the old one."""
    new = os.fstat(fd)
    try:
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            os.fchown(fd, old.st_uid, old.st_gid)
        os.fchmod(fd, stat.S_IMODE(old.st_mode))
    except OSError:
        pass  # not ours to give away


def _write_in_place(place: Place, data: bytes, flags: int) -> os.stat_result:
    fd = place.open(os.O_WRONLY | flags)
    try:
        _write_all(fd, data)
        return os.fstat(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class StatusFile:
    """When the status file is written: when something may have changed, at most once in `interval` seconds.

    What falls inside the interval is written when it ends; nothing changed, nothing to wake up for.
    Times are of the monotonic clock. Trouble is logged once, and again when it is another, or comes
    back after it was gone; the daemon goes on. `written`: the file, as it was last written.

    `heartbeat`: seconds after which it is written anew, though nothing has changed, but never before the interval is
    over: who watches its age sees a daemon that hangs.
    """

    def __init__(
        self, path: str | bytes, interval: float, log: Callable[..., None], *, heartbeat: float | None = None
    ) -> None:
        self.path = os.path.abspath(os.fsencode(path))
        self._shown = os.fsdecode(path)
        self._interval = interval
        self._heartbeat = None if heartbeat is None else max(interval, heartbeat)
        self._beat: float | None = None
        self._log = log
        self._changed = False
        self._next = float("-inf")
        self._trouble: str | None = None
        self.written: os.stat_result | None = None

    def touch(self) -> None:
        """Something may have changed."""
        self._changed = True

    def has_gone(self, now: float) -> None:
        """It is not there any more: it is written again, though nothing has changed."""
        self._changed = True
        self._next = max(self._next, now + GONE_PAUSE)

    def alarm(self) -> float | None:
        """When to call `write_if_due`; None: there is nothing to write."""
        return self._next if self._changed else self._beat

    def write_if_due(self, now: float, make_report: Callable[[], Report]) -> bool:
        """Write if something changed and the interval is over, or at a heartbeat. The report is made only then."""
        due = self.alarm()
        if due is None or now < due:
            return False
        self._changed = False
        self._next = now + self._interval
        self._beat = None if self._heartbeat is None else now + self._heartbeat
        try:
            self.written = write(self.path, render(make_report()))
        except OSError as error:
            # Tried again even if nothing more happens: its directory may come back.
            self._changed = True
            self._next = now + max(self._interval, RETRY)
            reason = error.strerror or str(error)
            if reason != self._trouble:
                self._log("Error", f'Cannot open status file "{self._shown}" :{reason}')
            self._trouble = reason
            return False
        self._trouble = None
        return True
