"""Acts on what a sync's target is found to be: transfers wait for its return, a new directory gets everything.

No event comes when a target returns. It is looked at again after pauses that double, up to a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from orchestrator.logic.backoff import Backoff
from orchestrator.logic.event import SPECIAL
from orchestrator.logic.text import text_of, to_bytes
from orchestrator.sync.targetwatch import Finding

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from orchestrator.process.child import Child
    from orchestrator.sync.inlet import Agent
    from orchestrator.sync.parts import Parts
    from orchestrator.sync.targetwatch import TargetWatch

    Then = Callable[["Looked"], None]

FIRST: Final = 1.0
LONGEST: Final = 60.0
"""Seconds between two looks at a target that is gone, at first and at most."""

MISSING: Final = 23
"""rsync's exit code where a file that was asked for is not there."""

UNREACHED: Final = 255
"""ssh's, where there is no way to the other machine."""


class Looked(NamedTuple):
    """A look at the target. `child`: the job that looked, with its exit code and stderr; None: it took no time."""

    finding: Finding
    child: Child | None = None
    exit_code: int = 0
    stderr: bytes = b""
    lost_connection: bool = False
    """See Outcome."""


class TargetGuard:
    """One sync's. `through(argv)`: a command as it goes through the sync's tunnel; None: that is not up.

    `go_on`: the target is there again, or another one: everything is to be transferred.
    """

    def __init__(
        self, parts: Parts, watch: TargetWatch, through: Callable[[list[bytes]], list[bytes] | None],
        go_on: Callable[[], None],
    ) -> None:  # fmt: skip
        self._host = parts.host
        self._log = parts.log
        self._inlet = parts.inlet
        self._life = parts.life
        self._history = parts.history
        self._watch = watch
        self._through = through
        self._go_on = go_on
        self._backoff = Backoff(FIRST, LONGEST)
        self._reported = Finding.FINE
        self._planned: Callable[[], None] | None = None  # the next look at a target that is gone

    # ---- before and after transfers -----------------------------------------------------------

    def is_fine(self) -> bool:
        """Whether the target was right up to now, and is so at this moment; False: `look` finds out."""
        watch = self._watch
        if self._reported is not Finding.FINE or self._life.is_target_gone or watch.target.directory is None:
            return False
        return not watch.is_slow() and watch.is_as_seen()

    def look(self, then: Then) -> Child | None:
        """Find out what is there. `then` is called at once, or when the program or job that is returned has ended."""
        watch = self._watch
        if watch.target.directory is None:
            if watch.marker:
                return self._ask(then)
            then(Looked(Finding.FINE))
            return None
        if not watch.is_slow():
            then(Looked(watch.look()))
            return None
        found: list[Finding] = []

        def job(stop: threading.Event) -> int:
            """look whether the target is still what it was"""
            found.append(watch.look())
            return 0

        return self._host.processes.run_job(
            job, lambda child, code: then(Looked(found[0] if found else Finding.UNKNOWN, child, code))
        )

    def lets(self, agent: Agent, finding: Finding) -> bool:
        """Whether a transfer for the agent may follow."""
        if finding is Finding.FINE:
            self._is_back()
            return True
        if finding is Finding.REPLACED:
            self._replaced()
            if all(delay.etype in SPECIAL for delay in agent.delays):
                return True  # it transfers everything anyway
            self._go_on()
            return False
        self._lost(finding)
        return False

    def transferred(self) -> None:
        """A transfer has ended: what it has gone to is what is there now, or there is a need to begin anew."""
        watch = self._watch
        if self.is_fine() or watch.target.directory is None or not self._life.goes_on() or watch.is_slow():
            return
        finding = watch.look()
        if finding is Finding.REPLACED:
            self._replaced()
            self._go_on()
        elif finding is not Finding.FINE:
            self._lost(finding)

    # ---- a target that is gone ----------------------------------------------------------------

    def _lost(self, finding: Finding) -> None:
        self._life.lose_target()
        if finding is not self._reported:
            self._reported = finding
            what = finding.value.format(marker=text_of(self._watch.marker))
            self._say("Error", f"{what}; waiting for its return, nothing is transferred.")
            self._history.failed(MISSING, f"the target {what}")
        # one alarm at a time: while it is gone no transfer starts, so nobody else looks
        look = self._planned = lambda: self._life.unless_paused(lambda: self._look_as_planned(look))
        self._host.alarms.add(self._host.clock.now() + self._backoff.fail(), look)

    def look_now(self) -> None:
        """Where the target is gone: do not wait until it would be looked at by itself."""
        if self._planned is not None:
            self._planned()

    def _look_as_planned(self, look: Callable[[], None]) -> None:
        if look is self._planned:  # not done already
            self._planned = None
            self._look_again()

    def _look_again(self) -> None:
        if self._life.is_ending or self._life.is_stopped or not self._life.is_target_gone:
            return
        if self._inlet.config.get("onBatchStart"):
            # it may be what mounts the target
            self._life.find_target()
            self._go_on()
            return
        self.look(self._looked_again)

    def _looked_again(self, found: Looked) -> None:
        if self._life.is_ending or self._life.is_stopped:
            return
        finding = found.finding
        if finding is Finding.FINE:
            self._is_back()
            self._go_on()
        elif finding is Finding.REPLACED:
            self._replaced()
            self._go_on()
        else:
            self._lost(finding)

    def _is_back(self) -> None:
        was_reported = self._reported is not Finding.FINE
        self._life.find_target()
        self._backoff.succeed()
        self._reported = Finding.FINE
        if was_reported:
            self._say("Normal", "is back.")

    def _replaced(self) -> None:
        self._is_back()
        self._say("Error", Finding.REPLACED.value + "; everything is transferred anew.")
        self._watch.accept()

    def _say(self, category: str, text: str) -> None:
        self._log(category, "target ", self._watch.target.shown, f" of {self._inlet.name} {text}")

    # ---- on another machine -------------------------------------------------------------------

    def _ask(self, then: Then) -> Child | None:
        ask = self._watch.target.ask
        assert ask is not None
        words, share = ask(self._watch.marker), self._watch.target.share
        words, connection = (words, None) if share is None else share(self._inlet, words)
        argv = self._through([to_bytes(word) for word in words])
        if argv is None:
            then(Looked(Finding.UNKNOWN, exit_code=UNREACHED))
            return None
        stderr: list[bytes] = []

        def ask_it(stop: threading.Event) -> int:
            """ask whether the target has its marker"""
            code, said = self._inlet.read_program(argv, b"", None, stop, lambda line: None)
            stderr.append(said)
            return code

        def ended(child: Child, code: int) -> None:
            finding = Finding.FINE if code == 0 else Finding.UNMARKED if code == MISSING else Finding.UNKNOWN
            lost_connection = use is not None and use.end(code)
            then(Looked(finding, child, code, b"".join(stderr), lost_connection))

        use = None if connection is None else connection.begin()
        return self._host.processes.run_job(ask_it, ended)
