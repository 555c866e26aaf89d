"""The native action: what to mirror, when, and what becomes of what could not be mirrored (spec 4.5).

The engine is loaded with the first sync that has work for it: not all who start the daemon use it.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.api import (
    CONTENT,
    RSYNC_EXIT_CODES,
    Action,
    Agent,
    Change,
    Check,
    Collected,
    Config,
    DeletionCount,
    Difference,
    Event,
    EventList,
    Inlet,
    Outcome,
    PerSync,
    Resumable,
    RetryList,
    Spawn,
    Target,
    Verdict,
    Verifier,
    etypes,
    max_delete_of,
)
from orchestrator.api import OK as DONE
from orchestrator_native.options import OPTIONS, checked_target, checked_threads
from orchestrator_native.report import CUT, OK, PARTIAL, STOPPED, RunReport, Stopped

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from orchestrator_native.engine import MirrorSpec, Order
    from orchestrator_native.pool import Pool


class MirrorState:
    """The state of one sync, from one run to the next. A loss costs time, nothing else.

    `reports`: of the runs that have ended and are not collected yet. `failing`: paths to try again, with leading
    slashes only. `logged`: the lines of trouble that were logged last.
    """

    def __init__(self, inlet: Inlet) -> None:
        from orchestrator_native.memory import Memory

        self.memory = Memory()
        self.reports: dict[Agent, RunReport] = {}
        self.failing: RetryList[None] = RetryList(inlet.delay)
        self.logged: tuple[str, ...] = ()


class Native(Action):
    name = "native"
    mirrors_source = True
    sets = True
    chains_moves = True
    options = OPTIONS
    defaults: ClassVar[dict[str, Any]] = {"delay": 1, "onMove": True, "exitcodes": dict(RSYNC_EXIT_CODES)}

    def __init__(self) -> None:
        self._states = PerSync(MirrorState)
        self._pool: Pool | None = None

    def prepare(self, config: Config) -> None:
        checked_threads(config)
        max_delete_of(config)
        config.set("target", checked_target(config))

    def target(self, config: Config) -> Target | None:
        target = os.fsencode(str(config.get("target")))
        return Target(target, target, config.get("delete") is not False)

    def resumable(self, config: Config) -> Resumable | None:
        return Resumable()

    def resumes(self, inlet: Inlet, cut_off: Sequence[bytes], until: float | None) -> None:
        if not cut_off:
            return
        from orchestrator_native.leftovers import remove_leftovers

        target = inlet.target

        def clean(stop: threading.Event) -> int:
            """remove what a killed daemon has left half done"""
            remove_leftovers(target, cut_off)
            return 0

        inlet.run(EventList(inlet, []), clean)

    def verify(self, inlet: Inlet, paths: Sequence[bytes] | None, *, quick: bool) -> Verifier:
        from orchestrator_native import engine
        from orchestrator_native.rules import my_rule
        from orchestrator_native.verify import Trees, compare

        spec = _trees(inlet)
        granularity = self._states.of(inlet).memory.granularity or 1
        rule = my_rule(granularity=granularity, xattrs=spec.xattrs, hard_links=spec.hard_links)
        deletes = inlet.config.get("delete") in (True, "startup")
        trees = Trees(spec.source, spec.target, engine.without_target(spec), rule, deletes, quick)
        return partial(compare, trees, paths)

    def repairs(self, inlet: Inlet, differences: Sequence[Difference]) -> None:
        """Have the contents of files compared that a run would take for equal, by their states."""
        from orchestrator_native.proofs import ANY_CHANGE

        proofs = self._states.of(inlet).memory.proofs
        for path, kind in differences:
            if kind == CONTENT:
                try:
                    proofs.spoil(os.lstat(inlet.target + path[1:]), ANY_CHANGE)
                except OSError:
                    continue  # it is gone, and will be made anew

    def init(self, event: Event) -> None:
        self._mirror(event)

    def full(self, event: Event) -> None:
        self._mirror(event)

    def action(self, inlet: Inlet) -> None:
        events = inlet.get_events(lambda event: event.etype not in etypes.SPECIAL)
        if len(events):
            self._update(inlet, events)

    def collect(self, outcome: Outcome) -> Verdict | Collected | None:
        agent, exit_code = outcome.agent, outcome.exit_code
        state = self._states.of(agent.inlet)
        report = state.reports.pop(agent, None)
        if report is not None and report.is_of_other_source and agent.inlet.is_full_run_due:
            # Kept, they would be tried first and fail, and the full run would never have its turn.
            agent.inlet.log("Normal", "The source is another one: leaving a list to the full run that is due.")
            return DONE
        if report is None:
            return None if agent.delays else DONE
        failed: dict[bytes, None] = {}
        if exit_code in (OK, PARTIAL):
            failed = {_listed(path): None for path in report.paths()}
            tried = map(_plain, agent.paths()) if isinstance(agent, EventList) else None
            state.failing.update(agent.inlet, tried, failed, lambda path: _ask_again(agent.inlet, path))
            agent.inlet.report_retrying(len(state.failing))
            _ask_soon(agent.inlet, list(map(_listed, report.deferred)))
        lines = tuple(report.lines())
        _warn(agent.inlet, state, lines)
        unsettled = [*failed, *map(_listed, report.deferred)] if exit_code in (OK, PARTIAL) else []
        cause = lines[0] if lines else ""
        return Collected(failed=[] if failed else None, cause=cause, unsettled=unsettled or None)

    def _mirror(self, event: Event) -> None:
        from orchestrator_native.engine import Order

        inlet = event.inlet
        state = self._states.of(inlet)
        trees = _trees(inlet)
        deletes = inlet.config.get("delete") in (True, "startup")
        kind = "startup" if event.etype == etypes.INIT else "full"
        head = f"recursive {kind} native: ".encode()
        announce = b"".join([head, inlet.source, b" -> ", inlet.target, _rules(inlet)])
        limit = inlet.max_delete if deletes else None
        if limit is None:
            inlet.log("Normal", announce)
            self._run(inlet, event, lambda: Order(trees, state.memory, deletes))
            return
        found: list[DeletionCount] = []

        def count(stop: threading.Event, spawn: Spawn | None) -> DeletionCount:
            found.append(_count_deletions(trees, stop))
            return found[-1]

        def limited() -> Order:
            return Order(trees._replace(may_delete=limit.allowed(found[-1].existing)), state.memory, deletes)

        self._run(inlet, event, limited, Check(limit, count, announce, was_cut=lambda code, stderr: code == CUT))

    def _update(self, inlet: Inlet, events: EventList) -> None:
        from orchestrator_native.engine import Order

        state = self._states.of(inlet)
        trees = _trees(inlet)
        deletes = inlet.config.get("delete") in (True, "running")
        changes = [Change(delay.etype, delay.path, delay.path2) for delay in events.delays]
        inlet.log(
            "Normal",
            "Calling native with list of new/modified files/dirs\n",
            b"\n".join(inlet.log_lines(events.paths())),
        )
        self._run(inlet, events, lambda: Order(trees, state.memory, deletes, changes))

    def _run(self, inlet: Inlet, agent: Agent, order: Callable[[], Order], check: Check | None = None) -> None:
        """`order()` is asked once it may begin."""
        from orchestrator_native import engine
        from orchestrator_native.pool import Pool
        from orchestrator_native.tally import Tally

        tally = Tally()
        reports = self._states.of(inlet).reports
        pool = self._pool = self._pool or Pool()

        def native(stop: threading.Event, ended: Callable[[Callable[[], int]], None]) -> None:
            """make the target equal, by itself"""

            def exit_code(result: Callable[[], RunReport]) -> int:
                report = reports[agent] = result()
                return report.exit_code

            engine.start(order()._replace(tally=tally), pool, stop, lambda result: ended(partial(exit_code, result)))

        # with a `collect` of the user's own nobody else takes it out
        inlet.run_pooled(agent, native, lambda: reports.pop(agent, None), check, tally.progress)


def _trees(inlet: Inlet) -> MirrorSpec:
    from orchestrator_native.engine import MirrorSpec

    config = inlet.config
    return MirrorSpec(
        source=inlet.source,
        target=inlet.target,
        excluded=inlet.matcher(),
        xattrs=bool(config.get("xattrs", True)),
        hard_links=bool(config.get("hardLinks", True)),
        threads=checked_threads(config),
        patience=_patience(inlet),
    )


def _count_deletions(trees: MirrorSpec, stop: threading.Event) -> DeletionCount:
    """Where nothing can be counted, the run is allowed: it reports what is wrong, and deletes nothing."""
    from orchestrator_native import engine

    try:
        return engine.count_deletions(trees, stop)
    except OSError:
        return DeletionCount(0, 0)
    except Stopped:
        return DeletionCount(0, 0, STOPPED)


def _rules(inlet: Inlet) -> bytes:
    """The excluded paths, for the log line of a full run, as the rsync action writes it."""
    excludes = inlet.excludes()
    if inlet.filter_lines():
        return b" filtering\n" + b"\n".join(inlet.rule_lines())
    return b" excluding\n" + b"\n".join(excludes) if excludes else b""


def _warn(inlet: Inlet, state: MirrorState, lines: tuple[str, ...]) -> None:
    """Trouble is logged once: a path that keeps failing is no news."""
    if lines and lines != state.logged:
        for line in lines:
            inlet.log("Warn", "native: ", line)
    state.logged = lines


def _listed(path: str) -> bytes:
    """A path of the engine's as it is queued, but for a directory's slash."""
    return b"/" + os.fsencode(path)


def _plain(path: bytes) -> bytes:
    """A queued path without a directory's slash."""
    return path.rstrip(b"/") or b"/"


def _ask_soon(inlet: Inlet, paths: list[bytes]) -> None:
    """A file that is newer on the target, or was deleted there, waits for as long as another mirror needs to take that
    over, and is compared again. One that is gone by then has had its own event."""

    def again() -> None:
        for path in paths:
            if os.path.lexists(inlet.source + path[1:]):
                _ask_again(inlet, path)

    if paths:
        inlet.after(_patience(inlet), again)


def _patience(inlet: Inlet) -> float:
    """Seconds: another sync with the same delay has come to act by then."""
    return 2 * inlet.delay + 2.0


def _ask_again(inlet: Inlet, path: bytes) -> None:
    """A directory is compared with all in it, unlike one of which only the attributes changed."""
    full = inlet.source + path[1:]
    if path == b"/":
        inlet.full_event()
    elif os.path.isdir(full) and not os.path.islink(full):
        inlet.create(path + b"/")
    else:
        inlet.retry(path)
