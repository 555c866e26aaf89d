"""An event as a line for people (contrib/CONTROL.md "Events")."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from orchestrator.logic.text import counted
from orchestrator.logic.words import age, size

TOPICS: Final = (
    "state", "queue", "change", "started", "ended", "difference", "verified", "reloaded", "log", "ending", "lost",
)  # fmt: skip
"""All that there are. `lost` comes to whom it concerns, in any case."""

USUAL: Final = tuple(topic for topic in TOPICS if topic not in ("queue", "log"))
"""Without any being named: what somebody who looks on wants to see."""

Event = Mapping[str, Any]


def line_of(event: Event) -> str:
    """The line; control characters of names are not written out yet. An event of a kind that is new to us: its name.

    Whatever the event holds, it is a line.
    """
    try:
        sync = event.get("sync")
        who = "" if sync is None else f"{sync} "
        return f"{_clock(event['time'])} {who}{_SAID.get(event['event'], _unknown)(event)}"
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError):  # none of a daemon of ours
        return f"(an event that is not understood: {event})"


def _unknown(event: Event) -> str:
    return str(event["event"])


def _clock(wall: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(wall))


def _state(event: Event) -> str:
    return f"is {event['state']}{', stuck: ' + event['stuck'] if event.get('stuck') else ''}"


def _queue(event: Event) -> str:
    oldest = event.get("oldest")
    old = "" if oldest is None else f", the oldest for {age(max(0.0, event['time'] - oldest))}"
    return f"{counted(event['waiting'], 'change waits', 'changes wait')}{old}"


def _change(event: Event) -> str:
    # a sync's own paths have no source in front
    to = event.get("path2")
    return f"{event['etype']} {event['path']}{f' -> {to}' if to else ''}"


def _sample(transfer: Event) -> str:
    """What a transfer is for: of a batch the first paths, of a run of everything its kind."""
    names, count = [str(name) for name in transfer.get("sample") or ()], transfer.get("paths")
    if not names:
        return f"{transfer['kind']} run" if transfer.get("kind") in ("startup", "full") else str(transfer.get("kind"))
    shown = " ".join(names)
    more = (count or 0) - len(names)
    return f"{shown} and {more} more" if more > 0 else shown


def _started(event: Event) -> str:
    transfer = event["transfer"]
    pid = transfer.get("pid")
    return f"started {transfer['id']}{'' if pid is None else f' (process {pid})'}: {_sample(transfer)}"


def _ended(event: Event) -> str:
    figures = [f"{event['duration']:.1f} s"]
    if event.get("bytes") is not None:
        figures.append(size(event["bytes"]))
    if event.get("files"):
        figures.append(counted(event["files"], "file"))
    code, cause = event.get("exit_code"), event.get("cause")
    how = "" if event["verdict"] == "ok" else f", exit code {code}" if code is not None else ""
    why = f": {cause}" if cause else f": {_sample(event)}"
    return f"ended {event['id']} {event['verdict']}{how} ({', '.join(figures)}){why}"


def _difference(event: Event) -> str:
    return f"differs {event['kind']}: {event['path']}"


def _verified(event: Event) -> str:
    if event.get("error"):
        return f"not verified: {event['error']}"
    if event["is_equal"]:
        return f"verified: equal, {counted(event['compared'] or 0, 'path')} compared"
    found = event["differences"]
    return f"verified: {counted(len(found) if isinstance(found, list) else found, 'difference')}"


def _reloaded(event: Event) -> str:
    return f"reloaded: {counted(len(event['syncs']), 'sync')}"


def _log(event: Event) -> str:
    return f"log {event['category']}: {event['text']}"


def _ending(event: Event) -> str:
    reason = event.get("reason")
    return f"the daemon ends{f': {reason}' if reason else ''}"


def _lost(event: Event) -> str:
    return f"{counted(event['count'], 'event')} left out, as they came faster than they were read"


_SAID: Final[Mapping[str, Callable[[Event], str]]] = {
    "state": _state,
    "queue": _queue,
    "change": _change,
    "started": _started,
    "ended": _ended,
    "difference": _difference,
    "verified": _verified,
    "reloaded": _reloaded,
    "log": _log,
    "ending": _ending,
    "lost": _lost,
}
