"""The plain queue: a list, walked backward for each change, as spec 3.3 words it.

It decides what is right; logic/queue.py has to say the same with its index and its heap. Only the
rules for one pair (`combine`) are common to both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.combiner import ABSORB, BESIDE, REPLACE, SPLIT, TURN, combine, describe
from orchestrator.logic.delay import Delay
from orchestrator.logic.event import ACTIVE, BARRIERS, BLOCK, CREATE, DELETE, MOVE, WAIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.logic.queue import Test


class ScanQueue:
    """Queue's methods, each in the most obvious way."""

    def __init__(self, *, sets: bool, on_move: bool) -> None:
        self.sets = sets
        self.on_move = on_move
        self.delays: list[Delay] = []
        self.declined: list[Delay] = []
        self.aside: list[Delay] = []
        self.apart: list[Delay] = []
        self.lines: list[str] = []
        self.count = 0

    def add(self, etype: str, alarm: float, path: bytes, path2: bytes | None = None) -> bool:
        self.declined = []
        if etype == MOVE and not self.on_move:
            self.lines.append("splitting Move into Delete & Create")
            return self._split(alarm, path, path2)
        replaced: Delay | None = None
        for old in reversed(self.delays):
            verdict = combine(etype, path, path2, old, self.sets)
            if verdict is None or verdict == BESIDE:
                continue
            if replaced is not None:
                # Created, deleted, created again: where the first Create would take the second in, the
                # Delete between them is not replaced but dropped, as if it had never come.
                if verdict == ABSORB:
                    self.lines.append(describe(REPLACE, etype, path, None, replaced))
                    self.lines.append(describe(ABSORB, etype, path, None, old))
                    self.remove(replaced)
                    return False
                break
            if verdict == REPLACE:
                replaced = old
                if self.sets:
                    break
                continue
            self.lines.append(describe(verdict, etype, path, path2, old))
            if verdict == ABSORB:
                return False
            if verdict == SPLIT:
                return self._split(alarm, path, path2)
            if verdict == TURN:
                self.turn(old)
            self._put(len(self.delays), etype, alarm, path, path2, old)
            return False
        if replaced is not None:
            self.lines.append(describe(REPLACE, etype, path, None, replaced))
            replaced.etype = etype
            return False
        self.lines.append(describe(None, etype, path, path2, None))
        self._put(len(self.delays), etype, alarm, path, path2, None)
        return False

    def turn(self, move: Delay) -> None:
        self.declined = []
        move.etype, move.path2 = DELETE, None

    def append(self, etype: str, alarm: float, path: bytes, *, stacked: bool) -> None:
        self._put(len(self.delays), etype, alarm, path, None, self.delays[-1] if stacked and self.delays else None)

    def prepend(self, etype: str, alarm: float, path: bytes) -> None:
        new = self._put(0, etype, alarm, path, None, None)
        for old in self.delays[1:]:
            if etype in BARRIERS and old.status == WAIT:
                old.status, old.blocker = BLOCK, new

    def waiting(self) -> list[Delay]:
        return [delay for delay in self.delays if delay.status == WAIT and delay not in self.aside]

    def first_waiting(self) -> Delay | None:
        return next(iter(self.waiting()), None)

    def first_due(self, now: float, max_delays: float) -> Delay | None:
        self.aside = [delay for delay in self.aside if delay.status != WAIT or delay.alarm > now]
        for delay in self.waiting():
            if delay not in self.declined:
                return delay if delay.alarm <= now or len(self.delays) >= max_delays else None
        return None

    def next_alarm(self, max_delays: float) -> float | None:
        alarms = [delay.alarm for delay in self.aside if delay.status == WAIT]
        for delay in self.waiting():
            if delay not in self.declined:
                alarms.append(0.0 if len(self.delays) >= max_delays else delay.alarm)
                break
        return min(alarms, default=None)

    def offer_again(self) -> None:
        self.declined = []

    def decline(self, delay: Delay) -> None:
        self.declined.append(delay)

    def select(self, test: Test | None) -> list[Delay]:
        selected: list[Delay] = []
        for delay in self.delays:
            if delay in self.waiting() or (delay.status == BLOCK and delay.blocker in selected):
                verdict = test(delay) if test else True
                if verdict == "break":
                    break
                if verdict and (not selected or (delay in self.apart) == (selected[0] in self.apart)):
                    selected.append(delay)
        return selected

    def activate(self, delays: Iterable[Delay]) -> None:
        self.declined = []
        for delay in delays:
            delay.status, delay.blocker = ACTIVE, None
            self.aside = [other for other in self.aside if other is not delay]

    def retry(self, delay: Delay, alarm: float, *, is_apart: bool = False) -> None:
        if is_apart:
            self.apart.append(delay)
        self.declined = []
        delay.alarm = alarm
        self.aside.append(delay)
        before = [old for old in self.delays[: self.delays.index(delay)] if old.etype in BARRIERS]
        delay.blocker = before[-1] if before else None
        delay.status = BLOCK if before else WAIT

    def remove(self, delay: Delay) -> None:
        self.declined = []
        self.delays.remove(delay)
        self.aside = [other for other in self.aside if other is not delay]
        for other in self.delays:
            if other.blocker is delay:
                other.status, other.blocker = WAIT, None

    def _split(self, alarm: float, path: bytes, path2: bytes | None) -> bool:
        assert path2 is not None
        self.add(DELETE, alarm, path)
        self.add(CREATE, alarm, path2)
        return True

    def _put(
        self, place: int, etype: str, alarm: float, path: bytes, path2: bytes | None, blocker: Delay | None
    ) -> Delay:
        self.declined = []
        self.count += 1
        delay = Delay(self.count, etype, alarm, path, path2)
        if blocker is not None:
            delay.status, delay.blocker = BLOCK, blocker
        self.delays.insert(place, delay)
        return delay


def picture(delays: Sequence[Delay]) -> list[tuple[str, str, float, bytes, bytes | None, int | None]]:
    """All that can be seen of a queue: (status, etype, alarm, path, path2, place of the blocker) of each delay."""
    places = {id(delay): place for place, delay in enumerate(delays)}
    return [
        (d.status, d.etype, d.alarm, d.path, d.path2, None if d.blocker is None else places[id(d.blocker)])
        for d in delays
    ]
