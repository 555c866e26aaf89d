"""The jobs of the syncs of csync2, and the deliveries that are pending after them.

Once csync2's database has noted a change, it is csync2 that remembers it, for as long as a host is down or
a conflict is unresolved. So a batch is done when it is noted. Its delivery, if that is pending, is not put
back into the queue, where it would hold up what comes after and be checked again and again: a `csync2 -u`,
which looks at no file of the tree but the undelivered ones, is run after growing pauses. A batch that comes
meanwhile delivers the rest along with itself. The status shows how many paths wait in this way.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from orchestrator.api import AGAIN, OK, Collected, Event, EventList, PerSync, RetryTimer, etypes
from orchestrator_csync2.jobs import Changes, Everything, Job, PendingDeliveries, SyncMemory
from orchestrator_csync2.options import Csync2Settings, settings_of
from orchestrator_csync2.program import INCOMPLETE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.api import Agent, Inlet, Outcome, Verdict
    from orchestrator_csync2.verify import HostTest

_BUSY_PAUSE = 1.0
"""Seconds until a try is made again that the global process limit forbade."""


class _Sync:
    """The state of one sync. `jobs`: those that run, by their agent. `retry`: when the next delivery is tried."""

    def __init__(self, inlet: Inlet) -> None:
        self.settings = settings_of(inlet.config)
        self.memory = SyncMemory(self.settings.syncid)
        self.jobs: dict[Agent, Job] = {}
        self.retry = RetryTimer(inlet.delay)


class Deliveries:
    """Those of all syncs. Two syncs with one database take turns."""

    def __init__(self) -> None:
        self._syncs = PerSync(_Sync)
        self._locks: dict[tuple[str, ...], threading.Lock] = {}

    def everything(self, event: Event, word: str) -> None:
        """Note and deliver all that has changed in the whole tree; `word`: startup or full."""
        inlet = event.inlet
        inlet.log("Normal", f"recursive {word} csync2: {self._syncs.of(inlet).settings.syncid}:", inlet.source)
        self._start(inlet, event, Everything(*self._tools(inlet)))

    def recheck(self, inlet: Inlet) -> None:
        """Another daemon was killed, and what it knew of its last batch is lost: the next one is rechecked."""
        self._syncs.of(inlet).memory.needs_recheck = True

    def test(self, inlet: Inlet, paths: Sequence[bytes] | None) -> HostTest:
        """The comparison of source and other hosts, of these paths or (None) of all."""
        from orchestrator_csync2.verify import HostTest  # late: few have a use for it

        settings, _, lock, _ = self._tools(inlet)
        return HostTest(settings, inlet, lock, paths)

    def changes(self, inlet: Inlet) -> None:
        """Note and deliver what is due."""
        elist = inlet.get_events(lambda event: event.etype not in etypes.SPECIAL)
        if not len(elist):
            return
        self._start(inlet, elist, Changes(*self._tools(inlet), list(_changes(elist))))

    def collect(self, outcome: Outcome, exit_codes: Mapping[int, Verdict] | None) -> Collected | None:
        """`exit_codes`: the user's own table, if there is one. None: the common rule decides."""
        agent, exit_code = outcome.agent, outcome.exit_code
        inlet = agent.inlet
        sync = self._syncs.of(inlet)
        job = sync.jobs.pop(agent, None)
        if job is None:
            return None
        if isinstance(job, PendingDeliveries):
            # Never `again`: that would hold up the whole sync for a host that may be down for days.
            return Collected(OK, self._judge_rest(inlet, sync, job))
        if job.was_idle:
            return Collected(OK)
        if exit_code == INCOMPLETE and job.is_noted and _is_again(exit_codes):
            rest = "; not every host has everything yet"
        elif exit_code == 0:
            rest = ""
        else:
            return None
        failed = self._judge_rest(inlet, sync, job)
        if isinstance(job, Everything):
            what = "Startup" if isinstance(agent, Event) and agent.etype == etypes.INIT else "Full sync"
            inlet.log("Normal", f"{what} of '{sync.settings.syncid}' instance finished{rest}.")
        else:
            inlet.log("Normal", f"Finished events list = {exit_code}{rest}")
        return Collected(OK, failed)

    def _judge_rest(self, inlet: Inlet, sync: _Sync, job: Job) -> list[bytes] | None:
        """See whether anything is left to deliver, and when to try it. Gives the failed paths, as in `Collected`."""
        inlet.report_retrying(len({place.path for place in sync.memory.reporter.refused}))
        inlet.report_conflicts(sorted(set(sync.memory.reporter.conflicts.values())))
        if job.is_clean:
            sync.retry.succeeded()
        elif not sync.settings.dry_run:
            sync.retry.failed(inlet, lambda: self._try_rest(inlet, sync))
            return []
        return None

    def _try_rest(self, inlet: Inlet, sync: _Sync) -> None:
        limit = inlet.max_processes_reached()
        if limit == "global":
            sync.retry.plan(inlet, _BUSY_PAUSE, lambda: self._try_rest(inlet, sync))
        elif limit is None:
            self._start(inlet, EventList(inlet, []), PendingDeliveries(*self._tools(inlet)))
        # Else this sync's own transfer is running: it delivers the rest along, and its end plans the next try.

    def _start(self, inlet: Inlet, agent: Agent, job: Job) -> None:
        sync = self._syncs.of(inlet)
        sync.jobs[agent] = job
        # ours takes them out, but a config may have a `collect` of its own, and not every job comes to run
        inlet.run(agent, job, lambda: sync.jobs.pop(agent, None))

    def _tools(self, inlet: Inlet) -> tuple[Csync2Settings, Inlet, threading.Lock, SyncMemory]:
        sync = self._syncs.of(inlet)
        return sync.settings, inlet, self._locks.setdefault(sync.settings.database, threading.Lock()), sync.memory


def _is_again(exit_codes: Mapping[int, Verdict] | None) -> bool:
    """Unless the user's own table says something else of csync2's 1."""
    return exit_codes is None or exit_codes.get(INCOMPLETE, AGAIN) == AGAIN


def _changes(elist: EventList) -> Iterator[tuple[str, bytes]]:
    for delay in elist.delays:
        yield delay.etype, delay.path
        if delay.path2 is not None:
            yield delay.etype, delay.path2
