"""A target that is gone, replaced, or another file system's: seen before anything is transferred (spec 6 row 29)."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from orchestrator.logic.mounts import Mounts
from orchestrator.sync import targetwatch
from orchestrator.sync.outcome import Collected
from orchestrator.sync.sync import Options, State
from orchestrator.sync.target import Target
from orchestrator.sync.targetwatch import Finding, TargetWatch
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.sync.inlet import Agent, Event
    from orchestrator.sync.outcome import Outcome


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "trg").mkdir()
    return tmp_path / "trg"


def watch_of(place: Path, marker: bytes = b"") -> TargetWatch:
    path = os.fsencode(place)
    return TargetWatch(Target(path, path), marker)


def renew(place: Path) -> None:
    """Another directory in its place, and another inode, too."""
    beside = place.with_name("new")
    beside.mkdir()
    shutil.rmtree(place)
    beside.rename(place)


def test_what_is_there_first_is_right(place: Path) -> None:
    place.rmdir()
    watch = watch_of(place)
    assert watch.look() is Finding.FINE, "the first transfer makes it"
    place.mkdir()
    assert watch.look() is Finding.FINE
    (place / "f").touch()
    assert watch.look() is Finding.FINE
    shutil.rmtree(place)
    assert watch.look() is Finding.GONE
    place.touch()
    assert watch.look() is Finding.GONE


def test_another_directory(place: Path) -> None:
    watch = watch_of(place)
    watch.look()
    renew(place)
    assert watch.look() is Finding.REPLACED
    assert watch.look() is Finding.REPLACED, "until it is accepted"
    watch.accept()
    assert watch.look() is Finding.FINE


def test_moved_away_and_back(place: Path) -> None:
    watch = watch_of(place)
    watch.look()
    place.rename(place.with_name("away"))
    assert watch.look() is Finding.GONE
    place.with_name("away").rename(place)
    assert watch.look() is Finding.FINE


@pytest.mark.parametrize(("owner", "finding"), [(0, Finding.REPLACED), (12345, Finding.RELINKED)])
@pytest.mark.parametrize("above", [False, True])
def test_a_link_in_its_place(tmp_path: Path, owner: int, finding: Finding, above: bool) -> None:
    """Whoever owns the directory above a target could have everything behind a link of his deleted."""
    if os.geteuid() != 0:
        pytest.skip("only root can make links of others")
    (tmp_path / "d" / "trg").mkdir(parents=True)
    (tmp_path / "other" / "trg").mkdir(parents=True)
    watch = watch_of(tmp_path / "d" / "trg")
    watch.look()
    place, leads_to = (tmp_path / "d", "other") if above else (tmp_path / "d" / "trg", "../other/trg")
    place.rename(tmp_path / "was")
    place.symlink_to(leads_to)
    os.chown(place, owner, owner, follow_symlinks=False)
    assert watch.look() is finding
    place.unlink()
    (tmp_path / "was").rename(place)
    assert watch.look() is Finding.FINE


def test_a_link_from_the_beginning_is_right(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "trg").symlink_to("one")
    watch = watch_of(tmp_path / "trg")
    assert [watch.look(), watch.look()] == [Finding.FINE, Finding.FINE]
    (tmp_path / "trg").unlink()
    (tmp_path / "trg").symlink_to("two")
    assert watch.look() is Finding.REPLACED


def test_a_marker(place: Path) -> None:
    watch = watch_of(place, b".mounted")
    assert watch.look() is Finding.UNMARKED, "from the beginning"
    (place / ".mounted").symlink_to("nowhere")
    assert watch.look() is Finding.FINE
    (place / ".mounted").unlink()
    assert watch.look() is Finding.UNMARKED
    place.rmdir()
    assert watch.look() is Finding.GONE


class Devices:
    """File systems that come and go at the target's place: what stat(2) and mountinfo would tell of them."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = os.fsencode(place)
        self.mount(1, "ext4", "/dev/root", 50)
        real = os.stat

        def stat(path: bytes) -> os.stat_result:
            found = list(real(path))
            found[1], found[2] = self.inode, self.device
            return os.stat_result(found)

        monkeypatch.setattr(targetwatch.os, "stat", stat)
        monkeypatch.setattr(targetwatch, "read_mounts", lambda: Mounts(self.table))

    def mount(self, device: int, kind: str, source: str, inode: int = 2) -> None:
        self.device, self.inode = device, inode
        place = self.place if source != "/dev/root" else b"/"
        self.table = b"22 1 0:1 / / rw - ext4 /dev/root rw\n"
        if place != b"/":
            self.table += b"23 22 0:%d / %s rw - %s %s rw\n" % (device, place, kind.encode(), source.encode())

    def unmount(self) -> None:
        self.mount(1, "ext4", "/dev/root", 50)


@pytest.fixture
def devices(place: Path, monkeypatch: pytest.MonkeyPatch) -> Devices:
    return Devices(place, monkeypatch)


def test_unmounted_and_mounted_again(place: Path, devices: Devices) -> None:
    watch = watch_of(place)
    devices.mount(7, "ext4", "/dev/sdb1")
    assert watch.look() is Finding.FINE
    devices.unmount()
    assert [watch.look(), watch.look()] == [Finding.UNMOUNTED, Finding.UNMOUNTED]
    devices.mount(7, "ext4", "/dev/sdb1")
    assert watch.look() is Finding.FINE


@pytest.mark.parametrize(
    ("kind", "source", "finding"),
    [
        ("nfs4", "host:/export", Finding.FINE),
        ("ext4", "/dev/sdb1", Finding.FINE),
        ("tmpfs", "tmpfs", Finding.UNMOUNTED),
    ],
)
def test_an_automounter_mounts_the_same_with_another_number(
    place: Path, devices: Devices, kind: str, source: str, finding: Finding
) -> None:
    watch = watch_of(place)
    devices.mount(7, kind, source)
    watch.look()
    devices.mount(8, kind, source)
    assert watch.look() is finding


def test_a_disk_that_comes_back_under_another_name(place: Path, devices: Devices) -> None:
    watch = watch_of(place)
    devices.mount(7, "ext4", "/dev/sdb1")
    watch.look()
    devices.unmount()
    watch.look()
    devices.mount(9, "ext4", "/dev/sdc1")
    assert watch.look() is Finding.REPLACED, "something was mounted again; all is compared anyway"


@pytest.mark.parametrize(
    ("kind", "finding"), [("vfat", Finding.FINE), ("fuse.sshfs", Finding.FINE), ("xfs", Finding.REPLACED)]
)
def test_where_inode_numbers_do_not_last(place: Path, devices: Devices, kind: str, finding: Finding) -> None:
    watch = watch_of(place)
    devices.mount(7, kind, "/dev/sdb1", 10)
    watch.look()
    devices.mount(7, kind, "/dev/sdb1", 11)
    assert watch.look() is finding


# ---- what a sync makes of it ------------------------------------------------------------------


class Copying(Calls):
    """Notes what is transferred."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[list[bytes]] = []

    def full(self, event: Event) -> None:
        self.sync.inlet.spawn(event, ["true"])

    def action(self) -> None:
        self.sync.inlet.spawn(self.sync.inlet.get_events(lambda event: event.etype != "Full"), ["true"])

    def collect(self, outcome: Outcome) -> Collected:
        self.done.append(sorted(delay.path for delay in outcome.agent.delays))
        return Collected(None if outcome.exit_code == 0 else "again")


class World(SyncWorld):
    def __init__(self, target: Target, marker: bytes = b"", **config: object) -> None:
        self.calls = Copying()
        super().__init__(self.calls, Options(sets=True), **config)
        self.sync.look_after(TargetWatch(target, marker))
        self.sync.start()

    def transfer(self, path: bytes) -> list[list[bytes]]:
        self.calls.done = []
        self.change(path)
        self.run()
        return self.calls.done


@pytest.fixture
def world(place: Path) -> Iterator[World]:
    path = os.fsencode(place)
    world = World(Target(path, path))
    yield world
    world.close()


def test_nothing_is_transferred_while_it_is_gone_and_everything_after(place: Path, world: World) -> None:
    assert world.transfer(b"/a") == [[b"/a"]]
    place.rename(place.with_name("away"))
    assert world.transfer(b"/b") == []
    world.run(500)
    assert world.sync.state is State.SUSPENDED
    assert world.sync.status()["last_error"]["cause"] == "the target is gone"  # type: ignore[index]
    assert world.said == [f"Error: target {place} of s is gone; waiting for its return, nothing is transferred."]
    place.with_name("away").rename(place)
    world.run(60)
    assert world.calls.done in ([[b"/b"], [b""]], [[b""], [b"/b"]])
    assert world.said[1:] == [f"Normal: target {place} of s is back."]
    assert world.sync.state is State.IN_SYNC
    assert world.host.alarms.next() is None


def test_a_new_one_gets_everything(place: Path, world: World) -> None:
    world.transfer(b"/a")
    renew(place)
    assert sorted(world.transfer(b"/b")) == [[b""], [b"/b"]]
    assert world.said == [
        f"Error: target {place} of s is another directory than before; everything is transferred anew."
    ]
    assert world.transfer(b"/c") == [[b"/c"]]


def test_one_that_is_replaced_while_a_transfer_runs(place: Path, world: World) -> None:
    world.transfer(b"/a")
    world.change(b"/b")
    world.sync.invoke(world.clock.now())
    renew(place)
    world.run()
    assert world.calls.done == [[b"/a"], [b"/b"], [b""]]


def test_a_source_that_is_gone_as_well(place: Path, world: World) -> None:
    world.transfer(b"/a")
    place.rename(place.with_name("away"))
    world.transfer(b"/b")
    world.sync.suspend()
    place.with_name("away").rename(place)
    world.calls.done = []
    world.run(100)
    assert world.calls.done == []
    assert world.sync.state is State.SUSPENDED
    world.sync.resume()
    world.run(1)
    assert [b""] in world.calls.done


def test_what_on_batch_start_mounts_is_looked_at_afterwards(place: Path) -> None:
    path = os.fsencode(place)
    world = World(Target(path, path), onBatchStart="mount it")
    world.transfer(b"/a")
    place.rename(place.with_name("away"))
    world.transfer(b"/b")
    asked: list[Agent] = []

    def mounts(agent: Agent) -> None:
        asked.append(agent)
        if not place.exists():
            place.with_name("away").rename(place)

    world.calls.batch_start = mounts  # type: ignore[method-assign]
    world.run(2)
    assert asked
    assert [b""] in world.calls.done
    world.close()


@pytest.mark.parametrize(
    ("code", "is_transferred", "state"),
    [(0, True, State.IN_SYNC), (23, False, State.SUSPENDED), (255, False, State.RETRYING)],
)
def test_another_machine_is_asked(code: int, is_transferred: bool, state: State) -> None:
    asked: list[bytes] = []

    def ask(name: bytes) -> list[str | bytes]:
        asked.append(name)
        return ["sh", "-c", f"exit {code}"]

    world = World(Target(b"host:/trg/", ask=ask), b".mounted")
    assert ([b"/a"] in world.transfer(b"/a")) is (code != 23)
    assert asked[0] == b".mounted"
    assert world.sync.state is state
    assert (len(world.sync.queue) == 0) is is_transferred
    code = 0
    world.run(10)
    assert world.sync.state is State.IN_SYNC
    world.close()


def test_a_sync_that_stops_while_its_target_is_looked_at_waits_for_it_no_more() -> None:
    world = World(Target(b"host:/trg/", ask=lambda name: ["sh", "-c", "exit 23"]), b".mounted")
    world.transfer(b"/a")
    assert world.sync.state is State.SUSPENDED
    said = len(world.said)
    world.clock.advance(1)
    look_again = world.host.alarms.pop_due(world.clock.now())
    assert look_again is not None
    look_again()
    world.sync.life.stop("by a test")
    world.wait()
    assert world.said[said:] == ["Error: s is stopped: by a test"]
    assert world.host.alarms.next() is None
    world.close()


def with_a_target_that_is_gone() -> tuple[World, list[bytes]]:
    """A world whose target's marker is never there, and the names that it has been asked for."""
    asked: list[bytes] = []

    def ask(name: bytes) -> list[str | bytes]:
        asked.append(name)
        return ["sh", "-c", "exit 23"]

    return World(Target(b"host:/trg/", ask=ask), b".mounted"), asked


def test_two_transfers_that_find_it_gone_make_it_be_looked_at_once() -> None:
    world, asked = with_a_target_that_is_gone()
    world.sync.options.max_processes = 2
    for path in (b"/a", b"/b"):
        world.change(path)
        world.sync.invoke(world.clock.now())
    assert len(asked) == 2
    world.wait()
    world.run(2.5)
    assert len(asked) == 2 + 1, "after a second"
    world.run(60)
    assert len(asked) == 2 + 5, "after pauses that double: 1, 3, 7, 15, 31 s"
    world.close()


@pytest.mark.parametrize("is_paused", [False, True])
def test_a_paused_sync_does_not_look_for_its_target(is_paused: bool) -> None:
    world, asked = with_a_target_that_is_gone()
    world.transfer(b"/a")
    tries = len(asked)
    if is_paused:
        world.sync.pause()
    world.run(100)
    assert (len(asked) == tries) == is_paused
    if is_paused:
        world.sync.unpause()
        assert len(asked) == tries + 1, "made up for"
    world.close()


def test_a_target_that_is_gone_is_looked_at_when_somebody_asks_for_that() -> None:
    world, asked = with_a_target_that_is_gone()
    world.transfer(b"/a")
    world.run(200)
    tries = len(asked)
    world.sync.try_now()
    world.sync.try_now()
    assert len(asked) == tries + 1
    world.run(60)
    assert len(asked) == tries + 2, "and once more after the pause, not twice"
    world.close()
