"""The life of one sync: the conditions it is in, and the transitions between them.

There is one value, a set of conditions, and one method for each transition; nobody else writes it. Startup, source,
target and backlog change independently of each other: a sync whose target comes back while its source is gone stays
suspended. TRANSITIONS has the rules; a transition that they do not allow is a bug of ours. What the status shows is
derived from it here, too.
"""

from __future__ import annotations

from enum import Enum, Flag, auto
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.sync.host import Host


class Condition(Flag):
    """A new sync is in none of them."""

    STARTED_UP = auto()
    """Its startup is done, or it has none."""
    SOURCE_GONE = auto()
    TARGET_GONE = auto()
    LEFT_ALONE = auto()
    """Its source changes faster than anybody can follow: for a pause nobody listens."""
    STOPPED = auto()
    """Nothing more is done for it; the other syncs go on."""
    AWAITING = auto()
    """It follows one that a reload has replaced, whose transfers have not ended yet."""
    LEAVING = auto()
    """A reload has replaced or dropped it: what runs comes to its end."""
    PAUSED = auto()
    """An administrator has paused it: changes wait, what runs comes to its end."""


NONE: Final = Condition(0)


class Transition(NamedTuple):
    """A transition `sets` conditions and `clears` some. It is possible where all of `needs` hold, and none of
    `excludes`."""

    sets: Condition = NONE
    clears: Condition = NONE
    needs: Condition = NONE
    excludes: Condition = NONE


TRANSITIONS: Final[Mapping[str, Transition]] = {
    # a transfer may end well after another one has stopped the sync
    "start_up": Transition(sets=Condition.STARTED_UP),
    "lose_source": Transition(sets=Condition.SOURCE_GONE, excludes=Condition.SOURCE_GONE),
    # a monitor may see a source only when it is back
    "find_source": Transition(clears=Condition.SOURCE_GONE),
    "move_source": Transition(clears=Condition.SOURCE_GONE | Condition.LEFT_ALONE),
    # it is looked at again and again while it is gone
    "lose_target": Transition(sets=Condition.TARGET_GONE, excludes=Condition.STOPPED),
    "find_target": Transition(clears=Condition.TARGET_GONE, excludes=Condition.STOPPED),
    "leave_alone": Transition(sets=Condition.LEFT_ALONE, excludes=Condition.LEFT_ALONE),
    "listen_again": Transition(clears=Condition.LEFT_ALONE, needs=Condition.LEFT_ALONE),
    "stop": Transition(sets=Condition.STOPPED, excludes=Condition.STOPPED),
    "wait_for_others": Transition(sets=Condition.AWAITING, excludes=Condition.LEAVING),
    "follow": Transition(clears=Condition.AWAITING, needs=Condition.AWAITING),
    "leave": Transition(sets=Condition.LEAVING, excludes=Condition.LEAVING),
    "pause": Transition(sets=Condition.PAUSED, excludes=Condition.PAUSED),
    "unpause": Transition(clears=Condition.PAUSED, needs=Condition.PAUSED),
}
"""The transitions that there are, by the name of Life's method."""


class ImpossibleTransition(AssertionError):
    """A transition that the conditions of a sync do not allow."""


def after(conditions: Condition, name: str) -> Condition:
    """The conditions after a transition. Raises ImpossibleTransition."""
    sets, clears, needs, excludes = TRANSITIONS[name]
    if conditions & needs != needs or conditions & excludes:
        raise ImpossibleTransition(f"{name} of a sync that is {conditions}")
    return (conditions | sets) & ~clears


class State(Enum):
    """What a sync is about, for the status and the hook orchestrator_sync_state."""

    STARTING = "starting"
    IN_SYNC = "in sync"
    SYNCING = "syncing"
    RETRYING = "retrying"
    PAUSED = "paused"
    """An administrator has paused it."""
    HELD = "held"
    """The config's onBatchStart or a plugin lets nothing begin, or a transfer from before a reload still runs."""
    SUSPENDED = "suspended"
    """Its source or target is gone."""
    LEFT_ALONE = "left alone"
    """Its source changes faster than anybody can follow; it is looked through after a pause."""
    STOPPED = "stopped"


ATTENTION: Final = frozenset({State.RETRYING, State.PAUSED, State.SUSPENDED, State.LEFT_ALONE, State.STOPPED})
"""States in which somebody should have a look."""


class Life:
    """Whether a sync starts anything at all.

    The attributes `is_…` say which conditions it is in: to be read by all, written here alone.
    """

    def __init__(self, host: Host, name: str) -> None:
        self.conditions = NONE
        self._host = host
        self._log = host.log_of(name)
        self._name = name
        self._postponed: list[Callable[[], object]] = []
        self._enter(NONE)

    def _enter(self, conditions: Condition) -> None:
        """Read for each change: so they are worked out once, not each time."""
        self.conditions = conditions
        self.is_started_up = bool(conditions & Condition.STARTED_UP)
        self.is_source_gone = bool(conditions & Condition.SOURCE_GONE)
        self.is_target_gone = bool(conditions & Condition.TARGET_GONE)
        self.is_left_alone = bool(conditions & Condition.LEFT_ALONE)
        self.is_stopped = bool(conditions & Condition.STOPPED)
        self.is_awaiting = bool(conditions & Condition.AWAITING)
        self.is_leaving = bool(conditions & Condition.LEAVING)
        self.is_paused = bool(conditions & Condition.PAUSED)
        self.is_suspended = self.is_source_gone or self.is_target_gone
        may_begin = not (self.is_stopped or self.is_suspended or self.is_awaiting or self.is_leaving)
        self.is_barred = self.is_paused or not may_begin

    def start_up(self) -> None:
        """The startup is done, or there is none."""
        self._enter(after(self.conditions, "start_up"))

    def lose_source(self) -> None:
        """The source is gone."""
        self._enter(after(self.conditions, "lose_source"))

    def find_source(self) -> None:
        """The source is there again."""
        self._enter(after(self.conditions, "find_source"))

    def move_source(self) -> None:
        """Another directory is the source from now on."""
        self._enter(after(self.conditions, "move_source"))

    def lose_target(self) -> None:
        """The target is gone, or still is."""
        self._enter(after(self.conditions, "lose_target"))

    def find_target(self) -> None:
        """The target is there, again or as before."""
        self._enter(after(self.conditions, "find_target"))

    def leave_alone(self) -> None:
        """For a pause nobody listens to the source."""
        self._enter(after(self.conditions, "leave_alone"))

    def listen_again(self) -> None:
        """That pause is over."""
        self._enter(after(self.conditions, "listen_again"))

    def stop(self, reason: str) -> None:
        """Do nothing more for this sync; the others go on, and the exit status at the end is 255 (spec 6 row 17).

        A sync stops once: more transfers may end in such a way.
        """
        if not self.is_stopped:
            self._enter(after(self.conditions, "stop"))
            self._log("Error", f"{self._name} is stopped: ", reason)

    def wait_for_others(self) -> None:
        """Transfers of the sync that it follows still run, or of another one that it follows as well."""
        self._enter(after(self.conditions, "wait_for_others"))

    def follow(self) -> None:
        """Those have ended: it is its turn."""
        self._enter(after(self.conditions, "follow"))

    def leave(self) -> None:
        """A reload has replaced or dropped it."""
        self._enter(after(self.conditions, "leave"))

    def pause(self) -> None:
        """Nothing is started until `unpause`."""
        self._enter(after(self.conditions, "pause"))

    def unpause(self) -> None:
        """It goes on, with what was postponed first."""
        self._enter(after(self.conditions, "unpause"))
        postponed, self._postponed = self._postponed, []
        for callback in postponed:
            callback()

    def unless_paused(self, callback: Callable[[], object]) -> None:
        """Call something that may start a transfer: at once, or when the sync is no longer paused."""
        if self.is_paused:
            self._postponed.append(callback)
        else:
            callback()

    @property
    def is_ending(self) -> bool:
        """Whether nothing is begun any more: the daemon ends, or a reload has replaced or dropped the sync."""
        return self._host.run.is_fading or self.is_leaving

    def goes_on(self) -> bool:
        """Whether what a transfer was prepared for may still follow."""
        return not (
            self._host.run.is_fading or self.is_stopped or self.is_suspended or self.is_leaving or self.is_paused
        )

    def state(self, *, is_retrying: bool, is_held: bool, is_busy: bool) -> State:
        """The state for the status. `is_retrying`: something failed and waits to be tried again; `is_held`: all that
        could begin is forbidden to; `is_busy`: there are changes that wait or are being transferred.
        """
        if self.is_stopped:
            return State.STOPPED
        if self.is_suspended:
            return State.SUSPENDED
        if self.is_left_alone:
            return State.LEFT_ALONE
        if self.is_paused:
            return State.PAUSED
        if self.is_awaiting:
            return State.HELD
        if is_retrying:
            return State.RETRYING
        if is_held:
            return State.HELD
        if not self.is_started_up:
            return State.STARTING
        return State.SYNCING if is_busy else State.IN_SYNC
