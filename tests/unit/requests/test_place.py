"""The usual place of a control socket: whose directory it is, and what is removed from it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.control.client import find
from orchestrator.requests import place
from orchestrator.requests.place import make_place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /run, and for XDG_RUNTIME_DIR. Nobody else may write to it, or to a directory above it."""
    run = tmp_path / "run"
    run.mkdir(mode=0o755)
    monkeypatch.setattr(place, "RUN", str(run))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run))
    return run


def gone() -> int:
    """The process id of a process that is gone."""
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    return child.pid


def dead(path: Path) -> Path:
    """The socket of somebody who was killed."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    return path


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_it_is_made_with_its_mode_whatever_the_umask(run: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert make_place() == f"{run}/lsyncd/{os.getpid()}.sock"
    finally:
        os.umask(before)
    wanted = 0o755 if os.geteuid() == 0 else 0o700
    assert stat.S_IMODE((run / "lsyncd").stat().st_mode) == wanted
    assert make_place() == f"{run}/lsyncd/{os.getpid()}.sock", "it is there already"


def test_a_directory_that_others_may_write_is_not_used(run: Path) -> None:
    (run / "lsyncd").mkdir()
    (run / "lsyncd").chmod(0o777)
    with pytest.raises(OSError, match="may be written by others"):
        make_place()
    (run / "lsyncd").chmod(0o755)
    run.chmod(0o777)
    with pytest.raises(OSError, match="others may write to"):
        make_place()


def test_a_directory_of_somebody_else_is_not_used(run: Path) -> None:
    (run / "lsyncd").mkdir()
    if os.geteuid() == 0:
        os.chown(run / "lsyncd", 4713, -1)
        with pytest.raises(OSError, match="belongs to somebody else"):
            make_place()


@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_no_link_is_followed(run: Path, target: str) -> None:
    (run / "elsewhere").mkdir()
    (run / "lsyncd").symlink_to(run / target)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        make_place()
    assert list((run / "elsewhere").iterdir()) == []


def test_a_file_in_the_way(run: Path) -> None:
    (run / "lsyncd").write_text("precious")
    with pytest.raises(NotADirectoryError):
        make_place()
    assert (run / "lsyncd").read_text() == "precious"


def test_no_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4713)
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        with pytest.raises(OSError, match="XDG_RUNTIME_DIR is not set"):
            make_place()


def test_only_sockets_of_processes_that_are_gone_are_removed(run: Path) -> None:
    directory = run / "lsyncd"
    directory.mkdir(mode=0o755)
    left = dead(directory / f"{gone()}.sock")
    living = dead(directory / f"{os.getpid()}.sock")
    named = dead(directory / "mine.sock")
    file = directory / f"{gone()}.sock"
    file.write_text("precious")
    with socket.socket(socket.AF_UNIX) as served:  # of a process that this name space of process ids does not have
        served.bind(str(directory / f"{gone()}.sock"))
        served.listen()
        make_place()
        assert sorted(directory.iterdir()) == sorted(
            [living, named, file, directory / os.path.basename(served.getsockname())]
        )
    assert not left.exists()


def test_daemons_are_found_where_somebody_listens(run: Path) -> None:
    directory = run / "lsyncd"
    directory.mkdir(mode=0o755)
    dead(directory / "1.sock")
    left = dead(directory / f"{gone()}.sock")
    (directory / "2.sock").write_text("")
    assert find([str(directory), str(run / "nowhere")]) == []
    assert not left.exists()
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(str(directory / "31.sock"))
        served.listen()
        assert find([str(directory)]) == [(31, f"{directory}/31.sock", True)]
        (run / "link").symlink_to(directory)
        assert find([str(run / "link")]) == []
        if os.geteuid() == 0:
            os.chown(directory, 4713, -1)
            assert find([str(directory)]) == [], "others' answers"
