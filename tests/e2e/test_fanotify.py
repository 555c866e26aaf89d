"""The fanotify monitor on real kernel events, beside inotify, and a daemon with either."""

from __future__ import annotations

import itertools
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import MonitorError
from orchestrator.monitor.inotify import InotifyMonitor
from orchestrator_fanotify import calls
from orchestrator_fanotify.monitor import FanotifyMonitor
from tests.kit.daemon import DEADLINE, ROOT, Daemon, wait_until
from tests.kit.fanotify import needs_fanotify, own_file_system
from tests.kit.mirrors import Tree, differences
from tests.kit.trees import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.logic.change import Change

MAKE = {"inotify": InotifyMonitor, "fanotify": FanotifyMonitor}


@pytest.fixture(autouse=True)
def _fanotify() -> None:
    needs_fanotify()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Path]:
    """A source with a few things in it, and a place outside."""
    with own_file_system(tmp_path):
        (tmp_path / "src/d/e").mkdir(parents=True)
        (tmp_path / "src/d/e/f").write_text("f")
        (tmp_path / "src/g").write_text("g")
        (tmp_path / "out/o").mkdir(parents=True)
        (tmp_path / "out/o/h").write_text("h")
        yield tmp_path


@contextmanager
def watching(kind: str, *roots: Path, mode: str = "CloseWrite", **more: int) -> Iterator[InotifyMonitor]:
    monitor = MAKE[kind](mode, lambda path: b"/skip/" not in path, lambda *_: None, **more)
    try:
        for root in roots:
            monitor.watch(os.fsencode(root) + b"/")
        yield monitor  # type: ignore[misc]
    finally:
        monitor.close()


def told(box: Path, changes: list[Change]) -> list[str]:
    """Changes as text, relative to the box."""
    cut = len(os.fsencode(box)) + 1
    return [
        " ".join((change.etype, *(path[cut:].decode("utf-8", "backslashreplace") for path in change[1:] if path)))
        for change in changes
    ]


sizes = itertools.count(2)


def write(path: Path) -> None:
    """Of a size that no file had before: rsync takes size and time for content."""
    path.write_text("x" * next(sizes))


SAME: dict[str, Callable[[Path], object]] = {
    "write": lambda box: write(box / "src/g"),
    "new file": lambda box: write(box / "src/n"),
    "deep file": lambda box: write(box / "src/d/e/f"),
    "new directory": lambda box: (box / "src/n").mkdir(),
    "attributes": lambda box: [(box / "src" / name).chmod(0o700) for name in ("d/e", "g", ".")],
    "delete": lambda box: (box / "src/g").unlink(),
    "delete a tree": lambda box: shutil.rmtree(box / "src/d"),
    "replace": lambda box: ((box / "src/g").unlink(), write(box / "src/g")),
    "come and gone": lambda box: (write(box / "src/t"), (box / "src/t").unlink()),
    "rename": lambda box: (box / "src/g").rename(box / "src/d/G"),
    "rename onto": lambda box: (box / "src/g").rename(box / "src/d/e/f"),
    "rename a directory": lambda box: (box / "src/d").rename(box / "src/D"),
    "rename away and write": lambda box: ((box / "src/d").rename(box / "src/D"), write(box / "src/D/e/f2")),
    "write and rename away": lambda box: (write(box / "src/d/e/f"), (box / "src/d").rename(box / "src/D")),
    "move in": lambda box: (box / "out/o/h").rename(box / "src/h"),
    "move out": lambda box: (box / "src/g").rename(box / "out/g"),
    "move a directory in": lambda box: (box / "out/o").rename(box / "src/o"),
    "move a directory out": lambda box: (box / "src/d").rename(box / "out/d"),
    "write outside": lambda box: write(box / "out/o/h"),
    "hard link": lambda box: os.link(box / "src/g", box / "src/l"),
    "hard link from outside": lambda box: os.link(box / "out/o/h", box / "src/l"),
    "symlink, not followed": lambda box: ((box / "src/s").symlink_to(box / "out"), write(box / "src/s/x")),
    "special": lambda box: os.mkfifo(box / "src/p"),
    "unwanted": lambda box: ((box / "src/skip").mkdir(), write(box / "src/skip/f")),
}
"""What both monitors tell alike."""


@pytest.mark.parametrize("mode", ["CloseWrite", "CloseWrite only", "Modify"])
@pytest.mark.parametrize("name", SAME)
def test_the_same_changes_as_inotify(box: Path, name: str, mode: str) -> None:
    found = {}
    for kind in MAKE:
        top = box / kind
        for part in ("src", "out"):
            shutil.copytree(box / part, top / part)
        with watching(kind, top / "src", mode=mode) as monitor:
            monitor.read()
            SAME[name](top)
            found[kind] = told(top, monitor.read())
    assert found["fanotify"] == found["inotify"]


def test_a_directory_is_known_by_its_place_at_the_time(box: Path) -> None:
    """Cold and warm alike: what was done before a rename is told under the old name."""
    (box / "src/a/b").mkdir(parents=True)
    with watching("fanotify", box / "src") as monitor:
        for turn in range(2):
            old, new = (box / "src/a", box / "src/A") if not turn else (box / "src/A", box / "src/a")
            write(old / "b/one")
            old.rename(new)
            write(new / "b/two")
            assert told(box, monitor.read()) == [
                f"Create src/{old.name}/b/one" if not turn else f"Modify src/{old.name}/b/one",
                *([f"Modify src/{old.name}/b/one"] if not turn else []),
                f"Move src/{old.name}/ src/{new.name}/",
                *([f"Create src/{new.name}/b/two"] if not turn else []),
                f"Modify src/{new.name}/b/two",
            ]


def test_what_went_to_and_fro_is_told_as_it_is(box: Path) -> None:
    """The kernel puts the third rename together with the first."""
    src = box / "src"
    with watching("fanotify", src) as monitor:
        for old, new in (("d", "D"), ("D", "d"), ("d", "D"), ("g", "G"), ("G", "g"), ("g", "G")):
            (src / old).rename(src / new)
        changes = told(box, monitor.read())
        assert changes[-1] == "Delete src/g"
        for state in ("Create src/D/", "Create src/D/e/f", "Delete src/d/", "Create src/G", "Delete src/g"):
            assert state in changes
            assert not [change for change in changes[changes.index(state) :] if change.startswith("Move")]


def test_hostile_names(box: Path) -> None:
    top = os.fsencode(box / "src") + b"/"
    with watching("fanotify", box / "src") as monitor:
        for name in HOSTILE:
            os.mkdir(top + name)
            os.close(os.open(top + name + b"/" + name, os.O_CREAT | os.O_WRONLY))
        changes = monitor.read()
        assert {change.path for change in changes} == {
            top + name + more for name in HOSTILE for more in (b"/", b"/" + name)
        }


def test_paths_longer_than_the_kernel_takes(box: Path) -> None:
    name = "d" * 200
    here = os.open(box / "src", os.O_DIRECTORY)
    with watching("fanotify", box / "src") as monitor:
        try:
            for _ in range(30):
                os.mkdir(name, dir_fd=here)
                below = os.open(name, os.O_DIRECTORY, dir_fd=here)
                os.close(here)
                here = below
            monitor.read()
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
            changes = monitor.read()
            assert {change.path for change in changes} == {
                os.fsencode(box / "src") + b"/" + (name.encode() + b"/") * 30 + b"file"
            }
        finally:
            os.close(here)
    subprocess.run(["rm", "-rf", box / "src" / name], check=True)


def test_a_lost_source_comes_back(box: Path) -> None:
    source = os.fsencode(box / "src") + b"/"

    def until(ask: Callable[[], list[bytes]]) -> list[bytes]:
        end = time.monotonic() + DEADLINE
        while not (found := ask()):
            assert select.select([monitor], [], [], end - time.monotonic())[0]
            monitor.read()
        return found

    with watching("fanotify", box / "src") as monitor:
        (box / "src").rename(box / "away")
        assert until(monitor.lost_roots) == [source]
        assert monitor.watched() == []
        write(box / "away/g")
        assert monitor.read() == []
        (box / "away").rename(box / "src")
        assert until(monitor.returned_roots) == [source]
        write(box / "src/g")
        assert told(box, monitor.read()) == ["Modify src/g"]


def test_events_held_are_bounded(box: Path) -> None:
    with watching("fanotify", box / "src", held=10_000) as monitor:
        for number in range(500):
            write(box / f"src/f{number}")
        monitor.drain()
        monitor.read()
        assert monitor.overflowed
        monitor.overflowed = False
        monitor.rescan()
        write(box / "src/g")
        assert told(box, monitor.read()) == ["Modify src/g"]
        assert not monitor.overflowed


def test_events_held_wake_the_loop(box: Path) -> None:
    with watching("fanotify", box / "src") as monitor:
        write(box / "src/g")
        monitor.drain()
        assert select.select([monitor], [], [], DEADLINE)[0]
        assert told(box, monitor.read()) == ["Modify src/g"]
        for _ in range(100):  # what other tests mount wakes it, too; but they do not all the time
            if not select.select([monitor], [], [], 0)[0]:
                return
            assert monitor.read() == []
        pytest.fail("the loop is kept awake")


MOUNTING = """
import os, subprocess, sys
from orchestrator_fanotify.monitor import FanotifyMonitor

def mount(*words):
    subprocess.run(["mount", *words], check=True)

def told():
    return [(change.etype, *(os.fsdecode(path)[len(top):] for path in change[1:] if path)) for change in monitor.read()]

top = sys.argv[1]
mount("-t", "tmpfs", "none", top)            # where nobody else does anything
os.chdir(top)
for name in ("disk", "bound", "src", "src/over"):
    os.mkdir(name)
mount("-t", "tmpfs", "none", "disk")
os.makedirs("disk/part/inner")
os.makedirs("disk/src/elsewhere")
mount("--bind", "disk/part", "bound")        # a part of a file system
mount("-t", "tmpfs", "none", "src/over")     # another one below a source
os.mkdir("src/over/d")
monitor = FanotifyMonitor("CloseWrite", lambda _: True, print)
monitor.watch(os.fsencode(top) + b"/bound/")
monitor.watch(os.fsencode(top) + b"/src/")
open("bound/inner/f", "w").close()
open("disk/src/elsewhere/f", "w").close()
open("disk/part/g", "w").close()
open("src/over/d/f", "w").close()
print("bound", told())
os.rename("disk/part/inner", "disk/src/inner")
print("out", told())
os.rename("disk/src/inner", "disk/part/inner")
print("in", told())
subprocess.run(["umount", "src/over"], check=True)
print("unmounted", told())
subprocess.run(["umount", "bound"], check=True)
monitor.read()
print("lost", [os.fsdecode(root)[len(top):] for root in monitor.lost_roots()])
mount("--bind", "disk/part", "bound")
monitor.read()
print("returned", [os.fsdecode(root)[len(top):] for root in monitor.returned_roots()])
open("bound/inner/g", "w").close()
print("again", told())
monitor.close()
"""


def test_mounts(tmp_path: Path) -> None:
    """Bind mounts, file systems below a source; nothing is kept from being unmounted."""
    run = subprocess.run(
        ["unshare", "-m", sys.executable, "-c", MOUNTING, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert run.stdout.splitlines() == [
        (
            "bound [('Create', '/bound/inner/f'), ('Modify', '/bound/inner/f'), ('Create', '/bound/g'), "
            "('Modify', '/bound/g'), ('Create', '/src/over/d/f'), ('Modify', '/src/over/d/f')]"
        ),
        "out [('Delete', '/bound/inner/')]",
        "in [('Create', '/bound/inner/'), ('Create', '/bound/inner/f')]",
        "unmounted []",
        "lost ['/bound/']",
        "returned ['/bound/']",
        "again [('Create', '/bound/inner/g'), ('Modify', '/bound/inner/g')]",
    ], run.stderr
    assert not run.returncode, run.stderr


# ---- what is missing ------------------------------------------------------------------------------


REFUSED = """
import os, sys
from orchestrator.errors import MonitorError
from orchestrator_fanotify.monitor import FanotifyMonitor
try:
    FanotifyMonitor("CloseWrite", lambda _: True, print).watch(os.fsencode(sys.argv[1]) + b"/")
except MonitorError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("wrapped", "source", "reason"),
    [
        (["setpriv", "--reuid", "65534", "--clear-groups"], "/tmp", "it needs CAP_SYS_ADMIN"),
        ([], "/proc/sys", "the file system has no file handles"),
    ],
    ids=["nobody", "proc"],
)
def test_one_line_tells_what_is_missing(wrapped: list[str], source: str, reason: str) -> None:
    run = subprocess.run(
        [*wrapped, sys.executable, "-c", REFUSED, source],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.count("\n") == 1, run
    assert run.stdout.startswith('The monitor "fanotify" cannot be used')
    assert reason in run.stdout


def test_older_kernels_have_no_renames(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Linux 5.17 both halves are told by what is there now."""
    flags = calls._FAN_REPORT_TARGET_FID
    init = calls._libc.fanotify_init

    class Old:
        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        @staticmethod
        def fanotify_init(asked: object, more: object) -> int:
            if asked.value & flags:  # type: ignore[attr-defined]
                calls.ctypes.set_errno(22)
                return -1
            return int(init(asked, more))

    real = calls._libc
    monkeypatch.setattr(calls, "_libc", Old())
    src = box / "src"
    with watching("fanotify", src) as monitor:
        (src / "d").rename(src / "D")
        assert sorted(told(box, monitor.read())) == [
            "Create src/D/",
            "Create src/D/e/",
            "Create src/D/e/f",
            "Delete src/d/",
        ]
        (src / "g").rename(src / "d")
        assert sorted(told(box, monitor.read())) == ["Create src/d", "Delete src/g"]
        write(src / "D/e/f")
        assert told(box, monitor.read()) == ["Modify src/D/e/f"]


def test_a_wrong_mode() -> None:
    with pytest.raises(MonitorError, match="not a valid inotfiyMode"):
        FanotifyMonitor("never", lambda _: True, lambda *_: None)


# ---- a daemon -------------------------------------------------------------------------------------

CONFIG = """
settings{{ {settings}, statusFile = "{box}/status", statusInterval = 1 }}
sync{{ {action}, source = "{box}/src", target = "{box}/trg", delay = {delay}, {more} }}
"""


def config(
    box: Path, *, settings: str = 'monitor = "fanotify"', action: str = "native", delay: float = 0.1, more: str = ""
) -> str:
    (box / "trg").mkdir(exist_ok=True)
    return CONFIG.format(box=box, settings=settings, action=f"default.{action}", delay=delay, more=more)


def wait_equal(box: Path) -> None:
    source, target = os.fsencode(box / "src"), os.fsencode(box / "trg")
    wait_until(lambda: not differences(source, target), "the target to equal the source")


def wait_for_mark(daemon: Daemon) -> None:
    """What changes from then on is seen: proc(5), fdinfo."""

    def is_marked() -> bool:
        for info in Path(f"/proc/{daemon.process.pid}/fdinfo").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                if "fanotify sdev" in info.read_text():
                    return True
        return False

    wait_until(is_marked, "a mark of fanotify")


@pytest.mark.parametrize("monitor", ["inotify", "fanotify"])
@pytest.mark.parametrize("action", ["native", "rsync", "direct"])
def test_every_change_arrives(box: Path, monitor: str, action: str) -> None:
    """The table above, one after the other, through a daemon."""
    more = "rsync = { hard_links = true, archive = true }" if action == "rsync" else ""
    with Daemon(box, lua=config(box, settings=f'monitor = "{monitor}"', action=action, more=more)) as daemon:
        daemon.wait_for("finished")
        for name, change in SAME.items():
            if name == "special" and action == "direct":
                continue
            for part, top in (("d", "src"), ("o", "out")):  # as it was
                shutil.rmtree(box / top, ignore_errors=True) if top == "out" else _empty(box / "src")
                (box / top / part / "e").mkdir(parents=True)
                write(box / top / part / "e/f")
            write(box / "src/g")
            write(box / "out/o/h")
            change(box)
            write(box / "src/mark")
            wait_equal_content(box, name)


def _empty(top: Path) -> None:
    for path in top.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def wait_equal_content(box: Path, name: str) -> None:
    def content(top: Path) -> dict[str, str | None]:
        return {
            str(path.relative_to(top)): path.read_text() if path.is_file() and not path.is_symlink() else None
            for path in sorted(top.rglob("*"))
        }

    def is_equal() -> bool:
        try:
            return content(box / "src") == content(box / "trg")
        except (FileNotFoundError, NotADirectoryError):  # the daemon is at work there
            return False

    wait_until(is_equal, f"both to be equal after {name}")


@pytest.mark.churn
@pytest.mark.parametrize("seed", range(4))
def test_churn(tmp_path: Path, seed: int) -> None:
    """Random changes, while the daemon runs, is stopped, goes on."""
    chance = random.Random(seed)
    source = Tree(os.fsencode(tmp_path / "src"), seed)
    source.grow()
    with Daemon(tmp_path, lua=config(tmp_path, delay=chance.choice([0, 0.1]))) as daemon:
        daemon.wait_for("finished.")
        for _ in range(8):
            os.kill(daemon.process.pid, chance.choice([signal.SIGSTOP, signal.SIGCONT]))
            source.change(12)
        os.kill(daemon.process.pid, signal.SIGCONT)
        wait_equal(tmp_path)


def test_its_own_status_file_does_not_keep_it_awake(box: Path) -> None:
    with Daemon(box, lua=config(box, settings='monitor = "fanotify"')) as daemon:
        daemon.wait_for("finished.")
        write(box / "src/g")
        wait_equal(box)
        status = box / "status"
        seen: list[int] = []

        def is_quiet() -> bool:
            seen.append(status.stat().st_mtime_ns if status.exists() else 0)
            return len(seen) > 130 and len(set(seen[-130:])) == 1 and seen[-1] > 0

        wait_until(is_quiet, "the status file to stay as it is for twice its interval")
        assert "watching 1 directories" in status.read_text()
        assert f"  1: {box}/src/" in status.read_text()


def test_auto_falls_back_where_fanotify_cannot_be_had(tmp_path: Path) -> None:
    """Each sync for itself: /proc has no file handles, and inotify takes it."""
    (tmp_path / "src").mkdir()
    text = f"""
    settings{{ monitor = "auto" }}
    sync{{ action = function() end, source = "{tmp_path}/src" }}
    sync{{ action = function() end, source = "/proc/sys/kernel/keys" }}
    """
    with Daemon(tmp_path, lua=text) as daemon:
        daemon.wait_for("Taking inotify instead.")
        assert daemon.said().count("Warn") == 1
        assert '"fanotify" cannot be used for /proc/sys/kernel/keys/ (proc): the file system has no' in daemon.said()


def test_each_sync_has_its_own_monitor(box: Path) -> None:
    """Two syncs of one source, each told once."""
    text = "".join(
        f"""
        sync{{ name = "{monitor}", source = "{box}/src", monitor = "{monitor}", delay = 0, action = function(inlet)
            local event = inlet.getEvent()
            local file = io.open("{box}/" .. "{monitor}", "a")
            file:write(event.etype, " ", event.path, "\\n")
            file:close()
            inlet.discardEvent(event)
        end }}
        """
        for monitor in MAKE
    )
    with Daemon(box, lua=text) as daemon:
        wait_for_mark(daemon)
        write(box / "src/n")
        write(box / "src/last")
        for monitor in MAKE:
            events = box / monitor
            wait_until(lambda events=events: events.exists() and "Modify last" in events.read_text(), monitor)  # type: ignore[misc]
            assert events.read_text().split("\n") == ["Create n", "Modify n", "Create last", "Modify last", ""]


def test_an_unknown_monitor_is_told_before_anything_starts(box: Path) -> None:
    with Daemon(box, "-monitor", "fanotfy", lua=config(box, settings="nodaemon = true")) as daemon:
        assert daemon.wait() == 255
        assert daemon.said() == 'Error: event monitor "fanotfy" unknown.\n'
