"""Whatever happens to sources that lie within each other, and however many events are lost: what is watched in the end
is what is there, and each source is known to be lost or not.
"""

from __future__ import annotations

import contextlib
import random

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.monitor.inotify import InotifyMonitor
from tests.kit.kernel import World
from tests.property.test_monitor_races import Vandal

SOURCES = [b"/src/", b"/src/a/", b"/src/a/b/", b"/out/a/"]


class RootVandal(Vandal):
    """Lays hands on /src and /out themselves, too."""

    def _act(self) -> None:
        if self.dice.random() < 0.1:
            top = self.dice.choice([b"/src", b"/out"])
            with contextlib.suppress(OSError):
                match self.dice.randrange(4):
                    case 0:
                        self.world.remove(top)
                    case 1:
                        self.world.rename(top, b"/aside")
                    case 2:
                        self.world.rename(b"/aside", top)
                    case _:
                        self.world.mkdir(top)
            return
        super()._act()


def take_in(monitor: InotifyMonitor, held: dict[bytes, bool]) -> None:
    """Read, and keep in `held` which sources are there: none is lost or comes back twice in a row."""
    monitor.read()
    if monitor.overflowed:
        monitor.overflowed = False
        monitor.rescan()
    lost, returned = monitor.lost_roots(), monitor.returned_roots()
    assert len(set(lost)) == len(lost)
    for source in held:
        if source in lost:
            assert held[source] or source in returned
        if source in returned:
            assert not held[source] or source in lost
        held[source] = (held[source] and source not in lost) or source in returned


def play(seed: int) -> None:
    dice = random.Random(seed)
    world = World()
    for path in (b"/src", b"/src/a", b"/src/a/b", b"/out"):
        world.mkdir(path)
    vandal = RootVandal(world, dice)
    world.between = vandal.seldom
    world.queue_limit = dice.choice([8, 30, 1000, 1_000_000])
    monitor = InotifyMonitor("CloseWrite", lambda _: True, lambda *_: None, make_kernel=lambda _: world)
    users = {source: dice.choice([1, 1, 2]) for source in SOURCES if dice.random() < 0.7}
    held: dict[bytes, bool] = {}

    def read() -> None:
        take_in(monitor, held)

    for source, count in users.items():
        vandal.left = dice.randrange(5)
        for _ in range(count):
            monitor.watch(source)
        held[source] = True
    for _ in range(dice.randrange(1, 6)):
        vandal.left = dice.randrange(40)
        while vandal.left:
            vandal.act()
            if dice.random() < 0.3:
                read()
        if held and dice.random() < 0.3:
            source = dice.choice(list(held))
            monitor.unwatch(source)
            users[source] -= 1
            if not users[source]:
                del held[source]
    for _ in range(20):
        read()
    there = {source for source in held if world.device(source) is not None}
    assert {source for source in held if held[source]} == there
    expected = {path for source in there for path in world.directories_below(source)}
    watched = monitor.watched()
    assert len(set(watched)) == len(watched)
    assert set(watched) == expected
    for path in watched:
        world.create(path + b"probe", close=False)
        assert [change.path for change in monitor.read()] == [path + b"probe"]
        world.unlink(path + b"probe")
        monitor.read()
    for source in held:
        for _ in range(users[source]):
            monitor.unwatch(source)
    monitor.read()
    assert not world.watched_inodes()


@given(st.integers(0, 2**64))
def test_sources_within_sources(seed: int) -> None:
    play(seed)
