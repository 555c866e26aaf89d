"""The system's log, a sink of loguru's log.

By syslog(3) rather than logging.handlers.SysLogHandler: libc connects again when the syslog daemon has been restarted.
"""

from __future__ import annotations

import syslog
from typing import TYPE_CHECKING, Final

from orchestrator.errors import OrchestratorError
from orchestrator.logic.message import to_bytes

if TYPE_CHECKING:
    from loguru import Message

SYSLOG_FORM: Final = "{level.name}, {message}"
"""loguru's format for it."""

_PRIORITIES = {"Warn": syslog.LOG_WARNING, "Error": syslog.LOG_ERR}

FACILITIES: dict[str, int] = {
    name[4:].lower(): getattr(syslog, name)
    for name in (
        *("LOG_KERN", "LOG_USER", "LOG_MAIL", "LOG_DAEMON", "LOG_AUTH", "LOG_SYSLOG", "LOG_LPR", "LOG_NEWS"),
        *("LOG_UUCP", "LOG_CRON", "LOG_AUTHPRIV", "LOG_FTP", *(f"LOG_LOCAL{number}" for number in range(8))),
    )
    if hasattr(syslog, name)
}
"""The numbers of openlog(3), by the names that `logfacility` takes."""

_LAST_FACILITY = 23
"""local7's number."""

_SYSLOG_MAX = 60_000
"""Characters. The kernel refuses a longer message as a datagram, and nobody would see any of it."""


def priority_of(category: str) -> int:
    """The priority of syslog(3) for a category. Debug categories are LOG_NOTICE: most syslogs drop LOG_DEBUG."""
    return _PRIORITIES.get(category, syslog.LOG_NOTICE)


def open_syslog(ident: str, facility: int) -> None:
    """Set the name and the facility that `to_syslog` writes with from now on."""
    syslog.openlog(ident, 0, facility)


def to_syslog(message: Message) -> None:
    """Write a message to the system's log."""
    line = message[:-1]
    if len(line) > _SYSLOG_MAX:
        line = f"{line[:_SYSLOG_MAX]}… ({len(line) - _SYSLOG_MAX} more)"
    # Python's syslog takes no surrogates, so bytes that are not UTF-8 go as \xNN.
    line = to_bytes(line).decode("utf-8", "backslashreplace")
    syslog.syslog(priority_of(message.record["level"].name), line)


def facility_code(facility: str | int | None) -> int:
    """The number that openlog(3) takes for a facility, which is given by its name or number. None is `user`.

    A number up to 23 is the facility's own (RFC 5424: 3 is daemon, 16 to 23 are local0 to local7); a greater one is
    that of syslog.h, eight times as much. Raises OrchestratorError for an unknown facility.
    """
    if facility is None:
        return syslog.LOG_USER
    if isinstance(facility, str):
        code = FACILITIES.get(facility.lower())
    elif 0 <= facility <= _LAST_FACILITY:
        code = facility << 3
    else:
        code = facility if facility % 8 == 0 and 0 <= facility >> 3 <= _LAST_FACILITY else None
    if code is None:
        raise OrchestratorError(f"Logging facility '{facility}' unknown.")
    return code
