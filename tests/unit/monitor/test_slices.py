"""However much happens, one read comes to an end, memory is bounded, and a source can be left alone (spec 6 row 33)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.monitor.inotify import InotifyMonitor, Limits
from orchestrator.monitor.sources import SourceWatch
from tests.kit.kernel import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.logic.change import Change

SRC, OTHER = b"/src/", b"/other/"


def watching(world: World, *sources: bytes, **limits: int) -> InotifyMonitor:
    for path in (b"/src", b"/src/d", b"/src/d/e", b"/other", b"/other/d"):
        world.mkdir(path)
    monitor = InotifyMonitor(
        "CloseWrite", lambda _: True, lambda *_: None, make_kernel=lambda _: world, limits=Limits(**limits)
    )
    for source in sources:
        monitor.watch(source)
    monitor.read()
    return monitor


def storm(world: World, times: int) -> None:
    for _ in range(times):
        world.rename(b"/src/d", b"/src/x")
        world.rename(b"/src/x", b"/src/d")


def test_a_read_is_a_slice_and_nothing_is_lost_between_two() -> None:
    world = World()
    monitor = watching(world, SRC)
    storm(world, 4000)
    changes: list[Change] = []
    reads = 0
    while True:
        reported = monitor.read()
        assert len(reported) <= 2000
        changes += reported
        reads += 1
        assert world.is_awake == monitor.is_behind()
        if not monitor.is_behind():
            break
    assert reads > 3
    assert [change.path for change in changes] == [b"/src/d/", b"/src/x/"] * 4000
    assert sorted(monitor.watched()) == world.directories_below(SRC)


def test_what_does_not_fit_into_memory_counts_as_lost() -> None:
    world = World()
    world.piece = 500
    monitor = watching(world, SRC, held=10_000)
    for _ in range(50):
        storm(world, 10)
        monitor.drain()
    assert not monitor.overflowed
    monitor.read()
    assert monitor.overflowed
    monitor.overflowed = False
    monitor.rescan()
    while monitor.is_behind():
        monitor.read()
    world.create(b"/src/d/e/f", close=False)
    assert [change.path for change in monitor.read()] == [b"/src/d/e/f"]


def test_a_source_that_is_left_alone_costs_nothing_and_reports_nothing() -> None:
    world = World()
    monitor = watching(world, SRC, OTHER)
    storm(world, 100)
    monitor.pause(SRC)
    world.create(b"/other/f", close=False)
    assert [change.path for change in monitor.read()] == [b"/other/f"]
    storm(world, 100)
    assert world.queue == []
    assert (monitor.read(), monitor.lost_roots(), monitor.returned_roots()) == ([], [], [])
    assert monitor.watched() == [OTHER, OTHER + b"d/"]


def test_afterwards_it_is_watched_with_all_that_is_in_it_then() -> None:
    world = World()
    monitor = watching(world, SRC)
    monitor.pause(SRC)
    monitor.read()
    world.mkdir(b"/src/new")
    monitor.resume(SRC)
    assert (monitor.read(), monitor.lost_roots(), monitor.returned_roots()) == ([], [], [])
    assert sorted(monitor.watched()) == world.directories_below(SRC)
    world.create(b"/src/new/f", close=False)
    assert [change.path for change in monitor.read()] == [b"/src/new/f"]
    monitor.unwatch(SRC)
    monitor.read()
    assert not world.watched_inodes()


def gone(world: World) -> None:
    world.remove(b"/src")


def unmounted(world: World) -> None:
    """What is there now is not the source."""
    world.mount(b"/src", 7)


@pytest.mark.parametrize("happens", [gone, unmounted])
def test_one_that_is_not_there_any_more_is_lost(happens: Callable[[World], None]) -> None:
    world = World()
    monitor = watching(world, SRC)
    monitor.pause(SRC)
    happens(world)
    monitor.read()
    assert monitor.lost_roots() == []
    monitor.resume(SRC)
    monitor.read()
    assert (monitor.lost_roots(), monitor.returned_roots()) == ([SRC], [])


@pytest.mark.parametrize("happens", [gone, unmounted])
def test_so_it_is_for_who_watches_no_directories(happens: Callable[[World], None]) -> None:
    world = World()
    world.mkdir(b"/src")
    sources = SourceWatch(lambda: world)  # type: ignore[arg-type, return-value]
    sources.add(SRC)
    sources.pause(SRC)
    assert sources.held() == []
    happens(world)
    sources.check()
    assert sources.lost() == []
    sources.resume(SRC)
    assert (sources.lost(), sources.returned(), sources.held()) == ([SRC], [], [])


def test_a_source_within_one_that_is_left_alone_is_watched_as_before() -> None:
    world = World()
    monitor = watching(world, SRC, b"/src/d/")
    monitor.pause(SRC)
    world.create(b"/src/f", close=False)
    world.create(b"/src/d/f", close=False)
    assert [change.path for change in monitor.read()] == [b"/src/d/f"]
    monitor.resume(SRC)
    world.create(b"/src/g", close=False)
    assert [change.path for change in monitor.read()] == [b"/src/g"]


def test_a_huge_new_directory_is_read_in_slices() -> None:
    most = 10
    world = World()
    monitor = watching(world, SRC, changes=most)
    world.mkdir(b"/out")
    for number in range(50):
        world.mkdir(b"/out/%d" % number)
        world.create(b"/out/%d/f" % number)
    world.rename(b"/out", b"/src/new")
    world.create(b"/src/after", close=False)
    changes: list[Change] = []
    reads = 0
    while True:
        found = monitor.read()
        assert len(found) <= most + 51  # and no more than the directory that it is at
        changes += found
        reads += 1
        assert world.is_awake == monitor.is_behind()
        if not monitor.is_behind():
            break
    assert reads > 5
    assert sorted(change.path for change in changes[:-1]) == sorted(
        [b"/src/new/", *(b"/src/new/%d/%s" % (number, name) for number in range(50) for name in (b"", b"f"))]
    )
    assert changes[-1].path == b"/src/after"  # what happened later comes later
    assert sorted(monitor.watched()) == world.directories_below(SRC)


def test_a_walk_that_is_not_at_its_end_is_work_to_be_done() -> None:
    world = World()
    monitor = watching(world, SRC, changes=3)
    for number in range(5):
        world.mkdir(b"/out/%d" % number) if number else world.mkdir(b"/out")
    world.rename(b"/out", b"/src/new")
    found = [change.path for change in monitor.read()]
    assert monitor.is_behind()
    while monitor.is_behind():
        assert world.is_awake
        found += [change.path for change in monitor.read()]
    assert sorted(found) == [b"/src/new/", *(b"/src/new/%d/" % number for number in range(1, 5))]


def test_one_that_is_moved_while_it_is_read_is_read_to_its_end() -> None:
    world = World()
    monitor = watching(world, SRC, OTHER, changes=1)
    for number in range(9):
        world.mkdir(b"/src/d/e/%d" % number)
        world.mkdir(b"/src/d/e/%d/x" % number)
    world.rename(b"/src/d/e", b"/src/new")
    monitor.read()
    world.rename(b"/src/new", b"/other/new")
    assert monitor.is_behind()
    while monitor.is_behind():
        monitor.read()
    assert sorted(monitor.watched()) == sorted(world.directories_below(SRC) + world.directories_below(OTHER))


def test_long_work_reports_its_progress_by_which_it_can_be_ended() -> None:
    world = World()
    monitor = watching(world, SRC)
    for number in range(1000):
        world.mkdir(b"/src/d/%d" % number)

    class Ended(Exception):
        pass

    def end(directories: int) -> None:
        raise Ended

    monitor.pause(SRC)
    for work in (lambda: monitor.resume(SRC, end), lambda: monitor.rescan(end)):
        with pytest.raises(Ended):
            work()
        while monitor.is_behind():
            monitor.read()  # and it is asked no more
