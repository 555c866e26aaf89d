"""Lists of paths: what daemons that were killed have left of them is removed, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from inotify_simple import INotify, flags

from orchestrator.sync.pathlist import remove_list, remove_lists, write_list

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_list_is_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    path = write_list([b"/a", b"/b\n"])
    with open(path, "rb") as file:
        assert file.read() == b"/a\0/b\n\0"
    assert os.stat(path).st_mode & 0o777 == 0o600
    remove_list(path)
    remove_list(path)
    assert os.listdir(tmp_path) == []


def test_what_nobody_uses_any_more_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    own = os.path.basename(os.fsdecode(write_list([b"/a"])))
    elsewhere = own.replace("lsyncd-paths-", "lsyncd-paths-1")  # of another container
    dead = own.replace(f"-{os.getpid()}-", "-99999999-")
    others = ["lsyncd-paths", "lsyncd-paths-x-99999999-a", "my-lsyncd-paths-1-2-3"]
    for name in (elsewhere, dead, *others):
        (tmp_path / name).touch()
    remove_lists(lambda: {os.getpid()})
    assert sorted(os.listdir(tmp_path)) == sorted([own, elsewhere, *others])
    remove_lists(lambda: set())
    assert sorted(os.listdir(tmp_path)) == sorted([elsewhere, *others])


def test_nothing_is_made_but_the_list(tmp_path: Path) -> None:
    """A daemon that is killed just then leaves nothing that no later one knows."""
    with INotify(nonblocking=True) as events:
        events.add_watch(tmp_path, flags.CREATE)
        program = "from orchestrator.sync.pathlist import write_list; write_list([b'/a'])"
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True)
        assert [event.name for event in events.read(timeout=0)] == os.listdir(tmp_path)


def test_a_list_that_cannot_be_removed_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    name = os.path.basename(os.fsdecode(write_list([b"/a"])))
    os.unlink(tmp_path / name)
    (tmp_path / name).mkdir()  # unlink(2) refuses it, as it does on a file system that is read-only
    remove_lists(lambda: set())
    assert os.listdir(tmp_path) == [name]
