"""The commands given to csync2: to check paths, to deliver, to list what it knows. Their order is for jobs.py.

A check (`-c`) has csync2 compare the given paths with its database and note what has to go where; `-m` has it note
them whatever it finds. A delivery (`-u`) sends to each host what is noted for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.api import argument_room
from orchestrator_csync2.batch import argument_lists
from orchestrator_csync2.output import Output
from orchestrator_csync2.program import INCOMPLETE

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator_csync2.known import Known, List
    from orchestrator_csync2.options import Csync2Settings
    from orchestrator_csync2.program import Csync2Program
    from orchestrator_csync2.reporter import Reporter
    from orchestrator_csync2.scratch import Scratch

_IGNORED = b"WARNING: Parameter will be ignored: "


class Commands:
    """For one job. Where a number is given, it is csync2's exit code."""

    def __init__(
        self,
        settings: Csync2Settings,
        program: Csync2Program,
        scratch: Scratch,
        known: Known,
        reporter: Reporter,
        log: Callable[..., None],
    ) -> None:
        self._settings = settings
        self._program = program
        self._scratch = scratch
        self._known = known
        self._reporter = reporter
        self._log = log

    def check(self, option: str, paths: list[bytes]) -> int:
        """Have csync2 compare these paths with its database, in as many runs as they need."""
        said: list[bytes] = []

        def read(line: bytes) -> None:
            if self._settings.verbose:
                self._log("Normal", "csync2: ", line)
            said.append(line)
            del said[:-5]

        room = argument_room((*self._settings.command, option.encode(), b"-v"))
        for some in argument_lists(paths, room):
            code = self._program.run((option, *(["-v"] if self._settings.verbose else []), *some), read)
            if code != 0:
                self._reporter.gave_up(said, self._log)
                return code
        return 0

    def transfer(self, *mode: str) -> tuple[int, Output]:
        """Run csync2 in a mode that delivers; paths that it could not are still to be reported (`explain`)."""
        output = Output(self._named)

        def read(line: bytes) -> None:
            output.feed(line)
            if self._settings.verbose or (self._settings.dry_run and line[:1] in b"?!"):
                self._log("Normal", "csync2: ", line)

        return self._program.run((*mode, *(["-d"] if self._settings.dry_run else []), "-v"), read), output

    def _named(self, path: bytes) -> None:
        self._scratch.note(path)
        self._known.sent(path)

    def explain(self, code: int, output: Output) -> tuple[int, Output]:
        """Report what is new about undelivered paths, with the reasons. Returns the code and output to go by."""
        if code not in (0, INCOMPLETE):
            return code, output
        if not self._settings.dry_run and self._reporter.is_new(output):
            # Once more, for the reasons: only at this depth csync2 passes on the host's answer. It
            # prints the key as well then, so nothing of it is logged as it is.
            reasons = Output()
            again = self._program.run(("-u", "-v", "-v", "-v"), reasons.feed)
            if again in (0, INCOMPLETE) and reasons.finished:
                code, output = again, reasons
        self._reporter.report(output, self._log)
        return code, output

    def deliver(self, *mode: str) -> tuple[int, Output]:
        """Run csync2 in a mode that delivers, and report what is new about undelivered paths."""
        return self.explain(*self.transfer(*mode))

    def learn(self, listed: List) -> None:
        """Have csync2 list what it knows: see scratch.py and known.py. 2 is an empty database."""

        def read(line: bytes) -> None:
            self._scratch.note(line)
            listed.feed(line)

        self._scratch.is_complete = self._program.run(("-L",), read) in (0, 2)
        if self._scratch.is_complete:
            listed.end()

    def ignores(self, path: bytes) -> bool:
        """Whether csync2's configuration does not include a path on this host: it will silently do nothing there."""
        said: list[bytes] = []
        return self._program.run(("-c", path), said.append) == 0 and _IGNORED + path in said
