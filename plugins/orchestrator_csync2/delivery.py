"""What runs for the syncs of csync2, and what is left to deliver of it.

Once csync2's database has noted a change, it is csync2 that remembers it, for as long as a host is down or
a conflict is unresolved. So a batch is done when it is noted. What is left of it, its delivery, is not put
back into the queue, where it would hold up what comes after and be checked again and again: a `csync2 -u`,
which looks at no file of the tree but the undelivered ones, is run after growing pauses. A batch that comes
meanwhile delivers the rest along with itself. The status tells how many paths wait in this way.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

from orchestrator.api import AGAIN, OK, Collected, Event, EventList, etypes, next_pause
from orchestrator_csync2.jobs import Changes, Everything, Job, Leftovers, Memory
from orchestrator_csync2.options import Settings, settings_of
from orchestrator_csync2.program import INCOMPLETE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.api import Agent, Inlet, Outcome, Verdict

_BUSY_PAUSE = 1.0
"""Seconds until a try is made again that the global process limit forbade."""


class _Sync:
    """What is known of one sync while it lives.

    `jobs`: those that run, by their agent. `plan` is what the next try to deliver was announced with;
    None while there is nothing left to deliver. `pause` in seconds: the one before that try.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.memory = Memory(settings.syncid)
        self.jobs: dict[Agent, Job] = {}
        self.plan: object | None = None
        self.pause = 0.0


class Deliveries:
    """Those of all syncs. Two syncs with one database take turns."""

    def __init__(self) -> None:
        self._syncs: weakref.WeakKeyDictionary[Inlet, _Sync] = weakref.WeakKeyDictionary()
        self._locks: dict[tuple[str, ...], threading.Lock] = {}

    def everything(self, event: Event, word: str) -> None:
        """Note and deliver all that has changed in the whole tree; `word`: startup or full."""
        inlet = event.inlet
        inlet.log("Normal", f"recursive {word} csync2: {self._sync(inlet).settings.syncid}:", inlet.source)
        self._start(inlet, event, Everything(*self._tools(inlet)))

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
        sync = self._sync(inlet)
        job = sync.jobs.pop(agent, None)
        if job is None:
            return None
        if isinstance(job, Leftovers):
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
        inlet.report_retrying(len({place.path for place in sync.memory.news.refused}))
        if job.is_clean:
            sync.plan = None
            sync.pause = 0.0
        elif not sync.settings.dry_run:
            self._plan_rest(inlet, sync)
            return []
        return None

    def _plan_rest(self, inlet: Inlet, sync: _Sync) -> None:
        if sync.plan is None:
            sync.pause = next_pause(sync.pause, float(inlet.config.get("delay") or 0))
            self._plan(inlet, sync, sync.pause)

    def _plan(self, inlet: Inlet, sync: _Sync, pause: float) -> None:
        plan = sync.plan = object()
        inlet.after(pause, lambda: self._try_rest(inlet, sync, plan))

    def _try_rest(self, inlet: Inlet, sync: _Sync, plan: object) -> None:
        if sync.plan is not plan:
            return  # delivered meanwhile
        limit = inlet.max_processes_reached()
        if limit == "global":
            self._plan(inlet, sync, _BUSY_PAUSE)
            return
        sync.plan = None
        if limit is None:
            self._start(inlet, EventList(inlet, []), Leftovers(*self._tools(inlet)))
        # Else this sync's own transfer is running: it delivers the rest along, and its end makes a new plan.

    def _start(self, inlet: Inlet, agent: Agent, job: Job) -> None:
        sync = self._sync(inlet)
        sync.jobs[agent] = job
        # ours takes them out, but a config may have a `collect` of its own, and not every job comes to run
        inlet.run(agent, job, lambda: sync.jobs.pop(agent, None))

    def _sync(self, inlet: Inlet) -> _Sync:
        sync = self._syncs.get(inlet)
        if sync is None:
            sync = self._syncs[inlet] = _Sync(settings_of(inlet.config))
        return sync

    def _tools(self, inlet: Inlet) -> tuple[Settings, Inlet, threading.Lock, Memory]:
        sync = self._sync(inlet)
        return sync.settings, inlet, self._locks.setdefault(sync.settings.database, threading.Lock()), sync.memory


def _is_again(exit_codes: Mapping[int, Verdict] | None) -> bool:
    """Unless the user's own table says something else of csync2's 1."""
    return exit_codes is None or exit_codes.get(INCOMPLETE, AGAIN) == AGAIN


def _changes(elist: EventList) -> Iterator[tuple[str, bytes]]:
    for delay in elist.delays:
        yield delay.etype, delay.path
        if delay.path2 is not None:
            yield delay.etype, delay.path2
