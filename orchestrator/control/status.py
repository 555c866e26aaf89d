"""`orchestrator status`: the state of a running daemon and its syncs, in lines or as JSON."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from orchestrator.control import client
from orchestrator.control.exits import ATTENTION, OK
from orchestrator.logic.text import counted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from orchestrator.control.output import Output

WORTH_A_LOOK: Final = ("retrying", "suspended", "left alone", "stopped")
"""States in which somebody should have a look."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Print it. Returns the exit status."""
    with client.connect(options.socket) as connection:
        report = connection.ask("status")
    try:
        lines, states = list(_report(report)), [(str(sync["name"]), sync["state"]) for sync in report["syncs"]]
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError):
        # no daemon answers like this: its values would be times, numbers and texts
        raise client.not_ours(options.socket) from None
    if options.json:
        output.raw(json.dumps(report, indent=1))
    else:
        for line in lines:
            output.line(line)
    worth_a_look = [f"{name} is {state}" for name, state in states if state in WORTH_A_LOOK]
    if worth_a_look:
        output.complain(f"Attention: {', '.join(worth_a_look)}.")
    return ATTENTION if worth_a_look else OK


def _report(report: dict[str, Any]) -> Iterator[str]:
    daemon = report["daemon"]
    polled = f", {daemon['polled']} polled for lack of watches" if daemon["polled"] else ""
    yield (
        f"lsyncd {daemon['pid']}: {counted(daemon['processes'], 'transfer')} running, "
        f"{counted(daemon['watches'], 'directory', 'directories')} watched{polled}"
    )
    for sync in report["syncs"]:
        yield from _lines(sync, daemon["time"])
    for connection in daemon.get("ssh", ()):
        users = counted(connection["transfers"], "transfer uses it", "transfers use it")
        state = "not open" if connection["pid"] is None else f"process {connection['pid']}, {users}"
        yield f"ssh connection to {connection['host']}: {state}"


def _lines(sync: dict[str, Any], now: float) -> Iterator[str]:
    if not isinstance(sync["state"], str):
        raise TypeError("a state is a text")
    yield f"{sync['name']}: {sync['state']}, {sync['source']} -> {sync['target'] or '(no target)'}"
    if sync["waiting"]:
        wait = counted(sync["waiting"], "change waits", "changes wait")
        yield f"  {wait}, the oldest for {max(0.0, now - sync['oldest']):.0f} s"
    if sync["retrying"]:
        yield f"  {counted(sync['retrying'], 'path waits', 'paths wait')} to be tried again"
    if sync["held_by"]:
        yield f"  held by {sync['held_by']}"
    if sync["unreachable"] is not None:
        yield f"  {sync['unreachable']['host']} cannot be reached"
    if sync["last_success"] is not None:
        yield f"  last success {_when(sync['last_success'])}"
    if sync["last_error"] is not None:
        yield f"  last error {_when(sync['last_error']['time'])}: {sync['last_error']['cause']}"


def _when(wall: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(wall))
