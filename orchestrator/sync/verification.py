"""Proof that a sync's target equals its source, or where it does not; nothing is changed.

The action compares, in a worker thread (Action.verify). What it finds may be on its way, so it is looked at again
before it counts (logic/difference.py). A verification takes none of the places of `maxProcesses`, as changes would wait
for hours then; in return there is one at a time in a daemon, and it runs with a lower priority.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from orchestrator.errors import fault
from orchestrator.logic.difference import Candidates, Compared, Found, Verified
from orchestrator.logic.message import printable
from orchestrator.logic.text import counted, to_text
from orchestrator.sync.figures import VERIFY
from orchestrator.sync.life import State
from orchestrator.sync.verify import CannotVerify

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from orchestrator.logic.difference import Difference
    from orchestrator.process.child import Child
    from orchestrator.sync.host import Host
    from orchestrator.sync.inlet import Inlet
    from orchestrator.sync.verify import Verifier

LOOKS: Final = 10
"""Second looks at most, and waits for what is on its way: a path that has changed during each of them, or was on its
way again after each, changes all the time."""

PATIENCE: Final = 60.0
"""Seconds, beside twice the delay, that a transfer of doubtful paths is waited for."""

LISTED: Final = 10
"""Differences that the log names."""

_GOES_ON: Final = frozenset({State.IN_SYNC, State.SYNCING})
"""States in which a path that waits is transferred soon."""


class Verifiable(Protocol):
    """A sync, as a verification sees it; see Sync."""

    host: Host
    inlet: Inlet
    name: str

    @property
    def state(self) -> State: ...
    @property
    def log(self) -> Callable[..., None]: ...
    def why_not_compared(self) -> str | None: ...
    def verifier(self, paths: Sequence[bytes] | None, *, quick: bool) -> Verifier: ...
    def pending(self) -> Callable[[bytes], bool]: ...
    def oldest(self) -> float | None: ...
    def verification_begins(self, verification: Verification) -> None: ...
    def has_verified(self, result: Verified, differences: Sequence[Difference]) -> None: ...


class Verification:
    """One of one sync, from its beginning to its result.

    `quick`: by size and time. `tell(differences)` is called with those that count, as they are found; `then(result,
    differences)` at the end.
    """

    def __init__(
        self,
        sync: Verifiable,
        *,
        quick: bool = False,
        tell: Callable[[Sequence[Difference]], None] = lambda differences: None,
        then: Callable[[Verified, Sequence[Difference]], None] = lambda result, differences: None,
    ) -> None:
        self.sync = sync
        self._quick = quick
        self._tell = tell
        self._then = then
        self._host = sync.host
        self._candidates = Candidates(sync.pending)
        self._compared = Compared()
        self._differences: list[Difference] = []
        self._left_out = 0
        self._looks = 0
        self._child: Child | None = None
        self._waits = 0
        self._waits_since = 0.0
        self._is_waiting = False
        self._has_begun = False
        self._is_over = False

    def begin(self) -> None:
        """Compare everything."""
        self._has_begun = True
        self.sync.verification_begins(self)
        self._run(None, self._has_compared)

    def running(self) -> list[dict[str, object]]:
        """The comparison that runs, if any, as the status shows it among the transfers."""
        child = self._child
        if child is None:
            return []
        since = self._host.since_1970(child.started)
        return [{"id": 0, "pid": None, "kind": VERIFY, "since": since, "paths": 0, "sample": [], "bytes": None}]

    def touch(self, path: bytes) -> None:
        """Something changed in the source (leading slash; a directory's ends with one)."""
        self._candidates.touch(path)

    def transferred(self) -> None:
        """A transfer has ended."""
        if self._is_waiting:
            self._host.alarms.add(self._host.clock.now(), self._go_on)  # once what follows from its end is done

    def _go_on(self) -> None:
        """Look again once all has been transferred that had happened when the wait began."""
        oldest = self.sync.oldest()
        if self._is_waiting and (oldest is None or oldest > self._waits_since):
            self._look()

    def end(self, reason: str) -> None:
        """It comes to its end without a result: nobody wants it any more, or the sync is left."""
        if self._child is not None:
            self._host.processes.kill(self._child)
        self._finish(reason)

    def _run(self, paths: Sequence[bytes] | None, then: Callable[[Found, Compared], None]) -> None:
        """Have the action compare, and go on when it has."""
        reason = self.sync.why_not_compared()
        if reason is not None:
            self._finish(reason)
            return
        try:
            compare = self.sync.verifier(paths, quick=self._quick)
        except CannotVerify as problem:
            self._finish(str(problem))
            return
        found, ends = Found(), list[Compared]()

        def verify(stop: threading.Event) -> int:
            """compare source and target"""
            try:
                compared = compare(stop, found.add)
            except Exception as error:
                compared = Compared(error=fault(error, getattr(compare, "__module__", None) or ""))
            if not stop.is_set():
                ends.append(compared)
            return 0

        def ended(child: Child, exit_code: int) -> None:
            self._child = None
            if self._is_over:
                return
            if ends:
                then(found, ends[0])
            else:
                self._finish("it was stopped" if child.error is None else child.error)

        self._child = self._host.processes.run_job(verify, ended, is_transfer=False)

    def _has_compared(self, found: Found, compared: Compared) -> None:
        self._compared = compared
        self._left_out = found.left_out
        self._candidates.add(found.kinds)
        self._look()

    def _look(self) -> None:
        """Look a second time at what is doubtful and not on its way."""
        if self._is_over:
            return
        self._is_waiting = False
        if not len(self._candidates):
            self._finish()
            return
        paths = self._candidates.look()
        if paths and self._looks < LOOKS:
            self._looks += 1
            self._run(paths, self._has_looked)
        elif paths:
            self._finish()  # they change all the time
        elif self.sync.state in _GOES_ON and self._waits < LOOKS:
            self._wait()
        elif self.sync.state in _GOES_ON:
            self._finish()  # they are always on their way again
        else:
            waiting = counted(len(self._candidates), "path waits", "paths wait")
            self._finish(f"{waiting} to be transferred, as the sync is {self.sync.state.value}")

    def _has_looked(self, found: Found, compared: Compared) -> None:
        if compared.error:
            self._compared = compared._replace(compared=self._compared.compared)
            self._finish()
            return
        counting = self._candidates.looked(found.kinds)
        self._differences += counting
        if counting:
            self._tell(counting)
        self._look()

    def _wait(self) -> None:
        """Wait for the end of a transfer."""
        self._is_waiting = True
        self._waits_since = self._host.clock.now()
        self._waits += 1
        number, patience = self._waits, PATIENCE + 2 * self.sync.inlet.delay

        def lost_patience() -> None:
            if self._is_waiting and self._waits == number:
                self._finish()

        self._host.alarms.add(self._host.clock.now() + patience, lost_patience)

    def _finish(self, error: str = "") -> None:
        if self._is_over:
            return
        self._is_over = True
        result = Verified(
            self._host.clock.wall(),
            len(self._differences) + self._left_out,
            self._compared.compared,
            len(self._candidates),
            error or self._compared.error,
        )
        self._log(result)
        if self._has_begun:  # else another one may be at work on the sync
            self.sync.has_verified(result, self._differences)
        self._then(result, self._differences)

    def _log(self, result: Verified) -> None:
        compared = "" if result.compared is None else f" of {result.compared} compared"
        unsettled = f"; {counted(result.unsettled, 'path', 'paths')} kept changing" if result.unsettled else ""
        name = self.sync.name
        if result.differences:
            shown = [f"{kind} {printable(to_text(path))}" for path, kind in self._differences[:LISTED]]
            more = [f"and {result.differences - len(shown)} more"] if result.differences > len(shown) else []
            what = f"{counted(result.differences, 'difference')}{compared}{unsettled}: {', '.join([*shown, *more])}"
            failed = f" ({result.error})" if result.error else ""
            self.sync.log("Warn", f"verified {name}: {what}{failed}")
        elif result.error:
            self.sync.log("Warn", f"could not verify {name}: {result.error}")
        else:
            self.sync.log("Normal", f"verified {name}: no difference{compared}{unsettled}")
