"""What a run of the native engine does to the target, one case at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import Change
from orchestrator_native.engine import MirrorSpec, mirror, update
from orchestrator_native.memory import Memory
from orchestrator_native.rules import TICK
from tests.kit.mirrors import IS_ROOT, differences
from tests.kit.trees import HOSTILE, Pair, snapshot, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator_native.report import RunReport

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


class World(Pair):
    """A pair of trees, and the engine between them."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.memory = Memory()
        self.stop = threading.Event()

    def startup(self, *, deletes: bool = True, **options: Any) -> RunReport:
        return mirror(MirrorSpec(self.source, self.target, **options), self.memory, self.stop, deletes=deletes)

    def batch(self, *changes: tuple[Any, ...], deletes: bool = True, **options: Any) -> RunReport:
        trees = MirrorSpec(self.source, self.target, **options)
        return update(trees, [Change(*change) for change in changes], self.memory, self.stop, deletes=deletes)

    def assert_equal(self) -> None:
        assert differences(self.source, self.target) == []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def is_in(*names: bytes) -> Callable[[bytes], bool]:
    """Filters that leave out everything of these names, and all below."""
    return lambda path: any(name in path.split(b"/") for name in names)


def read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


# ---- data


def test_hostile_names(world: World) -> None:
    for name in HOSTILE:
        write(world.source + b"files/" + name, name)
        write(world.source + b"directories/" + name + b"/" + name)
    assert world.startup().exit_code == 0
    world.assert_equal()
    changes: list[tuple[Any, ...]] = []
    for name in HOSTILE:
        write(world.source + b"files/" + name, name + b"!")
        os.rename(world.source + b"directories/" + name, world.source + b"directories/new" + name)
        changes += [
            ("Modify", b"/files/" + name),
            ("Move", b"/directories/" + name + b"/", b"/directories/new" + name + b"/"),
        ]
    assert world.batch(*changes).exit_code == 0
    world.assert_equal()
    for name in HOSTILE:
        os.unlink(world.source + b"files/" + name)
    assert world.batch(*[("Delete", b"/files/" + name) for name in HOSTILE]).exit_code == 0
    world.assert_equal()


def test_a_name_of_255_bytes_and_a_path_of_nearly_4096(world: World) -> None:
    deep = world.source
    while len(deep) + 256 < 4000:
        deep += b"d" * 255 + b"/"
    write(deep + b"f" * 60)
    write(world.source + b"\xc3\xa4" * 127)
    assert world.startup().exit_code == 0
    assert snapshot(world.target) == snapshot(world.source)


def test_directories_deeper_than_any_path_come_and_go(world: World) -> None:
    fd = os.open(world.source, os.O_RDONLY)
    for _ in range(450):
        os.mkdir("dddddddddd", dir_fd=fd)
        inner = os.open("dddddddddd", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    assert world.startup().exit_code == 0
    files = subprocess.run(["find", world.target, "-name", "f"], capture_output=True, check=True).stdout
    assert files.count(b"dddddddddd") == 450
    subprocess.run(["rm", "-rf", "--", world.source + b"dddddddddd"], check=True)
    assert world.startup().exit_code == 0
    assert os.listdir(world.target) == []


def test_holes_stay_holes(world: World) -> None:
    with open(world.source + b"sparse", "wb") as file:
        file.write(b"a")
        file.seek(40 << 20)
        file.write(b"b")
        file.truncate(80 << 20)
    assert world.startup().exit_code == 0
    status = os.stat(world.target + b"sparse")
    assert status.st_size == 80 << 20
    assert status.st_blocks * 512 < 1 << 20
    world.assert_equal()


def test_times_to_the_nanosecond(world: World) -> None:
    write(world.source + b"d/f")
    os.symlink("f", world.source + b"d/l")
    for number, name in enumerate([b"d/f", b"d/l", b"d"]):
        os.utime(world.source + name, ns=(0, 10**18 + 123456780 + number), follow_symlinks=False)
    world.startup()
    for name in (b"d/f", b"d/l", b"d"):
        assert os.lstat(world.target + name).st_mtime_ns == os.lstat(world.source + name).st_mtime_ns


def test_a_file_is_never_seen_half_written(world: World) -> None:
    """Somebody replaces a large file all the time, somebody else reads the target all the time."""
    size = 3 << 20
    path, copy = world.source + b"f", world.target + b"f"
    write(path, b"0" * size)
    assert world.startup().exit_code == 0
    done = threading.Event()
    torn: list[int] = []

    def replace() -> None:
        for number in range(1, 40):
            write(world.source + b".new", b"%d" % (number % 10) * size)
            os.rename(world.source + b".new", path)
        done.set()

    def look() -> None:
        while not done.is_set():
            data = read(copy)
            if len(data) != size or data.count(data[:1]) != size:
                torn.append(len(data))

    threads = [threading.Thread(target=replace), threading.Thread(target=look)]
    for thread in threads:
        thread.start()
    while not done.is_set():
        assert world.batch(("Modify", b"/f"), ("Delete", b"/.new")).exit_code == 0
    for thread in threads:
        thread.join()
    assert torn == []
    assert world.batch(("Modify", b"/f"), ("Delete", b"/.new")).exit_code == 0
    assert snapshot(world.target) == snapshot(world.source)


def test_a_file_written_into_while_it_is_copied_arrives_in_the_end(world: World) -> None:
    path = world.source + b"f"
    write(path, b"a" * (4 << 20))
    done = threading.Event()

    def scribble() -> None:
        with open(path, "r+b", buffering=0) as file:
            for number in range(3000):
                file.seek(number * 997)
                file.write(b"%d" % number)
        done.set()

    thread = threading.Thread(target=scribble)
    thread.start()
    while not done.is_set():
        assert world.batch(("Modify", b"/f")).exit_code == 0
    thread.join()
    assert world.batch(("Modify", b"/f")).exit_code == 0
    assert read(world.target + b"f") == read(path)


def test_same_size_and_time_but_written_to(world: World) -> None:
    """A Modify says that there was a write; equal size and time prove nothing then."""
    write(world.source + b"f", b"one")
    world.startup()
    status = os.stat(world.source + b"f")
    time.sleep(0.05)
    write(world.source + b"f", b"two")
    os.utime(world.source + b"f", ns=(status.st_atime_ns, status.st_mtime_ns))
    world.batch(("Modify", b"/f"))
    assert read(world.target + b"f") == b"two"


def test_two_writes_within_one_tick_of_the_clock(world: World) -> None:
    """A target finished that close to the source's last change is not trusted at the next startup."""
    for _ in range(200):
        write(world.source + b"f", b"one")
        now = time.time_ns()
        os.utime(world.source + b"f", ns=(now, now))
        world.startup()
        if os.stat(world.target + b"f").st_ctime_ns - now < TICK:
            break  # on a busy machine it takes a few tries to be that close
    write(world.source + b"f", b"two")
    os.utime(world.source + b"f", ns=(now, now))
    world.startup()
    assert read(world.target + b"f") == b"two"


def test_files_that_come_and_go_meanwhile_are_no_trouble(world: World) -> None:
    for number in range(300):
        write(world.source + b"d%d/f%d" % (number % 10, number))
    done = threading.Event()

    def churn() -> None:
        number = 0
        while not done.is_set():
            number = (number + 7) % 300
            path = world.source + b"d%d/f%d" % (number % 10, number)
            os.unlink(path)
            if number % 2:
                os.mkdir(path)
                os.rmdir(path)
            write(path, b"new")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(10):
            report = world.startup()
            assert report.exit_code == 0, report.lines()
    finally:
        done.set()
        thread.join()
    assert world.startup().exit_code == 0
    assert snapshot(world.target) == snapshot(world.source)


# ---- links, out of the tree and within


def test_a_symlink_planted_in_the_target_leads_nowhere(world: World) -> None:
    outside = world.root + b"/outside"
    os.mkdir(outside)
    write(outside + b"/keep", b"precious")
    write(world.source + b"d/keep", b"data")
    write(world.source + b"d/deep/f", b"data")
    os.symlink(outside, world.target + b"d")
    assert world.startup().exit_code == 0
    world.assert_equal()
    os.rename(world.target + b"d", world.target + b"old")
    os.symlink(outside, world.target + b"d")
    assert (
        world.batch(
            ("Modify", b"/d/keep"), ("Delete", b"/d/gone"), ("Modify", b"/d/deep/f"), ("Delete", b"/old/")
        ).exit_code
        == 0
    )
    world.assert_equal()
    os.unlink(world.source + b"d/keep")
    os.rename(world.target + b"d", world.target + b"old")
    os.symlink(outside, world.target + b"d")
    assert world.batch(("Delete", b"/d/keep")).exit_code == 0
    assert snapshot(outside) == {b"keep": b"precious"}


def test_a_symlink_planted_on_a_file_leads_nowhere(world: World) -> None:
    outside = world.root + b"/outside"
    write(outside, b"precious")
    os.chmod(outside, 0o600)
    write(world.source + b"f", b"data")
    os.symlink(outside, world.target + b"f")
    world.startup()
    world.assert_equal()
    os.unlink(world.target + b"f")
    os.symlink(outside, world.target + b"f")
    os.chmod(world.source + b"f", 0o777)
    world.batch(("Attrib", b"/f"))
    world.assert_equal()
    assert read(outside) == b"precious"
    assert stat.S_IMODE(os.stat(outside).st_mode) == 0o600


def test_a_symlink_put_in_place_of_a_source_directory_is_not_followed(world: World) -> None:
    outside = world.root + b"/outside"
    write(outside + b"/secret", b"secret")
    write(world.source + b"d/f")
    world.startup()
    os.unlink(world.source + b"d/f")
    os.rmdir(world.source + b"d")
    os.symlink(outside, world.source + b"d")
    assert world.batch(("Create", b"/d/secret"), ("Modify", b"/d/"), ("Create", b"/d")).exit_code == 0
    assert snapshot(world.target) == {b"d": b"-> " + outside}


def test_a_swarm_of_swaps_between_directory_and_symlink_never_writes_outside(world: World) -> None:
    """Somebody with write access to the target plays against us all the time."""
    outside = world.root + b"/outside"
    os.mkdir(outside)
    for number in range(50):
        write(world.source + b"d/e/f%d" % number, b"%d" % number)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            try:
                os.rename(world.target + b"d/e", world.target + b"d/aside")
                os.symlink(outside, world.target + b"d/e")
                os.unlink(world.target + b"d/e")
                os.rename(world.target + b"d/aside", world.target + b"d/e")
            except OSError:
                continue

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for number in range(60):
            write(world.source + b"d/e/f%d" % (number % 50), b"again %d" % number)
            world.batch(*[("Modify", b"/d/e/f%d" % number) for number in range(50)], ("Delete", b"/d/e/gone"))
            world.startup()
    finally:
        done.set()
        thread.join()
    assert os.listdir(outside) == []
    assert world.startup().exit_code == 0
    world.assert_equal()


def test_a_write_under_one_name_reaches_all_names_of_a_file(world: World) -> None:
    write(world.source + b"a/one", b"old")
    write(world.source + b"b/other")
    world.startup()
    os.link(world.source + b"a/one", world.source + b"b/two")
    assert world.batch(("Create", b"/b/two")).exit_code == 0
    world.assert_equal()
    write(world.source + b"b/two", b"new!")
    assert world.batch(("Modify", b"/b/two")).exit_code == 0
    world.assert_equal()
    assert os.path.samefile(world.target + b"a/one", world.target + b"b/two")
    write(world.source + b"b/two", b"newer")
    os.unlink(world.source + b"b/two")
    assert world.batch(("Delete", b"/b/two")).exit_code == 0
    world.assert_equal()


def test_files_linked_on_the_target_only_are_taken_apart(world: World) -> None:
    write(world.source + b"a", b"same")
    write(world.source + b"b", b"same")
    os.chmod(world.source + b"b", 0o600)
    status = os.stat(world.source + b"a")
    os.utime(world.source + b"b", ns=(0, status.st_mtime_ns))
    world.startup()
    os.unlink(world.target + b"b")
    os.link(world.target + b"a", world.target + b"b")
    world.startup()
    world.startup()
    world.assert_equal()


def test_without_hard_links_each_name_is_a_file(world: World) -> None:
    write(world.source + b"a")
    os.link(world.source + b"a", world.source + b"b")
    world.startup(hard_links=False)
    assert not os.path.samefile(world.target + b"a", world.target + b"b")


# ---- what becomes something else, what is extra


def test_changes_of_type(world: World) -> None:
    def make(path: bytes, kind: int) -> None:
        if kind == 0:
            write(path)
        elif kind == 1:
            os.makedirs(path + b"/inner")
            write(path + b"/inner/f")
        elif kind == 2:
            os.symlink("away", path)
        else:
            os.mkfifo(path)

    pairs = [(old, new) for old in range(4) for new in range(4)]
    for how in ("startup", "batch"):
        for old, new in pairs:
            make(world.target + b"%s%d%d" % (how.encode(), old, new), old)
            make(world.source + b"%s%d%d" % (how.encode(), old, new), new)
        if how == "startup":
            assert world.startup().exit_code == 0
        else:
            names = [b"/batch%d%d" % pair + (b"/" if pair[1] == 1 else b"") for pair in pairs]
            assert world.batch(*[("Create", name) for name in names]).exit_code == 0
        world.assert_equal()


def test_without_deletes_extras_stay_and_old_names_too(world: World) -> None:
    write(world.source + b"a", b"a")
    write(world.target + b"extra/f")
    world.startup(deletes=False)
    os.rename(world.source + b"a", world.source + b"b")
    world.batch(("Move", b"/a", b"/b"), deletes=False)
    assert snapshot(world.target) == {b"a": b"a", b"b": b"a", b"extra": None, b"extra/f": b"data"}


def test_a_directory_in_the_way_is_not_emptied_at_startup_without_deletes(world: World) -> None:
    write(world.source + b"x")
    write(world.source + b"y")
    write(world.target + b"x/f")
    report = world.startup(deletes=False)
    assert report.exit_code == 23
    assert report.paths() == ["x"]
    assert snapshot(world.target) == {b"x": None, b"x/f": b"data", b"y": b"data"}


def test_what_is_excluded_is_neither_brought_nor_removed(world: World) -> None:
    excluded = is_in(b"no")
    for name in (b"no", b"d/no/f", b"d/f"):
        write(world.source + name)
    for name in (b"old/no/g", b"old/f", b"d/gone/no", b"d/gone/f"):
        write(world.target + name)
    assert world.startup(excluded=excluded).exit_code == 0
    assert sorted(snapshot(world.target)) == [
        b"d", b"d/f", b"d/gone", b"d/gone/no", b"old", b"old/no", b"old/no/g",
    ]  # fmt: skip
    assert (
        world.batch(("Delete", b"/old/"), ("Create", b"/d/no/f"), ("Create", b"/d/"), excluded=excluded).exit_code == 0
    )
    assert sorted(snapshot(world.target)) == [
        b"d", b"d/f", b"d/gone", b"d/gone/no", b"old", b"old/no", b"old/no/g",
    ]  # fmt: skip


def test_temporary_files_of_a_killed_run_go_at_the_next_startup(world: World) -> None:
    write(world.source + b"f")
    for name in (
        b".f.lsyncd-0123456789abcdef",
        b".lsyncd-0123456789abcdef",
        b".f.lsyncd-0123",
        b"x.lsyncd-0123456789abcdef",
    ):
        write(world.target + name)
    os.mkdir(world.target + b".d.lsyncd-0123456789abcdef")
    world.startup(deletes=False)
    stay = [b".d.lsyncd-0123456789abcdef", b".f.lsyncd-0123", b".lsyncd-0123456789abcdef", b"x.lsyncd-0123456789abcdef"]
    assert sorted(os.listdir(world.target)) == sorted([*stay, b"f"])


def test_a_target_inside_the_source_is_left_out(tmp_path: Path) -> None:
    base = os.fsencode(tmp_path)
    write(base + b"/s/f")
    write(base + b"/s/t/g")
    trees = MirrorSpec(base + b"/s/", base + b"/s/t/")
    for _ in range(2):
        assert mirror(trees, Memory(), threading.Event(), deletes=True).exit_code == 0
    update(trees, [Change("Create", b"/t/f"), Change("Create", b"/t/")], Memory(), threading.Event(), deletes=True)
    assert snapshot(base + b"/s/t") == {b"f": b"data"}


def test_a_source_inside_the_target_is_never_removed(tmp_path: Path) -> None:
    base = os.fsencode(tmp_path)
    write(base + b"/t/x/s/f")
    report = mirror(MirrorSpec(base + b"/t/x/s/", base + b"/t/"), Memory(), threading.Event(), deletes=True)
    assert report.exit_code == 23
    assert read(base + b"/t/x/s/f") == b"data"


# ---- batches


def test_a_move_is_a_rename_on_the_target(world: World) -> None:
    write(world.source + b"d/large", b"x" * (2 << 20))
    os.utime(world.source + b"d/large", (10**9, 10**9))
    world.startup()
    inode = os.stat(world.target + b"d/large").st_ino
    os.rename(world.source + b"d", world.source + b"e")
    assert world.batch(("Move", b"/d/", b"/e/")).exit_code == 0
    assert os.stat(world.target + b"e/large").st_ino == inode
    world.assert_equal()


def test_a_directory_missing_on_the_target_comes_with_all_in_it(world: World) -> None:
    write(world.source + b"a/b/c/f")
    write(world.source + b"a/b/g")
    assert world.batch(("Modify", b"/a/b/c/f")).exit_code == 0
    world.assert_equal()


def test_a_batch_leaves_the_rest_of_the_target_alone(world: World) -> None:
    write(world.source + b"d/f")
    write(world.source + b"d/new")
    write(world.target + b"d/extra")
    write(world.target + b"extra")
    world.batch(("Create", b"/d/f"), ("Attrib", b"/d/"), ("Delete", b"/d/gone"))
    assert sorted(snapshot(world.target)) == [b"d", b"d/extra", b"d/f", b"extra"]


def test_an_unreadable_source_never_counts_as_gone(world: World) -> None:
    """The source's directory cannot be opened: nothing may be deleted for that."""
    world.both(b"f")
    os.rename(world.source, world.root + b"/elsewhere")
    assert world.batch(("Delete", b"/f"), ("Modify", b"/f")).exit_code == 11
    assert world.startup().exit_code == 11
    assert snapshot(world.target) == {b"f": b"data"}


def test_a_source_that_was_replaced_deletes_nothing_until_a_full_run(world: World) -> None:
    """An unmounted disk leaves an empty directory behind."""
    write(world.source + b"f")
    world.startup()
    os.rename(world.source, world.root + b"/unmounted")
    os.mkdir(world.source)
    assert world.batch(("Delete", b"/f")).exit_code == 11
    assert snapshot(world.target) == {b"f": b"data"}
    os.rmdir(world.source)
    os.rename(world.root + b"/unmounted", world.source)
    assert world.batch(("Delete", b"/f")).exit_code == 0
    assert snapshot(world.target) == {b"f": b"data"}


# ---- trouble


def test_the_target_is_made_but_not_what_lies_above_it(world: World) -> None:
    write(world.source + b"f")
    os.rmdir(world.target)
    assert world.startup().exit_code == 0
    world.assert_equal()
    missing = MirrorSpec(world.source, world.root + b"/no/such/")
    assert mirror(missing, Memory(), threading.Event(), deletes=True).exit_code == 11


def test_a_run_that_is_to_stop_does(world: World) -> None:
    write(world.source + b"f")
    world.stop.set()
    assert world.startup().exit_code == 20
    assert world.batch(("Create", b"/f")).exit_code == 20
    assert snapshot(world.target) == {}


def test_a_run_in_full_swing_stops_when_told_and_the_next_one_finishes(world: World) -> None:
    for directory in range(300):
        os.makedirs(world.source + b"%d/%d" % (directory % 20, directory))
        for number in range(3):
            write(world.source + b"%d/%d/%d" % (directory % 20, directory, number))
    for _ in range(3):
        world.stop.clear()
        timer = threading.Timer(0.02, world.stop.set)
        timer.start()
        code = world.startup().exit_code
        timer.join()
        assert code in (0, 20)
        assert not [name for _, _, files in os.walk(world.target) for name in files if b".lsyncd-" in name]
    world.stop.clear()
    assert world.startup().exit_code == 0
    world.assert_equal()


@contextmanager
def script(text: str, *command: str) -> Iterator[subprocess.CompletedProcess[str]]:
    """Run Python code that has the engine at hand, in a world of its own."""
    head = f"import sys; sys.path[:0] = [{TOP!r}, {TOP + '/plugins'!r}]\n"
    code = head + textwrap.dedent(text)
    yield subprocess.run(
        [*command, sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_file_that_does_not_fit_waits_alone_and_a_full_target_is_tried_again(world: World) -> None:
    small, large = world.source + b"small", world.source + b"large"
    write(small, b"s" * 1000)
    write(large, b"l" * (4 << 20))
    namespace = ["unshare", "-m"] if IS_ROOT else ["unshare", "-Urm"]
    text = f"""
        import os, subprocess, threading
        from orchestrator_native.engine import *
        from orchestrator_native.memory import Memory
        source, target = {world.source!r}, {world.target!r}
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", target], check=True)
        def run():
            report = mirror(MirrorSpec(source, target), Memory(), threading.Event(), deletes=False)
            print(report.exit_code, report.paths(), sorted(os.listdir(target)))
        run()
        with open(target + b"filled", "wb", 0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        run()
        subprocess.run(["mount", "-o", "remount,size=9m", target], check=True)
        run()
    """
    with script(text, *namespace) as done:
        assert done.stdout.splitlines() == [
            "23 ['large'] [b'small']",
            "11 ['large'] [b'filled', b'small']",
            "0 [] [b'filled', b'large', b'small']",
        ], done.stderr


def test_parts_that_cannot_be_read_are_told_and_the_rest_goes_on(world: World) -> None:
    """As an ordinary user: directories and files closed even to their owner."""
    for name in (b"a/f", b"closed/f", b"listed/f", b"z/f"):
        write(world.source + name)
    write(world.source + b"b")
    os.chmod(world.source + b"b", 0)
    os.chmod(world.source + b"closed", 0o300)
    os.chmod(world.source + b"listed", 0o500)
    if IS_ROOT:
        for top, directories, files in os.walk(world.root):
            for name in [top, *(top + b"/" + name for name in directories + files)]:
                os.chown(name, 65534, 65534)
    text = f"""
        import os, threading
        from orchestrator_native.engine import *
        from orchestrator_native.memory import Memory
        os.chdir({world.root!r})
        if os.geteuid() == 0:
            os.setgroups([]); os.setgid(65534); os.setuid(65534)
        def run():
            report = mirror(MirrorSpec(b"src/", b"trg/"), Memory(), threading.Event(), deletes=True)
            print(report.exit_code, sorted(report.paths()))
        run(); run()
        os.chmod("src/b", 0o444)
        os.chmod("src/closed", 0o500)
        run(); run()
        os.unlink("src/a/f")
        for name in ("src/closed", "src/listed"):
            os.chmod(name, 0o700)
            os.unlink(name + "/f")
            os.rmdir(name)
        run()
    """
    with script(text) as done:
        assert done.stdout.splitlines() == ["23 ['b', 'closed']"] * 2 + ["0 []"] * 3, done.stderr
    world.assert_equal()


def test_read_only_directories_of_an_ordinary_user(world: World) -> None:
    """As Go keeps its modules: r-xr-xr-x, all the way down; and one that even its owner may not look into."""
    for name in (b"mod/a/f", b"mod/a/g", b"mod/b/old", b"mod/b/deep/f", b"mod/hidden/f", b"other/x"):
        write(world.source + name)
    os.link(world.source + b"mod/a/f", world.source + b"other/f")
    text = f"""
        import os, subprocess, threading
        from orchestrator.api import Change
        from orchestrator_native.engine import *
        from orchestrator_native.memory import Memory
        os.chdir({world.root!r})
        if os.geteuid() == 0:
            for top, directories, files in os.walk("."):
                for name in (top, *(top + "/" + name for name in directories + files)):
                    os.chown(name, 65534, 65534)
            os.setgroups([]); os.setgid(65534); os.setuid(65534)
        closed = ["src/mod/a", "src/mod/b/deep", "src/mod/b", "src/mod/hidden", "src/mod"]
        def close():
            for name in closed:
                os.chmod(name, 0o555)
        def let_in():
            for name in reversed(closed):
                os.chmod(name, 0o755)
        def held(top):
            found = set()
            for directory, _, files in os.walk(top):
                found.add((directory[3:], os.stat(directory).st_mode, os.stat(directory).st_mtime_ns))
                for name in files:
                    with open(directory + "/" + name, "rb") as file:
                        found.add((directory[3:] + "/" + name, os.fstat(file.fileno()).st_nlink, file.read()))
            return found
        memory, stop = Memory(), threading.Event()
        trees = MirrorSpec(b"src/", b"trg/")
        def run(*changes):
            close()
            report = update(trees, [Change(*change) for change in changes], memory, stop, deletes=True)
            print(report.exit_code, report.lines(), held("src") == held("trg"))
            let_in()
        close()
        print(mirror(trees, memory, stop, deletes=True).lines())
        let_in()
        open("src/mod/a/f", "w").write("written")
        open("src/mod/a/new", "w").write("new")
        os.mkdir("src/mod/a/dir")
        open("src/mod/b/large", "wb").write(bytes(3 << 20))
        os.unlink("src/mod/a/g")
        run(("Modify", b"/mod/a/f"), ("Create", b"/mod/a/new"), ("Create", b"/mod/a/dir/"), ("Delete", b"/mod/a/g"),
            ("Create", b"/mod/b/large"), ("Attrib", b"/mod/a/"))
        os.rename("src/mod/b/old", "src/mod/a/old")
        os.rename("src/mod/b/deep", "src/other/deep")
        os.unlink("src/other/x")
        os.link("src/mod/a/new", "src/mod/hidden/link")
        closed[1] = "src/other/deep"
        run(("Move", b"/mod/b/old", b"/mod/a/old"), ("Move", b"/mod/b/deep/", b"/other/deep/"), ("Delete", b"/other/x"),
            ("Create", b"/mod/hidden/link"))
        os.chmod("trg/mod/hidden", 0)
        open("src/mod/hidden/f", "w").write("written")
        run(("Modify", b"/mod/hidden/f"))
        subprocess.run(["rm", "-r", "src/mod/hidden", "src/other/deep"], check=True)
        del closed[1], closed[2]
        run(("Delete", b"/mod/hidden/"), ("Delete", b"/other/deep/"))
        subprocess.run(["rm", "-r", "src/mod"], check=True)
        closed.clear()
        run(("Delete", b"/mod/"))
    """
    with script(text) as done:
        assert done.stdout.splitlines() == ["[]"] + ["0 [] True"] * 5, done.stderr


def test_owners_that_cannot_be_set_are_told_and_no_failure(world: World) -> None:
    """Root of a user name space, which maps no other owners."""
    write(world.source + b"f")
    if IS_ROOT:
        os.chown(world.source + b"f", 5, 5)
    text = f"""
        import threading
        from orchestrator_native.engine import *
        from orchestrator_native.memory import Memory
        for _ in range(2):
            report = mirror(MirrorSpec({world.source!r}, {world.target!r}), Memory(), threading.Event(), deletes=True)
            print(report.exit_code, report.lines())
    """
    told = ["some owners cannot be set on the target"] if IS_ROOT else []
    with script(text, "unshare", "-Ur") as done:
        assert done.stdout.splitlines() == [f"0 {told}"] * 2, done.stderr
    assert read(world.target + b"f") == b"data"


def test_a_target_on_another_file_system(tmp_path: Path) -> None:
    source = World(tmp_path)
    write(source.source + b"f", b"x" * 100_000)
    os.utime(source.source + b"f", (10**9, 10**9))
    with open(source.source + b"sparse", "wb") as file:
        file.truncate(1 << 20)
    assert os.path.isdir("/dev/shm")
    base = b"/dev/shm/native-test-%d" % os.getpid()
    os.mkdir(base)
    try:
        report = mirror(MirrorSpec(source.source, base + b"/t"), Memory(), threading.Event(), deletes=True)
        assert report.exit_code == 0
        assert differences(source.source, base + b"/t") == []
        inode = os.stat(base + b"/t/f").st_ino
        mirror(MirrorSpec(source.source, base + b"/t"), Memory(), threading.Event(), deletes=True)
        assert os.stat(base + b"/t/f").st_ino == inode
    finally:
        subprocess.run(["rm", "-r", "--", base], check=True)


@pytest.mark.parametrize("interpreter", [sys.executable, "/bin/false", "/no/such/program", ""])
def test_a_large_tree_with_few_differences(world: World, interpreter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large enough for other processes to help comparing; without them it goes on by itself."""
    monkeypatch.setattr(sys, "executable", interpreter)
    for directory in range(400):
        os.makedirs(world.source + b"%d/%d" % (directory % 20, directory))
        for number in range(3):
            write(world.source + b"%d/%d/%d" % (directory % 20, directory, number))
    subprocess.run(["cp", "-a", "--", world.source + b".", world.target], check=True)
    old = time.time() - 1000
    write(world.source + b"7/27/2", b"changed")
    os.utime(world.source + b"7/27/2", (old, old))
    write(world.target + b"3/23/extra")
    os.unlink(world.target + b"5/385/1")
    assert world.startup().exit_code == 0
    world.assert_equal()
