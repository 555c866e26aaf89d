"""`orchestrator pause`, `resume`, `run`, `flush`, `retry` and `log`: steers a running daemon."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from orchestrator.control import client
from orchestrator.control.exits import ATTENTION, OK
from orchestrator.logic.text import counted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping

    from orchestrator.control.output import Output

LONGEST_WAIT: Final = 1e9
"""Seconds that stand for any length of time."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Ask the daemon, and print what it has done. Returns the exit status: ATTENTION where a flush was not done within
    its time, or nothing was done at all."""
    with client.reach(options.socket, options.pid) as daemon:
        request = _REQUESTS[options.command](options)
        patience = client.PATIENCE + (request.get("wait") or 0)
        result = daemon.ask(options.command, patience=patience, **request)
        try:
            lines = list(_LINES[options.command](options, result))
            is_done = _is_done(options, result)
        except (LookupError, TypeError, ValueError):
            raise client.not_ours(daemon.path) from None
    if options.json:
        output.raw(json.dumps(result, indent=1))
    else:
        for line in lines:
            output.line(line)
    return OK if is_done else ATTENTION


def seconds(text: str) -> float:
    """The value of `--wait`; infinity is one. Raises ValueError."""
    value = float(text)
    if math.isnan(value) or value < 0:
        raise ValueError(text)
    return value


def _syncs(options: argparse.Namespace) -> dict[str, Any]:
    return {"syncs": options.syncs or None}


def _flush(options: argparse.Namespace) -> dict[str, Any]:
    wait = None if options.wait is None else min(options.wait, LONGEST_WAIT)
    return {"syncs": options.syncs or None, "wait": wait}


def _log(options: argparse.Namespace) -> dict[str, Any]:
    return {"on": options.categories or None, "off": options.off or None}


_REQUESTS: Final[Mapping[str, Callable[[argparse.Namespace], dict[str, Any]]]] = {
    "pause": _syncs,
    "resume": _syncs,
    "run": _syncs,
    "flush": _flush,
    "retry": _syncs,
    "log": _log,
}

_DONE: Final = {
    "pause": "paused",
    "resume": "no longer paused",
    "run": "full run queued",
    "retry": "tried again now",
}


def _names(options: argparse.Namespace, result: Mapping[str, Any]) -> Iterator[str]:
    yield f"{_DONE[options.command]}: {', '.join(_texts(result['syncs'])) or 'no sync'}"


def _flushed(options: argparse.Namespace, result: Mapping[str, Any]) -> Iterator[str]:
    for sync in result["syncs"]:
        name, waiting, state = f"{sync['name']}", int(sync["waiting"]), f"{sync['state']}"
        if sync["is_done"]:
            yield f"{name}: done"
        elif options.wait is None:
            yield f"{name}: {counted(waiting, 'change')} on the way ({state})"
        else:
            yield f"{name}: not done, {counted(waiting, 'change waits', 'changes wait')} ({state})"


def _categories(options: argparse.Namespace, result: Mapping[str, Any]) -> Iterator[str]:
    yield f"shown: {', '.join(_texts(result['categories']))}"


_LINES: Final[Mapping[str, Callable[[argparse.Namespace, Mapping[str, Any]], Iterator[str]]]] = {
    "flush": _flushed,
    "log": _categories,
    **dict.fromkeys(_DONE, _names),
}


def _is_done(options: argparse.Namespace, result: Mapping[str, Any]) -> bool:
    if options.command == "log":
        return True
    if options.command == "flush":
        return options.wait is None or all(bool(sync["is_done"]) for sync in result["syncs"])
    return bool(result["syncs"])


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("no list of texts")
    return values
