"""The common rule for what an exit code means, as one sync applies it (spec 3.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.event import INIT, PART
from orchestrator.logic.verdict import AGAIN, COMMON, OK, Judgement, Kind, Verdict, Wording, judge
from orchestrator.sync.inlet import Agent, Event, EventList

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.sync.dividedstartup import DividedStartup
    from orchestrator.sync.host import Host
    from orchestrator.sync.inlet import Inlet
    from orchestrator.sync.life import Life
    from orchestrator.sync.outcome import Outcome
    from orchestrator.sync.retries import Retries


class Judge:
    """It remembers nothing: whoever asks is given the judgement, and passes it on.

    `startup`: set where that is in parts, of which the log says nothing but that all are done.
    """

    def __init__(self, host: Host, inlet: Inlet, life: Life, retries: Retries) -> None:
        self.startup: DividedStartup | None = None
        self._host = host
        self._life = life
        self._log = host.log_of(inlet.name)
        self._inlet = inlet
        self._retries = retries

    def judge(
        self, outcome: Outcome, wording: Wording = COMMON, exit_codes: Mapping[int, Verdict] | None = None
    ) -> Judgement:
        """The judgement; its line is logged, once for each growing pause (spec 6 row 13). A job that was asked to stop,
        as the daemon ends or resets, has not failed, and a startup has not either: nothing is logged.

        `exit_codes` None: the config's table `exitcodes`.
        """
        if outcome.was_stopped and outcome.exit_code != 0 and self._life.is_ending:
            return Judgement(AGAIN, "", "")
        agent, config = outcome.agent, self._inlet.config
        if exit_codes is None and (table := config.get("exitcodes")):
            exit_codes = dict(table.int_items())
        kind, options = _kind(agent), self._host.run.options
        target = self._inlet.target
        if not target and config.get("target") is None:
            target = b"(nil)"
        judgement = judge(
            kind=kind,
            etype=agent.etype if isinstance(agent, Event) else "",
            source_path=agent.source_path if isinstance(agent, Event) else b"",
            source=self._inlet.source,
            target=target,
            exit_code=outcome.exit_code,
            exit_codes=exit_codes,
            insist=options.insist or (kind == "init" and not options.onepass and _is_part(agent)),
            wording=wording,
        )
        startup = self.startup
        if judgement.verdict == OK and startup is not None and not startup.ends_with(agent):
            return judgement
        if judgement.verdict != AGAIN or self._retries.would_grow(outcome):
            self._log(judgement.category, judgement.message)
        if self._host.run.options.onepass and wording is COMMON and judgement.verdict == OK and kind == "init":
            self._log("Normal", "onepass config set, exiting")
        return judgement


def _is_part(agent: Agent) -> bool:
    """Whether it is a part of a startup after the first one: by then the config is known to work."""
    return isinstance(agent, Event) and agent.etype == PART


def _kind(agent: Agent) -> Kind:
    if isinstance(agent, EventList):
        return "list"
    return "init" if agent.etype in (INIT, PART) else "event"
