"""`orchestrator status SOCKET`: what a running daemon is about, at a glance or as JSON."""

from __future__ import annotations

import json
import os
import socket
import stat
import time
from typing import TYPE_CHECKING, Any

from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.control.output import Output

PATIENCE = 10.0
"""Seconds to wait for the daemon's answer: it may be reading a burst of changes."""

ATTENTION = ("retrying", "suspended", "stopped")
"""States in which somebody should have a look."""


def status(path: str, output: Output, *, as_json: bool) -> int:
    """Print the status of the daemon behind a control socket. 0: all is well; 1: a sync needs attention."""
    report = ask(path)
    if as_json:
        output.raw(json.dumps(report, indent=1))
    else:
        polled = f", {report['polled']} polled for want of watches" if report["polled"] else ""
        output.line(
            f"lsyncd {report['pid']}: {report['processes']} transfers running, "
            f"{report['watches']} directories watched{polled}"
        )
        for sync in report["syncs"]:
            for line in _lines(sync):
                output.line(line)
    return 1 if any(sync["state"] in ATTENTION for sync in report["syncs"]) else 0


def ask(path: str) -> dict[str, Any]:
    """The daemon's report. Raises UsageError where there is no daemon to be asked."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise UsageError(f"{path} is no socket; name the file that the setting controlSocket names.")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(path)
            with connection.makefile("rb") as answer:
                report: dict[str, Any] = json.loads(answer.read())
                return report
    except OSError as error:
        raise UsageError(f"no daemon answers at {path}: {error.strerror or error}") from None
    except ValueError:
        raise UsageError(f"what answers at {path} is no daemon of this kind") from None


def _lines(sync: dict[str, Any]) -> list[str]:
    lines = [f"{sync['name']}: {sync['state']}, {sync['source']} -> {sync['target'] or '(no target)'}"]
    if sync["delays"]:
        lines.append(f"  {sync['delays']} changes wait, the oldest for {sync['oldest_delay_age']:.0f} s")
    if sync["retrying"]:
        lines.append(f"  {sync['retrying']} paths wait to be tried again")
    if sync["held_by"]:
        lines.append(f"  held by {sync['held_by']}")
    if sync["unreachable"] is not None:
        lines.append(f"  {sync['unreachable']} cannot be reached")
    if sync["last_success"] is not None:
        lines.append(f"  last success {_when(sync['last_success'])}")
    if sync["last_error"] is not None:
        lines.append(f"  last error {_when(sync['last_error']['time'])}: {sync['last_error']['cause']}")
    return lines


def _when(wall: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(wall))
