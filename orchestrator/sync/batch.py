"""The commands that a config has run around each transfer: onBatchStart, onBatchEnd (spec 6 "Beyond").

A command is a string of layer 3 with variables of its own. It runs like any transfer: started here, its end
comes through the loop. The list of paths goes into a file that only we can read, removed when it has ended.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Final

from orchestrator.logic.layer3 import Template, translate, values_of
from orchestrator.sync.figures import COMMAND
from orchestrator.sync.pathlist import remove_list, write_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.process.child import Child
    from orchestrator.sync.calls import Calls
    from orchestrator.sync.host import Host
    from orchestrator.sync.inlet import Agent, Inlet
    from orchestrator.sync.outcome import Outcome

BATCH_START: Final = "onBatchStart"
BATCH_END: Final = "onBatchEnd"

PATHS_FILE: Final = "pathsFile"

VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    BATCH_START: (PATHS_FILE, "count", "name", "source", "target"),
    BATCH_END: (PATHS_FILE, "count", "name", "source", "target", "exitcode", "seconds", "verdict"),
}
"""What `^name` may name in each of the two."""


def batch_paths(agent: Agent) -> list[bytes]:
    """The paths of a transfer, with leading slashes, both ends of a Move; none for a startup or full run."""
    paths = (path for delay in agent.delays for path in (delay.path, delay.path2))
    return [path for path in paths if path]


@functools.lru_cache(maxsize=256)
def batch_template(kind: str, command: bytes) -> Template:
    """A command of the kind onBatchStart or onBatchEnd, translated."""
    return translate(command, VARIABLES[kind])


class BatchCommands:
    """Those of one sync. `ends`: each onBatchEnd that runs."""

    def __init__(self, host: Host, inlet: Inlet, calls: Calls) -> None:
        self.ends: set[Child] = set()
        self._host = host
        self._log = host.log_of(inlet.name)
        self._inlet = inlet
        self._calls = calls

    def start(self, command: bytes, agent: Agent, on_exit: Callable[[Child, int], None]) -> Child:
        """Run an onBatchStart. Raises OSError where the list of paths can't be written."""
        return self._run(BATCH_START, command, agent, on_exit)

    def end(self, outcome: Outcome, verdict: str) -> None:
        """Run the onBatchEnd of a transfer, if there is one; nothing depends on it."""
        command = self._calls.batch_end(outcome, verdict) if outcome.agent.delays else None
        if command is None:
            return
        values = {
            "exitcode": b"%d" % outcome.exit_code,
            "seconds": b"%.3f" % outcome.duration,
            "verdict": verdict.encode(),
        }
        try:
            self.ends.add(self._run(BATCH_END, command, outcome.agent, self._end_ended, **values))
        except OSError as error:
            self._log(
                "Error", f"{BATCH_END} of {self._inlet.name}: the list of paths cannot be written: {error.strerror}"
            )

    def _end_ended(self, child: Child, exit_code: int) -> None:
        self.ends.discard(child)
        if exit_code != 0:
            self._log("Warn", f"{BATCH_END} of {self._inlet.name} ended with {exit_code}.")

    def _run(
        self,
        kind: str,
        command: bytes,
        agent: Agent,
        on_exit: Callable[[Child, int], None],
        **more: bytes,
    ) -> Child:
        """`more`: what only onBatchEnd knows."""
        template = batch_template(kind, command)
        paths = batch_paths(agent)
        values = {"count": b"%d" % len(paths), "name": os.fsencode(self._inlet.name), **more}
        values |= {"source": self._inlet.source, "target": self._inlet.target}
        listed = write_list(paths) if PATHS_FILE in template.variables() else None
        if listed is not None:
            values[PATHS_FILE] = listed
        value = values_of(values)

        def ended(child: Child, exit_code: int) -> None:
            if listed is not None:
                remove_list(listed)
            on_exit(child, exit_code)

        self._log("Normal", template.message(b"%b of %b" % (kind.encode(), values["name"]), value))
        child = self._host.processes.spawn(template.argv(value), on_exit=ended)
        child.kind = COMMAND
        return child
