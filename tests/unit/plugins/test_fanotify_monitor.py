"""The fanotify monitor as a whole, over a kernel of the test; where the real one can be had, it says the same."""

from __future__ import annotations

import errno
import os
import select
from contextlib import closing
from struct import pack
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import MonitorError
from orchestrator_fanotify import orchestrator_monitors
from orchestrator_fanotify.backlog import Backlog
from orchestrator_fanotify.calls import CLOSE_WRITE
from orchestrator_fanotify.directories import Directories
from orchestrator_fanotify.kernel import Kernel
from orchestrator_fanotify.monitor import FanotifyMonitor
from orchestrator_fanotify.mounts import Mount
from tests.kit.fanotify import needs_fanotify, own_file_system
from tests.kit.fanotify_kernel import FILE_SYSTEM, FanotifyWorld, event, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.logic.change import Change


class Bench:
    """A source `src`, what lies beside it, and a monitor."""

    def __init__(self, top: Path) -> None:
        self.top = top
        for name in ("src/d", "out", "other"):
            (top / name).mkdir(parents=True)
        self.world = FanotifyWorld(top)
        self.src = self.path("src/")
        self.said: list[str] = []
        self.monitors: list[FanotifyMonitor] = []

    def close(self) -> None:
        for monitor in self.monitors:
            monitor.close()
        self.world.end()

    def path(self, name: str) -> bytes:
        return os.fsencode(self.top) + b"/" + name.encode()

    def watching(self, mode: str = "CloseWrite", *roots: str, **more: Any) -> FanotifyMonitor:
        more.setdefault("make_kernel", lambda: self.world)
        wants = more.pop("wants", lambda _: True)
        monitor = FanotifyMonitor(mode, wants, lambda category, text: self.said.append(f"{category}: {text}"), **more)
        self.monitors.append(monitor)
        for root in roots or ("src/",):
            monitor.watch(self.path(root))
        monitor.read()
        return monitor

    def reported(self, changes: list[Change]) -> list[str]:
        top = os.fsencode(self.top) + b"/"
        return [
            " ".join([kind, *(path.removeprefix(top).decode() for path in paths if path is not None)])
            for kind, *paths in changes
        ]

    def read(self, monitor: FanotifyMonitor) -> list[str]:
        return self.reported(monitor.read())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with closing(Bench(tmp_path)) as bench:
        yield bench


def is_readable(monitor: FanotifyMonitor) -> bool:
    return bool(select.select([monitor.fileno()], [], [], 0)[0])


# ---- what is reported -----------------------------------------------------------------------------


class OnRealFiles:
    """The methods of FanotifyWorld that a story uses, where the kernel itself says what happens."""

    def __init__(self, top: Path) -> None:
        self.top = top

    def create(self, path: str) -> None:
        os.mknod(self.top / path)

    def write(self, path: str) -> None:
        with open(self.top / path, "a"):
            pass

    def chmod(self, path: str) -> None:
        (self.top / path).chmod(0o700)

    def mkdir(self, path: str) -> None:
        (self.top / path).mkdir()

    def remove(self, path: str) -> None:
        (os.rmdir if (self.top / path).is_dir() else os.unlink)(self.top / path)

    def rename(self, old: str, new: str) -> None:
        os.rename(self.top / old, self.top / new)


STORY: list[tuple[str, tuple[str, ...], list[str]]] = [
    ("create", ("src/f",), ["Create src/f"]),
    ("write", ("src/f",), ["Modify src/f"]),
    ("chmod", ("src/f",), ["Attrib src/f"]),
    ("chmod", ("src/d",), ["Attrib src/d/"]),
    ("rename", ("src/f", "src/d/g"), ["Move src/f src/d/g"]),
    ("rename", ("src/d", "src/e"), ["Move src/d/ src/e/"]),
    ("rename", ("src/e", "out/e"), ["Delete src/e/"]),
    ("write", ("out/e/g",), []),
    ("create", ("out/e/h",), []),
    ("rename", ("out/e", "out/f"), []),
    ("rename", ("out/f", "src/f"), ["Create src/f/", "Create src/f/g", "Create src/f/h"]),
    ("remove", ("src/f/g",), ["Delete src/f/g"]),
    ("remove", ("src/f/h",), ["Delete src/f/h"]),
    ("remove", ("src/f",), ["Delete src/f/"]),
    ("mkdir", ("src/n",), ["Create src/n/"]),
    ("create", ("src/n/\udcff\n".encode("utf-8", "surrogateescape").decode("latin-1"),), ["Create src/n/ÿ\n"]),
]


def test_a_story_from_a_kernel_of_our_own(bench: Bench) -> None:
    check_story(bench, bench.watching(), bench.world)


def test_the_same_story_from_the_real_one(tmp_path: Path) -> None:
    needs_fanotify()
    with own_file_system(tmp_path), closing(Bench(tmp_path)) as bench:
        check_story(bench, bench.watching(make_kernel=Kernel), OnRealFiles(tmp_path))


def check_story(bench: Bench, monitor: FanotifyMonitor, world: FanotifyWorld | OnRealFiles) -> None:
    for step, paths, reported in STORY:
        getattr(world, step)(*paths)
        assert (step, paths, sorted(bench.read(monitor))) == (step, paths, reported)
        assert not monitor.is_behind()


def test_halves_of_renames_are_reported_by_what_is_there(bench: Bench) -> None:
    bench.world.reports_renames = False
    monitor = bench.watching()
    bench.world.create("src/d/f")
    bench.world.rename("src/d", "src/e")
    assert set(bench.read(monitor)) == {"Create src/e/", "Create src/e/f", "Delete src/d/"}
    bench.world.rename("src/e/f", "src/g")
    assert sorted(bench.read(monitor)) == ["Create src/g", "Delete src/e/f"]


def test_close_write_only_reports_of_a_file_when_it_is_finished(bench: Bench) -> None:
    monitor = bench.watching("CloseWrite only")
    bench.world.create("src/f")
    assert bench.read(monitor) == []
    bench.world.write("src/f")
    assert bench.read(monitor) == ["Modify src/f"]


def test_what_is_written_under_a_name_that_is_gone_is_not_reported(bench: Bench) -> None:
    monitor = bench.watching()
    bench.world.create("src/f")
    bench.read(monitor)
    bench.world.write("src/f")
    (bench.top / "src/f").unlink()
    assert bench.read(monitor) == []


def test_unwanted_directories_are_passed_over(bench: Bench) -> None:
    monitor = bench.watching(wants=lambda directory: not directory.endswith(b"/d/"))
    bench.world.create("src/d/f")
    bench.world.create("src/f")
    assert bench.read(monitor) == ["Create src/f"]


def test_to_and_fro_is_looked_at_again(bench: Bench) -> None:
    monitor = bench.watching()
    bench.world.create("src/f")
    bench.read(monitor)
    bench.world.rename("src/f", "src/g")
    bench.world.rename("src/g", "src/f")
    assert bench.read(monitor) == ["Move src/f src/g", "Move src/g src/f", "Create src/f", "Delete src/g"]


# ---- slices and storms ------------------------------------------------------------------------------


def test_a_huge_new_directory_is_read_in_slices(bench: Bench) -> None:
    monitor = bench.watching(most=10)
    for number in range(50):
        (bench.top / f"out/{number}").touch()
    bench.world.rename("out", "src/new")
    bench.world.create("src/after")
    reported: list[str] = []
    reads = 0
    while not reads or monitor.is_behind():
        found = bench.read(monitor)
        assert len(found) <= 11
        assert is_readable(monitor) or not monitor.is_behind()
        reported += found
        reads += 1
    assert reads >= 5
    assert sorted(reported[:-1]) == sorted(["Create src/new/", *(f"Create src/new/{number}" for number in range(50))])
    assert reported[-1] == "Create src/after"
    assert not is_readable(monitor)


def test_what_went_to_and_fro_is_reported_in_slices(bench: Bench) -> None:
    monitor = bench.watching(most=5)
    for number in range(20):
        (bench.top / f"src/{number}").touch()
        bench.world.rename(f"src/{number}", f"src/x{number}")
        bench.world.rename(f"src/x{number}", f"src/{number}")
    reported: list[str] = []
    while not reported or monitor.is_behind():
        found = bench.read(monitor)
        assert len(found) <= 7
        reported += found
    assert {f"Create src/{number}" for number in range(20)} <= set(reported)


def chain(world: FanotifyWorld, top: str, times: int) -> None:
    """A directory renamed on and on."""
    for number in range(times):
        world.rename(f"{top}/d{number}", f"{top}/d{number + 1}")


def test_a_paused_source_is_passed_over_without_being_looked_at(bench: Bench) -> None:
    (bench.top / "src/d0").mkdir()
    monitor = bench.watching("CloseWrite", "src/", "other/")
    monitor.pause(bench.src)
    chain(bench.world, "src", 5)
    bench.world.create("other/f")
    assert bench.read(monitor) == ["Create other/f"]
    assert (monitor.lost_roots(), monitor.watched()) == ([], [bench.path("other/")])
    looks = bench.world.looks
    os.rename(bench.top / "src/d5", bench.top / "src/d0")
    chain(bench.world, "src", 50)
    bench.world.create("src/f")
    bench.world.write("src/f")
    assert bench.read(monitor) == []
    assert bench.world.looks == looks
    monitor.resume(bench.src)
    bench.world.write("src/f")
    assert bench.read(monitor) == ["Modify src/f"]


def test_what_leaves_a_paused_source_or_comes_there_is_reported(bench: Bench) -> None:
    monitor = bench.watching("CloseWrite", "src/", "other/")
    monitor.pause(bench.src)
    bench.world.create("src/f")
    bench.read(monitor)
    bench.world.rename("src/f", "other/f")
    assert bench.read(monitor) == ["Create other/f"]
    bench.world.rename("other/f", "src/f")
    assert bench.read(monitor) == ["Delete other/f"]
    bench.world.rename("src/d", "other/d")
    bench.world.create("other/d/g")
    assert bench.read(monitor)[-1] == "Create other/d/g"


def test_pausing_forgets_what_was_to_be_looked_at_again(bench: Bench) -> None:
    monitor = bench.watching("CloseWrite", "src/", most=3)
    for number in range(20):
        (bench.top / f"src/{number}").touch()
        bench.world.rename(f"src/{number}", f"src/x{number}")
        bench.world.rename(f"src/x{number}", f"src/{number}")
    monitor.read()
    assert monitor.is_behind()
    monitor.pause(bench.src)
    while monitor.is_behind():
        assert all(change.startswith("Move") for change in bench.read(monitor))


def test_a_source_that_is_gone_in_its_pause_is_lost_afterwards(bench: Bench) -> None:
    monitor = bench.watching()
    monitor.pause(bench.src)
    (bench.top / "src/d").rmdir()
    (bench.top / "src").rmdir()
    monitor.read()
    assert monitor.lost_roots() == []
    monitor.resume(bench.src)
    assert monitor.lost_roots() == [bench.src]
    (bench.top / "src").mkdir()
    monitor.read()
    assert (monitor.lost_roots(), monitor.returned_roots()) == ([], [bench.src])
    bench.world.create("src/f")
    assert bench.read(monitor) == ["Create src/f"]


def test_events_that_were_lost(bench: Bench) -> None:
    monitor = bench.watching()
    bench.world.overflow()
    monitor.read()
    assert monitor.overflowed
    monitor.overflowed = False
    monitor.rescan()
    bench.world.create("src/f")
    assert (bench.read(monitor), monitor.overflowed) == (["Create src/f"], False)


def test_what_does_not_fit_into_memory_counts_as_lost(bench: Bench) -> None:
    monitor = bench.watching(held=6000)
    for number in range(100):
        bench.world.create(f"src/{number}")
    monitor.drain()
    assert is_readable(monitor)
    monitor.read()
    assert monitor.overflowed
    monitor.overflowed = False
    bench.world.write("src/0")
    assert (bench.read(monitor), monitor.overflowed) == (["Modify src/0"], False)


def test_sources_may_change_between_two_slices_of_a_batch(bench: Bench) -> None:
    monitor = bench.watching("CloseWrite", "src/", "other/", most=1)
    for number in range(5):
        (bench.top / f"out/{number}").touch()
    bench.world.rename("out", "src/new")
    bench.world.create("src/d/f")
    bench.world.rename("src/d", "src/e")  # of which the batch knows
    reported = bench.read(monitor)
    monitor.pause(bench.path("other/"))
    while monitor.is_behind():
        reported += bench.read(monitor)
    assert reported[-2:] == ["Create src/d/f", "Move src/d/ src/e/"]


def test_taking_ends_though_somebody_fills_the_queue_faster() -> None:
    pieces = iter([b"x" * 65536] * 1000)
    backlog = Backlog(lambda: next(pieces), 1 << 20)  # StopIteration: it goes on for ever
    assert backlog.fill()
    assert backlog.has_dropped()


def test_only_directories_that_do_not_hold_a_source_are_outside(bench: Bench) -> None:
    directories = Directories(bench.world, lambda _: True)  # type: ignore[arg-type]
    directories.see([bench.path("out/deep/")], {FILE_SYSTEM: [bench.path("out/deep/")]})
    (bench.top / "out/deep/inside").mkdir(parents=True)

    def key(name: str) -> bytes:
        return FILE_SYSTEM + pack("=Ii", 8, 1) + os.stat(bench.top / name).st_ino.to_bytes(8, "little")

    found = {name: directories.find(key(name)) for name in ("", "out", "out/deep", "out/deep/inside", "src", "src/d")}
    assert {name for name, paths in found.items() if paths} == {"out/deep", "out/deep/inside"}
    assert directories.outside == {key("src"), key("src/d")}
    directories.forget()
    assert directories.outside == set()


# ---- sources and mounts -------------------------------------------------------------------------------


def test_a_source_is_watched_as_long_as_somebody_wants_it(bench: Bench) -> None:
    monitor = bench.watching()
    assert monitor.watched() == [bench.src]
    assert list(bench.world.marked.values()) == [bench.src]
    monitor.unwatch(bench.src)
    assert (monitor.watched(), bench.world.marked) == ([], {})
    bench.world.create("src/f")
    assert bench.read(monitor) == []


def test_what_is_mounted_below_is_watched_too_where_it_can_be(bench: Bench) -> None:
    (bench.top / "src/closed").mkdir()
    bench.world.table.append(Mount(2, bench.path("src/d/"), "xfs"))
    bench.world.refuse(bench.path("src/closed/"), OSError(errno.EOPNOTSUPP, ""))
    monitor = bench.watching()
    assert set(bench.world.marked) == {b"filesys1", b"filesys2"}
    handle = os.stat(bench.top / "src/d").st_ino.to_bytes(8, "little")
    (bench.top / "src/d/f").touch()
    bench.world.say(event(CLOSE_WRITE, record(2, handle, b"f", b"filesys2")))
    assert bench.read(monitor) == ["Modify src/d/f"]
    monitor.rescan()
    reason = "the file system has no file handles"
    assert bench.said == [f"Warn: changes below {bench.top}/src/closed/ (odd) go unnoticed by fanotify: {reason}."]
    del bench.world.table[1:]
    monitor.rescan()
    assert set(bench.world.marked) == {b"filesys1"}


REFUSALS: dict[str, tuple[Callable[[Bench], None], str]] = {
    "the file system": (
        lambda bench: bench.world.refuse(bench.src, OSError(errno.ENODEV, "")),
        r' for .*/src/ \(odd\): the file system has no identity\. The monitor "inotify" needs none of this\.$',
    ),
    "no table of mounts": (
        lambda bench: setattr(bench.world, "table_error", OSError(errno.EACCES, "Permission denied")),
        r'"fanotify" cannot be used: Permission denied\.',
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_source_that_cannot_be_watched_is_refused_and_nothing_is_left(bench: Bench, refusal: str) -> None:
    monitor = bench.watching("CloseWrite", "other/")
    refuse, reason = REFUSALS[refusal]
    refuse(bench)
    with pytest.raises(MonitorError, match=reason):
        monitor.watch(bench.src)
    bench.world.table_error = None
    assert monitor.watched() == [bench.path("other/")]
    assert (monitor.lost_roots(), monitor.returned_roots()) == ([], [])


def test_a_kernel_without_fanotify_and_a_mode_that_there_is_not() -> None:
    def refuse() -> Kernel:
        raise OSError(errno.EPERM, "")

    with pytest.raises(MonitorError, match="CAP_SYS_ADMIN"):
        FanotifyMonitor("CloseWrite", lambda _: True, lambda *_: None, make_kernel=refuse)
    with pytest.raises(MonitorError, match="not a valid"):
        FanotifyMonitor("OpenWrite", lambda _: True, lambda *_: None, make_kernel=refuse)


def test_the_plugin_names_its_monitor() -> None:
    (kind,) = orchestrator_monitors()
    assert kind.name == "fanotify"
    with pytest.raises(MonitorError):  # what the right mode makes needs rights
        kind.make("OpenWrite", lambda _: True, lambda *_: None)
