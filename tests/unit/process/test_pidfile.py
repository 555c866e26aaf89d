"""The pid file (spec 1.4). A second daemon is another process: locks of one process do not keep itself out."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import OrchestratorError
from orchestrator.process.pidfile import PidFile

OTHER = """
import sys
from orchestrator.errors import OrchestratorError
from orchestrator.process.pidfile import PidFile
try:
    PidFile(sys.argv[1])
except OrchestratorError as error:
    print(error, end="")
"""


def other_says(path: Path) -> str:
    return subprocess.run([sys.executable, "-c", OTHER, path], capture_output=True, text=True, check=True).stdout


def test_holds_the_pid_and_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    umask = os.umask(0o022)
    file = PidFile(str(path))
    os.umask(umask)
    assert path.read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    file.remove()
    file.remove()
    assert os.listdir(tmp_path) == []


def test_in_use(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(str(path))
    assert other_says(path) == f"Cannot lock pidfile; '{path}'"
    assert path.read_text() == f"{os.getpid()}\n"
    file.remove()
    assert other_says(path) == ""


def test_in_use_by_one_that_locks_as_lsyncd_does(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("4711\n")
    script = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("ok", flush=True)
input()
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", script, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ok\n"
    with pytest.raises(OrchestratorError, match=f"^Cannot lock pidfile; '{path}'$") as caught:
        PidFile(str(path))
    assert caught.value.exit_code == 255
    assert path.read_text() == "4711\n"
    holder.communicate("\n")


LOCKS = {
    # what somebody has locked, and whether it is a daemon's
    "shared": ("rb", "fcntl.LOCK_SH", False),
    "flock": ("rb", None, False),
    "exclusive": ("r+b", "fcntl.LOCK_EX", True),
}


@pytest.mark.parametrize("how", LOCKS)
def test_only_who_may_write_it_keeps_a_daemon_out(tmp_path: Path, how: str) -> None:
    """It is there for all to read, so anybody can have a shared lock on it."""
    mode, kind, is_daemon = LOCKS[how]
    path = tmp_path / "pid"
    path.write_text("4711\n")
    lock = f"fcntl.lockf(file, {kind})" if kind else "fcntl.flock(file, fcntl.LOCK_EX)"
    script = f"import fcntl, sys\nfile = open(sys.argv[1], {mode!r})\n{lock}\nprint(flush=True)\ninput()"
    holder = subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "\n"
    if is_daemon:
        with pytest.raises(OrchestratorError, match=r"^Cannot lock pidfile"):
            PidFile(str(path))
        assert path.read_text() == "4711\n"
    else:
        file = PidFile(str(path))
        assert other_says(path) == f"Cannot lock pidfile; '{path}'"
        assert path.read_text() == f"{os.getpid()}\n"  # last: closing any descriptor of it gives up the lock
        file.remove()
        assert not path.exists()
    holder.communicate("\n")


@pytest.mark.parametrize(("umask", "mode"), [(0, 0o644), (0o077, 0o600)])
def test_it_is_for_others_to_read_if_the_umask_says_so(tmp_path: Path, umask: int, mode: int) -> None:
    old = os.umask(umask)
    file = PidFile(str(tmp_path / "pid"))
    os.umask(old)
    assert stat.S_IMODE((tmp_path / "pid").stat().st_mode) == mode
    file.remove()


def test_a_stale_one_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("123456789 and more\n")
    file = PidFile(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    file.remove()


def test_relative_and_removed_from_another_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = PidFile("pid")
    monkeypatch.chdir("/")
    assert (tmp_path / "pid").exists()
    file.remove()
    assert not (tmp_path / "pid").exists()


def test_cannot_be_created(tmp_path: Path) -> None:
    path = tmp_path / "none" / "pid"
    with pytest.raises(OrchestratorError, match=f"^Cannot create pidfile; '{path}'$"):
        PidFile(str(path))


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "pid").symlink_to("precious")
    with pytest.raises(OrchestratorError, match="Cannot create pidfile"):
        PidFile(str(tmp_path / "pid"))
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("kind", ["directory", "pipe", "device"])
def test_what_is_no_file_is_refused_and_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "pid"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = Path("/dev/null")
    with pytest.raises(OrchestratorError, match="Cannot create pidfile"):
        PidFile(str(path))
    assert path.exists()


def test_another_s_file_put_in_its_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(str(path))
    path.unlink()
    path.write_text("another's")
    file.remove()
    assert path.read_text() == "another's"


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    file = PidFile(str(tmp_path / "pid"))
    child = subprocess.run(
        ["sh", "-c", "ls -l /proc/$$/fd"], close_fds=False, capture_output=True, text=True, check=True
    )
    assert str(tmp_path) not in child.stdout
    file.remove()


def test_nothing_stays_open_where_it_fails(tmp_path: Path) -> None:
    holder_path = tmp_path / "pid"
    (tmp_path / "link").symlink_to("pid")
    holder = subprocess.Popen(
        [sys.executable, "-c", OTHER + "\nprint('held', flush=True); input()", holder_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    fds = os.listdir("/proc/self/fd")
    for name in ("pid", "link", "none/pid", "."):
        with pytest.raises(OrchestratorError):
            PidFile(str(tmp_path / name))
    assert len(os.listdir("/proc/self/fd")) == len(fds)
    holder.communicate("\n")


def test_lock_is_given_up_by_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    holder = subprocess.Popen(
        [sys.executable, "-c", OTHER + "\nprint('held', flush=True); input()", path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with open(path, "r+") as file, pytest.raises(OSError, match="unavailable"):
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    holder.kill()
    holder.communicate()
    PidFile(str(path)).remove()
