"""Where the sources are, for monitors that watch no directories (spec 6, rows 7 and 22)."""

from __future__ import annotations

import random

import pytest

from orchestrator.monitor.sources import SourceWatch
from tests.kit.kernel import World

SRC = b"/data/src/"


class Bench:
    def __init__(self, *sources: bytes) -> None:
        self.world = World()
        for path in (b"/data", b"/data/src", b"/data/src/inner", b"/out"):
            self.world.mkdir(path)
        self.sources = SourceWatch(lambda: self.world)  # type: ignore[arg-type,return-value]
        for source in sources:
            self.sources.add(source)

    def fate(self) -> tuple[list[bytes], list[bytes]]:
        """What was lost and what returned since last asked."""
        self.sources.check()
        return self.sources.lost(), self.sources.returned()


@pytest.mark.parametrize("moved", [b"/data/src", b"/data"])
def test_a_source_moved_away_and_back(moved: bytes) -> None:
    bench = Bench(SRC)
    assert bench.sources.held() == [SRC]
    assert bench.fate() == ([], [])
    bench.world.rename(moved, b"/out/gone")
    assert bench.fate() == ([SRC], [])
    assert bench.sources.held() == []
    bench.world.rename(b"/out/gone", moved)
    assert bench.fate() == ([], [SRC])
    assert bench.sources.held() == [SRC]


def test_a_source_deleted_and_made_again() -> None:
    bench = Bench(SRC)
    bench.world.remove(b"/data/src")
    bench.world.mkdir(b"/data/src")
    assert bench.fate() == ([SRC], [SRC])
    bench.world.remove(b"/data")
    assert bench.fate() == ([SRC], [])
    bench.world.mkdir(b"/data")
    assert bench.fate() == ([], [])
    bench.world.mkdir(b"/data/src")
    assert bench.fate() == ([], [SRC])


def test_an_unmounted_source_is_lost_until_it_is_mounted_again() -> None:
    bench = Bench()
    bench.world.mount(b"/data/src", 2)
    bench.sources.add(SRC)
    bench.world.unmount(b"/data/src")
    assert bench.fate() == ([SRC], [])
    bench.world.mount(b"/data/src", 3)
    assert bench.fate() == ([], [SRC])


def test_a_source_that_is_not_there_is_lost_from_the_beginning() -> None:
    bench = Bench(b"/data/later/")
    assert bench.fate() == ([b"/data/later/"], [])
    bench.world.mkdir(b"/data/later")
    assert bench.fate() == ([], [b"/data/later/"])


def test_sources_within_sources_share_nothing() -> None:
    bench = Bench(SRC, b"/data/src/inner/", b"/data/")
    assert sorted(bench.sources.held()) == [b"/data/", SRC, b"/data/src/inner/"]
    bench.sources.remove(SRC)
    bench.world.rename(b"/data/src", b"/data/moved")
    assert bench.fate() == ([b"/data/src/inner/"], [])
    bench.world.rename(b"/data/moved", b"/data/src")
    assert bench.fate() == ([], [b"/data/src/inner/"])
    assert sorted(bench.sources.held()) == [b"/data/", b"/data/src/inner/"]


def test_what_happens_in_a_source_is_no_hint() -> None:
    bench = Bench(SRC)
    bench.sources.check()
    bench.world.create(b"/data/src/f")
    bench.world.mkdir(b"/data/src/d")
    assert not bench.sources.check()


@pytest.mark.parametrize("seed", range(100))
def test_whatever_happens_those_held_are_there(seed: int) -> None:
    chance = random.Random(seed)
    sources = [b"/a/", b"/a/b/", b"/a/b/c/", b"/b/a/"]
    world = World()
    watch = SourceWatch(lambda: world)  # type: ignore[arg-type,return-value]
    for source in sources:
        watch.add(source)
    held = set(watch.held())
    watch.lost()
    for _ in range(60):
        path, other = (chance.choice([b"/a", b"/b", b"/a/b", b"/a/b/c", b"/b/a", b"/c"]) for _ in range(2))
        try:
            chance.choice([lambda: world.mkdir(path), lambda: world.rename(path, other), lambda: world.remove(path)])()  # noqa: B023
        except (OSError, KeyError):
            continue
        if chance.random() < 0.5:
            watch.check()
            lost, returned = watch.lost(), watch.returned()
            held = (held - set(lost)) | set(returned)
            assert held == set(watch.held()) == {source for source in sources if world.device(source) is not None}


def test_who_checks_anew_can_do_without_watches() -> None:
    bench = Bench()
    bench.world.limit = 0
    sources = SourceWatch(lambda: bench.world, checks_anew=True)  # type: ignore[arg-type,return-value]
    sources.add(SRC)
    sources.add(SRC)
    assert sources.held() == [SRC]
    bench.world.rename(b"/data/src", b"/out/gone")
    sources.check(anew=True)
    assert (sources.lost(), sources.held()) == ([SRC], [])
    bench.world.rename(b"/out/gone", b"/data/src")
    sources.check(anew=True)
    assert (sources.returned(), sources.held()) == ([SRC], [SRC])
    sources.remove(SRC)
    sources.remove(SRC)
    assert sources.held() == []
