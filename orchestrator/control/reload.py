"""`orchestrator reload`: has a running daemon read its config again; syncs that are the same go on."""

from __future__ import annotations

import json
import os
import signal
import stat
from typing import TYPE_CHECKING, Any, Final

from orchestrator.control import client
from orchestrator.control.exits import NO_DAEMON, OK, WRONG_CALL, Refused

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from orchestrator.control.output import Output

NAME: Final = b"lsyncd\n"
"""What the kernel calls a daemon (/proc/PID/comm)."""

PATIENCE: Final = 600.0
"""Seconds to wait for the end of a reload: the config may do anything while it is loaded."""


def no_daemon(why: str) -> Refused:
    """The refusal where there is nobody to ask."""
    return Refused(why, NO_DAEMON)


def run(options: argparse.Namespace, output: Output) -> int:
    """Ask the daemon with a socket or process id, or of a config's pid file, or else the only one that runs, and print
    what it says. Returns the exit status. Raises Refused, also where the config has an error.

    One without a control socket is sent a signal, and nothing is waited for.
    """
    path, pid = options.socket, options.pid
    if path is None and pid is None:
        path, pid = _of_config(options.config) if options.config is not None else (None, _only_one())
    if path is None:
        path = next((found.path for found in client.find() if found.pid == pid and found.is_open), None)
    result: dict[str, Any] = {"lines": None}
    if path is None:
        assert pid is not None
        _ask(pid)
        lines: Any = [f"lsyncd {pid} reads its config again; its log says what has changed."]
    else:
        with client.connect(path) as daemon:
            result = daemon.ask("reload", patience=PATIENCE)
        lines = result.get("lines")
        if not isinstance(lines, list):
            raise client.not_ours(path)
    if options.json:
        output.raw(json.dumps(result, indent=1))
    else:
        for line in lines:
            output.line(str(line))
    return OK


def _of_config(path: str) -> tuple[str | None, int | None]:
    """The control socket that a config names, if it is there; else the process id in its pid file.

    Raises OrchestratorError where the config does not load.
    """
    from orchestrator.control.dry import DryRun

    with DryRun(path, elsewhere=True) as run:
        run.load()
        pidfile, place = run.settings.pidfile, run.settings.control_socket
    if isinstance(place, str) and _is_socket(place):
        return place, None
    if pidfile is None:
        raise Refused(f"{path} has no setting pidfile: name the process by --pid.", WRONG_CALL)
    try:
        with open(pidfile, "rb") as file:
            return None, int(file.read(32))
    except OSError as error:
        raise no_daemon(f"no daemon of {path} runs: {pidfile}: {error.strerror}") from None
    except ValueError:
        raise no_daemon(f"{pidfile} holds no process id.") from None


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _only_one() -> int:
    found = list(_running())
    if not found:
        raise no_daemon("no daemon runs that this user may ask.")
    if len(found) > 1:
        numbers = ", ".join(map(str, sorted(found)))
        raise Refused(f"several daemons run ({numbers}): name one by its config, or by --pid.", WRONG_CALL)
    return found[0]


def _running() -> Iterator[int]:
    """The daemons that this user may send signals to."""
    for name in os.listdir("/proc"):
        if name.isdecimal() and _is_daemon(int(name)):
            user = os.geteuid()
            try:
                if user in (0, os.stat(f"/proc/{name}").st_uid):
                    yield int(name)
            except OSError:
                continue  # it has ended


def _is_daemon(pid: int) -> bool:
    """Whether a process is a daemon of ours: the signal would end any other one, lsyncd itself included."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            if file.read() != NAME:
                return False
        with open(f"/proc/{pid}/status", "rb") as file:
            caught = next(line for line in file if line.startswith(b"SigCgt:"))
    except (OSError, StopIteration):
        return False
    return bool(int(caught.split()[1], 16) >> (signal.SIGUSR2 - 1) & 1)


def _ask(pid: int) -> None:
    try:
        process = os.pidfd_open(pid)  # first: another process may get the number
    except (OSError, ValueError, OverflowError) as error:
        raise no_daemon(f"there is no process {pid}: {getattr(error, 'strerror', None) or error}") from None
    try:
        if not _is_daemon(pid):
            raise no_daemon(f"process {pid} is no daemon of this kind; it is left alone.")
        signal.pidfd_send_signal(process, signal.SIGUSR2)
    except OSError as error:
        raise no_daemon(f"process {pid} cannot be asked: {error.strerror}") from None
    finally:
        os.close(process)
