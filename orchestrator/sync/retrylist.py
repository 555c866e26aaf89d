"""What an action tries again by itself, outside of the queue, so that nothing waits for it (spec 6 row 16b).

A RetryTimer is for one thing (a run over everything, a delivery), a RetryList for single paths that come back together.
Both count the pauses as Backoff does. They are kept per sync (see PerSync), so they hold no inlet; each method is given
the sync's own. For the loop's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from orchestrator.logic.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from orchestrator.sync.inlet import Inlet

Note = TypeVar("Note")


class RetryTimer:
    """Tries one thing again after pauses that grow until it succeeds. At most one attempt is planned at a time."""

    __slots__ = ("_backoff", "_plan")

    def __init__(self, delay: float) -> None:
        """`delay` in seconds: the first pause (`inlet.delay`)."""
        self._backoff = Backoff(delay)
        self._plan: object | None = None

    @property
    def is_planned(self) -> bool:
        """Whether an attempt is still to come."""
        return self._plan is not None

    def failed(self, inlet: Inlet, attempt: Callable[[], object], at_least: float = 0.0) -> float | None:
        """Plan one more attempt, after `at_least` so many seconds; nothing is done where one is planned already.

        Returns the pause in seconds where it has grown, which is worth a log line, else None.
        """
        if self.is_planned:
            return None
        before = self._backoff.pause
        pause = self._backoff.fail(at_least)
        self.plan(inlet, pause, attempt)
        return pause if not before or pause > max(before, at_least) else None

    def plan(self, inlet: Inlet, seconds: float, attempt: Callable[[], object]) -> None:
        """Call `attempt` in so many seconds, instead of what was planned before. Counts as no failure."""
        plan = self._plan = object()

        def due() -> None:
            if self._plan is plan:
                self._plan = None
                attempt()

        inlet.after(seconds, due, is_retry=True)

    def cancel(self) -> None:
        """Make no attempt. The next pause grows all the same."""
        self._plan = None

    def succeeded(self) -> None:
        """Make no attempt; the next failure has the first pause again."""
        self._plan = None
        self._backoff.succeed()


class RetryList(Generic[Note]):
    """The paths of one sync that could not be transferred, each with a note of the action's own.

    They come back all at once when the pause is over, and stay in the list until a transfer of theirs has ended well.
    `notes` has them in the order in which they failed; it is to be read only.
    """

    def __init__(self, delay: float) -> None:
        """`delay` in seconds: the first pause (`inlet.delay`)."""
        self.notes: dict[bytes, Note] = {}
        self._timer = RetryTimer(delay)

    def __len__(self) -> int:
        return len(self.notes)

    def update(
        self,
        inlet: Inlet,
        tried: Iterable[bytes] | None,
        failed: Mapping[bytes, Note],
        retry: Callable[[bytes], object] | None = None,
    ) -> float | None:
        """A transfer of the paths `tried` (None: of all) has ended, and those in `failed` did not arrive.

        Once the pause is over, `retry` is called with each path that is listed then; without it, `inlet.retry`.
        Returns the pause in seconds where it has grown, which is worth a log line, else None.
        """
        known = [] if not self.notes else list(self.notes) if tried is None else sorted(self.notes.keys() & tried)
        arrived = [path for path in known if path not in failed]
        for path in known:
            del self.notes[path]
        self.notes.update(failed)
        if arrived:
            inlet.report_arrived(arrived)
        inlet.report_failing(self.notes)
        if not self.notes:
            self._timer.succeeded()
        elif failed:
            call = inlet.retry if retry is None else retry
            return self._timer.failed(inlet, lambda: [call(path) for path in list(self.notes)])
        return None
