"""The end of a transfer of one sync (spec 3.6, 3.7): its verdict is found, then what that asks for is done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.errors import Died
from orchestrator.logic.event import BLANKET, FULL, INIT, PART
from orchestrator.logic.verdict import AGAIN, DIE, OK, PARTIAL, Judgement, end_of
from orchestrator.process.child import EXIT_NOT_EXECUTED
from orchestrator.sync.batch import BATCH_START
from orchestrator.sync.inlet import EventList
from orchestrator.sync.outcome import Collected, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from orchestrator.logic.delay import Delay
    from orchestrator.sync.batch import BatchCommands
    from orchestrator.sync.dividedstartup import DividedStartup
    from orchestrator.sync.inlet import Agent
    from orchestrator.sync.knowledge import Recorder
    from orchestrator.sync.observed import Observers
    from orchestrator.sync.parts import Parts
    from orchestrator.sync.transfer import Transfer


class Collector:
    """An outcome passes through here: verdict, then hooks, onBatchEnd and history, then the retries.

    `startup`: set where that is in parts. `on_end`, `after`: called at the end of each transfer, where they are set.
    """

    def __init__(self, parts: Parts, batches: BatchCommands, own_die_codes: Collection[int]) -> None:
        self.startup: DividedStartup | None = None
        self.recorder: Recorder | None = None
        self.observers: Observers | None = None
        self.on_end: Callable[[], None] | None = None
        self.after: Callable[[], None] | None = None
        self._host = parts.host
        self._log = parts.log
        self._inlet = parts.inlet
        self._queue = parts.queue
        self._calls = parts.calls
        self._retries = parts.retries
        self._history = parts.history
        self._figures = parts.figures
        self._life = parts.life
        self._batches = batches
        self._own_die_codes = own_die_codes

    def ended(self, outcome: Outcome) -> None:
        """A transfer has ended, or what had to come before it has failed."""
        if outcome.was_cut:
            self._log("Error", f"{self._inlet.name}: there was more to delete than was counted; counting again.")
        self._host.run.busy(len(outcome.agent.delays), self._collect, outcome)
        if self.on_end is not None:
            self.on_end()
        if self.after is not None:
            self.after()

    def not_begun(self, transfer: Transfer, reason: str) -> None:
        """onBatchStart did not let it begin."""
        agent, now = transfer.agent, self._host.clock.now()
        outcome = Outcome(agent, EXIT_NOT_EXECUTED, now, now, error=reason, id=transfer.id)
        self._figures.ends(outcome, AGAIN)
        if self._retries.would_grow(outcome):
            self._log("Warn", f"{BATCH_START} of {self._inlet.name} {reason}: the batch waits and is tried again.")
        self._retries.again(outcome, self._left(agent))

    def refused(self, outcome: Outcome, exit_code: int, reason: str) -> list[Delay]:
        """The count of deletions does not let it begin. Gives the delays that wait again."""
        refusal = replace(outcome, exit_code=exit_code, error=reason)
        self._history.record(refusal, AGAIN)
        self._figures.ends(refusal, AGAIN)
        delays = self._left(refusal.agent)
        self._retries.again(refusal, delays)
        self._batches.end(refusal, AGAIN)
        return delays

    def _collect(self, outcome: Outcome) -> None:
        # a transfer that never ran has no exit code that anybody could judge; it has been logged
        has_no_end = outcome.never_ran or outcome.was_cut
        collected = Collected(AGAIN) if has_no_end else self._calls.collect(outcome)
        verdict = collected.verdict or OK
        if self.recorder is not None:
            is_part = self.startup is not None and not self.startup.ends_with(outcome.agent)
            self.recorder.ended(outcome, collected, is_part=is_part)
        reported = PARTIAL if verdict == OK and collected.failed is not None else verdict
        if self._host.hooks.has("orchestrator_after_collect"):
            self._notify(outcome, reported)
        self._history.record(outcome, reported, collected.cause)
        self._figures.ends(outcome, reported, collected)
        if collected.failed is not None and not collected.failed:
            self._figures.tried_apart(outcome.agent)
        self._batches.end(outcome, reported)
        delays = self._left(outcome.agent)
        failed = delays_of(collected.failed, delays) if collected.failed and outcome.agent.is_list else set()
        if verdict == DIE and (self._life.is_ending or self._host.is_stop_requested()):
            # The signal for the daemon to end, or to start over, may have reached a transfer, too: Ctrl-C does. Nothing
            # follows from that; and if there is no start over, as the new config does not load, it is tried again.
            self._retries.again(outcome, delays)
        elif verdict == DIE:
            self._die(outcome, collected.judgement)
        elif failed:
            rest = [delay for delay in delays if delay not in failed]
            if verdict == OK and rest:
                self._succeeded(outcome, rest, reported)
                rest = []
            self._retries.set_aside(outcome, failed, rest)
        elif verdict == AGAIN and outcome.lost_connection:
            self._retries.at_once(outcome, delays)
        elif verdict == AGAIN:
            unreachable = self._retries.again(outcome, delays)
            if unreachable is not None:
                self._log("Warn", unreachable, " cannot be reached; all syncs that go there wait together.")
        else:
            self._succeeded(outcome, delays, reported)

    def _succeeded(self, outcome: Outcome, delays: list[Delay], verdict: str) -> None:
        is_more_to_come = self.startup is not None and self.startup.goes_on_after(delays)
        is_starting = not self._life.is_started_up and not is_more_to_come
        if is_starting and any(delay.etype in (INIT, BLANKET, PART) for delay in delays):
            self._life.start_up()
        reached = self._retries.succeeded(delays, outcome.exit_code)
        if self.observers is not None:
            kinds = {delay.etype for delay in delays}
            if is_starting and not kinds.isdisjoint((INIT, BLANKET, PART)):
                self.observers.full_run_ended(is_startup=True, verdict=verdict)
            elif FULL in kinds:
                self.observers.full_run_ended(is_startup=False, verdict=verdict)
        if reached is not None:
            self._log("Normal", reached, " can be reached again.")

    def _left(self, agent: Agent) -> list[Delay]:
        """The agent's delays that are still there: an action may have dropped some."""
        return self._queue.present(agent.delays)

    def _notify(self, outcome: Outcome, verdict: str) -> None:
        self._host.hooks.tell(
            "orchestrator_after_collect",
            inlet=self._inlet,
            agent=outcome.agent,
            paths=EventList(self._inlet, outcome.agent.delays).paths(),
            exit_code=outcome.exit_code,
            verdict=verdict,
            duration=outcome.duration,
            stderr=outcome.stderr,
        )

    def _die(self, outcome: Outcome, judgement: Judgement | None) -> None:
        end = end_of(judgement, outcome.exit_code in self._own_die_codes)
        if end == "daemon at once":
            raise Died("startup failed")
        if end == "daemon":
            self._log("Error", "Critical exitcode.")
            raise Died("Critical exitcode.")
        self._life.stop(f"exit code {outcome.exit_code}")


def delays_of(paths: Iterable[bytes], delays: Sequence[Delay]) -> set[Delay]:
    """Which of the changes the paths belong to: that of the path itself, or of the nearest directory above it."""
    by_path: dict[bytes, list[Delay]] = {}
    for delay in delays:
        for path in (delay.path, delay.path2):
            if path is not None:
                by_path.setdefault(path.rstrip(b"/"), []).append(delay)
    found: set[Delay] = set()
    for path in paths:
        place = path.rstrip(b"/")
        while place and place not in by_path:
            place = place[: place.rindex(b"/")] if b"/" in place else b""
        found.update(by_path.get(place, ()))
    return found
