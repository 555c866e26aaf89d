"""One csync2 from start to end: its command line is told, its lines are passed on, its exit code is the answer."""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import TYPE_CHECKING

from orchestrator.api import ends_with_daemon

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from orchestrator.api import Inlet
    from orchestrator_csync2.options import Settings

STOPPED = 128 + 15
"""Exit code of a job that was told to stop: as if SIGTERM had ended it."""

NOT_EXECUTED = 255
INCOMPLETE = 1
"""csync2's own exit code where anything went wrong."""

POLL = 0.2
"""Seconds between two looks at `stop`; only while a csync2 runs or another one is waited for."""

_GRACE = 5.0
"""Seconds that csync2 has, between TERM and KILL, to let go of its database."""

_LINE = 1 << 16
"""Bytes. Longer lines are cut: csync2 prints nothing of that length that we need."""


class Program:
    """csync2 as one sync's settings have it; for a worker thread."""

    def __init__(self, settings: Settings, inlet: Inlet, stop: threading.Event) -> None:
        self._command = settings.command
        self._environment = {**os.environ, **settings.environment}
        self._inlet = inlet
        self._log = inlet.log
        self._stop = stop

    def run(self, arguments: Sequence[str | bytes], read: Callable[[bytes], None]) -> int:
        """Run it; its lines go to `read`. The exit code; 128 + signal if killed."""
        if self._stop.is_set():
            return STOPPED
        command = [*self._command, *(os.fsencode(argument) for argument in arguments)]
        if self._inlet.shows("Exec"):
            self._log("Exec", command[0], *(b" [" + argument + b"]" for argument in command[1:]))
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        except OSError as error:
            self._log("Error", "Failed executing [ ", command[0], " ]!", f" ({error.strerror})")
            return NOT_EXECUTED
        with process, ends_with_daemon(process.pid):
            try:
                self._read(process, read)
                code = self._wait(process)
            except BaseException:
                process.kill()
                raise
        return 128 - code if code < 0 else code

    def _read(self, process: subprocess.Popen[bytes], read: Callable[[bytes], None]) -> None:
        """Pass on line after line until the output is closed, or the job is told to stop."""
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        rest = b""
        while not self._stop.is_set():
            if not poll.poll(POLL * 1000):
                # An action of csync2's that goes into the background keeps the pipe: its end is not ours.
                if process.poll() is not None:
                    break
                continue
            data = os.read(descriptor, _LINE)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                read(line)
            rest = rest[:_LINE]
        if rest:
            read(rest)

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        kill_at = None
        while True:
            try:
                return process.wait(POLL)
            except subprocess.TimeoutExpired:
                if not self._stop.is_set():
                    continue
            if kill_at is None:
                process.terminate()
                kill_at = time.monotonic() + _GRACE
            elif time.monotonic() > kill_at:
                process.kill()
