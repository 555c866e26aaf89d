"""From what the kernel says to changes (spec 3.1), on a world in memory."""

from __future__ import annotations

import errno

import pytest

from orchestrator.errors import MonitorError
from orchestrator.logic.change import Change
from orchestrator.monitor.inotify import InotifyMonitor
from orchestrator.monitor.kernel import CLOSE_WRITE, MODIFY
from tests.kit.kernel import World


class Bench:
    """A world with /src/d and /out, watched from /src."""

    def __init__(self, *, mode: str = "CloseWrite", unwanted: tuple[bytes, ...] = ()) -> None:
        self.world = World()
        self.logged: list[tuple[str, str]] = []
        self.asked: list[bytes] = []
        self.unwanted = set(unwanted)
        for path in (b"/src", b"/src/d", b"/out"):
            self.world.mkdir(path)
        self.monitor = InotifyMonitor(
            mode, self.wants, lambda *entry: self.logged.append(entry), make_kernel=lambda _: self.world
        )
        self.monitor.watch(b"/src/")
        self.monitor.read()

    def wants(self, path: bytes) -> bool:
        self.asked.append(path)
        return path not in self.unwanted

    def read(self) -> list[tuple[str, ...] | tuple[bytes, ...]]:
        """The changes, without the None of those that are no Moves."""
        return [tuple(part for part in change if part is not None) for change in self.monitor.read()]


@pytest.mark.parametrize(
    ("do", "reported"),
    [
        (lambda w: w.create(b"/src/f"), [("Create", b"/src/f"), ("Modify", b"/src/f")]),
        (lambda w: w.mkdir(b"/src/n"), [("Create", b"/src/n/")]),
        (lambda w: w.chmod(b"/src/d"), [("Attrib", b"/src/d/")]),
        (lambda w: w.rmdir(b"/src/d"), [("Delete", b"/src/d/")]),
        (lambda w: w.rename(b"/src/d", b"/src/e"), [("Move", b"/src/d/", b"/src/e/")]),
        (lambda w: w.rename(b"/src/d", b"/out/d"), [("Delete", b"/src/d/")]),
        (lambda w: w.rename(b"/out", b"/src/out"), [("Create", b"/src/out/")]),
    ],
)
def test_each_kind_of_event_is_one_change(do: object, reported: list[object]) -> None:
    bench = Bench()
    do(bench.world)  # type: ignore[operator]
    assert bench.read() == reported


def test_files_are_moved_in_and_out_and_around() -> None:
    bench = Bench()
    bench.world.create(b"/src/f")
    bench.world.create(b"/out/g")
    bench.read()
    bench.world.rename(b"/src/f", b"/src/d/f")
    bench.world.rename(b"/src/d/f", b"/out/f")
    bench.world.rename(b"/out/g", b"/src/g")
    assert bench.read() == [("Move", b"/src/f", b"/src/d/f"), ("Delete", b"/src/d/f"), ("Create", b"/src/g")]


@pytest.mark.parametrize("piece", [16, 48, 100, 65536])
def test_a_move_is_found_together_wherever_a_read_ends(piece: int) -> None:
    bench = Bench()
    bench.world.create(b"/src/f")
    bench.read()
    bench.world.piece = max(piece, 32)
    bench.world.write(b"/src/f")
    bench.world.rename(b"/src/f", b"/src/g")
    bench.world.rename(b"/src/g", b"/src/h")
    assert bench.read() == [
        ("Modify", b"/src/f"),
        ("Move", b"/src/f", b"/src/g"),
        ("Move", b"/src/g", b"/src/h"),
    ]


def test_the_halves_of_a_move_are_found_though_others_come_in_between() -> None:
    bench = Bench()
    bench.world.create(b"/src/f")
    bench.world.create(b"/src/d/other")
    bench.read()
    bench.world.rename(b"/src/f", b"/src/g")
    moved_to = bench.world.queue.pop()
    bench.world.write(b"/src/d/other")
    bench.world.queue.append(moved_to)
    assert bench.read() == [("Move", b"/src/f", b"/src/g"), ("Modify", b"/src/d/other")]


def test_what_a_new_directory_holds_already_is_reported_parents_first() -> None:
    bench = Bench()
    bench.world.mkdir(b"/src/n")
    bench.world.create(b"/src/n/f")
    bench.world.mkdir(b"/src/n/m")
    bench.world.create(b"/src/n/m/g")
    assert bench.read() == [
        ("Create", b"/src/n/"),
        ("Create", b"/src/n/f"),
        ("Create", b"/src/n/m/"),
        ("Create", b"/src/n/m/g"),
    ]
    bench.world.create(b"/src/n/m/h")
    assert bench.read() == [("Create", b"/src/n/m/h"), ("Modify", b"/src/n/m/h")]


def test_a_directory_found_by_reading_its_parent_is_not_reported_twice() -> None:
    bench = Bench()
    bench.world.mkdir(b"/src/n")
    calls = iter([lambda: bench.world.mkdir(b"/src/n/m")])

    def after_the_watch() -> None:
        if bench.world.calls[-1] == "entries":
            next(calls, lambda: None)()

    bench.world.between = after_the_watch
    assert bench.read() == [("Create", b"/src/n/"), ("Create", b"/src/n/m/")]


def test_a_renamed_directory_keeps_its_watches_and_gives_its_new_name() -> None:
    bench = Bench()
    bench.world.mkdir(b"/src/d/e")
    bench.read()
    watched = bench.world.watched_inodes()
    bench.world.rename(b"/src/d", b"/src/z")
    bench.world.create(b"/src/z/e/f", close=False)
    assert bench.read() == [("Move", b"/src/d/", b"/src/z/"), ("Create", b"/src/z/e/f")]
    assert bench.world.watched_inodes() == watched
    assert bench.monitor.contents(b"/src/z/") == [Change("Create", b"/src/z/e/"), Change("Create", b"/src/z/e/f")]


def test_a_directory_moved_out_is_unwatched_with_all_below_it() -> None:
    bench = Bench()
    bench.world.mkdir(b"/src/d/e")
    bench.read()
    bench.world.rename(b"/src/d", b"/out/d")
    assert bench.read() == [("Delete", b"/src/d/")]
    bench.world.create(b"/out/d/e/f")
    assert bench.read() == []
    assert bench.monitor.watched() == [b"/src/"]
    assert bench.world.watched_inodes() == 2  # the source, and the directory above it


def test_unwanted_directories_are_asked_about_once_and_not_watched() -> None:
    bench = Bench(unwanted=(b"/src/d/",))
    bench.world.create(b"/src/d/f")
    assert bench.read() == []
    assert bench.asked == [b"/src/d/"]
    assert bench.monitor.watched() == [b"/src/"]


def test_renaming_to_and_from_an_unwanted_name() -> None:
    bench = Bench(unwanted=(b"/src/cache/",))
    bench.world.create(b"/src/d/f")
    bench.read()
    bench.world.rename(b"/src/d", b"/src/cache")
    bench.world.create(b"/src/cache/g")
    assert bench.read() == [("Move", b"/src/d/", b"/src/cache/")]
    assert bench.monitor.watched() == [b"/src/"]
    bench.world.rename(b"/src/cache", b"/src/e")
    reported = bench.read()
    assert reported[0] == ("Move", b"/src/cache/", b"/src/e/")
    assert {("Create", b"/src/e/f"), ("Create", b"/src/e/g")} <= set(reported)
    assert bench.monitor.watched() == [b"/src/", b"/src/e/"]


@pytest.mark.parametrize(
    ("mode", "content"),
    [
        ("CloseWrite", CLOSE_WRITE),
        ("Modify", MODIFY),
        ("CloseWrite or Modify", CLOSE_WRITE | MODIFY),
        ("CloseWrite only", CLOSE_WRITE),
    ],
)
def test_inotify_mode_says_what_the_kernel_is_asked_for(mode: str, content: int) -> None:
    asked: list[int] = []

    def make(flags: int) -> World:
        asked.append(flags)
        return World()

    InotifyMonitor(mode, lambda _: True, lambda *_: None, make_kernel=make)
    assert asked == [content]


def test_an_unknown_inotify_mode_is_an_error() -> None:
    with pytest.raises(MonitorError) as error:
        InotifyMonitor("Closed", lambda _: True, lambda *_: None)
    assert str(error.value) == "'Closed' not a valid inotfiyMode."


def test_close_write_only_waits_until_a_file_is_written() -> None:
    bench = Bench(mode="CloseWrite only")
    bench.world.create(b"/src/upload", close=False)
    assert bench.read() == []
    bench.world.write(b"/src/upload")
    assert bench.read() == [("Modify", b"/src/upload")]


def test_close_write_only_reports_at_once_what_nobody_will_close() -> None:
    bench = Bench(mode="CloseWrite only")
    bench.world.create(b"/out/whole")
    bench.world.create(b"/src/fifo", regular=False, close=False)
    bench.world.link(b"/out/whole", b"/src/link")
    bench.world.rename(b"/out/whole", b"/src/whole")
    bench.world.mkdir(b"/src/n")
    assert bench.read() == [
        ("Create", b"/src/fifo"),
        ("Create", b"/src/link"),
        ("Create", b"/src/whole"),
        ("Create", b"/src/n/"),
    ]


def test_out_of_watches_ends_the_daemon_with_lsyncds_words() -> None:
    world = World(limit=3)
    for path in (b"/src", b"/src/a", b"/src/b", b"/src/c"):
        world.mkdir(path)
    monitor = InotifyMonitor("CloseWrite", lambda _: True, lambda *_: None, make_kernel=lambda _: world)
    with pytest.raises(MonitorError) as error:
        monitor.watch(b"/src/")
    assert str(error.value) == (
        "Terminating since out of inotify watches.\nConsider increasing /proc/sys/fs/inotify/max_user_watches"
    )


def test_a_directory_that_was_refused_is_tried_again_when_its_attributes_change() -> None:
    bench = Bench()
    bench.world.mkdir(b"/out/n")
    bench.world.create(b"/out/n/f")
    bench.world.chmod(b"/out/n", closed=True)
    bench.world.rename(b"/out/n", b"/src/n")
    assert bench.read() == [("Create", b"/src/n/")]
    assert [category for category, message in bench.logged if "/src/n/: Permission denied" in message] == ["Warn"]
    bench.world.chmod(b"/src/n", closed=False)
    assert bench.read() == [("Attrib", b"/src/n/"), ("Create", b"/src/n/"), ("Create", b"/src/n/f")]
    assert b"/src/n/" in bench.monitor.watched()


def test_what_cannot_be_read_for_want_of_descriptors_is_read_later() -> None:
    bench = Bench()
    bench.world.mkdir(b"/src/n")
    bench.world.create(b"/src/n/f")
    bench.world.shortage = OSError(errno.EMFILE, "Too many open files")
    assert not bench.monitor.has_shortage()
    assert bench.read() == [("Create", b"/src/n/")]
    assert bench.read() == []
    assert bench.monitor.has_shortage(), "or nobody would read again"
    bench.world.shortage = None
    assert bench.read() == [("Create", b"/src/n/f")]
    assert not bench.monitor.has_shortage()
    assert bench.logged == [
        ("Warn", "Cannot read /src/n/: Too many open files. Trying again."),
        ("Normal", "All directories could be read now."),
    ]


def test_after_an_overflow_a_rescan_finds_what_is_there() -> None:
    bench = Bench()
    bench.world.mkdir(b"/src/n")
    bench.world.mkdir(b"/src/n/m")
    bench.world.rename(b"/src/d", b"/out/d")
    bench.world.overflow()
    assert bench.read() == []
    assert bench.monitor.overflowed
    bench.monitor.overflowed = False
    bench.monitor.rescan()
    assert bench.read() == []
    assert sorted(bench.monitor.watched()) == [b"/src/", b"/src/n/", b"/src/n/m/"]
    bench.world.create(b"/src/n/m/f", close=False)
    assert bench.read() == [("Create", b"/src/n/m/f")]
    assert not bench.monitor.overflowed


def test_a_rescan_goes_by_the_filters_of_the_day() -> None:
    bench = Bench(unwanted=(b"/src/d/",))
    bench.world.mkdir(b"/src/e")
    bench.read()
    bench.unwanted = {b"/src/e/"}
    bench.monitor.rescan()
    assert bench.monitor.watched() == [b"/src/", b"/src/d/"]
    assert bench.monitor.count_watched() == 2


def test_events_come_in_while_a_big_tree_is_being_watched() -> None:
    world = World()
    world.mkdir(b"/src")
    for number in range(2500):
        world.mkdir(b"/src/%d" % number)
    reported: list[int] = []
    monitor = InotifyMonitor("CloseWrite", lambda _: True, lambda *_: None, make_kernel=lambda _: world)
    reads: list[int] = []

    def progress(directories: int) -> None:
        reported.append(directories)
        reads.append(world.calls.count("read"))

    monitor.watch(b"/src/", progress)
    assert reported == [1000, 2000]
    assert reads[0] >= 20  # a disk may take long for a directory


def test_one_call_into_the_kernel_to_watch_and_one_to_read_each_directory() -> None:
    world = World()
    world.mkdir(b"/src")
    for number in range(100):
        world.mkdir(b"/src/%d" % number)
    monitor = InotifyMonitor("CloseWrite", lambda _: True, lambda *_: None, make_kernel=lambda _: world)
    monitor.watch(b"/src/")
    assert world.calls.count("entries") == 101
    assert world.calls.count("watch") < 101 + 10  # those above the source, and a look whether all is well


def test_what_was_drained_early_makes_the_descriptor_readable() -> None:
    bench = Bench()
    bench.world.create(b"/src/f", close=False)
    bench.monitor.drain()
    assert bench.world.is_awake
    assert bench.read() == [("Create", b"/src/f")]
    assert not bench.world.is_awake


def test_the_same_directory_mounted_twice_is_watched_once_and_said_so() -> None:
    bench = Bench()
    bench.world.mkdir(b"/src/twin")
    entries = bench.world.find(b"/src").entries
    assert entries is not None
    entries[b"twin"] = bench.world.find(b"/src/d")
    bench.read()
    assert [m for c, m in bench.logged if c == "Warn"] == [
        "/src/twin/ is the same directory as /src/d/: changes are seen there only."
    ]
    bench.world.create(b"/src/d/f", close=False)
    assert bench.read() == [("Create", b"/src/d/f")]


def test_what_is_mounted_below_a_source_is_watched_and_nothing_is_said_to_be_gone() -> None:
    bench = Bench()
    bench.world.mkdir(b"/src/d/covered")
    bench.world.mkdir(b"/src/e")
    bench.read()
    bench.world.mount(b"/src/d", 7)
    bench.world.mkdir(b"/src/d/x")
    bench.world.create(b"/src/d/x/f", close=False)
    assert bench.read() == [("Attrib", b"/src/d/"), ("Create", b"/src/d/x/"), ("Create", b"/src/d/x/f")]
    assert bench.monitor.watched() == [b"/src/", b"/src/e/", b"/src/d/", b"/src/d/x/"]
    bench.world.create(b"/src/d/x/g", close=False)
    assert bench.read() == [("Create", b"/src/d/x/g")]

    bench.world.unmount(b"/src/d")
    assert bench.read() == [("Attrib", b"/src/d/"), ("Create", b"/src/d/covered/")]
    bench.world.create(b"/src/d/covered/f", close=False)
    assert bench.read() == [("Create", b"/src/d/covered/f")]
    assert bench.world.watched_inodes() == len(bench.monitor.watched()) + 1


def test_a_mount_elsewhere_changes_nothing() -> None:
    bench = Bench()
    calls = len(bench.world.calls)
    bench.world.mount(b"/out", 7)
    assert bench.read() == []
    assert bench.world.calls[calls:].count("entries") == 0
