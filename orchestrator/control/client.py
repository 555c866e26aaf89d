"""`orchestrator status SOCKET`: the state of a running daemon and its syncs, in lines or as JSON."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import time
from typing import TYPE_CHECKING, Any, Final

from orchestrator.logic.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.control.output import Output

PATIENCE: Final = 10.0
"""Seconds to wait for the daemon's answer: it may be reading a burst of changes."""

LONGEST: Final = 1 << 26
"""Bytes of an answer; no daemon's status is longer."""

ATTENTION: Final = ("retrying", "suspended", "left alone", "stopped")
"""States in which somebody should have a look."""

OK: Final = 0
NEEDS_ATTENTION: Final = 1
WRONG_CALL: Final = 2
"""As for any call that argparse refuses."""
NO_ANSWER: Final = 3


class NoStatus(Exception):
    """There is no status to print: the reason, and the exit status for it."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def status(path: str, output: Output, *, as_json: bool) -> int:
    """Print the status of the daemon behind a control socket.

    0: all is well; 1: a sync needs attention; 2: the call is wrong; 3: no daemon answers, or none that may be asked.
    """
    try:
        report = ask(path)
        lines, states = list(_report(report)), [(str(sync["name"]), sync["state"]) for sync in report["syncs"]]
    except NoStatus as trouble:
        output.complain(f"Error: {trouble}")
        return trouble.code
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError):
        # no daemon answers like this: its values would be times, numbers and texts
        output.complain(f"Error: {_NOT_OURS.format(path)}")
        return NO_ANSWER
    if as_json:
        output.raw(json.dumps(report, indent=1))
    else:
        for line in lines:
            output.line(line)
    worth_a_look = [f"{name} is {state}" for name, state in states if state in ATTENTION]
    if worth_a_look:
        output.complain(f"Attention: {', '.join(worth_a_look)}.")
    return NEEDS_ATTENTION if worth_a_look else OK


_NOT_OURS: Final = "what answers at {} is no daemon of this kind"


def ask(path: str) -> dict[str, Any]:
    """The daemon's report, whatever is in it. Raises NoStatus."""
    try:
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError) as error:
        raise _no_answer(path, error) from None
    if not is_socket:
        raise NoStatus(f"{path} is no socket; name the file that the setting controlSocket names.", WRONG_CALL)
    try:
        answer = _read(path)
    except OSError as error:
        raise _no_answer(path, error) from None
    try:
        report = json.loads(answer)
    except (ValueError, RecursionError):
        report = None
    if not isinstance(report, dict):
        raise NoStatus(_NOT_OURS.format(path), NO_ANSWER)
    return report


def _no_answer(path: str, error: Exception) -> NoStatus:
    reason = getattr(error, "strerror", None) or error
    hint = "; only the user that it runs as may ask" if getattr(error, "errno", None) == errno.EACCES else ""
    return NoStatus(f"no daemon answers at {path}: {reason}{hint}", NO_ANSWER)


def _read(path: str) -> bytes:
    end = time.monotonic() + PATIENCE
    pieces: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(path)
        size = 0
        while size <= LONGEST:
            connection.settimeout(max(0.001, end - time.monotonic()))
            piece = connection.recv(1 << 16)
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
    return b"".join(pieces)


def _report(report: dict[str, Any]) -> Iterator[str]:
    polled = f", {report['polled']} polled for lack of watches" if report["polled"] else ""
    yield (
        f"lsyncd {report['pid']}: {counted(report['processes'], 'transfer')} running, "
        f"{counted(report['watches'], 'directory', 'directories')} watched{polled}"
    )
    for sync in report["syncs"]:
        yield from _lines(sync)
    for connection in report.get("ssh", ()):
        users = counted(connection["transfers"], "transfer uses it", "transfers use it")
        state = "not open" if connection["pid"] is None else f"process {connection['pid']}, {users}"
        yield f"ssh connection to {connection['host']}: {state}"


def _lines(sync: dict[str, Any]) -> Iterator[str]:
    if not isinstance(sync["state"], str):
        raise TypeError("a state is a text")
    yield f"{sync['name']}: {sync['state']}, {sync['source']} -> {sync['target'] or '(no target)'}"
    if sync["delays"]:
        wait = counted(sync["delays"], "change waits", "changes wait")
        yield f"  {wait}, the oldest for {sync['oldest_delay_age']:.0f} s"
    if sync["retrying"]:
        yield f"  {counted(sync['retrying'], 'path waits', 'paths wait')} to be tried again"
    if sync["held_by"]:
        yield f"  held by {sync['held_by']}"
    if sync["unreachable"] is not None:
        yield f"  {sync['unreachable']} cannot be reached"
    if sync["last_success"] is not None:
        yield f"  last success {_when(sync['last_success'])}"
    if sync["last_error"] is not None:
        yield f"  last error {_when(sync['last_error']['time'])}: {sync['last_error']['cause']}"


def _when(wall: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(wall))
