"""File systems that come and go below a source, at whatever moment: what is watched in the end is what is there."""

from __future__ import annotations

import errno
import random

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.monitor.inotify import InotifyMonitor
from tests.kit.kernel import World
from tests.property.test_monitor_races import Vandal, probe


class MountedWorld(World):
    """As the kernel does, it neither moves nor removes what something is mounted on, nor renames across disks."""

    def __init__(self) -> None:
        super().__init__()
        self.mounts: list[bytes] = []

    def mount(self, path: bytes, device: int) -> None:
        super().mount(path, device)
        self.mounts.append(path)

    def is_busy(self, path: bytes) -> bool:
        return any(mount == path or mount.startswith(path + b"/") for mount in self.mounts)

    def remove(self, path: bytes) -> None:
        if self.is_busy(path):
            raise OSError(errno.EBUSY, "Device or resource busy")
        super().remove(path)

    def rename(self, old: bytes, new: bytes) -> None:
        if self.is_busy(old) or self.is_busy(new):
            raise OSError(errno.EBUSY, "Device or resource busy")
        if self.find(old).device != self.find(new.rpartition(b"/")[0]).device:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        super().rename(old, new)

    def exchange(self, one: bytes, other: bytes) -> None:
        if self.is_busy(one) or self.is_busy(other):
            raise OSError(errno.EBUSY, "Device or resource busy")
        if self.find(one).device != self.find(other).device:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        super().exchange(one, other)


class MountVandal(Vandal):
    """Mounts and unmounts, too, below /src."""

    world: MountedWorld

    def _act(self) -> None:
        world = self.world
        kind = self.dice.random()
        if kind < 0.1:
            path = self._path()
            if path.startswith(b"/src/") and not world.is_busy(path) and world.find(path).entries is not None:
                world.mount(path, self.dice.randrange(10, 1_000_000))
        elif kind < 0.2 and world.mounts:
            world.unmount(world.mounts.pop())
        else:
            super()._act()


def play(seed: int) -> None:
    dice = random.Random(seed)
    world = MountedWorld()
    world.is_gone_reported_first = dice.random() < 0.3
    for path in (b"/src", b"/out"):
        world.mkdir(path)
    vandal = MountVandal(world, dice)
    vandal.left = 20
    while vandal.left:
        vandal.act()
    world.between = vandal.seldom
    monitor = InotifyMonitor("CloseWrite", lambda _: True, lambda *_: None, make_kernel=lambda _: world)
    vandal.left = dice.randrange(20)
    monitor.watch(b"/src/")
    vandal.left = dice.randrange(60)
    while vandal.left:
        vandal.act()
        if dice.random() < 0.3:
            monitor.read()
    for _ in range(10):
        monitor.read()
    assert sorted(monitor.watched()) == world.directories_below(b"/src/")
    probe(world, monitor)


@given(st.integers(0, 2**64))
def test_what_is_there_is_watched(seed: int) -> None:
    play(seed)
