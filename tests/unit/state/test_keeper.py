"""The state of one sync: what a restart is told after everything that a daemon, or a disk, may do."""

from __future__ import annotations

import os
import queue
import random
import resource
import shutil
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from orchestrator.logic.known import Brought, Comparison, Moment, Touched
from orchestrator.state.keeper import CLOCK_REALTIME_COARSE, Keeper, Source
from orchestrator.state.place import open_place
from orchestrator.state.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

IDENTITY = {"source": "s", "target": "t", "filters": "f", "options": "o"}
PATIENCE = 20.0


class World:
    """A source, and keepers of its state, one after the other. A transfer is what a test says it is."""

    def __init__(self, box: Path) -> None:
        self.source = box / "src"
        self.source.mkdir()
        self.states = box / "state"
        self.identity = dict(IDENTITY)
        self.excludes: Callable[[bytes], bool] | None = None
        self.problems: list[str] = []
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.begin()

    def begin(self) -> None:
        """A daemon starts."""
        self.writer = Writer()
        self.keeper = Keeper(
            open_place(str(self.states)), "Sync1", self._source, self.writer, self._calls.put, self.problems.append
        )

    def _source(self) -> Source:
        return Source(os.fsencode(self.source) + b"/", self.identity, self.excludes)

    def look(self) -> Comparison:
        looks: list[Comparison] = []
        self.keeper.compare(looks.append)
        while not looks:
            self._calls.get(timeout=PATIENCE)()
        return looks[0]

    def settle(self) -> None:
        """Until all that was asked for is written."""
        done = threading.Event()

        def last() -> Iterator[None]:
            done.set()
            yield

        self.writer.begin(last())
        assert done.wait(PATIENCE)

    def age(self) -> None:
        """Until the clock of file times goes on: what was changed is older than what follows. Newer kernels may take a
        file's time from a finer clock: the coarse one has to pass that, which it does late on a busy machine."""
        began = time.time_ns()
        while time.clock_gettime_ns(CLOCK_REALTIME_COARSE) <= began:
            time.sleep(0.0005)

    def start(self, touched: Sequence[Touched] | None = None) -> Moment:
        """A transfer begins."""
        went = threading.Event()
        self.age()
        self.keeper.begin(touched, went.set)
        while not went.is_set():
            self._calls.get(timeout=PATIENCE)()
        return self.keeper.moment()

    def full(self) -> None:
        """A run over everything goes well."""
        self.keeper.everything_arrived([], self.start())
        self.settle()

    def bring(self, *paths: str, deleted: Sequence[str] = (), directories: bool = False) -> None:
        """A transfer of paths goes well."""
        since = self.start([touched(path) for path in (*paths, *deleted)])
        self.arrive(since, *paths, deleted=deleted, directories=directories)

    def arrive(self, since: Moment, *paths: str, deleted: Sequence[str] = (), directories: bool = False) -> None:
        brought = Brought([*map(os.fsencode, paths)], [*map(os.fsencode, deleted)], (), directories)
        self.keeper.arrived(brought, since)
        self.settle()

    def kill(self) -> None:
        """The daemon is gone, without a word: another one has the files as they are."""
        self.settle()
        copy = self.states.with_name("copy")
        shutil.copytree(self.states, copy)
        self.keeper.close(is_at_rest=False)
        self.writer.close(PATIENCE)
        shutil.rmtree(self.states)
        copy.rename(self.states)
        self.begin()

    def stop(self) -> None:
        self.keeper.close(is_at_rest=True)
        self.writer.close(PATIENCE)
        self.begin()

    def changes(self) -> list[str]:
        """What the next start transfers."""
        look = self.look()
        assert look.reason == ""
        return sorted(f"{etype} {os.fsdecode(path)}" for etype, path in look.changes if path != b"/")

    def write(self, path: str, text: str = "x") -> None:
        place = self.source / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def touched(path: str) -> Touched:
    is_directory = path.endswith("/")
    return Touched(os.fsencode(path), with_below=is_directory)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    for path in ("a", "d/x", "d/e/y", "f/z"):
        found.write(path)
    found.age()
    assert found.look().reason == "there is no state yet"
    found.full()
    yield found
    found.keeper.close(is_at_rest=True)
    found.writer.close(PATIENCE)


# ---- what changed while there was no daemon -----------------------------------------------------


def test_nothing_changed(world: World) -> None:
    world.stop()
    look = world.look()
    assert (look.reason, list(look.changes), look.total) == ("", [], 8)
    assert look.until is not None


def test_a_killed_daemon_does_not_say_until_when_it_transferred(world: World) -> None:
    world.kill()
    assert world.look().until is None


def write_again(world: World) -> None:
    """As many bytes, with the old time."""
    path = world.source / "a"
    before = path.stat()
    world.age()
    path.write_text("y")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def swap(world: World) -> None:
    """Another directory, with older things of the same names."""
    (world.source / "d").rename(world.source.parent / "kept")
    shutil.copytree(world.source.parent / "kept", world.source / "d")


CHANGES: dict[str, tuple[Callable[[World], object], list[str]]] = {
    "written": (write_again, ["Modify /a"]),
    "new": (lambda world: world.write("d/new"), ["Attrib /d/", "Create /d/new"]),
    "gone": (lambda world: (world.source / "a").unlink(), ["Delete /a"]),
    "mode": (lambda world: (world.source / "d/x").chmod(0o600), ["Modify /d/x"]),
    "mode of a directory": (lambda world: (world.source / "f").chmod(0o700), ["Attrib /f/"]),
    "renamed": (
        lambda world: (world.source / "f").rename(world.source / "g"),
        ["Create /g/", "Create /g/z", "Delete /f/"],
    ),
    "swapped": (
        swap,
        ["Create /d/", "Create /d/e/", "Create /d/e/y", "Create /d/x", "Delete /d/", "Delete /d/e/"],
    ),
    "of another type": (
        lambda world: (shutil.rmtree(world.source / "f"), world.write("f")),
        ["Create /f", "Delete /f/"],
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_changed_is_found(world: World, case: str) -> None:
    change, expected = CHANGES[case]
    world.kill()
    world.age()
    change(world)
    assert world.changes() == expected


def test_what_is_excluded_is_nothing(world: World) -> None:
    world.excludes = lambda path: path.startswith(b"/d/")
    world.full()
    world.stop()
    world.write("d/new")
    assert world.changes() == []


# ---- transfers --------------------------------------------------------------------------------


def test_a_transfer_that_went_well_is_known(world: World) -> None:
    world.write("a", "new")
    world.write("n/m")
    world.bring("/a", "/n/", "/n/m", directories=True)
    world.kill()
    assert world.changes() == []


def test_without_a_word_about_directories_they_are_looked_at_again(world: World) -> None:
    world.write("d/new")
    world.bring("/d/new")
    world.kill()
    assert world.changes() == ["Attrib /d/"]


def test_a_deletion_that_went_well_is_known(world: World) -> None:
    shutil.rmtree(world.source / "d")
    world.bring(deleted=["/d/", "/d/x"])
    world.write("d")
    world.bring("/d")
    world.kill()
    assert world.changes() == []


def test_a_transfer_that_has_only_begun_is_not(world: World) -> None:
    world.start([touched("/a")])
    world.kill()
    assert world.changes() == ["Create /a"]


def test_what_was_begun_and_is_gone_by_now_is_deleted_on_the_target(world: World) -> None:
    world.write("n")
    world.write("new/x")
    world.start([touched("/n"), touched("/new/"), touched("/f/n")])
    (world.source / "n").unlink()
    shutil.rmtree(world.source / "new")
    world.kill()
    assert world.changes() == ["Delete /f/n", "Delete /n", "Delete /new/"]


def test_a_directory_that_came_back_whole_is_new(world: World) -> None:
    """The target has lost it; nothing in it has changed."""
    away = world.source.parent / "away"
    (world.source / "d").rename(away)
    world.start([touched("/d/")])
    away.rename(world.source / "d")
    world.kill()
    assert world.changes() == [
        "Create /d/", "Create /d/e/", "Create /d/e/y", "Create /d/x", "Delete /d/", "Delete /d/e/",
    ]  # fmt: skip


def test_nor_is_what_is_below_it_known_by_the_directory_alone(world: World) -> None:
    world.bring("/d/")
    world.kill()
    assert world.changes() == [
        "Create /d/e/", "Create /d/e/y", "Create /d/x", "Delete /d/e/",
    ]  # fmt: skip


def test_what_was_written_during_a_transfer_is_not_known(world: World) -> None:
    world.write("a", "1")
    since = world.start([touched("/a")])
    world.write("a", "2")  # in the tick of its beginning, perhaps
    world.arrive(since, "/a")
    world.kill()
    assert world.changes() == ["Create /a"]


def test_nor_what_was_moved_there_with_its_directory(world: World) -> None:
    other = world.source.parent / "other"
    other.mkdir()
    (other / "x").write_text("old, but not what was transferred")
    since = world.start([touched("/d/x")])
    (world.source / "d").rename(world.source.parent / "away")
    other.rename(world.source / "d")
    world.arrive(since, "/d/x")
    (world.source / "d").rename(other)
    (world.source.parent / "away").rename(world.source / "d")
    world.kill()
    assert "Create /d/x" in world.changes()


def test_a_path_of_a_newer_transfer_is_not_known_by_an_older_one(world: World) -> None:
    since = world.start([touched("/a")])
    gate = threading.Event()
    world.writer.call(lambda: gate.wait(PATIENCE))  # the older one's record is still to be made
    world.keeper.arrived(Brought([b"/a"]), since)
    world.keeper.begin([touched("/a")], gate.set)
    gate.set()
    world.kill()
    assert world.changes() == ["Create /a"]


def test_a_change_that_waits_below_what_was_brought_is_remembered(world: World) -> None:
    world.write("n/a")
    since = world.start([touched("/n/")])
    world.keeper.arrived(Brought([b"/n/", b"/n/a"], (), [b"/n/gone"]), since)
    world.kill()
    assert world.changes() == ["Delete /n/gone"]


def test_directories_that_are_busy_during_a_full_run_stay_known(world: World) -> None:
    since = world.start()
    world.write("d/during")
    world.keeper.everything_arrived([], since)
    world.kill()
    assert world.changes() == ["Attrib /d/", "Create /d/during"]


def test_one_that_was_renamed_during_a_full_run_is_not(world: World) -> None:
    since = world.start()
    (world.source / "d/e").rename(world.source / "e")
    world.keeper.everything_arrived([], since)
    world.kill()
    assert {"Create /e/", "Create /e/y"} <= set(world.changes())


# ---- a full run instead -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("source", "the source is another directory"),
        ("target", "the target is another one"),
        ("filters", "the filters are others"),
        ("options", "the options are others"),
    ],
)
def test_a_state_of_something_else(world: World, key: str, reason: str) -> None:
    world.stop()
    world.identity[key] = "other"
    assert world.look().reason == reason
    world.full()
    world.stop()
    assert world.changes() == []


def test_a_full_run_that_has_not_ended(world: World) -> None:
    world.start()
    world.kill()
    assert world.look().reason == "no full run has ended yet"


def test_filters_that_change_while_it_runs(world: World) -> None:
    world.keeper.invalidate()
    world.kill()
    assert world.look().reason == "no full run has ended yet"


def test_a_state_of_another_version(world: World) -> None:
    world.stop()
    with closing(sqlite3.connect(world.states / "Sync1.db")) as db:
        db.execute("PRAGMA user_version = 2")
    assert world.look().reason == "its state is of another version (2)"
    world.full()


def test_a_database_that_has_lost_what_was_certainly_written(world: World) -> None:
    world.stop()
    old = (world.states / "Sync1.db").read_bytes()
    world.look()
    world.write("n")
    world.bring("/n")
    world.stop()
    (world.states / "Sync1.db").write_bytes(old)
    (world.source / "n").unlink()
    assert world.look().reason == "its state has lost its last changes"


def test_another_daemon_uses_it(world: World) -> None:
    first = world.keeper, world.writer
    world.begin()
    assert world.look().reason == "another daemon uses it"
    world.full()  # keeps none, and harms none
    world.keeper.close(is_at_rest=True)
    world.writer.close(PATIENCE)
    world.keeper, world.writer = first
    world.stop()
    assert world.changes() == []


def test_the_directory_is_removed_while_it_runs(world: World) -> None:
    shutil.rmtree(world.states)
    world.bring("/a")
    world.stop()
    assert world.look().reason == "there is no state yet"


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_the_state_and_no_transfer(world: World) -> None:
    with full_disk():
        world.start([touched("/a")])  # goes nevertheless
    world.kill()
    assert "cannot be kept" in world.problems[0]
    assert world.look().reason == "there is no state yet"


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes(world: World, seed: int) -> None:
    """At worst a full run, never a change that is not found, never a traceback."""
    dice = random.Random(seed)
    world.bring("/d/x")
    world.kill() if seed % 2 else world.stop()
    world.age()
    (world.source / "a").unlink()
    world.write("d/x", "new")
    for name in sorted(os.listdir(world.states)):
        data = bytearray((world.states / name).read_bytes())
        for _ in range(dice.choice([1, 1, 30])) if data else ():
            data[dice.randrange(len(data))] = dice.randrange(256)
        (world.states / name).write_bytes(data)
    look = world.look()
    assert look.reason or {("Delete", b"/a"), ("Modify", b"/d/x")} <= {
        (etype.replace("Create", "Modify"), path) for etype, path in look.changes
    }
    world.full()
    world.stop()
    assert world.changes() == []


def test_so_many_bytes_a_path(world: World) -> None:
    for directory in range(100):
        for file in range(20):
            world.write(f"many/directory-{directory:05}/file-{file:05}.txt", "")
    world.full()
    world.stop()
    size = sum((world.states / name).stat().st_size for name in os.listdir(world.states))
    assert size / 2109 < 120


def test_moments_of_a_clock_that_nobody_sets_say_so(world: World) -> None:
    first = world.keeper.moment()
    assert all(world.keeper.moment().seen_from(first) >= first.coarse for _ in range(1000))
    assert {world.keeper.moment().offset for _ in range(1000)} == {first.offset}
