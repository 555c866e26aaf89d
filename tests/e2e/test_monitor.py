"""The inotify monitor on real kernel events."""

from __future__ import annotations

import fcntl
import os
import random
import select
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.monitor.inotify import InotifyMonitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.logic.change import Change

DEADLINE = 30.0


@contextmanager
def watching(*roots: Path, mode: str = "CloseWrite", unwanted: tuple[bytes, ...] = ()) -> Iterator[InotifyMonitor]:
    monitor = InotifyMonitor(mode, lambda path: path not in unwanted, lambda *_: None)
    try:
        for root in roots:
            monitor.watch(os.fsencode(root) + b"/")
        assert monitor.read() == []
        yield monitor
    finally:
        monitor.close()


def wait_readable(monitor: InotifyMonitor, timeout: float = DEADLINE) -> bool:
    return bool(select.select([monitor], [], [], timeout)[0])


def read_until(monitor: InotifyMonitor, is_done: Callable[[list[Change]], object]) -> list[Change]:
    """Reads, sleeping while there is nothing, until it is enough."""
    changes: list[Change] = []
    end = time.monotonic() + DEADLINE
    while not is_done(changes):
        assert wait_readable(monitor, end - time.monotonic()), f"nothing more after {changes[-5:]}"
        changes += monitor.read()
    return changes


@pytest.fixture
def src(tmp_path: Path) -> Path:
    path = tmp_path / "src"
    path.mkdir()
    return path


HOSTILE = [
    *(bytes([byte]) for byte in range(1, 256) if byte not in b"/."),
    b" lead and trail ",
    b"new\nline",
    b"-rf",
    b"--delete",
    b"$(touch pwned)",
    b"`id`;&|",
    b"[x]*?\\",
    b"\xff\xfe not text",
    b"x" * 255,
    b"y" * 15,
    b"z" * 16,
]


def test_names_of_all_bytes_come_through(src: Path) -> None:
    top = os.fsencode(src) + b"/"
    with watching(src) as monitor:
        for name in HOSTILE:
            os.mkdir(top + name)
        made = monitor.read()
        assert [change.path for change in made] == [top + name + b"/" for name in HOSTILE]
        for name in HOSTILE:
            os.close(os.open(top + name + b"/" + name, os.O_CREAT | os.O_WRONLY))
        written = monitor.read()
        assert [change.path for change in written if change.etype == "Modify"] == [
            top + name + b"/" + name for name in HOSTILE
        ]


def test_symlinks_are_told_and_not_followed(src: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (src / "old").symlink_to(tmp_path / "elsewhere")
    top = os.fsencode(src) + b"/"
    with watching(src) as monitor:
        (src / "new").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere/deep/f").touch()
        assert [tuple(change[:2]) for change in monitor.read()] == [("Create", top + b"new")]
        assert monitor.watched() == [top]


def test_paths_longer_than_the_kernel_takes(src: Path) -> None:
    name = "d" * 200
    depth = 40
    here = os.open(src, os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    try:
        with watching(src) as monitor:
            assert len(monitor.watched()) == depth + 1
            os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
            os.mkdir("n", dir_fd=here)
            changes = monitor.read()
            long = os.fsencode(src) + b"/" + (name.encode() + b"/") * depth
            assert len(long) > 4096
            assert [tuple(change[:2]) for change in changes] == [
                ("Create", long + b"f"),
                ("Modify", long + b"f"),
                ("Create", long + b"n/"),
            ]
            assert monitor.watched()[-1] == long + b"n/"
    finally:
        os.close(here)


@pytest.mark.parametrize(("mode", "seen"), [("CloseWrite", 0), ("CloseWrite or Modify", 1), ("Modify", 1)])
def test_a_file_that_is_cut_by_its_path_is_not_closed(src: Path, mode: str, seen: int) -> None:
    """As the table of what nobody tells of says (configs/README.md)."""
    (src / "f").write_text("long")
    with watching(src, mode=mode) as monitor:
        os.truncate(src / "f", 1)
        assert [tuple(change[:2]) for change in monitor.read()] == [("Modify", os.fsencode(src) + b"/f")] * seen


def test_close_write_only_on_real_files(src: Path, tmp_path: Path) -> None:
    (tmp_path / "whole").write_text("x")
    top = os.fsencode(src) + b"/"
    with watching(src, mode="CloseWrite only") as monitor:
        with (src / "upload").open("w") as file:
            file.write("half")
            file.flush()
            assert monitor.read() == []
        assert [tuple(change[:2]) for change in monitor.read()] == [("Modify", top + b"upload")]
        os.mkfifo(src / "fifo")
        (src / "symlink").symlink_to("upload")
        os.link(tmp_path / "whole", src / "hardlink")
        assert [tuple(change[:2]) for change in monitor.read()] == [
            ("Create", top + b"fifo"),
            ("Create", top + b"symlink"),
            ("Create", top + b"hardlink"),
        ]


def test_the_descriptor_is_quiet_while_nothing_happens_and_not_inherited(src: Path) -> None:
    with watching(src) as monitor:
        assert fcntl.fcntl(monitor.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        assert not wait_readable(monitor, 0)
        (src / "f").touch()
        assert wait_readable(monitor)
        monitor.drain()
        assert wait_readable(monitor)
        assert monitor.read()
        assert not wait_readable(monitor, 0)
        assert monitor.read() == []


def test_closing_leaves_no_descriptor_behind(src: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with watching(src):
        assert len(os.listdir("/proc/self/fd")) > before
    assert len(os.listdir("/proc/self/fd")) == before


WRITER = """
import os, sys
top, count, each = os.fsencode(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for number in range(count):
    if number % each == 0:
        here = b"%s/d%d" % (top, number // each)
        os.mkdir(here)
    os.close(os.open(b"%s/f%d" % (here, number), os.O_CREAT | os.O_WRONLY))
"""


@pytest.mark.parametrize("each", [20_000, 100])
def test_a_writer_at_full_speed_overflows_nothing_and_nothing_is_missed(src: Path, each: int) -> None:
    count = 20_000
    with watching(src) as monitor:
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(src), str(count), str(each)])
        try:
            told: set[bytes] = set()
            end = time.monotonic() + DEADLINE
            while writer.poll() is None or wait_readable(monitor, 0):
                assert time.monotonic() < end
                if wait_readable(monitor, 0.02):
                    told.update(change.path for change in monitor.read())
        finally:
            writer.kill()
            writer.wait()
        if monitor.overflowed:  # only where others leave us no processor for a tenth of a second
            monitor.rescan()
        else:
            assert len(told) == count + count // each
        assert len(monitor.watched()) == 1 + count // each


@pytest.mark.row(8)
def test_an_overflow_is_told_and_a_rescan_makes_up_for_it(src: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    top = os.fsencode(src) + b"/"
    with watching(src) as monitor:
        for number in range(limit // 2 + 100):
            (src / f"{number}").touch()
        (src / "late").mkdir()
        monitor.read()
        assert monitor.overflowed
        monitor.overflowed = False
        assert monitor.watched() == [top]
        monitor.rescan()
        assert monitor.watched() == [top, top + b"late/"]
        (src / "late/f").touch()
        assert monitor.read()[0].path == top + b"late/f"
        assert not monitor.overflowed


def test_a_source_lost_and_found_wakes_the_reader(src: Path) -> None:
    top = os.fsencode(src) + b"/"
    with watching(src) as monitor:
        shutil.rmtree(src)
        lost: list[bytes] = []
        read_until(monitor, lambda _: lost.extend(monitor.lost_roots()) or lost)
        assert lost == [top]
        (src / "n").mkdir(parents=True)
        found: list[bytes] = []
        read_until(monitor, lambda _: found.extend(monitor.returned_roots()) or found)
        assert found == [top]
        assert monitor.watched() == [top, top + b"n/"]


MOUNTING = """
import os, select, subprocess, sys
from orchestrator.monitor.inotify import InotifyMonitor

top = sys.argv[1]
source = os.fsencode(top) + b"/"

def until(ask):
    for _ in range(50):
        if found := ask():
            return found
        if select.select([monitor], [], [], 5)[0]:
            for change in monitor.read():
                print(change.etype, change.path.decode())
    raise SystemExit("never told")

def mount():
    subprocess.run(["mount", "-t", "tmpfs", "none", top], check=True)

mount()
os.mkdir(top + "/d")
monitor = InotifyMonitor("CloseWrite", lambda _: True, print)
monitor.watch(source)
subprocess.run(["umount", top], check=True)
print("lost", until(monitor.lost_roots) == [source], monitor.watched())
mount()
print("returned", until(monitor.returned_roots) == [source], monitor.watched() == [source])
mount()
print("covered", until(monitor.lost_roots) == [source])
subprocess.run(["umount", top], check=True)
print("bare", until(monitor.returned_roots) == [source])
os.mkdir(top + "/f")
print("watching", monitor.read()[0].path == source + b"f/")
"""


@pytest.mark.row(7, 22)
def test_unmounting_and_mounting_a_source(src: Path) -> None:
    root = Path(__file__).parents[2]
    run = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", MOUNTING, str(src)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert run.stdout.splitlines()[:4] == ["lost True []", "returned True True", "covered True", "bare True"], (
        run.stderr
    )
    assert not run.returncode, run.stderr


REFUSED = """
import os, sys, tempfile
from orchestrator.monitor.inotify import InotifyMonitor

if os.geteuid() == 0:  # to root nothing is closed
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
with tempfile.TemporaryDirectory() as top:
    os.makedirs(top + "/closed/below")
    os.chmod(top + "/closed", 0)
    said = []
    monitor = InotifyMonitor("CloseWrite", lambda _: True, lambda *entry: said.append(entry))
    monitor.watch(os.fsencode(top) + b"/")
    print(len(monitor.watched()), [category for category, message in said if "Permission denied" in message])
    os.mkdir(top + "/late", 0)
    monitor.read()
    print(len(monitor.watched()), len(said))
    for name in ("/closed", "/late"):
        os.chmod(top + name, 0o700)
    print([(change.etype, change.path[len(top):]) for change in monitor.read()])
    print(len(monitor.watched()), len(said))
"""


@pytest.mark.row(18)
def test_a_closed_directory_is_warned_of_and_watched_when_it_is_opened() -> None:
    run = subprocess.run(
        [sys.executable, "-c", REFUSED],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert run.stdout.splitlines() == [
        "1 ['Warn']",
        "1 2",
        (
            "[('Attrib', b'/closed/'), ('Create', b'/closed/'), ('Create', b'/closed/below/'),"
            " ('Attrib', b'/late/'), ('Create', b'/late/')]"
        ),
        "4 2",
    ], run.stderr


CHURN = """
import os, random, shutil, sys
top, seed, count = os.fsencode(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
dice = random.Random(seed)
names = [b"a", b"b", b"c", b"d"]

def somewhere():
    path = top + (b"/src" if dice.random() < 0.85 else b"/out")
    for _ in range(dice.randrange(1, 5)):
        path += b"/" + dice.choice(names)
    return path

for _ in range(count):
    path = somewhere()
    try:
        match dice.randrange(8):
            case 0 | 1: os.makedirs(path)
            case 2 | 3: open(path, "w").close()
            case 4: shutil.rmtree(path)
            case 5: os.unlink(path)
            case _: os.rename(path, somewhere())
    except OSError:
        pass
"""


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_in_the_end_exactly_what_is_there_is_watched(src: Path, tmp_path: Path, seed: int) -> None:
    (tmp_path / "out").mkdir()
    with watching(src) as monitor:
        churn = subprocess.Popen([sys.executable, "-c", CHURN, str(tmp_path), str(seed), "4000"])
        dice = random.Random(seed)
        try:
            while churn.poll() is None:
                if wait_readable(monitor, dice.choice([0.001, 0.01])):
                    monitor.read()
        finally:
            churn.kill()
            churn.wait()
        while wait_readable(monitor, 0):
            monitor.read()
        assert not monitor.overflowed
        there = {os.fsencode(path) + b"/" for path, _, _ in os.walk(src)}
        assert set(monitor.watched()) == there
        for directory in there:
            with suppress(FileExistsError):
                os.mkdir(directory + b"probe")
            assert directory + b"probe/" in [change.path for change in monitor.read()]
