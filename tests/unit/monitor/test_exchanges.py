"""Two names that change places in one step (RENAME_EXCHANGE): which changes are reported, and that both are watched."""

from __future__ import annotations

import pytest

from orchestrator.monitor.inotify import InotifyMonitor
from tests.kit.kernel import World
from tests.property.test_monitor_races import Mirror, picture, probe

ENDS = {"file": b"/src/f", "other file": b"/src/d/g", "directory": b"/src/d", "other directory": b"/src/e/n"}


class Bench:
    def __init__(self, *, unwanted: bytes = b"") -> None:
        self.world = World()
        for path in (b"/src", b"/src/d", b"/src/d/s", b"/src/e", b"/src/e/n", b"/src/e/n/t", b"/out", b"/out/d"):
            self.world.mkdir(path)
        for path in (b"/src/f", b"/src/d/g", b"/src/e/n/t/h", b"/out/f", b"/out/d/i"):
            self.world.create(path)
        self.monitor = InotifyMonitor(
            "CloseWrite", lambda path: path != unwanted, lambda *_: None, make_kernel=lambda _: self.world
        )
        self.monitor.watch(b"/src/")
        self.monitor.read()

    def check(self, *, on_move: bool) -> None:
        """Who repeats what is reported has the same tree, and what happens from now on is reported."""
        mirror = Mirror(self.world, self.monitor, on_move=on_move)
        mirror.tree = self.before
        mirror.repeat_all(self.monitor.read())
        assert mirror.tree == picture(self.world.find(b"/src"), b"/src/")
        assert sorted(self.monitor.watched()) == self.world.directories_below(b"/src/")
        probe(self.world, self.monitor)

    def exchange(self, one: bytes, other: bytes) -> None:
        self.before = picture(self.world.find(b"/src"), b"/src/")
        self.world.exchange(one, other)


@pytest.mark.parametrize("on_move", [True, False])
@pytest.mark.parametrize("other", [*ENDS.values(), b"/out/f", b"/out/d"])
@pytest.mark.parametrize("one", ENDS.values())
def test_whatever_is_exchanged(one: bytes, other: bytes, on_move: bool) -> None:
    if (other + b"/").startswith(one + b"/") or (one + b"/").startswith(other + b"/"):
        return
    bench = Bench()
    bench.exchange(one, other)
    bench.check(on_move=on_move)


@pytest.mark.parametrize("on_move", [True, False])
@pytest.mark.parametrize("piece", [64, 65536])
@pytest.mark.parametrize("times", [2, 3])
def test_exchanged_again_before_anybody_looks(times: int, piece: int, on_move: bool) -> None:
    bench = Bench()
    bench.world.piece = piece
    bench.exchange(b"/src/d", b"/src/e/n")
    for _ in range(times - 1):
        bench.world.exchange(b"/src/d", b"/src/e/n")
    bench.check(on_move=on_move)


@pytest.mark.parametrize("on_move", [True, False])
def test_exchanged_and_one_of_them_gone(on_move: bool) -> None:
    bench = Bench()
    bench.exchange(b"/src/d", b"/src/e/n")
    bench.world.remove(b"/src/d")
    bench.check(on_move=on_move)


@pytest.mark.parametrize("on_move", [True, False])
def test_exchanged_and_carried_away_by_a_directory_above(on_move: bool) -> None:
    bench = Bench()
    bench.exchange(b"/src/d", b"/src/e/n")
    bench.world.rename(b"/src/e", b"/src/z")
    bench.check(on_move=on_move)


def test_nothing_is_reported_twice_of_two_directories() -> None:
    bench = Bench()
    bench.exchange(b"/src/d", b"/src/e/n")
    reported = [(change.etype, change.path) for change in bench.monitor.read()]
    assert reported == [
        ("Delete", b"/src/e/n/"),
        ("Move", b"/src/d/"),
        ("Create", b"/src/d/"),
        ("Create", b"/src/d/t/"),
        ("Create", b"/src/d/t/h"),
    ]


def test_a_directory_that_went_to_and_fro_is_reported_as_two_moves() -> None:
    bench = Bench()
    bench.world.rename(b"/src/d", b"/src/x")
    bench.world.rename(b"/src/x", b"/src/d")
    reported = [(change.etype, change.path, change.path2) for change in bench.monitor.read()]
    assert reported == [("Move", b"/src/d/", b"/src/x/"), ("Move", b"/src/x/", b"/src/d/")]


@pytest.mark.parametrize("unwanted", [b"/src/d/", b"/src/e/n/"])
def test_an_excluded_directory_exchanged_for_one_that_is_wanted(unwanted: bytes) -> None:
    bench = Bench(unwanted=unwanted)
    bench.world.exchange(b"/src/d", b"/src/e/n")
    bench.monitor.read()
    there = bench.world.directories_below(b"/src/")
    assert sorted(bench.monitor.watched()) == [path for path in there if not path.startswith(unwanted)]
    probe(bench.world, bench.monitor)
