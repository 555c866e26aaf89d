"""The queue of one sync's delays: combines what arrives, offers what is due (spec 3.3 to 3.5, 2.4).

Decides order, blocking and what is taken together; knows neither clock nor processes nor log.
A delay's place in the queue is its `seq`. Waiting delays stand in a heap of places, from which
entries are not removed when a delay stops waiting: they are skipped when they come up, and swept
out when half of the heap is stale. So every operation costs by the depth of a path and the
logarithm of the queue's length, `select` by what it looks at. A pending change takes some 330 bytes of memory beside
its path.

Invariants: a delay is `block` exactly while it has a blocker, which is in the queue. There are no
cycles: a blocker stands before what it blocks, or (`hand_over`) is not blocked itself. One that
`delay.blocks` holds, but that names another blocker, or none, is no longer blocked by it.

A startup in parts (`divide`) has a delay for each part, which blocks the changes that concern it, and no others. Parts
are offered by the startup itself: neither `first_due` nor `select` gives one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from heapq import heappop, heappush
from typing import Final

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
from orchestrator.logic.event import ACTIVE, BARRIERS, BLOCK, CREATE, DELETE, FULL, MOVE, PART, SPECIAL, WAIT
from orchestrator.logic.oldest import Oldest
from orchestrator.logic.paths import PathIndex

Concerned = Callable[[str, bytes], Collection[int]]
"""Of a change's type and path: the numbers of the parts that it has to do with."""

Test = Callable[[Delay], bool | str | None]
"""True: take the delay. False or None: skip it, and all that it blocks. "break": stop there."""

BREAK: Final = "break"
SLACK: Final = 64
"""Stale entries that the heap may keep before it is worth sweeping."""


class Queue:
    """The pending changes of one sync.

    `sets`: the sync's action brings sets of paths up to date, so changes of one file combine by
    the whole matrix of spec 3.4, else as lsyncd 2.2.3 does. `on_move`: the action takes Moves;
    otherwise each is split into Delete and Create from the start. `chains_moves`: it does them in turn, so one may wait
    for another instead of being split, see combiner.may_follow. `report` gets one line for
    `-log Delay` about each change that is added; with None no line is ever made.
    """

    def __init__(
        self,
        *,
        sets: bool,
        on_move: bool,
        chains_moves: bool = False,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self._sets = sets
        self._on_move = on_move
        self._chains_moves = chains_moves
        self._also: dict[int, Delay] = {}  # what a Move waits for when its blocker is gone: something at its other end
        self.report = report
        self._delays: dict[int, Delay] = {}  # in the order of the queue
        self._index = PathIndex(self._delays)
        self._barriers: list[Delay] = []
        self._last = 0
        self._first = 0
        self._waiting: list[int] = []  # the heap
        self._stale = 0  # about how many entries of it are of delays that do not wait any more
        self._declined: set[int] = set()
        self._aside: set[int] = set()  # those that failed, until they are due again
        self._apart: set[int] = set()  # those that failed within a list, and may not spoil another one
        self._parked: list[tuple[float, int]] = []  # (alarm, seq): a heap of those of them that wait
        self._newest = float("-inf")  # since when the last delay is that is no older than those before it
        self._late = Oldest(self._since_of)  # those that are older than one that stands before them
        self._parts: dict[int, Delay] = {}  # of the startup, by their numbers: those that are not done
        self._concerned: Concerned = lambda etype, path: ()

    def __len__(self) -> int:
        return len(self._delays)

    def __iter__(self) -> Iterator[Delay]:
        """All delays, whatever their status, in the order of the queue."""
        return iter(self._delays.values())

    def __contains__(self, delay: Delay) -> bool:
        """Whether this very delay is still here; costs the same in a queue of any length."""
        return self._delays.get(delay.seq) is delay

    def has_all(self, delays: Iterable[Delay], statuses: Collection[str]) -> bool:
        """Whether all of these very delays are still here, each in one of the states."""
        known = self._delays
        for delay in delays:  # noqa: SIM110 - a generator costs a call for each
            if delay.status not in statuses or known.get(delay.seq) is not delay:
                return False
        return True

    def present(self, delays: Iterable[Delay]) -> list[Delay]:
        """Those of these very delays that are still here."""
        known = self._delays
        return [delay for delay in delays if known.get(delay.seq) is delay]

    def concerns(self, path: bytes) -> bool:
        """Whether a change of a path, or of what is above or below it, is pending."""
        here, around = self._index.around(path)
        return bool(here) or around is not None

    def places_held(self) -> int:
        """How many paths the index keeps in memory: with an empty queue none (for leak tests)."""
        return len(self._index)

    def oldest(self) -> float | None:
        """When the oldest of all changes happened that are here; None: there are none.

        Costs the same in a queue of any length: nearly always it is the first, and those of which that is not so are
        kept apart.
        """
        first = next(iter(self._delays.values()), None)
        if first is None:
            return None
        late = self._late.first()
        return first.since if late is None else min(first.since, late)

    # -- what arrives

    def add(
        self, etype: str, alarm: float, path: bytes, path2: bytes | None = None, since: float | None = None
    ) -> bool:
        """Combine a change of a path with what is pending (spec 3.3).

        `alarm` is when it is due, `since` when it happened (None: the same). True: a Move became a Delete and a Create.
        Where `path2` is a directory, nobody moves its contents then, so the caller must add a Create for all in it.
        """
        if since is None:
            since = alarm
        if self._declined:
            self._changed(0)  # also where the change is absorbed: its action may think differently now
        if path2 is None:
            self._add_one(etype, alarm, path, since)
            return False
        return self._add_move(alarm, path, path2, since)

    def append(self, etype: str, alarm: float, path: bytes, *, stacked: bool) -> Delay:
        """Add Init, Blanket or Full at the end; `stacked`: blocked by the last delay, if there is one.

        Init and Blanket block what is added later; nothing is combined with a Full.
        """
        blocker = next(reversed(self._delays.values())) if stacked and self._delays else None
        delay = self._append(etype, alarm, path, None, blocker, alarm)
        if etype in BARRIERS:
            self._barriers.append(delay)
        return delay

    def prepend(self, etype: str, alarm: float, path: bytes) -> Delay:
        """Add Init, Blanket or Full in front of all others.

        An Init or Blanket blocks what follows it: here all that waits.
        """
        self._first -= 1
        delay = Delay(self._first, etype, alarm, path)
        if etype in BARRIERS:
            for old in self._delays.values():
                if old.status == WAIT:
                    self._block(old, delay)
            self._barriers.insert(0, delay)
            self._waiting.clear()
            self._declined.clear()
            self._stale = 0
        behind = list(self._delays.items())
        for seq, old in behind:
            self._late.add(old.since, seq)
        self._newest = max(self._newest, alarm)
        self._delays.clear()  # the same dict must stay: the index looks into it
        self._delays[delay.seq] = delay
        self._delays.update(behind)
        self._wait(delay)
        self._changed(0)
        return delay

    def divide(self, alarm: float, numbers: Iterable[int], concerned: Concerned, since: float) -> dict[int, Delay]:
        """Add a delay for each part of the startup, in front of all others; given by their numbers. `since`: the
        startup's.

        Each blocks what it concerns: all that comes from now on, and what an Init still blocks once that is removed.
        """
        self._concerned = concerned
        numbers = list(numbers)
        self._first -= len(numbers)
        self._parts = {
            number: Delay(self._first + place, PART, alarm, b"", since=since) for place, number in enumerate(numbers)
        }
        self._aside.update(part.seq for part in self._parts.values())
        behind = list(self._delays.items())
        if behind and behind[0][1].since < since:
            for seq, old in behind:
                self._late.add(old.since, seq)
        self._delays.clear()  # the same dict must stay: the index looks into it
        self._delays.update((part.seq, part) for part in self._parts.values())
        self._delays.update(behind)
        return dict(self._parts)

    # -- what is due

    def first_waiting(self) -> Delay | None:
        """The first delay that waits, due or not, declined or not, but none that stands aside."""
        top = self._top()
        declined = [self._delays[seq] for seq in self._declined if self._is_waiting(seq)]
        return min([*declined, top] if top is not None else declined, key=_place, default=None)

    def first_due(self, now: float, max_delays: float) -> Delay | None:
        """The first delay that waits and was not declined, if it is due.

        One that is not due yet holds up all behind it. With `max_delays` delays or more in the
        queue every delay is due: with 0 or less always, as in lsyncd.
        """
        while self._parked and (self._parked[0][0] <= now or not self._is_parked(*self._parked[0])):
            parked = heappop(self._parked)
            if self._is_parked(*parked):
                self._aside.discard(parked[1])
                heappush(self._waiting, parked[1])
        top = self._top()
        if top is None or (top.alarm > now and len(self._delays) < max_delays):
            return None
        return top

    def next_alarm(self, max_delays: float) -> float | None:
        """When `first_due` has something to give: a time, 0 for at once, None for not by itself."""
        top = self._top()
        alarm = None if top is None else 0.0 if len(self._delays) >= max_delays else top.alarm
        while self._parked and not self._is_parked(*self._parked[0]):
            heappop(self._parked)
        if self._parked and (alarm is None or self._parked[0][0] < alarm):
            return self._parked[0][0]
        return alarm

    def decline(self, delay: Delay) -> None:
        """Do not offer this delay again until something in the queue changes.

        For one that its action was asked about and left waiting: asking again at once would
        keep the loop spinning.
        """
        self._declined.add(delay.seq)

    def hurry(self, now: float) -> None:
        """All that waits, or is behind something, is due now."""
        for delay in self._delays.values():
            if delay.alarm <= now or delay.status == ACTIVE:
                continue
            delay.alarm = now
            if delay.seq in self._aside and delay.status == WAIT and delay.etype != PART:
                heappush(self._parked, (now, delay.seq))
        self._changed(0)

    def offer_again(self) -> None:
        """Offer again what was declined: the thing beside the queue that it waited for has changed."""
        self._changed(0)

    def select(self, test: Test | None) -> list[Delay]:
        """The delays that can be taken together now, in the order of the queue (getEvents, spec 2.4).

        All that waits and passes the test, and what is blocked by nothing but that. A delay that failed by itself in a
        list (see `retry`) is never taken with others: the first that passes decides.
        """
        delays = self._delays
        if self._declined:
            waiting = sorted({*self._waiting, *self._declined})
        else:
            self._waiting.sort()  # a sorted list is a heap, too; mostly sorted already
            waiting = self._waiting.copy()  # a test is foreign code, it may change the queue
        waiting.reverse()
        freed: list[int] = []
        selected: list[Delay] = []
        chosen: set[int] = set()  # the same by place, where somebody asks
        last: int | None = None
        apart: bool | None = None if self._apart else False
        while waiting or freed:
            if freed and (not waiting or freed[0] < waiting[-1]):
                delay = delays.get(heappop(freed))
                if delay is None or delay.status != BLOCK:
                    continue
            else:
                seq = waiting.pop()
                delay = delays.get(seq)
                if delay is None or delay.status != WAIT or seq == last or seq in self._aside:
                    continue
                last = seq
            if test is not None:
                verdict = test(delay)
                if verdict == BREAK:
                    break
                if not verdict:
                    continue
            if apart is None:
                apart = delay.seq in self._apart
            elif self._apart and (delay.seq in self._apart) != apart:
                continue
            selected.append(delay)
            if self._also:
                chosen.add(delay.seq)
            if delay.blocks:
                for blocked in delay.blocks:
                    if blocked.blocker is delay and self._waits_for_none_but(chosen, blocked):
                        heappush(freed, blocked.seq)
        return selected

    # -- what becomes of a delay

    def activate(self, delays: Iterable[Delay]) -> None:
        """A process serves these now. Those among them that others of them blocked are free."""
        delays = list(delays)
        for delay in delays:
            delay.status = ACTIVE
            delay.blocker = None
            self._also.pop(delay.seq, None)
            if self._aside:
                self._aside.discard(delay.seq)
        for delay in delays:
            if delay.blocks:
                delay.blocks = [blocked for blocked in delay.blocks if blocked.blocker is delay] or None
        self._changed(len(delays))

    def retry(self, delay: Delay, alarm: float, *, is_separate: bool = False) -> None:
        """An active delay waits again, at its old place, and is due at `alarm`.

        Until then it stands aside: neither `first_due` nor `select` gives it, and it holds up
        nothing but what it blocks (spec 6 rows 13 and 16b). `is_separate`: from now on it is taken
        together only with such as are apart, too.
        """
        delay.alarm = alarm
        self._aside.add(delay.seq)
        if is_separate:
            self._apart.add(delay.seq)
        for barrier in reversed(self._barriers):
            # only one that was prepended meanwhile can stand before a delay that was active
            if barrier.seq < delay.seq:
                self._block(delay, barrier)
                self._changed(0)
                return
        self._wait(delay)
        self._changed(0)

    def remove(self, delay: Delay) -> None:
        """The delay is done with. What it blocked waits now."""
        del self._delays[delay.seq]
        if delay.etype in BARRIERS:
            self._barriers.remove(delay)
        elif delay.etype == PART:
            self._parts = {number: part for number, part in self._parts.items() if part is not delay}
        elif delay.etype != FULL:
            self._index.leave(delay, delay.path)
            if delay.path2 is not None:
                self._index.leave(delay, delay.path2)
        delay.blocker = None
        self._aside.discard(delay.seq)
        self._apart.discard(delay.seq)
        blocks, delay.blocks = delay.blocks, None
        for blocked in blocks or ():
            if blocked.blocker is delay:
                blocked.blocker = None
                self._release(blocked)
        self._also.pop(delay.seq, None)
        self._changed(1 if delay.status == WAIT else 0)

    def _release(self, delay: Delay) -> None:
        """Its blocker is gone: it waits, if there is no other one."""
        is_free = not self._parts or delay.etype in SPECIAL
        part = None if is_free else self._part_before(delay.etype, delay.path, delay.path2)
        if part is not None:
            self._block(delay, part)
            return
        also = self._also.pop(delay.seq, None)
        if also is not None and also in self:
            self._block(delay, also)
        else:
            self._wait(delay)

    def _part_before(self, etype: str, path: bytes, path2: bytes | None) -> Delay | None:
        """A part of the startup that must be done before a change."""
        for end in (path,) if path2 is None else (path, path2):
            for number in self._concerned(etype, end):
                part = self._parts.get(number)
                if part is not None:
                    return part
        return None

    def turn(self, move: Delay) -> None:
        """A Move that is not active becomes the Delete of its origin, at its place. What it blocks stays blocked."""
        if move.path2 is not None:
            self._index.turns(move)
            move.etype = DELETE
            move.path2 = None
            if self._declined:
                self._changed(0)

    def moves_behind(self, delay: Delay) -> list[Delay]:
        """The Moves that wait for a delay, or for what waits for it, in the order of the queue."""
        found: dict[int, Delay] = {}
        pending = [delay]
        while pending:
            blocker = pending.pop()
            for blocked in blocker.blocks or ():
                if blocked.blocker is blocker and blocked.seq not in found:
                    found[blocked.seq] = blocked
                    pending.append(blocked)
        return [found[seq] for seq in sorted(found) if found[seq].etype == MOVE]

    def hand_over(self, delay: Delay, heir: Delay) -> None:
        """What `delay` blocks is blocked by `heir` from now on. The heir itself must not be blocked.

        For a Blanket that takes the place of an Init (spec 2.6).
        """
        blocks, delay.blocks = delay.blocks, None
        for blocked in blocks or ():
            if blocked.blocker is delay and blocked is not heir:
                self._block(blocked, heir)

    # -- within

    def _add_one(self, etype: str, alarm: float, path: bytes, since: float) -> None:
        """Combine a change that is not a Move."""
        here, blocker = self._index.around(path)
        if self._barriers and (blocker is None or blocker.seq < self._barriers[-1].seq):
            blocker = self._barriers[-1]
        if blocker is None and self._parts:
            blocker = self._part_before(etype, path, None)
        replaced: Delay | None = None
        verdict: str | None = BLOCKED if blocker is not None else None
        for old in reversed(here):
            if blocker is not None and old.seq < blocker.seq:
                break
            met = combine(etype, path, None, old, self._sets)
            if met == BESIDE:
                continue
            if met == ABSORB:
                if replaced is not None:
                    # The file was created, deleted and created again: without its Delete, the
                    # first Create says it all. Else a file that comes and goes a thousand times
                    # would stand in the queue as a thousand Creates.
                    self._tell(REPLACE, etype, path, None, replaced)
                    self.remove(replaced)
                    since = min(since, replaced.since)
                self._tell(ABSORB, etype, path, None, old)
                if since < old.since:
                    self._is_older(old, since)
                return
            if replaced is not None:
                break
            if met == REPLACE:
                replaced = old
                if self._sets:
                    break
                continue
            verdict, blocker = met, old
            break
        if replaced is not None:
            self._tell(REPLACE, etype, path, None, replaced)
            replaced.etype = etype
            if since < replaced.since:
                self._is_older(replaced, since)
            return
        if self.report is not None:
            self._tell(verdict, etype, path, None, blocker)
        if verdict == TURN and blocker is not None:
            self.turn(blocker)
        self._index.enter(self._append(etype, alarm, path, None, blocker, since), path)

    def _add_move(self, alarm: float, path: bytes, path2: bytes, since: float) -> bool:
        """Combine a Move. True: it was split."""
        if self._on_move:
            at_origin, at_destination = self._newest_touching(path), self._newest_touching(path2)
            met = max((delay for delay in (at_origin, at_destination) if delay is not None), key=_place, default=None)
            if met is None and self._parts:
                met = self._part_before(MOVE, path, path2)
            verdict = combine(MOVE, path, path2, met, self._sets) if met is not None else None
            if verdict == SPLIT and self._chains_moves and self._may_wait(path) and self._may_wait(path2):
                verdict = BLOCKED
            if verdict == SPLIT and self._chains_moves and self._carry(alarm, path, path2, since):
                return False
            self._tell(verdict, MOVE, path, path2, met)
            if verdict != SPLIT:
                move = self._append(MOVE, alarm, path, path2, met, since)
                self._enter(move)
                if at_origin is not None and at_destination is not None and at_origin is not at_destination:
                    self._also[move.seq] = min(at_origin, at_destination, key=_place)
                return False
        elif self.report is not None:
            self.report("splitting Move into Delete & Create")
        self._add_one(DELETE, alarm, path, since)
        self._add_one(CREATE, alarm, path2, since)
        return True

    def _newest_touching(self, end: bytes) -> Delay | None:
        """The newest delay that has to do with one end of a Move."""
        here, around = self._index.around(end)
        found = [*here[-1:], *self._barriers[-1:]]
        if around is not None:
            found.append(around)
        return max(found, key=_place, default=None)

    def _may_wait(self, end: bytes) -> bool:
        """Whether a Move with this end is still right when all that touches it there is done."""
        return self._index.has_only_moves_below(end) and all(
            len(here) <= LONGEST_CHAIN and all(may_follow(end, old) for old in here)
            for here in self._index.at_and_above(end)
        )

    def _carry(self, alarm: float, path: bytes, path2: bytes, since: float) -> bool:
        """Where a new directory is renamed before anything of it was done: what waits is done under its new name.

        False: nothing would be saved by that, or it might not be right.
        """
        inside = self._index.at_and_below(path, MOST_CARRIED)
        if (
            not inside
            or self._barriers
            or self._parts
            or not may_carry(path, inside)
            or self._index.at_and_below(path2, 0) != []
        ):
            return False
        if any(old.status == ACTIVE or old.seq in self._aside or old.seq in self._apart for old in inside):
            return False
        for end, is_origin in ((path, True), (path2, False)):
            for here in self._index.at_and_above(end):
                if any(is_in_the_way(old, inside, is_origin=is_origin) for old in here):
                    return False
        if self.report is not None:
            self.report(describe_carried(path, path2, inside[0]))
        for old in inside:
            ends = {end: carried(end, path, path2) for end in (old.path, old.path2) if end is not None}
            changed = {before: after for before, after in ends.items() if before != after}
            for before in changed:
                self._index.leave(old, before)
            old.path = ends[old.path]
            old.path2 = None if old.path2 is None else ends[old.path2]
            for after in changed.values():
                self._index.enter_late(old, after)
        self._add_one(DELETE, alarm, path, since)  # should the target have had it all the same
        return True

    def _waits_for_none_but(self, chosen: set[int], blocked: Delay) -> bool:
        """Whether a delay whose blocker was chosen waits for nothing else: no part of the startup, and, of a Move, at
        its other end nothing but what was chosen (by place), too."""
        if self._parts and self._part_before(blocked.etype, blocked.path, blocked.path2) is not None:
            return False
        also = self._also.get(blocked.seq)
        return also is None or also not in self or also.seq in chosen

    def _append(
        self, etype: str, alarm: float, path: bytes, path2: bytes | None, blocker: Delay | None, since: float
    ) -> Delay:
        self._last += 1
        delay = Delay(self._last, etype, alarm, path, path2, since)
        self._delays[delay.seq] = delay
        if since < self._newest:
            self._late.add(since, delay.seq)
        else:
            self._newest = since
        if blocker is None:
            heappush(self._waiting, delay.seq)
        else:
            self._block(delay, blocker)
        if self._declined:
            self._changed(0)
        return delay

    def _since_of(self, seq: int) -> float | None:
        delay = self._delays.get(seq)
        return None if delay is None else delay.since

    def _is_older(self, delay: Delay, since: float) -> None:
        """A change that happened before it was combined with it."""
        delay.since = since
        self._late.add(since, delay.seq)

    def _enter(self, delay: Delay) -> None:
        self._index.enter(delay, delay.path)
        if delay.path2 is not None:
            self._index.enter(delay, delay.path2)

    def _tell(self, verdict: str | None, etype: str, path: bytes, path2: bytes | None, old: Delay | None) -> None:
        if self.report is not None:
            self.report(describe(verdict, etype, path, path2, old))

    def _block(self, delay: Delay, blocker: Delay) -> None:
        delay.status = BLOCK
        delay.blocker = blocker
        if blocker.blocks is None:
            blocker.blocks = [delay]
        else:
            blocker.blocks.append(delay)

    def _wait(self, delay: Delay) -> None:
        delay.status = WAIT
        if delay.etype == PART:
            return
        if delay.seq in self._aside:
            heappush(self._parked, (delay.alarm, delay.seq))
        else:
            heappush(self._waiting, delay.seq)

    def _is_waiting(self, seq: int) -> bool:
        """Whether an entry of the heap holds."""
        delay = self._delays.get(seq)
        return delay is not None and delay.status == WAIT and seq not in self._aside

    def _is_parked(self, alarm: float, seq: int) -> bool:
        """Whether an entry of the heap of failed ones holds."""
        delay = self._delays.get(seq)
        return delay is not None and delay.status == WAIT and delay.alarm == alarm and seq in self._aside

    def _top(self) -> Delay | None:
        """The first delay that waits, was not declined and does not stand aside."""
        waiting = self._waiting
        while waiting:
            seq = waiting[0]
            delay = self._delays.get(seq)
            if delay is not None and delay.status == WAIT and seq not in self._declined and seq not in self._aside:
                return delay
            heappop(waiting)
        return None

    def _changed(self, no_longer_waiting: int) -> None:
        """After any change: what was declined is offered again; stale entries are swept out."""
        for seq in self._declined:
            heappush(self._waiting, seq)
        self._declined.clear()
        self._stale += no_longer_waiting
        if self._stale > SLACK and 2 * self._stale > len(self._waiting):
            self._waiting = sorted({seq for seq in self._waiting if self._is_waiting(seq)})
            self._stale = 0


def _place(delay: Delay) -> int:
    return delay.seq
