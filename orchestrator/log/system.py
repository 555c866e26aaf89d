"""The system's log, syslog(3)."""

from __future__ import annotations

import syslog

from orchestrator.errors import OrchestratorError
from orchestrator.logic.message import to_bytes

_PRIORITIES = {"Warn": syslog.LOG_WARNING, "Error": syslog.LOG_ERR}

FACILITIES: dict[str, int] = {
    name[4:].lower(): getattr(syslog, name)
    for name in (
        *("LOG_KERN", "LOG_USER", "LOG_MAIL", "LOG_DAEMON", "LOG_AUTH", "LOG_SYSLOG", "LOG_LPR", "LOG_NEWS"),
        *("LOG_UUCP", "LOG_CRON", "LOG_AUTHPRIV", "LOG_FTP", *(f"LOG_LOCAL{number}" for number in range(8))),
    )
    if hasattr(syslog, name)
}
"""Names that `logfacility` takes."""

_LAST_FACILITY = 23
"""local7's number."""

_SYSLOG_MAX = 60_000
"""Characters. A longer message is refused by the kernel as a datagram, and nobody would see any of it."""


def priority_of(category: str) -> int:
    """All others are LOG_NOTICE: LOG_DEBUG would be thrown away by most syslogs, and it was asked for."""
    return _PRIORITIES.get(category, syslog.LOG_NOTICE)


def open_syslog(ident: str, facility: int) -> None:
    """`to_syslog` writes with this name, under this facility, from now on."""
    syslog.openlog(ident, 0, facility)


def to_syslog(category: str, text: str) -> None:
    """A sink."""
    if len(text) > _SYSLOG_MAX:
        text = f"{text[:_SYSLOG_MAX]}… ({len(text) - _SYSLOG_MAX} more)"
    # Python's syslog takes no surrogates, so bytes that are not UTF-8 go as \xNN.
    line = to_bytes(f"{category}, {text}").decode("utf-8", "backslashreplace")
    syslog.syslog(priority_of(category), line)


def facility_code(facility: str | int | None) -> int:
    """What openlog(3) takes for a facility, given by its name or number.

    A number is the facility's own (RFC 5424: 3 is daemon, 16 to 23 are local0 to local7), or, above those, what
    syslog.h has for it, eight times as much. Raises OrchestratorError for one that there is not.
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
