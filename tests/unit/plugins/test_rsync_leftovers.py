"""Half a file that a killed rsync has left on the target goes, and nothing that looks like it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator_rsync.action import Rsync
from tests.kit.inlet import FakeInlet, Spawn
from tests.kit.trees import Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path

KILLED = (137, b"")
CUT_OFF = (12, b"rsync: connection unexpectedly closed (58 bytes received so far) [generator]\n")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    pair = Pair(tmp_path)
    for path in (pair.source, pair.target):
        os.makedirs(path, exist_ok=True)
    return pair


def left(path: bytes, mode: int = 0o600) -> None:
    write(path)
    os.chmod(path, mode)


def begun(pair: Pair, *paths: bytes, **config: Any) -> tuple[FakeInlet, Spawn]:
    inlet = FakeInlet(Rsync(), pair.config(delay=1, **config), source=pair.source)
    for path in paths:
        inlet.change("Modify", path)
    inlet.turn()
    return inlet, inlet.running[0]


@pytest.mark.parametrize("delete", [True, False, "running"])
@pytest.mark.parametrize("end", [KILLED, CUT_OFF], ids=["killed", "cut off"])
def test_half_a_file_goes_and_what_only_looks_like_it_stays(pair: Pair, delete: Any, end: tuple[int, bytes]) -> None:
    left(pair.target + b".bashrc.Before")
    inlet, spawn = begun(pair, b"/.bashrc", b"/d/f", b"/never/came", delete=delete)
    kept = [
        b".bashrc.Before",
        b".bashrc.backup",
        b".bashrc.Public",
        b".bashrc.toolong",
        b".other.6IEijZ",
        b"d/f.6IEijZ",
    ]
    for name in kept[1:]:
        left(pair.target + name, 0o644 if name.endswith(b"Public") else 0o600)
    write(pair.source + b".bashrc.backup")
    os.mkdir(pair.target + b".bashrc.Folder", 0o700)
    for name in (b".bashrc.6IEijZ", b"d/.f.abcdef"):
        left(pair.target + name)
    inlet.end(spawn, *end)
    assert sorted(snapshot(pair.target)) == sorted([*kept, b".bashrc.Folder", b"d"])


def test_no_link_of_the_targets_is_followed(pair: Pair, tmp_path: Path) -> None:
    inlet, spawn = begun(pair, b"/d/f")
    elsewhere = os.fsencode(tmp_path / "elsewhere")
    left(elsewhere + b"/.f.6IEijZ")
    os.symlink(elsewhere, pair.target + b"d")
    inlet.end(spawn, *KILLED)
    assert sorted(snapshot(elsewhere)) == [b".f.6IEijZ"]


def test_a_run_that_ended_by_itself_leaves_nothing_to_remove(pair: Pair) -> None:
    inlet, spawn = begun(pair, b"/f")
    left(pair.target + b".f.6IEijZ")
    inlet.end(spawn, 10, b"rsync error: error in socket IO (code 10)\n")
    assert sorted(snapshot(pair.target)) == [b".f.6IEijZ"]


@pytest.mark.parametrize("end", [KILLED, CUT_OFF], ids=["killed", "cut off"])
def test_on_another_host_the_next_run_over_that_file_removes_it(end: tuple[int, bytes]) -> None:
    inlet = FakeInlet(Rsync(), {"target": "h:/trg", "delay": 1, "maxProcesses": 2})
    inlet.change("Modify", b"/f")
    inlet.turn()
    inlet.change("Modify", b"/g")
    inlet.turn()
    first, other = inlet.running
    assert other.paths == [b"/g"]
    inlet.end(first, *end)
    inlet.end(other, 0)
    inlet.advance(1.1)
    inlet.turn()
    assert inlet.running[0].paths == [b"/f"]
    assert b"/.f.[a-zA-Z0-9]" in (inlet.running[0].stdin or b"")
    inlet.end(inlet.running[0], 0)
    inlet.change("Modify", b"/f")
    inlet.turn()
    assert b"/.f." not in (inlet.running[0].stdin or b""), "it is gone by now"


@pytest.mark.parametrize("delete", [True, False, "startup"])
def test_where_nothing_may_be_deleted_the_next_run_removes_that_alone(pair: Pair, delete: Any) -> None:
    """The real rsync, with the list for another host."""
    paths = (b"/d/f", b"/[a] f", b"/gone", b"/went/")
    rules = {"exclude": ["/d/spared"]}
    inlet = FakeInlet(Rsync(), {"target": "h:/trg", "delay": 1, "delete": delete, **rules}, source=pair.source)
    for path in paths:
        inlet.change("Modify" if path[1:2] in b"d[" else "Delete", path)
    inlet.turn()
    inlet.end(inlet.running[0], *KILLED)
    inlet.advance(1.1)
    inlet.turn()
    for path in paths[:2]:
        write(pair.source + path[1:], b"new")
    kept = {b"d": None, b"other": b"", b"d/other": b"", b"d/.x.6IEijZ": b"", b"d/spared": b"", b".f.6IEijZ": b""}
    listed = {b"gone": b"", b"went": None, b"went/.f.6IEijZ": b""}
    for path, data in {**kept, **listed, b"d/.f.6IEijZ": b"", b".[a] f.abcdef": b""}.items():
        if data is not None:
            write(pair.target + path, data)
    spawn = inlet.running[0]
    argv = [*spawn.argv[:-1], pair.target]
    assert subprocess.run(argv, input=spawn.stdin, check=False).returncode == 0
    stays = kept if delete is True else {**kept, **listed}
    assert snapshot(pair.target) == {**stays, b"d/f": b"new", b"[a] f": b"new"}
