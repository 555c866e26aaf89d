"""`orchestrator reload`: has a running daemon read its config again; syncs that are the same go on."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from orchestrator.control.output import Output

DONE: Final = 0
NOT_ASKED: Final = 1

NAME: Final = b"lsyncd\n"
"""What the kernel calls a daemon (/proc/PID/comm)."""


class NoDaemon(Exception):
    """There is nobody to ask, and why."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Ask the daemon. Returns the exit status."""
    return reload(options.config, options.pid, output)


def reload(config: str | None, pid: int | None, output: Output) -> int:
    """Ask the daemon with a process id, or of a config's pid file, or else the only one that runs. Returns the exit
    status: 0, or 1 where none was asked. Nothing is waited for: the daemon's log says what becomes of it."""
    try:
        wanted = pid if pid is not None else _of_config(config) if config is not None else _only_one()
        _ask(wanted)
    except NoDaemon as error:
        output.complain(f"Error: {error}")
        return NOT_ASKED
    output.line(f"lsyncd {wanted} reads its config again; its log says what has changed.")
    return DONE


def _of_config(path: str) -> int:
    """The process id in the pid file that a config names. Raises OrchestratorError where the config does not load."""
    from orchestrator.control.dry import DryRun

    with DryRun(path, elsewhere=True) as run:
        run.load()
        pidfile = run.settings.pidfile
    if pidfile is None:
        raise NoDaemon(f"{path} has no setting pidfile: name the process by --pid.")
    try:
        with open(pidfile, "rb") as file:
            return int(file.read(32))
    except OSError as error:
        raise NoDaemon(f"no daemon of {path} runs: {pidfile}: {error.strerror}") from None
    except ValueError:
        raise NoDaemon(f"{pidfile} holds no process id.") from None


def _only_one() -> int:
    found = list(_running())
    if not found:
        raise NoDaemon("no daemon runs that this user may ask.")
    if len(found) > 1:
        numbers = ", ".join(map(str, sorted(found)))
        raise NoDaemon(f"several daemons run ({numbers}): name one by its config, or by --pid.")
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
        raise NoDaemon(f"there is no process {pid}: {getattr(error, 'strerror', None) or error}") from None
    try:
        if not _is_daemon(pid):
            raise NoDaemon(f"process {pid} is no daemon of this kind; it is left alone.")
        signal.pidfd_send_signal(process, signal.SIGUSR2)
    except OSError as error:
        raise NoDaemon(f"process {pid} cannot be asked: {error.strerror}") from None
    finally:
        os.close(process)
