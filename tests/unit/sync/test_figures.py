"""What is told of a sync: how old its oldest change is, what runs, what it has done (contrib/CONTROL.md, "A sync")."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.logic.event import CREATE, DELETE, MODIFY, MOVE
from orchestrator.logic.oldest import SLACK, Oldest
from orchestrator.process.moved import moved_before, moved_by
from orchestrator.sync.host import RunOptions
from orchestrator.sync.outcome import Collected
from orchestrator.sync.progress import Progress
from orchestrator.sync.sync import Options
from tests.kit.daemon import wait_until
from tests.kit.syncs import Calls, SyncWithProcesses, SyncWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.sync.inlet import Event
    from orchestrator.sync.outcome import Outcome

MEGABYTE = 1_000_000


class Acting(Calls):
    """Takes all that is due, and runs a program for it; `answers`: what becomes of each, the last one for ever."""

    def __init__(self, argv: list[str] | None = None) -> None:
        super().__init__()
        self.argv = argv or ["program"]
        self.answers: list[Collected] = [Collected("ok")]
        self.outcomes: list[Outcome] = []

    def has_init(self) -> bool:
        return False

    def has_startup(self) -> bool:
        return False

    def full(self, event: Event) -> None:
        self.sync.inlet.spawn(event, self.argv)

    def action(self) -> None:
        self.sync.inlet.spawn(self.sync.inlet.get_events(), self.argv)

    def collect(self, outcome: Outcome) -> Collected:
        self.outcomes.append(outcome)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class World(SyncWorld):
    """`heard`: the events of its sync."""

    def __init__(self, **options: Any) -> None:
        self.calls = Acting()
        self.heard: list[tuple[str, dict[str, Any]]] = []
        super().__init__(self.calls, Options(sets=True, **options))
        self.host.feed.want(frozenset({"started", "ended"}))
        self.host.feed.connect(lambda event, name, fields: self.heard.append((event, dict(fields))))
        self.sync.start()

    def age(self) -> float | None:
        """Seconds since the oldest change."""
        told = self.sync.status()["oldest"]
        return None if told is None else round(self.clock.wall() - told, 3)

    def running(self) -> list[dict[str, Any]]:
        transfers: list[dict[str, Any]] = self.sync.status()["transfers"]
        return transfers


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


# ---- how old the oldest change is ------------------------------------------------------------------


def test_an_age_counts_from_the_change_and_not_from_when_it_is_due() -> None:
    world = World(delay=100)
    world.change(b"/f")
    world.run(30)
    world.change(b"/g")
    assert world.age() == 30
    assert world.sync.status()["waiting"] == 2
    world.run(100)
    assert world.age() is None
    assert world.sync.status()["waiting"] == 0


def test_an_age_outlasts_retries_and_later_changes_of_the_path(world: World) -> None:
    world.calls.answers = [Collected("again")]
    world.change(b"/f")
    for _ in range(5):
        world.run(60)
        world.change(b"/f")
        world.change(b"/f", etype=DELETE)
    assert world.age() == 300
    world.calls.answers = [Collected("ok")]
    world.run(600)
    assert world.age() is None


def test_the_rest_is_as_old_as_it_is_when_the_oldest_has_gone() -> None:
    world = World(delay=10, max_processes=1)
    world.change(b"/f")
    world.run(4)
    world.change(b"/g")
    world.clock.advance(6)
    world.sync.invoke(world.clock.now())
    assert [delay.status for delay in world.sync.queue] == ["active", "active"], "due or not, a list takes all"
    world.change(b"/h")
    assert world.age() == 10
    world.wait()
    world.clock.advance(1)
    assert world.age() == 1
    world.run(10)


def test_what_settles_is_as_old_as_its_first_change() -> None:
    world = World(settle=5.0)
    for _ in range(4):
        world.change(b"/f", etype=MODIFY)  # the source is not there: it is dropped when it has been quiet
        world.clock.advance(3)
    assert (world.age(), world.sync.status()["settling"]) == (12, 1)
    world.sync.change(MOVE, 0.0, b"/src/f", b"/elsewhere/f")
    assert world.sync.status()["settling"] == 0


def test_paths_that_an_action_tries_again_itself_keep_the_age(world: World) -> None:
    world.calls.answers = [Collected("ok", failed=[])]
    world.change(b"/f")
    world.run(0)
    world.sync.inlet.report_retrying(1)
    world.run(50)
    assert (world.age(), world.sync.status()["retrying"], world.sync.status()["waiting"]) == (50, 1, 0)
    world.calls.answers = [Collected("ok")]
    world.change(b"/f")
    world.run(1)
    assert world.age() == 51
    world.sync.inlet.report_retrying(0)
    assert world.age() is None
    world.sync.inlet.report_retrying(1)
    assert world.age() is None, "of another failure nothing is known yet"


def test_a_split_move_is_as_old_as_the_move() -> None:
    world = World(delay=10, on_move=True)
    world.sync.change(MOVE, world.clock.now() + 10, b"/src/f", b"/src/g")
    world.clock.advance(7)
    world.sync.inlet.split_moves()
    world.sync.queue.remove(next(iter(world.sync.queue)))
    assert [delay.etype for delay in world.sync.queue] == [CREATE]
    assert world.age() == 7
    world.close()


def test_what_a_reload_hands_over_keeps_its_age() -> None:
    world, heir = World(delay=100), World(delay=100)
    world.change(b"/f")
    world.clock.advance(40)
    heir.clock.advance(40)
    heir.change(b"/g")
    world.sync.bequeath(heir.sync)
    assert [delay.path for delay in heir.sync.queue] == [b"/f", b"/g"]
    assert heir.age() == 40


def test_setting_the_clock_moves_the_times_that_are_told_and_no_age(world: World) -> None:
    world.calls.answers = [Collected("again")]
    world.change(b"/f")
    world.run(10)
    before = world.sync.status()["oldest"]
    world.clock.set_wall(world.clock.wall() + 3600)
    assert world.sync.status()["oldest"] == before + 3600
    assert world.age() == 10


def test_stale_entries_of_the_heap_are_swept_out() -> None:
    there: dict[int, float] = {}
    oldest: Oldest[int] = Oldest(there.get)
    for number in range(10_000):
        there[number] = -float(number)
        oldest.add(there[number], number)
        oldest.add(there[number], number)
        there.pop(number - 3, None)
    assert len(oldest) <= 2 * SLACK + 6
    assert oldest.first() == -9999.0
    there.clear()
    assert (oldest.first(), len(oldest)) == (None, 0)


# ---- what runs, and how it ended --------------------------------------------------------------------


def test_one_that_runs(world: World) -> None:
    names = [b"/%d" % number for number in range(12)]
    world.change(*names, b"/\xff<b>\n")
    world.sync.invoke(world.clock.now())
    world.clock.advance(5)
    (told,) = world.running()
    assert told["kind"] == "changes"
    assert told["paths"] == 13
    assert told["sample"] == [f"/{number}" for number in range(10)]
    assert world.clock.wall() - told["since"] == 5
    assert world.heard == [("started", {"transfer": told | {"bytes": None}})]
    world.wait()
    assert world.running() == []
    ((_, ended),) = world.heard[1:]
    assert (ended["id"], ended["since"], ended["duration"]) == (told["id"], told["since"], 5)
    assert (ended["verdict"], ended["files"], ended["exit_code"]) == ("ok", 13, 0)
    assert world.sync.recent() == [ended]


def test_names_are_text_whatever_they_are(world: World) -> None:
    world.change(b"/\xff<b>\n")
    world.run(0)
    assert world.sync.recent()[0]["sample"] == ["/\\xff<b>\n"]


def test_counts(world: World) -> None:
    world.calls.answers = [
        Collected("again"), Collected("ok", failed=[b"/a"]), Collected("ok", failed=[]), Collected("ok"),
    ]  # fmt: skip
    world.change(b"/a", b"/b", b"/c")
    world.run(0)
    assert world.sync.status()["counts"]["transfers"] == {"ok": 0, "partial": 0, "again": 1, "die": 0}
    world.run(600)
    counts = world.sync.status()["counts"]
    assert counts["transfers"] == {"ok": 0, "partial": 2, "again": 1, "die": 0}
    assert (counts["changes"], counts["files"], counts["retries"], counts["full_runs"]) == (3, 3, 3, 0)
    world.sync.request_full()
    world.run(1)
    counts = world.sync.status()["counts"]
    assert (counts["transfers"]["ok"], counts["full_runs"], counts["files"]) == (1, 1, 3)
    kinds = [(ended["kind"], ended["paths"], ended["files"]) for ended in world.sync.recent()]
    assert kinds == [("full", 0, None), ("changes", 1, 1), ("changes", 3, 2), ("changes", 3, 0)]


def test_excluded_changes_do_not_count(world: World) -> None:
    world.sync.filters.add_exclude(b"x")
    world.change(b"/x", b"/y")
    assert world.sync.status()["counts"]["changes"] == 1


def test_twenty_ends_are_remembered(world: World) -> None:
    for number in range(30):
        world.change(b"/%d" % number)
        world.run(1)
    assert [ended["sample"] for ended in world.sync.recent()] == [[f"/{number}"] for number in range(29, 9, -1)]
    assert world.sync.status()["counts"]["transfers"]["ok"] == 30


def test_a_cause_has_no_password(world: World) -> None:
    world.calls.answers = [Collected("again", cause="cannot reach rsync://me:secret@host/x")]
    world.change(b"/f")
    world.run(0)
    assert "secret" not in str(world.sync.recent())
    assert "cannot reach" in world.sync.recent()[0]["cause"]


def test_numbers_of_transfers_are_never_the_same(world: World) -> None:
    other = World()
    for one in (world, other):
        one.change(b"/f")
        one.run(0)
        one.change(b"/f")
        one.run(0)
    ids = [ended["id"] for one in (world, other) for ended in one.sync.recent()]
    assert len(set(ids)) == 4
    assert world.calls.outcomes[-1].id == world.sync.recent()[0]["id"]


# ---- bytes ------------------------------------------------------------------------------------------


class Real(SyncWithProcesses):
    def __init__(self, script: str) -> None:
        self.calls = Acting(["sh", "-c", script])
        super().__init__(self.calls, Options(sets=True))
        self.sync.start()

    def moved(self) -> int:
        """Bytes of the transfer of a change."""
        self.change(b"/f")
        self.run()
        moved: int = self.sync.recent()[0]["bytes"]
        assert self.sync.status()["counts"]["bytes"] == moved
        return moved


WRITES = f"head -c {MEGABYTE} /dev/zero"

SCRIPTS = {
    "itself": f"exec {WRITES}",
    "by a child": f"{WRITES}; exit 0",
    "by two children": f"head -c {MEGABYTE // 2} /dev/zero; head -c {MEGABYTE // 2} /dev/zero; exit 0",
    "and handed on by a child, as ssh does": (
        f'exec {sys.executable} -SEc \'import os; p = os.popen("cat", "w"); p.write("x" * {MEGABYTE}); p.close()\''
    ),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_bytes_are_counted_once(script: str) -> None:
    world = Real(f"exec >/dev/null; {SCRIPTS[script]}")
    assert MEGABYTE <= world.moved() < 1.01 * MEGABYTE
    world.close()


def test_what_is_moved_so_far_is_seen_while_it_runs(tmp_path: Path) -> None:
    """By what it has started, too, and by what that has."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    world = Real(f"exec >/dev/null; ({WRITES}; read go <{fifo}) & {WRITES}; wait; exit 0")
    world.change(b"/f")
    world.sync.invoke(world.clock.now())

    def told() -> dict[str, Any]:
        (transfer,) = world.sync.status()["transfers"]
        return dict(transfer)

    wait_until(lambda: (told()["bytes"] or 0) >= 2 * MEGABYTE, "both to have written")
    assert [told()["pid"]] == [child.pid for child in world.processes]
    fifo.write_text("go\n")
    world.close()
    assert 2 * MEGABYTE <= world.sync.recent()[0]["bytes"] < 2.02 * MEGABYTE


def test_nobody_knows_what_a_program_moves_that_is_not_ours_to_look_at() -> None:
    assert moved_by(2**22 + 1) is None
    assert moved_before(2**22 + 1) is None


class Job(Calls):
    """Runs a job that is as far as `given` says."""

    given: Any = Progress(files_done=3, bytes_done=40, steps=1)

    def action(self) -> None:
        self.sync.inlet.run(self.sync.inlet.get_events(), lambda stop: 0, progress=lambda: self.given)


def test_a_job_counts_by_itself(world: World) -> None:
    calls = Job()
    job = SyncWorld(calls, Options(sets=True))
    job.sync.start()
    job.change(b"/f")
    job.sync.invoke(job.clock.now())
    (told,) = job.sync.status()["transfers"]
    assert (told["pid"], told["bytes"]) == (None, 40)
    job.clock.advance(600)
    assert why(job) == "a transfer of /f has moved nothing for 10 min"
    calls.given = Progress(files_done=3, bytes_done=40, steps=2)
    assert why(job) == "a change has been waiting for 10 min: a transfer of /f has been running for 10 min"
    job.wait()
    assert [(ended["files"], ended["bytes"]) for ended in job.sync.recent()] == [(3, 40)]


def test_a_job_whose_progress_is_none_is_said_so_once(world: World) -> None:
    calls = Job()
    calls.given = 7
    job = SyncWorld(calls, Options(sets=True))
    job.sync.start()
    job.change(b"/f")
    job.sync.invoke(job.clock.now())
    for _ in range(3):
        assert job.sync.status()["transfers"][0]["bytes"] is None
    job.wait()
    errors = [line for line in job.said if line.startswith("Error")]
    assert errors == ["Error: progress of s failed: TypeError: progress gives a Progress, not 7"]
    assert job.sync.recent()[0]["files"] == 1


# ---- whether it is stuck ----------------------------------------------------------------------------


def why(world: SyncWorld) -> str | None:
    stuck: str | None = world.sync.status()["stuck"]
    return stuck


def test_a_transfer_that_moves_nothing_is_named_by_its_path() -> None:
    world = World()
    world.change(b"/a\x1b[1m", b"/b")
    world.sync.invoke(world.clock.now())
    world.clock.advance(599)
    assert why(world) is None
    world.clock.advance(1)
    wanted = "a change has been waiting for 10 min: a transfer of /a\\x1b[1m and 1 more has been running for 10 min"
    assert why(world) == wanted
    world.wait()
    assert why(world) is None
    world.close()


def test_what_it_waits_for(world: World) -> None:
    world.host.run.begin(RunOptions(stale_after=60.0))
    world.calls.answers = [Collected("again", cause="rsync://me:secret@h/x is full")]
    world.change(b"/f")
    world.run(70)
    told = why(world)
    assert told is not None
    assert told.startswith("a change has been waiting for 70 s: it failed (rsync://")
    assert "secret" not in told
    assert ", next try in " in told
    world.sync.go_to(world.host.endpoint("far"))
    world.sync.suspend()
    assert why(world) == "a change has been waiting for 70 s: the source is gone"
    world.sync.pause()
    assert why(world) is None, "it does what it should"


def test_a_host_that_cannot_be_reached_is_named_with_the_next_try(world: World) -> None:
    world.calls.answers = [Collected("again")]
    world.exit_code_of = lambda started: 255
    world.sync.go_to(world.host.endpoint("far:22"))
    world.change(b"/f")
    world.run(1000)
    told = why(world)
    assert told is not None
    assert told.startswith("a change has been waiting for 16 min: far:22 cannot be reached, next try in ")
    unreachable = world.sync.status()["unreachable"]
    assert unreachable["host"] == "far:22"
    assert 0 < unreachable["next_try"] - world.clock.wall() <= 300


@pytest.mark.parametrize(
    ("own", "setting", "wanted"), [(0.0, 60.0, 0), (None, 0.0, 0), (90.0, 60.0, 90), (None, 60.0, 60)]
)
def test_the_key_comes_before_the_setting_and_zero_is_never(own: float | None, setting: float, wanted: int) -> None:
    world = World(stale_after=own)
    world.host.run.begin(RunOptions(stale_after=setting))
    world.calls.answers = [Collected("again")]
    world.change(b"/f")
    found = 0
    for second in range(1, 200):
        world.run(1)
        if why(world) is not None:
            found = second
            break
    assert found == wanted
    world.close()


def test_a_program_at_work_is_seen_to_be_and_one_that_is_not_is_called_stuck(tmp_path: Path) -> None:
    """The clock stands in for ten minutes; what the program has written is the kernel's to say."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    world = Real(f"exec >/dev/null; read go <{fifo}; {WRITES}; read go <{fifo}; exit 0")
    world.sync.request_full()
    world.sync.invoke(world.clock.now())
    with fifo.open("w") as go:  # the shell waits there by now: its own start is over, which counts as activity, too
        assert why(world) is None, "nobody has looked before"
        world.clock.advance(900)
        (child,) = world.processes
        assert why(world) == f"a full run (pid {child.pid}) has moved nothing for 15 min"
        go.write("go\n")
    wait_until(lambda: (world.sync.status()["transfers"][0]["bytes"] or 0) >= MEGABYTE, "it to write")
    assert why(world) is None
    assert world.sync.staleness.next_look(world.sync.oldest()) == world.clock.now() + 600
    fifo.write_text("go\n")
    world.close()
