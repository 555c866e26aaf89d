"""Sources that go and come back (spec 6, rows 7 and 22), and several sources in one tree."""

from __future__ import annotations

import pytest

from orchestrator.monitor.inotify import InotifyMonitor
from tests.kit.kernel import World


class Bench:
    def __init__(self, *sources: bytes) -> None:
        self.world = World()
        for path in (b"/data", b"/data/src", b"/data/src/d", b"/data/src/d/e", b"/data/other", b"/out"):
            self.world.mkdir(path)
        self.world.create(b"/data/src/f")
        self.monitor = InotifyMonitor("CloseWrite", lambda _: True, lambda *_: None, make_kernel=lambda _: self.world)
        for source in sources:
            self.monitor.watch(source)
        self.monitor.read()

    def read(self) -> list[tuple[str, bytes]]:
        return [(change.etype, change.path) for change in self.monitor.read()]

    def fate(self) -> tuple[list[bytes], list[bytes]]:
        """What was lost and what returned since last asked."""
        self.monitor.read()
        return self.monitor.lost_roots(), self.monitor.returned_roots()

    def is_watching(self, directory: bytes) -> bool:
        self.world.create(directory + b"probe", close=False)
        reported = self.read()
        self.world.unlink(directory + b"probe")
        self.monitor.read()
        return reported == [("Create", directory + b"probe")]


SRC = b"/data/src/"


def test_a_source_is_lost_once_and_returns_once() -> None:
    bench = Bench(SRC)
    assert bench.fate() == ([], [])
    bench.world.remove(b"/data/src")
    assert bench.fate() == ([SRC], [])
    assert bench.fate() == ([], [])
    assert bench.monitor.watched() == []
    bench.world.mkdir(b"/data/src")
    assert bench.fate() == ([], [SRC])
    assert bench.is_watching(SRC)


def test_a_source_replaced_between_two_looks_is_lost_and_returned() -> None:
    bench = Bench(SRC)
    bench.world.remove(b"/data/src")
    bench.world.mkdir(b"/data/src")
    bench.world.mkdir(b"/data/src/new")
    assert bench.fate() == ([SRC], [SRC])
    assert bench.monitor.watched() == [SRC, b"/data/src/new/"]
    assert bench.is_watching(b"/data/src/new/")


@pytest.mark.parametrize("moved", [b"/data/src", b"/data"])
def test_a_source_moved_away_by_itself_or_with_a_directory_above_it(moved: bytes) -> None:
    bench = Bench(SRC)
    bench.world.rename(moved, b"/out/gone")
    assert bench.fate() == ([SRC], [])
    assert bench.monitor.watched() == []
    bench.world.rename(b"/out/gone", moved)
    assert bench.fate() == ([], [SRC])
    assert bench.is_watching(b"/data/src/d/e/")


def test_the_way_to_a_lost_source_is_followed_step_by_step() -> None:
    bench = Bench(SRC)
    bench.world.remove(b"/data")
    assert bench.fate() == ([SRC], [])
    bench.world.mkdir(b"/data")
    assert bench.fate() == ([], [])
    bench.world.mkdir(b"/data/src")
    assert bench.fate() == ([], [SRC])
    assert bench.is_watching(SRC)


def test_a_source_that_is_not_there_at_the_start_is_lost_from_the_beginning() -> None:
    bench = Bench(b"/data/later/")
    assert bench.fate() == ([b"/data/later/"], [])
    bench.world.mkdir(b"/data/later")
    assert bench.fate() == ([], [b"/data/later/"])


def test_nothing_is_reported_of_a_source_that_is_unmounted() -> None:
    bench = Bench()
    bench.world.mount(b"/data/src", 7)
    bench.world.create(b"/data/src/f")
    bench.monitor.watch(SRC)
    bench.read()
    disk = bench.world.unmount(b"/data/src")
    assert bench.read() == []
    assert bench.fate() == ([SRC], [])
    bench.world.create(b"/data/src/stray")  # in the empty mount point
    assert bench.fate() == ([], [])
    bench.world.mount(b"/data/src", 8)  # back, under another number
    bench.world.find(b"/data/src").entries.update(disk.entries or {})  # type: ignore[union-attr]
    assert bench.fate() == ([], [SRC])
    assert bench.is_watching(SRC)


def test_a_source_over_which_something_is_mounted_waits_until_that_is_gone() -> None:
    bench = Bench(SRC)
    bench.world.mount(b"/data/src", 7)
    assert bench.fate() == ([SRC], [])
    assert bench.fate() == ([], [])
    bench.world.unmount(b"/data/src")
    assert bench.fate() == ([], [SRC])
    assert bench.is_watching(b"/data/src/d/")


def test_what_happens_beside_a_source_wakes_nobody() -> None:
    bench = Bench(SRC)
    bench.world.create(b"/data/file")
    bench.world.write(b"/data/file")
    bench.world.mkdir(b"/data/dir")
    bench.world.chmod(b"/data/dir")
    bench.world.create(b"/top")
    assert bench.world.queue == []


def test_two_syncs_of_one_source_share_its_watches() -> None:
    bench = Bench(SRC, SRC)
    watched = bench.world.watched_inodes()
    bench.monitor.unwatch(SRC)
    assert bench.world.watched_inodes() == watched
    assert bench.is_watching(b"/data/src/d/")
    bench.monitor.unwatch(SRC)
    bench.read()
    assert bench.monitor.watched() == []
    assert bench.world.watched_inodes() == 0


@pytest.mark.parametrize("sources", [(SRC, b"/data/src/d/"), (b"/data/src/d/", SRC)])
def test_a_source_within_a_source(sources: tuple[bytes, bytes]) -> None:
    bench = Bench(*sources)
    assert sorted(bench.monitor.watched()) == [SRC, b"/data/src/d/", b"/data/src/d/e/"]
    assert bench.is_watching(b"/data/src/d/e/")
    bench.monitor.unwatch(SRC)
    assert sorted(bench.monitor.watched()) == [b"/data/src/d/", b"/data/src/d/e/"]
    assert bench.is_watching(b"/data/src/d/e/")


@pytest.mark.parametrize("sources", [(SRC, b"/data/src/d/"), (b"/data/src/d/", SRC)])
def test_giving_up_the_inner_source_leaves_the_outer_one_whole(sources: tuple[bytes, bytes]) -> None:
    bench = Bench(*sources)
    bench.monitor.unwatch(b"/data/src/d/")
    assert bench.is_watching(b"/data/src/d/e/")


def test_an_inner_source_renamed_is_lost_to_itself_and_moved_to_the_outer_one() -> None:
    bench = Bench(SRC, b"/data/src/d/")
    bench.world.rename(b"/data/src/d", b"/data/src/z")
    assert [change for change in bench.monitor.read() if change.etype == "Move"] == [
        ("Move", b"/data/src/d/", b"/data/src/z/")
    ]
    assert bench.monitor.lost_roots() == [b"/data/src/d/"]
    assert bench.is_watching(b"/data/src/z/e/")
    bench.world.rename(b"/data/src/z", b"/data/src/d")
    assert bench.fate() == ([], [b"/data/src/d/"])


def test_many_sources_are_guarded_in_one_go() -> None:
    bench = Bench()
    calls = len(bench.world.calls)
    for number in range(100):
        bench.world.mkdir(b"/data/%d" % number)
        bench.monitor.watch(b"/data/%d/" % number)
    bench.read()
    assert len(bench.world.calls) - calls < 1000


def test_two_sources_side_by_side_do_not_disturb_each_other() -> None:
    bench = Bench(SRC, b"/data/other/")
    bench.world.remove(b"/data/src")
    assert bench.fate() == ([SRC], [])
    assert bench.is_watching(b"/data/other/")


def test_a_source_that_somebody_holds_open_is_lost_when_it_is_deleted() -> None:
    bench = Bench(b"/data/other/")
    held = bench.world.find(b"/data/other")
    bench.world._end = lambda inode: None if inode is held else World._end(bench.world, inode)  # type: ignore[method-assign]
    bench.world.rmdir(b"/data/other")
    bench.world.mkdir(b"/data/other")
    assert bench.fate() == ([b"/data/other/"], [b"/data/other/"])
