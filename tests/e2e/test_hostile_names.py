"""Whatever things are called: the target equals the source, nothing of a name is run, nothing else is touched.

All names at once, as files and as directories, through each action and both kinds of layer 3.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.churn import picture, told
from tests.kit.churned import MIRRORS, Mirror
from tests.kit.daemon import Daemon, wait_until
from tests.kit.fanotify import needs_fanotify
from tests.kit.trees import CANARY, DECOYS, EVERY_NAME, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

DEADLINE = 120.0

LONGEST = 4000
"""Bytes of the deepest path, on the side where it is longer; the kernel takes 4095."""


@contextlib.contextmanager
def layer3_shell(box: Path, restarts: bool) -> Iterator[Mirror]:
    keys = f"""target = "{box}/trg", maxProcesses = 2, exitcodes = {{ [0] = "ok", [1] = "ok" }},
        onStartup = [[ cp -RpT -- ^source ^target ]],
        onCreate = [[ cp -RpT -- ^sourcePathname ^targetPathname ]],
        onModify = [[ cp -RpT -- ^sourcePathname ^targetPathname ]],
        onDelete = [[ rm -rf -- ^targetPathname ]],
        onMove = [[ mv -T -- ^o.targetPathname ^d.targetPathname ]]"""
    yield Mirror(keys, box / "src", box / "trg", modes=False, times=False)


@contextlib.contextmanager
def layer3_binary(box: Path, restarts: bool) -> Iterator[Mirror]:
    keys = f"""target = "{box}/trg", maxProcesses = 2, exitcodes = {{ [0] = "ok", [1] = "ok" }},
        onStartup = "/bin/cp -RpT ^source ^target",
        onCreate = "/bin/cp -RpT ^sourcePathname ^targetPathname",
        onModify = "/bin/cp -RpT ^sourcePathname ^targetPathname",
        onDelete = "/bin/rm -rf ^targetPathname" """
    yield Mirror(keys, box / "src", box / "trg", modes=False, times=False)


WAYS: dict[str, Callable[[Path, bool], AbstractContextManager[Mirror]]] = {
    **{action: MIRRORS[action] for action in ("rsync", "rsyncssh", "direct", "native", "csync2")},
    "layer3-shell": layer3_shell,
    "layer3-binary": layer3_binary,
}


class World:
    """A source full of such names, with decoys among them, and a place that is nobody's."""

    def __init__(self, box: Path, mirror: Mirror) -> None:
        self.box = box
        self.mirror = mirror
        self.source = os.fsencode(mirror.source)
        self.target = os.fsencode(mirror.target)
        mirror.source.mkdir(exist_ok=True)
        mirror.target.mkdir(exist_ok=True)
        for directory in (b"", b"pre/", b"new/", b"dirs/", b"moved/", b"moved dirs/"):
            for name in DECOYS:
                write(self.path(directory + name))
        for name in EVERY_NAME:
            write(self.path(b"pre/" + name), name)
        room = LONGEST - max(len(self.source), len(self.target)) - len(b"/deep/")
        self.deep = self.path(b"deep/" + b"/".join([b"y" * 199] * (room // 200)))
        os.makedirs(self.deep)
        for decoy in DECOYS:
            write(os.fsencode(box / "beside") + b"/" + decoy)

    def path(self, path: bytes) -> bytes:
        return self.source + b"/" + path

    def pictures(self) -> list[dict[bytes, object]]:
        mirror = self.mirror
        return [picture(tree, modes=mirror.modes, times=mirror.times) for tree in (self.source, self.target)]

    def wait_equal(self, daemon: Daemon, what: str) -> None:
        def is_equal() -> bool:
            # looking at the trees takes the time that the daemon needs
            status = self.box / "status"
            if not status.exists() or b"There are 0 delays" not in status.read_bytes():
                return False
            source, target = self.pictures()
            return source == target

        try:
            wait_until(is_equal, what, DEADLINE)
        except AssertionError:
            pytest.fail(f"{what}:\n{told(*self.pictures())}\nit said:\n{daemon.said()[-20000:]}")

    def untouched(self) -> dict[bytes, tuple[int, ...]]:
        """The decoys on the target, and all beside it: what is not to be touched."""
        found = {}
        for top in (self.target, os.fsencode(self.box / "beside")):
            for directory, _, names in os.walk(top):
                for name in names:
                    if name in DECOYS:
                        status = os.lstat(directory + b"/" + name)
                        found[directory + b"/" + name] = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        return found

    def create(self) -> None:
        for name in EVERY_NAME:
            write(self.path(b"new/" + name), name)
            write(self.path(b"dirs/" + name + b"/" + name), name)
        write(self.deep + b"/f")

    def change(self) -> None:
        for name in EVERY_NAME:
            for path in (b"pre/" + name, b"dirs/" + name + b"/" + name):
                with open(self.path(path), "ab") as file:
                    file.write(b" and more")
        write(self.deep + b"/f", b"more")

    def rename(self) -> None:
        """Each gets the name of another."""
        for number, name in enumerate(EVERY_NAME):
            other = EVERY_NAME[number - 7]
            os.rename(self.path(b"pre/" + name), self.path(b"moved/" + other))
            os.rename(self.path(b"dirs/" + name), self.path(b"moved dirs/" + other))
        os.rename(self.deep + b"/f", self.deep + b"/g")

    def delete(self) -> None:
        for name in EVERY_NAME:
            os.unlink(self.path(b"new/" + name))
        for name in EVERY_NAME[::2]:
            os.unlink(self.path(b"moved/" + name))
            shutil.rmtree(self.path(b"moved dirs/" + name))
        os.unlink(self.deep + b"/g")


STAMP = re.compile(rb"(?:\w{3} \w{3} [ \d]\d )?\d\d:\d\d:\d\d (?:\d{4} )?(.*)")
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


def check_log(text: bytes) -> None:
    """No name has made a line of its own in the log, nor can any steer a terminal."""
    assert CONTROL.search(text) is None, CONTROL.findall(text)[:5]
    for line in text.split(b"\n"):
        stamped = STAMP.match(line)
        assert stamped is None or not stamped[1].startswith(b"Error: forged"), line


@pytest.mark.row(11)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", WAYS)
def test_names_are_nothing_but_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    canary = binaries / os.fsdecode(CANARY)
    canary.write_text(f"#!/bin/sh\n: >'{tmp_path}/canary-was-run'\n")
    canary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")
    with WAYS[way](tmp_path, False) as mirror:
        world = World(tmp_path, mirror)
        logfile = tmp_path / "log"
        config = mirror.config(0.2, tmp_path / "status").replace("settings {", f'settings {{ logfile = "{logfile}",')
        with Daemon(tmp_path, "-log", "all", lua=config) as daemon:
            world.wait_equal(daemon, "equal trees after the startup")
            before = world.untouched()
            assert len(before) == len(DECOYS) * 7
            for step in (world.create, world.change, world.rename, world.delete):
                step()
                world.wait_equal(daemon, f"equal trees after {step.__name__}")
            assert world.untouched() == before
        assert not (tmp_path / "canary-was-run").exists()
        assert not {"x", "canary-out"} & set(os.listdir(tmp_path))
        check_log(logfile.read_bytes())
        check_log((tmp_path / "console").read_bytes())


def nest(top: int, name: bytes, depth: int) -> None:
    """Directories within each other, made step by step: their path may be longer than the kernel takes."""
    here = os.dup(top)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open(b"last", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)


SEES = """action = function( inlet )
    local list = inlet.getEvents( )
    for _, path in ipairs( list.getPaths( ) ) do
        if string.ends( path, "/last" ) then log( "Normal", "the deepest file" ) end
        if path == "/after" then log( "Normal", "the file after it" ) end
    end
    spawn( list, "true" )
end"""


@pytest.mark.parametrize("monitor", ["inotify", "fanotify"])
@pytest.mark.parametrize(("name", "depth"), [(b"d", 1100), (b"n" * 250, 400)], ids=["deep", "long"])
def test_directories_nested_without_end(tmp_path: Path, monitor: str, name: bytes, depth: int) -> None:
    """Made in a tenth of a second by anybody who may write in the source. Nothing is transferred: programs take their
    time over such paths."""
    if monitor == "fanotify":
        needs_fanotify()
    (tmp_path / "src").mkdir()
    top = os.open(tmp_path / "src", os.O_RDONLY | os.O_DIRECTORY)
    settings = f'settings{{statusFile = "{tmp_path}/status", statusInterval = 1}}'
    sync = f'sync{{source = "{tmp_path}/src", delay = 0, monitor = "{monitor}", {SEES}}}'
    is_too_long = len(name) * depth > 4096
    try:
        with Daemon(tmp_path, lua=f"{settings}\n{sync}") as daemon:
            daemon.wait_for("--- Startup ---")
            nest(top, name, depth)
            (tmp_path / "src/after").touch()
            daemon.wait_for("the file after it")
            daemon.wait_for("changes below such directories are not seen" if is_too_long else "the deepest file")
            assert daemon.said().count("are not seen") == is_too_long
            wait_until((tmp_path / "status").exists, "the status file")
            # 800 MB, and 80 to 160 MB of log and status, when each directory kept its path
            assert (tmp_path / "status").stat().st_size < 4_000_000
            status = (Path("/proc") / str(daemon.process.pid) / "status").read_text()
            peak = re.search(r"VmHWM:\s+(\d+) kB", status)
            assert peak is not None
            assert int(peak[1]) < 100_000
    finally:
        os.close(top)
        # deeper than Python's own removal of what a test leaves behind can go
        subprocess.run(["rm", "-rf", tmp_path / "src"], check=True)
