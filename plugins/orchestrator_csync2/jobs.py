"""The jobs of a worker thread: csync2 commands one after the other, while the database is ours.

A batch is checked (`-c`: csync2 compares the given paths with its database and notes what has to go
where) and then delivered (`-u`: to each host what is noted for it). The check gets the changed paths only;
the delivery gets none: csync2 compares every path it is given with every noted one, 20,000 with 20,000,
and knows them by their %prefix% names there, so that none would match. Changes that were noted earlier, for a
host that was down, go along.

csync2 locks its database itself, but a second one just waits and then gives up ("Database backend is
exceedingly busy"), so no two are started on one database here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.api import etypes
from orchestrator_csync2.batch import batch_of, parents_of
from orchestrator_csync2.commands import Commands
from orchestrator_csync2.known import Known
from orchestrator_csync2.program import INCOMPLETE, STOPPED, Csync2Program
from orchestrator_csync2.reporter import Reporter
from orchestrator_csync2.scratch import Scratch

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from orchestrator.api import Inlet
    from orchestrator_csync2.options import Csync2Settings
    from orchestrator_csync2.output import Output

_POLL = 0.2
"""Seconds between two looks at `stop`, while another job has the database."""

_SOON = 2.0
"""Seconds, beside `delay`, after which a change that waits was not made during the last run."""


class SyncMemory:
    """The knowledge that one sync's jobs leave for the next.

    The undelivered changes that have been reported; the names that could be taken for scratch files; and what csync2
    knows of files, so that it would not see another one.

    `needs_recheck`: a csync2 did not get to the end of comparing files: it was killed, or one was gone when it came
    to it. It may have noted that it knows a file, but not that the file has to go anywhere, or the other way round.
    """

    def __init__(self, syncid: str) -> None:
        self.reporter = Reporter(syncid)
        self.scratch = Scratch()
        self.known = Known()
        self.needs_recheck = False


class Job:
    """One sync's work of one time: called in a worker thread, ends with an exit code.

    `is_noted` says afterwards that csync2's database knows of all changes that the job was for, so
    that only their delivery is left; `is_clean`, that nothing at all is left; `was_idle`, that there was
    nothing to do at all.
    """

    def __init__(self, settings: Csync2Settings, inlet: Inlet, lock: threading.Lock, memory: SyncMemory) -> None:
        self.is_noted = False
        self.is_clean = False
        self.was_idle = False
        self._settings = settings
        self._inlet = inlet
        self._delay = float(inlet.config.get("delay") or 0)  # the config is of the loop's thread, which makes jobs
        self._lock = lock
        self._memory = memory

    def __call__(self, stop: threading.Event) -> int:
        memory = self._memory
        program = Csync2Program(self._settings, self._inlet, stop)
        commands = Commands(self._settings, program, memory.scratch, memory.known, memory.reporter, self._inlet.log)
        while not self._lock.acquire(timeout=_POLL):
            if stop.is_set():
                return STOPPED
        try:
            return self._work(commands)
        finally:
            self._lock.release()

    def _work(self, commands: Commands) -> int:
        raise NotImplementedError

    def _end(self, code: int, output: Output) -> int:
        """The job's exit code: csync2's, but it says 0 as well where something is left (see output.py)."""
        self.is_clean = output.is_clean
        return code or (0 if output.is_clean or self._settings.dry_run else INCOMPLETE)


class Everything(Job):
    """Check and update all that csync2's configuration names."""

    def _work(self, commands: Commands) -> int:
        self._check_source(commands)
        listed = self._memory.known.begin_list()
        code, output = commands.deliver("-x", "-r")
        if output.finished and self._memory.needs_recheck:
            source = self._inlet.source.rstrip(b"/") or b"/"
            code = commands.check("-mr", [source])
            if code == 0:
                code, output = commands.deliver("-u")
        # what changed meanwhile comes with the next batch, which rechecks it
        self._memory.needs_recheck |= not output.finished
        self.is_noted = output.finished
        if output.finished:
            commands.learn(listed)
        return self._end(code, output)

    def _check_source(self, commands: Commands) -> None:
        """Tell the user where csync2 will silently do nothing: it is only meant to know what it includes."""
        source = self._inlet.source.rstrip(b"/")
        if source and commands.ignores(source):
            syncid = self._settings.syncid
            words = f"csync2 {syncid}: csync2_{syncid}.cfg does not include "
            self._inlet.log("Warn", words, source, " on this host.")


class Changes(Job):
    """Check what changed, then update what csync2 has noted."""

    def __init__(
        self,
        settings: Csync2Settings,
        inlet: Inlet,
        lock: threading.Lock,
        memory: SyncMemory,
        changes: Sequence[tuple[str, bytes]],
    ) -> None:
        super().__init__(settings, inlet, lock, memory)
        self._changes = changes

    def _work(self, commands: Commands) -> int:
        if not self._memory.scratch.is_complete:
            commands.learn(self._memory.known.begin_list())
        source = self._inlet.source
        root = source.rstrip(b"/")
        changes = [change for change in self._changes if not self._memory.scratch.is_scratch(root + change[1])]
        if not changes:
            self.was_idle = True
            return 0
        if self._inlet.shows("Normal"):
            head = b"\t" + self._settings.syncid.encode() + b":" + root
            paths = self._inlet.log_lines([head + path for _, path in changes])
            self._inlet.log("Normal", "Processing syncing list:\n", b"\n".join(paths))
        batch = batch_of(changes, source)
        racy = [root + path.rstrip(b"/") for etype, path in changes if self._is_racy(etype, root + path)]
        has_looked = self._memory.known.show(root + path for _, path in changes)
        code = commands.check("-cr", batch.trees) or commands.check("-c", batch.paths) or commands.check("-m", racy)
        if code == 0 and self._memory.needs_recheck:
            code = commands.check("-mr", batch.trees) or commands.check("-m", batch.paths)
        has_looked()
        self._memory.needs_recheck = code != 0
        if code != 0:
            return code
        self.is_noted = True
        code, output = commands.transfer("-u")
        if output.missing_parent:
            # A host lacks a directory on the way, and csync2 does not know it here either, as after `init = false`.
            code = commands.check("-c", parents_of(batch, source))
            if code != 0:
                return code
            code, output = commands.transfer("-u")
        return self._end(*commands.explain(code, output))

    def _is_racy(self, etype: str, path: bytes) -> bool:
        """Whether csync2 may take what is here for something that it has delivered, or not know what it has.

        A path that is gone between the check and the delivery is not delivered, but it stays noted as known, until a
        check finds it gone. Something like it that comes before that, as directories and links all are, is no reporter.
        The other way round, a path that is delivered and gone while csync2 is at work may not be known any more.
        """
        known = self._memory.known
        if etype == etypes.DELETE:
            return known.was_sent(path, self._delay + _SOON)
        return etype != etypes.ATTRIB and known.is_racy(path)


class PendingDeliveries(Job):
    """Try once more to deliver what csync2 has noted."""

    def _work(self, commands: Commands) -> int:
        self.is_noted = True
        return self._end(*commands.deliver("-u"))
