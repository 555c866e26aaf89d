"""A verification of one sync: what is looked at when, and what comes out of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.logic.difference import Compared, Difference, Verified
from orchestrator.sync.sync import Options
from orchestrator.sync.verification import LOOKS, PATIENCE
from orchestrator.sync.verify import CannotVerify
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.sync.inlet import Event
    from orchestrator.sync.verify import Verifier


class Comparing(Calls):
    """The functions of a sync that transfers each batch by a program, and compares as the test says.

    `unlike`: the differences there are. `during`: called while a comparison runs. `looks`: the paths of each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unlike: dict[bytes, str] = {}
        self.during: Callable[[], None] = lambda: None
        self.looks: list[list[bytes] | None] = []
        self.error = ""
        self.reason = ""
        self.repaired: list[Difference] = []

    def action(self) -> None:
        self.sync.inlet.spawn(self.sync.inlet.get_events(), ["push"])

    def full(self, event: Event) -> None:
        self.sync.inlet.spawn(event, ["push", "everything"])

    def verifier(self, paths: Sequence[bytes] | None, *, quick: bool) -> Verifier:
        if self.reason:
            raise CannotVerify(self.reason)

        def compare(stop: threading.Event, found: Callable[[Difference], None]) -> Compared:
            self.looks.append(None if paths is None else list(paths))
            for path, kind in self.unlike.items():
                if paths is None or path in paths:
                    found(Difference(path, kind))
            self.during()
            if self.error == "raise":
                raise RuntimeError("a fault of the plugin's")
            return Compared(7, self.error)

        return compare

    def repairs(self, differences: Sequence[Difference]) -> None:
        self.repaired += differences


class World(SyncWorld):
    def __init__(self, **options: Any) -> None:
        self.comparing = Comparing()
        super().__init__(self.comparing, Options(sets=True, delay=1.0, **options))
        self.results: list[Verified] = []
        self.told: list[Difference] = []
        self.sync.start()

    def verify(self, **how: Any) -> None:
        self.sync.verify(tell=self.told.extend, then=lambda result, differences: self.results.append(result), **how)

    def go(self, seconds: float = 0.0) -> None:
        self.run(seconds)
        while self.processes.running():
            self.wait()
            self.run(0.0)

    def verified(self, seconds: float = 0.0, **how: Any) -> Verified:
        self.verify(**how)
        self.go(seconds)
        assert self.sync.verified == self.results[-1]
        return self.results[-1]


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_no_difference(world: World) -> None:
    result = world.verified()
    assert (result.differences, result.compared, result.unsettled, result.error) == (0, 7, 0, "")
    assert world.comparing.looks == [None]
    assert world.said == ["Normal: verified s: no difference of 7 compared"]
    assert world.sync.status()["verified"] == {
        "time": result.time, "is_equal": True, "differences": 0, "compared": 7, "unsettled": 0, "error": None,
    }  # fmt: skip


def test_differences_count_when_they_were_looked_at_twice(world: World) -> None:
    world.comparing.unlike = {b"/f": "content", b"/\x1b[31m\n": "extra"}
    result = world.verified()
    assert result.differences == 2
    assert not result.is_equal
    assert world.comparing.looks == [None, [b"/f", b"/\x1b[31m\n"]]
    assert sorted(world.told) == [(b"/\x1b[31m\n", "extra"), (b"/f", "content")]
    assert world.said == [
        "Warn: verified s: 2 differences of 7 compared: extra /\\x1b[31m\\n, content /f",
    ]


def test_the_log_names_ten_of_them(world: World) -> None:
    world.comparing.unlike = {b"/%d" % number: "missing" for number in range(12)}
    world.verified()
    (line,) = world.said
    assert line.count("missing /") == 10
    assert line.endswith(", and 2 more")


def test_a_change_on_its_way_is_none(world: World) -> None:
    world.change(b"/f")
    world.comparing.unlike = {b"/f": "content", b"/g": "missing"}
    world.verify()
    world.wait()
    # the one is looked at while the change of the other waits for its delay, and is transferred
    assert world.comparing.looks == [None, [b"/g"]]
    world.comparing.unlike = {}
    world.go(1.0)
    assert world.comparing.looks == [None, [b"/g"], [b"/f"]]
    assert [result.differences for result in world.results] == [1]
    assert world.told == [(b"/g", "missing")]


def test_a_change_during_the_look_is_none(world: World) -> None:
    world.comparing.unlike = {b"/f": "content"}

    def write() -> None:
        if len(world.comparing.looks) == 2:
            world.change(b"/f")
            world.comparing.unlike = {}

    world.comparing.during = write
    world.verify()
    world.wait()
    assert world.results == []
    world.go(1.0)
    assert world.comparing.looks == [None, [b"/f"], [b"/f"]]
    assert [result.differences for result in world.results] == [0]


def transferred_meanwhile(world: World, *paths: bytes) -> None:
    """A change that is made, and transferred, while a comparison runs."""
    world.change(*paths)
    world.sync.invoke(world.clock.now() + 1.0)
    (transfer,) = [started for started in world.processes.running() if started.job is None]
    world.processes.end(transfer, 0)


@pytest.mark.parametrize("path", [b"/f", b"/d/f"])
def test_a_change_that_was_transferred_during_the_look_is_none(world: World, path: bytes) -> None:
    world.comparing.unlike = {path: "content"}

    def write() -> None:
        if len(world.comparing.looks) == 2:
            transferred_meanwhile(world, path)
            world.comparing.unlike = {}

    world.comparing.during = write
    assert world.verified().differences == 0
    assert world.comparing.looks == [None, [path], [path]]


def test_a_full_run_during_the_look_makes_all_of_it_worthless(world: World) -> None:
    world.comparing.unlike = {b"/f": "content"}

    def run() -> None:
        if len(world.comparing.looks) == 2:
            world.sync.request_full()
            world.sync.invoke(world.clock.now())
            (transfer,) = [started for started in world.processes.running() if started.job is None]
            world.processes.end(transfer, 0)
            world.comparing.unlike = {}

    world.comparing.during = run
    assert world.verified().differences == 0


def test_a_file_that_settles_is_none() -> None:
    world = World(settle=5.0)
    world.change(b"/f")
    world.comparing.unlike = {b"/f": "content", b"/g": "extra"}
    world.verify()
    world.wait()
    assert world.comparing.looks == [None, [b"/g"]]
    world.close()


def test_a_sync_that_is_paused(world: World) -> None:
    world.sync.pause()
    world.comparing.unlike = {b"/g": "extra"}
    assert world.verified().error == ""
    world.change(b"/f")
    world.comparing.unlike = {b"/f": "content"}
    assert world.verified().error == "1 path waits to be transferred, as the sync is paused"


def test_the_end_of_the_daemon_ends_it(world: World) -> None:
    world.verify()
    world.sync.close()
    assert [result.is_equal for result in world.results] == [False]
    world.wait()


def test_what_changes_all_the_time_is_not_waited_for_for_ever(world: World) -> None:
    world.comparing.unlike = {b"/f": "content", b"/g": "extra"}
    world.comparing.during = lambda: world.change(b"/f")
    world.verify()
    for _ in range(LOOKS + 1):
        world.go(1.0)
    (result,) = world.results
    assert (result.differences, result.unsettled, result.error) == (1, 1, "")
    assert len(world.comparing.looks) == 1 + LOOKS
    assert "1 path kept changing" in world.said[-1]


def test_what_is_on_its_way_all_the_time_is_not_waited_for_for_ever(world: World) -> None:
    world.change(b"/f")
    world.comparing.unlike = {b"/f": "content"}
    world.verify()
    for _ in range(LOOKS + 2):
        world.sync.invoke(world.clock.now() + 1.0)
        world.clock.advance(0.5)
        world.change(b"/f")  # again, before the transfer has ended
        world.wait()
        while (callback := world.host.alarms.pop_due(world.clock.now())) is not None:
            callback()
    (result,) = world.results
    assert (result.differences, result.unsettled, result.error) == (0, 1, "")
    assert world.comparing.looks == [None], "there was no moment to look at it"


def test_a_transfer_that_never_ends_is_not_waited_for_for_ever(world: World) -> None:
    world.change(b"/f")
    world.sync.invoke(world.clock.now() + 1.0)
    (transfer,) = world.processes.running()
    world.comparing.unlike = {b"/f": "content"}
    world.verify()
    (_, comparison) = world.processes.running()
    assert comparison.job is not None
    assert comparison.child.stop is not None
    world.processes.end(comparison, comparison.job(comparison.child.stop))
    assert world.results == []
    world.clock.advance(PATIENCE + 2.0)
    while (callback := world.host.alarms.pop_due(world.clock.now())) is not None:
        callback()
    (result,) = world.results
    assert (result.differences, result.unsettled) == (0, 1)
    world.processes.end(transfer, 0)


def test_paths_that_wait_in_a_sync_that_is_retrying_are_an_error(world: World) -> None:
    world.sync.failing = [b"/f"]
    world.sync.retrying = 1
    world.comparing.unlike = {b"/f": "content", b"/g": "content"}
    result = world.verified()
    assert result.error == "1 path waits to be transferred, as the sync is retrying"
    assert (result.differences, result.unsettled, result.is_equal) == (1, 1, False)
    assert world.told == [(b"/g", "content")]


def test_during_a_full_run_nothing_counts(world: World) -> None:
    world.comparing.unlike = {b"/f": "content"}
    world.sync.request_full()
    world.verify()
    world.wait()
    assert world.comparing.looks == [None]
    world.comparing.unlike = {}
    world.go()
    assert [result.is_equal for result in world.results] == [True]


@pytest.mark.parametrize(
    ("do", "error"),
    [
        (lambda world: world.sync.suspend(), "it is suspended"),
        (lambda world: world.sync.leave_alone(2.0), "it is left alone"),
        (lambda world: world.sync.leave(), "about to end"),
        (lambda world: setattr(world.comparing, "reason", "it has no target"), "it has no target"),
        (lambda world: setattr(world.comparing, "error", "no route"), "no route"),
        (lambda world: setattr(world.comparing, "error", "raise"), "a fault of the plugin's"),
    ],
)
def test_why_there_is_no_result(world: World, do: Callable[[World], None], error: str) -> None:
    do(world)
    result = world.verified()
    assert not result.is_equal
    assert error in result.error
    assert re.search(rf"Warn: could not verify s: .*{re.escape(error)}", world.said[-1])


def test_before_the_startup_is_done() -> None:
    class Starting(Comparing):
        def has_init(self) -> bool:
            return True

        def init(self, event: Event) -> None:
            self.sync.inlet.spawn(event, ["push"])

    world = World()
    world.comparing.__class__ = Starting
    world.sync.life = type(world.sync.life)(world.host, "s")
    assert world.verified().error == "its startup is not done"
    world.close()


def test_one_at_a_time(world: World) -> None:
    begun: list[int] = []
    world.comparing.during = lambda: begun.append(len(world.processes.running()))
    for _ in range(3):
        world.verify()
    assert len(world.processes.running()) == 1
    world.wait()
    assert begun == [1, 1, 1]
    assert len(world.results) == 3


def test_a_long_line_of_them_that_all_fail_at_once_comes_to_its_end(world: World) -> None:
    world.verify()
    for _ in range(2000):
        world.verify()
    world.comparing.reason = "there is no way"
    world.wait()
    assert len(world.results) == 2001
    assert world.results[-1].error == "there is no way"


def test_one_that_waits_in_line_and_is_given_up_leaves_the_one_that_runs_alone(world: World) -> None:
    world.comparing.unlike = {b"/f": "content"}
    world.verify()
    waiting = world.sync.verification_of()
    world.host.verifications.add(waiting)
    waiting.end("nobody waits for it any more")
    assert world.sync.verified is None
    world.comparing.during = lambda: world.sync.change("Modify", world.clock.now(), world.sync.source + b"f", None)
    world.wait()
    assert world.told == [], "it hears of changes"


def test_it_takes_no_place_of_a_transfer(world: World) -> None:
    world.verify()
    (shown,) = world.sync.status()["transfers"]
    assert (shown["kind"], shown["pid"], shown["bytes"]) == ("verify", None, None)
    assert shown["since"] == world.clock.wall()
    assert len(world.processes) == 0
    assert not world.sync.is_at_limit()


def test_a_sync_that_leaves_ends_all_of_its_own(world: World) -> None:
    world.verify()
    world.verify()
    (running,) = world.processes.running()
    world.sync.leave()
    assert running.child.stop is not None
    assert running.child.stop.is_set()
    assert [result.error for result in world.results] == ["the daemon is about to end, or has another config"] * 2
    world.wait()
    assert len(world.results) == 2


def test_a_comparison_that_was_stopped_has_no_result(world: World) -> None:
    world.comparing.unlike = {b"/f": "content"}
    world.verify()
    (running,) = world.processes.running()
    world.processes.kill(running.child)
    world.wait()
    (result,) = world.results
    assert (result.error, result.differences) == ("it was stopped", 0)


def test_a_repair_leaves_out_excluded_paths(world: World) -> None:
    world.sync.filters.add_exclude(b"/b")
    world.comparing.unlike = {b"/b": "content", b"/f": "content"}
    world.verify(repair=True)
    world.wait()
    assert [delay.path for delay in world.sync.queue] == [b"/f"]


@pytest.mark.parametrize(
    ("kind", "etype"),
    [("missing", "Create"), ("extra", "Delete"), ("content", "Modify"), ("attributes", "Attrib"), ("type", "Modify")],
)
def test_a_repair_queues_each_path(world: World, kind: str, etype: str) -> None:
    world.comparing.unlike = {b"/f": kind}
    world.verify(repair=True)
    world.wait()
    assert [(delay.etype, delay.path) for delay in world.sync.queue] == [(etype, b"/f")]
    assert world.comparing.repaired == [(b"/f", kind)]


@pytest.mark.parametrize(
    ("config", "options"), [({"delete": "startup"}, {}), ({}, {"sets": False})], ids=["delete at startup", "no sets"]
)
def test_a_repair_by_a_full_run(config: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    calls = Comparing()
    world = SyncWorld(calls, Options(**{"sets": True, **options}), **config)
    world.sync.start()
    calls.unlike = {b"/f": "extra"}
    world.sync.verify(repair=True)
    world.wait()
    assert [delay.etype for delay in world.sync.queue] == ["Full"]
    world.run()
    world.close()


def test_a_hook_is_told() -> None:
    class Recording:
        def has(self, name: str) -> bool:
            return False

        def tell(self, name: str, **arguments: Any) -> None:
            told.append((name, arguments))

    told: list[tuple[str, Any]] = []
    calls = Comparing()
    calls.unlike = {b"/f": "extra"}
    world = SyncWorld(calls, Options(sets=True), hooks=Recording())
    world.sync.start()
    world.sync.verify()
    world.wait()
    (arguments,) = [arguments for name, arguments in told if name == "orchestrator_verified"]
    assert arguments["result"].differences == 1
    assert arguments["differences"] == [(b"/f", "extra")]
    world.close()
