"""The common rule for what an exit code means, as one sync applies it (spec 3.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.event import INIT
from orchestrator.logic.verdict import AGAIN, COMMON, OK, Judgement, Kind, Verdict, Wording, judge
from orchestrator.sync.event import Agent, Event, EventList
from orchestrator.sync.retries import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.process.child import Child
    from orchestrator.sync.host import Host
    from orchestrator.sync.inlet import Inlet
    from orchestrator.sync.retries import Retries


class Judge:
    """Asked while a process is collected. `judgement`: the last one about it; None: nobody has asked."""

    def __init__(self, host: Host, inlet: Inlet, retries: Retries) -> None:
        self.judgement: Judgement | None = None
        self._child: Child | None = None
        self._host = host
        self._log = host.log_of(inlet.name)
        self._inlet = inlet
        self._retries = retries

    def opens(self, child: Child) -> None:
        """A process has ended, and is now collected."""
        self._child = child
        self.judgement = None

    def closes(self) -> None:
        """It is done with."""
        self._child = None

    def judge(
        self,
        agent: Agent,
        exit_code: int,
        wording: Wording = COMMON,
        exit_codes: Mapping[int, Verdict] | None = None,
    ) -> Verdict:
        """The verdict, its log line said: once for each growing pause (spec 6 row 13). A job that was asked to stop,
        as the daemon ends or resets, has not failed, and a startup has not either: nothing is said of it.

        `exit_codes` None: the config's table `exitcodes`.
        """
        if self._was_stopped(exit_code):
            self.judgement = Judgement(AGAIN, "", "")
            return AGAIN
        config = self._inlet.config
        table = config.get("exitcodes")
        if exit_codes is None and table:
            exit_codes = dict(table.int_items())
        kind = _kind(agent)
        judgement = judge(
            kind=kind,
            etype=agent.etype if isinstance(agent, Event) else "",
            source_path=agent.source_path if isinstance(agent, Event) else b"",
            source=self._inlet.source,
            target=self._inlet.target if config.get("target") is not None else b"(nil)",
            exit_code=exit_code,
            exit_codes=exit_codes,
            insist=self._host.insist,
            wording=wording,
        )
        self.judgement = judgement
        if judgement.verdict != AGAIN or self._retries.would_grow(self.failure(agent, exit_code)):
            self._log(judgement.category, judgement.message)
        if self._host.onepass and wording is COMMON and judgement.verdict == OK and kind == "init":
            self._log("Normal", "onepass config set, exiting")
        return judgement.verdict

    def _was_stopped(self, exit_code: int) -> bool:
        child = self._child
        is_asked = child is not None and child.stop is not None and child.stop.is_set()
        return is_asked and exit_code != 0 and self._host.fading

    def failure(self, agent: Agent, exit_code: int) -> Failure:
        """How the process that is being collected has failed, if it has."""
        now, child = self._host.clock.now(), self._child
        has_run = child is not None and child.error is None
        return Failure(agent, exit_code if has_run else None, now if child is None else child.started, now)


def _kind(agent: Agent) -> Kind:
    if isinstance(agent, EventList):
        return "list"
    return "init" if agent.etype == INIT else "event"
