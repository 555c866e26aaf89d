"""However much happens, one read comes to an end, memory is bounded, and a source can be left alone (spec 6 row 33)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.monitor.inotify import InotifyMonitor
from orchestrator.monitor.sources import SourceWatch
from tests.kit.kernel import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.logic.change import Change

SRC, OTHER = b"/src/", b"/other/"


def watching(world: World, *sources: bytes, **more: int) -> InotifyMonitor:
    for path in (b"/src", b"/src/d", b"/src/d/e", b"/other", b"/other/d"):
        world.mkdir(path)
    monitor = InotifyMonitor("CloseWrite", lambda _: True, lambda *_: None, make_kernel=lambda _: world, **more)
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
        told = monitor.read()
        assert len(told) <= 2000
        changes += told
        reads += 1
        assert world.is_ringing == monitor.is_behind()
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


def test_a_source_that_is_left_alone_costs_nothing_and_tells_nothing() -> None:
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
