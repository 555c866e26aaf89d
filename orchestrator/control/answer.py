"""The answer to `status`, checked: whatever has answered, what follows works with texts and numbers.

Only the fields that the command's own words are made of (contrib/CONTROL.md has all); `--json` prints the answer as it
came. A field that is left out is null, as from an older daemon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_SECONDS = 1e11
"""Since 1970; a later time has no date with four digits of a year."""


class NotOurs(Exception):
    """No daemon of this kind answers like this."""


@dataclass(frozen=True)
class Failure:
    """The last error of a sync. `time`: seconds since 1970."""

    time: float
    exit_code: int | None
    cause: str


@dataclass(frozen=True)
class Unreachable:
    """A host that no transfer gets to. `next_try`: seconds since 1970; None: nobody knows."""

    host: str
    next_try: float | None


@dataclass(frozen=True)
class SyncAnswer:
    """A sync. Times are seconds since 1970."""

    name: str
    state: str
    source: str
    target: str
    stuck: str | None
    waiting: int
    retrying: int
    oldest: float | None
    held_by: str
    unreachable: Unreachable | None
    progress: str
    """Of its startup, "3/8" or "40%"; empty: none runs, or nobody knows."""
    transfers: int
    last_success: float | None
    last_error: Failure | None
    differences: int
    """Of the last verify."""
    conflicts: int


@dataclass(frozen=True)
class StatusAnswer:
    """`time`: now, of the daemon's clock."""

    pid: int
    config: str
    state: str
    time: float
    processes: int
    watches: int
    polled: int
    overflows: int
    ssh: tuple[str, ...]
    """A line for each shared connection."""
    syncs: tuple[SyncAnswer, ...]


def status_of(answer: object) -> StatusAnswer:
    """Check an answer. Raises NotOurs."""
    try:
        return _status(_table(answer))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        raise NotOurs from None


def _status(answer: Mapping[str, Any]) -> StatusAnswer:
    daemon = _table(answer["daemon"])
    return StatusAnswer(
        pid=_integer(daemon["pid"]),
        config=_text(daemon.get("config") or ""),
        state=_text(daemon.get("state") or "running"),
        time=time_of(daemon["time"]),
        processes=_integer(daemon.get("processes") or 0),
        watches=_integer(daemon.get("watches") or 0),
        polled=_integer(daemon.get("polled") or 0),
        overflows=_integer(daemon.get("overflows") or 0),
        ssh=tuple(_connection(_table(one)) for one in _list(daemon.get("ssh") or [])),
        syncs=tuple(_sync(_table(one)) for one in _list(answer["syncs"])),
    )


def _sync(sync: Mapping[str, Any]) -> SyncAnswer:
    verified = _optional_table(sync.get("verified"))
    return SyncAnswer(
        name=_text(sync["name"]),
        state=_text(sync["state"]),
        source=_text(sync.get("source") or ""),
        target=_text(sync.get("target") or ""),
        stuck=_text(sync["stuck"]) if sync.get("stuck") else None,
        waiting=_integer(sync.get("waiting") or 0),
        retrying=_integer(sync.get("retrying") or 0),
        oldest=_optional_time(sync.get("oldest")),
        held_by=_text(sync.get("held_by") or ""),
        unreachable=_unreachable(_optional_table(sync.get("unreachable"))),
        progress=_progress(_optional_table(sync.get("startup"))),
        transfers=len(_list(sync.get("transfers") or [])),
        last_success=_optional_time(sync.get("last_success")),
        last_error=_failure(_optional_table(sync.get("last_error"))),
        differences=_differences(verified),
        conflicts=_conflicts(sync.get("conflicts")),
    )


def _connection(connection: Mapping[str, Any]) -> str:
    host, pid, transfers = _text(connection["host"]), connection.get("pid"), _integer(connection.get("transfers") or 0)
    if pid is None:
        return f"ssh connection to {host}: not open"
    uses = "transfer uses it" if transfers == 1 else "transfers use it"
    return f"ssh connection to {host}: process {_integer(pid)}, {transfers} {uses}"


def _unreachable(value: Mapping[str, Any] | None) -> Unreachable | None:
    return None if value is None else Unreachable(_text(value["host"]), _optional_time(value.get("next_try")))


def _failure(value: Mapping[str, Any] | None) -> Failure | None:
    if value is None:
        return None
    code = value.get("exit_code")
    return Failure(time_of(value["time"]), None if code is None else _integer(code), _text(value.get("cause") or ""))


def _progress(startup: Mapping[str, Any] | None) -> str:
    if startup is None:
        return ""
    for kind in ("bytes", "files"):
        done, total = startup.get(f"{kind}_done"), startup.get(kind)
        if done is not None and total:
            return f"{min(100, 100 * _integer(done) // _integer(total))}%"
    done, total = startup.get("parts_done"), startup.get("parts")
    return f"{_integer(done or 0)}/{_integer(total)}" if total and total != 1 else ""


def _differences(verified: Mapping[str, Any] | None) -> int:
    if verified is None or verified.get("is_equal") is not False or verified.get("error"):
        return 0
    found = verified.get("differences")
    return len(found) if isinstance(found, list) else _integer(found or 0)


def _conflicts(value: object) -> int:
    return len(value) if isinstance(value, list) else _integer(value or 0)


def _table(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("no object")
    return value


def _optional_table(value: object) -> Mapping[str, Any] | None:
    return None if value is None else _table(value)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 1 << 63:
        raise TypeError("no whole number")
    return value


def time_of(value: object) -> float:
    """A time, or seconds, that a daemon of ours could have said. Raises TypeError and ValueError."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError("no time")
    if not 0 <= value <= MOST_SECONDS:
        raise ValueError("no time of ours")
    return value


def _optional_time(value: object) -> float | None:
    return None if value is None else time_of(value)
