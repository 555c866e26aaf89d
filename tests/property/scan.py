"""The plain queue: a list, walked backward for each change, as spec 3.3 words it.

It decides what is right; logic/queue.py has to say the same with its index and its heap. Only the
rules for one pair (`combine`) are common to both.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from orchestrator.logic.combiner import (
    ABSORB,
    BESIDE,
    BLOCKED,
    LONGEST_CHAIN,
    MOST_CARRIED,
    REPLACE,
    SPLIT,
    TURN,
    carried,
    combine,
    describe,
    describe_carried,
    is_in_the_way,
    may_carry,
    may_follow,
)
from orchestrator.logic.delay import Delay
from orchestrator.logic.event import ACTIVE, BARRIERS, BLOCK, CREATE, DELETE, FULL, MOVE, WAIT
from orchestrator.logic.paths import key_of, touches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.logic.queue import Test


class ScanQueue:
    """Queue's methods, each in the most obvious way."""

    def __init__(self, *, sets: bool, on_move: bool, chains_moves: bool = False) -> None:
        self.sets = sets
        self.on_move = on_move
        self.chains_moves = chains_moves
        self.also: dict[int, Delay] = {}  # by the number of the Move that waits for it, too
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
        if etype == MOVE and self.chains_moves:
            assert path2 is not None
            return self._add_move(alarm, path, path2)
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
                    old.since = min(old.since, replaced.since, alarm)
                    return False
                break
            if verdict == REPLACE:
                replaced = old
                if self.sets:
                    break
                continue
            self.lines.append(describe(verdict, etype, path, path2, old))
            if verdict == ABSORB:
                old.since = min(old.since, alarm)
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
            replaced.since = min(replaced.since, alarm)
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
            also = self.also.get(delay.seq)
            is_free = delay.blocker in selected and (also in selected or also not in self.delays)
            if delay in self.waiting() or (delay.status == BLOCK and is_free):
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
            self.also.pop(delay.seq, None)
            self.aside = [other for other in self.aside if other is not delay]

    def retry(self, delay: Delay, alarm: float, *, is_separate: bool = False) -> None:
        if is_separate:
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
                also = self.also.pop(other.seq, None)
                other.blocker = also if also in self.delays else None
                other.status = WAIT if other.blocker is None else BLOCK

    def _add_move(self, alarm: float, path: bytes, path2: bytes) -> bool:
        """A Move waits for the newest at either of its ends, or is split for one of all that are there."""
        ends = (path, path2)
        newest = [next((old for old in reversed(self.delays) if _is_at(end, old)), None) for end in ends]
        met = max((old for old in newest if old is not None), key=self.delays.index, default=None)
        verdict = None if met is None else combine(MOVE, path, path2, met, self.sets)
        if verdict == SPLIT and all(self._may_wait(end) for end in ends):
            verdict = BLOCKED
        if verdict == SPLIT and self._carry(alarm, path, path2):
            return False
        self.lines.append(describe(verdict, MOVE, path, path2, met))
        if verdict == SPLIT:
            return self._split(alarm, path, path2)
        move = self._put(len(self.delays), MOVE, alarm, path, path2, met)
        if newest[0] is not None and newest[1] is not None and newest[0] is not newest[1]:
            self.also[move.seq] = min((old for old in newest if old is not None), key=self.delays.index)
        return False

    def _carry(self, alarm: float, path: bytes, path2: bytes) -> bool:
        """Where a new directory is renamed: what waits to be moved into it is moved to its new place."""
        if any(old.etype in BARRIERS for old in self.delays):
            return False
        mine = [old for old in self.delays if old.etype not in BARRIERS and old.etype != FULL]
        inside = [old for old in mine if any(_is_within(end, path) for end in (old.path, old.path2) if end)]
        if not may_carry(path, inside) or len(inside) > MOST_CARRIED:
            return False
        if any(old.status == ACTIVE or old in self.aside or old in self.apart for old in inside):
            return False
        for end in (path, path2):
            met = [old for old in mine if any(_is_within(end, place) for place in (old.path, old.path2) if place)]
            if any(is_in_the_way(old, inside, is_origin=end == path) for old in met):
                return False
        if any(_is_within(end, path2) for old in mine for end in (old.path, old.path2) if end):
            return False
        self.lines.append(describe_carried(path, path2, inside[0]))
        for old in inside:
            old.path = carried(old.path, path, path2)
            old.path2 = None if old.path2 is None else carried(old.path2, path, path2)
        self.add(DELETE, alarm, path)
        return True

    def _may_wait(self, end: bytes) -> bool:
        counts: Counter[bytes] = Counter()
        for old in self.delays:
            if old.etype in BARRIERS or old.etype == FULL or not _is_at(end, old):
                continue
            if not may_follow(end, old):
                return False
            for place in (old.path, old.path2):
                if place is not None and (key_of(end) + b"/").startswith(key_of(place) + b"/"):
                    counts[key_of(place)] += 1
        return all(count <= LONGEST_CHAIN for count in counts.values())

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


def _is_at(end: bytes, old: Delay) -> bool:
    if old.etype in BARRIERS:
        return True
    return old.etype != FULL and any(touches(end, place) for place in (old.path, old.path2) if place is not None)


def _is_within(end: bytes, place: bytes) -> bool:
    """Whether `end` is `place`, as file or directory, or lies below it."""
    return (key_of(end) + b"/").startswith(key_of(place) + b"/")


def picture(delays: Sequence[Delay]) -> list[tuple[str, str, float, float, bytes, bytes | None, int | None]]:
    """All that can be seen of a queue: (status, etype, alarm, since, path, path2, place of the blocker) of each."""
    places = {id(delay): place for place, delay in enumerate(delays)}
    return [
        (d.status, d.etype, d.alarm, d.since, d.path, d.path2, None if d.blocker is None else places[id(d.blocker)])
        for d in delays
    ]
