"""The indexed queue says what the plain backward scan says, whatever happens to it (spec 3.3 to 3.5)."""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orchestrator.logic.event import (
    ACTIVE,
    ATTRIB,
    BARRIERS,
    BLANKET,
    BLOCK,
    CREATE,
    DELETE,
    FULL,
    INIT,
    MODIFY,
    MOVE,
    WAIT,
)
from orchestrator.logic.queue import Queue
from tests.property.scan import ScanQueue, picture

NAMES = st.sampled_from([b"a", b"b", b"ab", b"\xff\n"])
"""Few, so that paths meet; one is the beginning of another, one is no text."""

ANY_PATHS = st.builds(
    lambda names, is_dir: b"/" + b"/".join(names) + (b"/" if is_dir and names else b""),
    st.lists(NAMES, max_size=3),
    st.booleans(),
)
PATHS = st.one_of(st.sampled_from([b"/a", b"/a/", b"/a/b", b"/b"]), ANY_PATHS)
ALARMS = st.integers(0, 9).map(float)
KINDS = st.sampled_from([ATTRIB, MODIFY, CREATE, DELETE])
SPECIALS = st.sampled_from([INIT, BLANKET, FULL])
LIMITS = st.sampled_from([3, 8, 1000])
PICK = st.integers(0, 1_000)


class QueueMachine(RuleBasedStateMachine):
    """Does everything twice, and looks at both after each step."""

    @initialize(sets=st.booleans(), on_move=st.sampled_from([False, True, True]), chains_moves=st.booleans())
    def start(self, sets: bool, on_move: bool, chains_moves: bool) -> None:
        self.lines: list[str] = []
        self.queue = Queue(sets=sets, on_move=on_move, chains_moves=chains_moves, report=self.lines.append)
        self.scan = ScanQueue(sets=sets, on_move=on_move, chains_moves=chains_moves)

    def place_of(self, pick: int, *statuses: str) -> int | None:
        """The place of some delay of these statuses, if there is one."""
        places = [place for place, delay in enumerate(self.scan.delays) if delay.status in statuses]
        return places[pick % len(places)] if places else None

    @rule(etype=KINDS, alarm=ALARMS, path=PATHS)
    def add(self, etype: str, alarm: float, path: bytes) -> None:
        assert self.queue.add(etype, alarm, path) == self.scan.add(etype, alarm, path)

    @rule(etype=KINDS, alarm=ALARMS, directory=PATHS, count=st.integers(20, 90))
    def burst(self, etype: str, alarm: float, directory: bytes, count: int) -> None:
        """Enough at once that stale entries get swept out."""
        for number in range(count):
            self.add(etype, alarm, directory.removesuffix(b"/") + b"/%d" % number)

    @rule(alarm=ALARMS, path=PATHS, path2=PATHS)
    def move(self, alarm: float, path: bytes, path2: bytes) -> None:
        assert self.queue.add(MOVE, alarm, path, path2) == self.scan.add(MOVE, alarm, path, path2)

    @rule(alarm=ALARMS, names=st.lists(NAMES, min_size=2, max_size=25), directory=st.sampled_from([b"/a", b"/b/a"]))
    def moves_in_turn(self, alarm: float, names: list[bytes], directory: bytes) -> None:
        """What waits for one another, and more of it than may."""
        for name, name2 in itertools.pairwise(names):
            self.move(alarm, directory + b"/" + name, directory + b"/" + name2)

    @rule(etype=KINDS, alarm=ALARMS, number=st.integers(0, 3))
    def move_and_more(self, etype: str, alarm: float, number: int) -> None:
        """Moves that meet little else, so that some of them turn into a Delete."""
        self.move(alarm, b"/m/%d" % number, b"/n/%d" % number)
        self.add(etype, alarm, b"/n/%d" % number)

    @rule(
        alarm=ALARMS,
        directory=st.sampled_from([b"/d/", b"/a/d/"]),
        renamed=st.sampled_from([b"/e/", b"/a/e/", b"/d/e/"]),
        more=st.sampled_from([None, ATTRIB, CREATE, DELETE]),
        place=PATHS,
    )
    def new_directory_that_is_renamed(
        self, alarm: float, directory: bytes, renamed: bytes, more: str | None, place: bytes
    ) -> None:
        """What was moved into it goes along, where nothing is in the way."""
        self.add(CREATE, alarm, directory)
        self.move(alarm, b"/x", directory + b"x")
        self.move(alarm, b"/y/", directory + b"y/")
        if more is not None:
            self.add(more, alarm, place)
        self.move(alarm, directory, renamed)

    @rule(etype=SPECIALS, alarm=ALARMS, stacked=st.booleans())
    def append(self, etype: str, alarm: float, stacked: bool) -> None:
        self.queue.append(etype, alarm, b"", stacked=stacked)
        self.scan.append(etype, alarm, b"", stacked=stacked)

    @rule(etype=SPECIALS, alarm=ALARMS)
    def prepend(self, etype: str, alarm: float) -> None:
        self.queue.prepend(etype, alarm, b"")
        self.scan.prepend(etype, alarm, b"")

    @rule(now=ALARMS, limit=LIMITS, decline=st.booleans())
    def first_due(self, now: float, limit: int, decline: bool) -> None:
        assert self.queue.next_alarm(limit) == self.scan.next_alarm(limit)
        ours, theirs = self.queue.first_due(now, limit), self.scan.first_due(now, limit)
        assert (ours is None) == (theirs is None)
        if ours is None or theirs is None:
            return
        assert list(self.queue).index(ours) == self.scan.delays.index(theirs)
        if decline:
            self.queue.decline(ours)
            self.scan.decline(theirs)
        else:
            self.queue.activate([ours])
            self.scan.activate([theirs])

    @rule()
    def offer_again(self) -> None:
        self.queue.offer_again()
        self.scan.offer_again()

    @rule(
        skipped=st.sets(st.sampled_from([ATTRIB, MODIFY, CREATE, DELETE, MOVE, FULL])),
        stops=st.sets(st.sampled_from([INIT, BLANKET, MOVE])),
        everything=st.booleans(),
        activate=st.booleans(),
    )
    def select(self, skipped: set[str], stops: set[str], everything: bool, activate: bool) -> None:
        def test(delay: object) -> bool | str | None:
            etype = getattr(delay, "etype", "")
            return "break" if etype in stops else etype not in skipped

        ours = self.queue.select(None if everything else test)
        theirs = self.scan.select(None if everything else test)
        order = list(self.queue)
        assert [order.index(delay) for delay in ours] == [self.scan.delays.index(delay) for delay in theirs]
        if activate:
            self.queue.activate(ours)
            self.scan.activate(theirs)

    @rule(pick=PICK, alarm=ALARMS, is_separate=st.booleans())
    def retry(self, pick: int, alarm: float, is_separate: bool) -> None:
        place = self.place_of(pick, ACTIVE)
        if place is not None:
            self.queue.retry(list(self.queue)[place], alarm, is_separate=is_separate)
            self.scan.retry(self.scan.delays[place], alarm, is_separate=is_separate)

    @rule(pick=PICK)
    def finish(self, pick: int) -> None:
        self.remove(self.place_of(pick, ACTIVE))

    @rule(every=st.integers(1, 3))
    def finish_many(self, every: int) -> None:
        for place in reversed(
            [place for place, delay in enumerate(self.scan.delays) if delay.status == ACTIVE][::every]
        ):
            self.remove(place)

    @rule(pick=PICK)
    def discard(self, pick: int) -> None:
        self.remove(self.place_of(pick, WAIT))

    @rule()
    def split_moves(self) -> None:
        """As Inlet.split_moves does after a full run."""
        places = [
            place for place, delay in enumerate(self.scan.delays) if delay.etype == MOVE and delay.status != ACTIVE
        ]
        for place in places:
            self.queue.turn(list(self.queue)[place])
            self.scan.turn(self.scan.delays[place])

    def remove(self, place: int | None) -> None:
        if place is not None:
            gone = list(self.queue)[place]
            self.queue.remove(gone)
            self.scan.remove(self.scan.delays[place])
            assert gone not in self.queue

    @invariant()
    def same(self) -> None:
        assert picture(list(self.queue)) == picture(self.scan.delays)
        assert self.lines == self.scan.lines
        first, theirs = self.queue.first_waiting(), self.scan.first_waiting()
        assert (first is None) == (theirs is None)
        if first is not None and theirs is not None:
            assert list(self.queue).index(first) == self.scan.delays.index(theirs)

    @invariant()
    def oldest(self) -> None:
        assert self.queue.oldest() == min((delay.since for delay in self.scan.delays), default=None)

    @invariant()
    def sound(self) -> None:
        """Nobody is active and blocked, nobody waits for ever, nobody waits behind what is gone."""
        delays = list(self.queue)
        assert len(delays) == len(self.queue)
        assert [delay.seq for delay in delays] == sorted(delay.seq for delay in delays)
        for delay in delays:
            assert delay in self.queue
            assert (delay.status == BLOCK) == (delay.blocker is not None)
            if delay.blocker is not None:
                assert delay.blocker in self.queue
                assert delay.blocker.seq < delay.seq
                assert delay in (delay.blocker.blocks or ())
        if delays and not any(delay.status == ACTIVE for delay in delays):
            assert self.queue.next_alarm(1) is not None or self.scan.declined

    def teardown(self) -> None:
        """Served to the end, the queue is empty, and keeps nothing in memory."""
        if not hasattr(self, "queue"):
            return
        for delay in [delay for delay in self.queue if delay.status == ACTIVE]:
            self.queue.remove(delay)
        while self.queue:
            self.queue.first_due(float("inf"), 1)  # so nothing stands aside any more
            taken = self.queue.select(lambda delay: delay.etype not in BARRIERS) or self.queue.select(None)
            assert taken
            self.queue.activate(taken)
            for delay in taken:
                self.queue.remove(delay)
        assert self.queue.places_held() == 0


QueueMachine.TestCase.settings = settings(stateful_step_count=40, report_multiple_bugs=False)
TestQueue = QueueMachine.TestCase
