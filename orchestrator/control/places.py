"""Whether a daemon with these settings would come up: what the check of a config asks before the daemon does."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from orchestrator.daemon.serving import check
from orchestrator.errors import OrchestratorError
from orchestrator.log.system import facility_code
from orchestrator.monitor.inotify import content_flags

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from orchestrator.config.settings import Settings


def problems_of_settings(settings: Settings, monitors: Collection[str]) -> Iterator[str]:
    """Settings that end the daemon on any machine."""
    if settings.monitor is not None and settings.monitor not in monitors:
        yield f'event monitor "{settings.monitor}" unknown.'
    try:
        content_flags(settings.inotify_mode)
    except OrchestratorError as error:
        yield str(error)
    try:
        facility_code(settings.logfacility)
    except OrchestratorError as error:
        yield str(error)


def problems_of_places(settings: Settings) -> Iterator[str]:
    """Files that cannot be made, which ends the daemon on this machine. Nothing is made."""
    for key, path in (("logfile", settings.logfile), ("pidfile", settings.pidfile)):
        if path is None or (key == "pidfile" and settings.nodaemon):
            continue
        reason = why_not_writable(path)
        if reason is not None:
            yield f"{key} {path} cannot be made: {reason}."
    try:
        check(settings)
    except OrchestratorError as error:
        yield str(error)


def warnings_of_places(settings: Settings) -> Iterator[str]:
    """Files that cannot be made, without which it would go on."""
    for key, path in (("statusFile", settings.status_file), ("pidfile", settings.pidfile)):
        if path is None or (key == "pidfile" and not settings.nodaemon):
            continue
        reason = why_not_writable(path)
        if reason is not None:
            yield f"{key} {path} cannot be made: {reason}."


def why_not_writable(path: str) -> str | None:
    """Why no file with this path can be made or written, as far as can be seen without doing it. None: it can."""
    place = os.fsencode(path)
    try:
        if stat.S_ISDIR(os.stat(place).st_mode):
            return os.strerror(errno.EISDIR)
        # opening what is there changes nothing of it; NONBLOCK: a FIFO without a reader is an error, no wait
        os.close(os.open(place, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
    except FileNotFoundError:
        directory = os.path.dirname(os.path.realpath(place)) or b"/"
        if not os.path.isdir(directory):
            return f"there is no directory {os.fsdecode(directory)}"
        return None if os.access(directory, os.W_OK | os.X_OK) else os.strerror(errno.EACCES)
    except OSError as error:
        return error.strerror or str(error)
    return None
