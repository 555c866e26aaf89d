"""The live view's knowledge of a daemon: its last status, with the events since then worked in. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from orchestrator.control.answer import status_of, time_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.control.answer import StatusAnswer, SyncAnswer

SLOT: Final = 10.0
"""Seconds of one column of a sparkline."""

SLOTS: Final = 60
"""Columns that are kept: ten minutes."""

RATE_SLOTS: Final = 2
"""Over how many of them the rate is taken."""

BARS: Final = "▁▂▃▄▅▆▇█"
PLAIN_BARS: Final = "_.-:=+*#"
"""For terminals without Unicode."""

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "state": ("state", "stuck"),
    "queue": ("waiting", "retrying", "oldest"),
}
"""Event → the fields of its sync's status that it says anew."""

IS_ASKED_FOR: Final = frozenset({"state", "started", "ended", "verified", "queue"})
"""Events after which the detail of their sync is another one."""

IS_STATUS_OLD: Final = frozenset({"reloaded", "lost", "ended", "verified"})
"""Events that say less of a sync than its status."""


class Activity:
    """Bytes of one sync, slot by slot. Times in seconds since 1970, of the daemon's clock."""

    def __init__(self) -> None:
        self._slots: deque[tuple[int, int]] = deque(maxlen=SLOTS)  # number of the slot, bytes
        self._total: int | None = None

    def note(self, time: float, total: int) -> None:
        """So many bytes have been moved since the daemon's start."""
        moved = 0 if self._total is None else max(0, total - self._total)
        self._total = total
        if not moved:
            return
        slot = int(time // SLOT)
        if self._slots and self._slots[-1][0] >= slot:
            last, before = self._slots.pop()
            self._slots.append((last, before + moved))
        else:
            self._slots.append((slot, moved))

    def values(self, now: float, count: int) -> list[int]:
        """Bytes of each of the last `count` slots, the oldest first."""
        last = int(now // SLOT)
        found = dict(self._slots)
        return [found.get(slot, 0) for slot in range(last - count + 1, last + 1)]

    def rate(self, now: float) -> float:
        """Bytes per second, lately."""
        seconds = (RATE_SLOTS - 1) * SLOT + now % SLOT
        return sum(self.values(now, RATE_SLOTS)) / max(1.0, seconds)


class Picture:
    """A daemon as it is shown. Wrong answers raise NotOurs and change nothing."""

    def __init__(self) -> None:
        self._answer: Mapping[str, Any] = {}
        self._daemon: StatusAnswer | None = None  # without its syncs
        self._raw: dict[str, Mapping[str, Any]] = {}
        self._syncs: dict[str, SyncAnswer] = {}
        self.activity: dict[str, Activity] = {}

    @property
    def status(self) -> StatusAnswer | None:
        """As it is now; None: there was none yet."""
        return None if self._daemon is None else replace(self._daemon, syncs=tuple(self._syncs.values()))

    def take_status(self, answer: Mapping[str, Any], *, is_part: bool = False) -> None:
        """An answer to `status`. `is_part`: of some syncs only; the others stay as they are."""
        checked = status_of(answer)
        raw = {sync["name"]: sync for sync in answer["syncs"]}
        syncs = {sync.name: sync for sync in checked.syncs}
        if is_part:
            raw = {name: raw.get(name, sync) for name, sync in self._raw.items()}
            syncs = {name: syncs.get(name, sync) for name, sync in self._syncs.items()}
        self._answer, self._daemon, self._raw, self._syncs = answer, checked, raw, syncs
        self.activity = {name: self.activity.get(name) or Activity() for name in syncs}
        for sync in answer["syncs"]:
            counts = sync.get("counts")
            if isinstance(counts, dict):
                self._note(sync["name"], checked.time, counts.get("bytes"))

    def take_event(self, event: Mapping[str, Any]) -> None:
        """An event of a sync. One of a sync that is not known yet is left out."""
        name = event.get("sync")
        fields = FIELDS.get(str(event.get("event")))
        if fields is None or not isinstance(name, str) or name not in self._raw:
            return
        raw = {**self._raw[name], **{field: event.get(field) for field in fields}}
        (self._syncs[name],) = status_of({"daemon": self._answer["daemon"], "syncs": [raw]}).syncs
        self._raw[name] = raw
        if "time" in event:
            self._note(name, time_of(event["time"]), event.get("bytes"))

    def _note(self, name: str, time: float, total: object) -> None:
        if isinstance(total, int) and name in self.activity:
            self.activity[name].note(time, total)


def sparkline(values: list[int], bars: str = BARS) -> str:
    """A column for each value; blank where there was nothing, and the highest bar for the largest."""
    largest = max(values, default=0)
    return "".join(bars[(len(bars) - 1) * value // largest] if value else " " for value in values)
