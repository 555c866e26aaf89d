"""The start of a sync that has a state: what changed since is transferred, in the place of a startup over everything.

The startup stands at the head of the queue, so nothing passes it while the source is compared. The differences go
through the queue like any other change. The startup is over when all of that has left it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from orchestrator.logic.event import DELETE
from orchestrator.logic.maxdelete import DeletionCount
from orchestrator.logic.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.logic.delay import Delay
    from orchestrator.logic.known import Comparison
    from orchestrator.logic.queue import Queue
    from orchestrator.sync.inlet import Inlet
    from orchestrator.sync.knowledge import Keeper
    from orchestrator.sync.life import Life


class Stage(Enum):
    """How far a start is."""

    NEW = auto()
    COMPARING = auto()
    """The source is compared with the state."""
    FULL = auto()
    """The state says nothing: everything is looked at, as ever."""
    RESUMING = auto()
    """The differences are transferred."""
    OVER = auto()


class Resumption:
    """One sync's. `take(changes)`: puts them into the queue in the startup's place. `finished()`: all are done."""

    def __init__(
        self, keeper: Keeper, inlet: Inlet, queue: Queue, life: Life,
        take: Callable[[Sequence[tuple[str, bytes]], float | None], None], finished: Callable[[], None],
    ) -> None:  # fmt: skip
        self.stage = Stage.NEW
        self._keeper = keeper
        self._inlet = inlet
        self._queue = queue
        self._life = life
        self._take = take
        self._finished = finished
        self._last: Delay | None = None  # of what is resumed

    @property
    def is_comparing(self) -> bool:
        return self.stage is Stage.COMPARING

    def begins(self) -> bool:
        """The startup is due. False: it is to be done as ever."""
        if self.stage is Stage.NEW:
            self.stage = Stage.COMPARING
            self._keeper.compare(self._compared_if_not_paused)
        return self.stage is Stage.COMPARING

    def _compared_if_not_paused(self, look: Comparison) -> None:
        """An action may begin to tidy up the target when it hears of the result."""
        self._life.unless_paused(lambda: self._compared(look))

    def _compared(self, look: Comparison) -> None:
        way = (self._inlet.source, b" -> ", self._inlet.target, b": ")
        paths = {path for _, path in look.changes}
        reason = look.reason or self._refusal(look)
        if reason:
            self.stage = Stage.FULL
            self._inlet.log("Normal", "not resuming ", *way, reason)
            self._queue.offer_again()
            return
        self._inlet.log("Normal", "resuming ", *way, f"{len(paths)} of {look.total} paths changed")
        self.stage = Stage.RESUMING
        self._take(look.changes, look.until)
        self._last = next(reversed([*self._queue]), None)
        self.progress()

    def _refusal(self, look: Comparison) -> str:
        limit = self._inlet.max_delete
        gone = [path for etype, path in look.changes if etype == DELETE]
        is_counted = not any(path.endswith(b"/") for path in gone)
        if limit is None or (is_counted and limit.allows(DeletionCount(len(gone), look.total))):
            return ""
        return f"{counted(len(gone), 'path is', 'paths are')} gone, which maxDelete is to be asked about"

    def progress(self) -> None:
        """Something has left the queue."""
        if self.stage is not Stage.RESUMING:
            return
        first = next(iter(self._queue), None)
        if first is None or self._last is None or first.seq > self._last.seq:
            self.stage = Stage.OVER
            self._last = None
            self._finished()
