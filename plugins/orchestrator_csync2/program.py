"""One csync2 from start to end: its command line is logged, its lines are passed on, its exit code is returned."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from orchestrator.api import Inlet
    from orchestrator_csync2.options import Csync2Settings

STOPPED = 128 + 15
"""Exit code of a job that was asked to stop: as if SIGTERM had ended it."""

NOT_EXECUTED = 255
INCOMPLETE = 1
"""csync2's own exit code where anything went wrong."""


class Csync2Program:
    """csync2 as one sync's settings have it; for a worker thread."""

    def __init__(self, settings: Csync2Settings, inlet: Inlet, stop: threading.Event) -> None:
        self._command = settings.command
        self._environment = {**os.environ, **settings.environment}
        self._inlet = inlet
        self._stop = stop

    def run(self, arguments: Sequence[str | bytes], read: Callable[[bytes], None]) -> int:
        """Run it; each line that it writes goes to `read`. Returns the exit code; 128 + signal if killed."""
        return self._run(arguments, read, merges_stderr=True)[0]

    def run_apart(self, arguments: Sequence[str | bytes], read: Callable[[bytes], None]) -> tuple[int, bytes]:
        """The same, where `read` gets what it writes to stdout alone. Returns the end of its stderr, too."""
        return self._run(arguments, read, merges_stderr=False)

    def _run(
        self, arguments: Sequence[str | bytes], read: Callable[[bytes], None], *, merges_stderr: bool
    ) -> tuple[int, bytes]:
        if self._stop.is_set():
            return STOPPED, b""
        command = [*self._command, *(os.fsencode(argument) for argument in arguments)]
        try:
            return self._inlet.read_program(
                command, None, self._environment, self._stop, read, merges_stderr=merges_stderr
            )
        except OSError as error:
            self._inlet.log("Error", "Failed executing [ ", command[0], " ]!", f" ({error.strerror})")
            return NOT_EXECUTED, (error.strerror or "").encode()
