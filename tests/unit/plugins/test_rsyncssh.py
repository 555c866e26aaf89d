"""default.rsyncssh: arguments, remote quoting, and moves done by a shell that stands for the remote one."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import ConfigError
from orchestrator_rsyncssh.action import RsyncSsh
from orchestrator_rsyncssh.options import OPTIONS
from tests.kit.inlet import FakeInlet
from tests.kit.trees import HOSTILE, Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = {"links": False, "times": False, "protect_args": False}


def inlet_of(**config: Any) -> FakeInlet:
    return FakeInlet(RsyncSsh(), {"host": "HOST", "targetdir": "/t/d", "rsync": PLAIN, **config})


def move_of(inlet: FakeInlet) -> list[bytes]:
    inlet.change("Move", b"/a/x", b"/e/x2")
    inlet.turn()
    return inlet.spawned[-1].argv


MV = [b"mv", b"-T", b"--", b"'/t/d/a/x'", b"'/t/d/e/x2'"]
OR_REMOVE = [b"||", b"sh", b"-c", b"'rm -rf -- \"$1\"; exit 1'", b"sh", b"'/t/d/a/x'"]


def test_startup_goes_to_host_and_directory() -> None:
    inlet = inlet_of()
    inlet.startup()
    assert inlet.spawned[0].argv == [b"rsync", b"--delete", b"--ignore-errors", b"-r", b"/src/", b"HOST:/t/d/"]
    assert inlet.lines("Normal") == ["recursive startup rsync: /src/ -> HOST:/t/d/"]


def test_a_move_is_done_on_the_target() -> None:
    inlet = inlet_of()
    assert move_of(inlet) == [b"ssh", b"HOST", *MV, *OR_REMOVE]
    assert inlet.lines("Normal") == ["Moving a/x -> e/x2"]
    assert inlet.end(inlet.spawned[0], 0) == "ok"
    assert inlet.lines("Normal")[-1] == "Finished Move /src//a/x: 0"


@pytest.mark.parametrize("delete", [False, "startup"])
def test_a_failed_move_removes_nothing_where_deletions_are_off(delete: bool | str) -> None:
    assert move_of(inlet_of(delete=delete)) == [b"ssh", b"HOST", *MV]


SSH = {"identityFile": "/k", "port": 22, "options": {"A": "b", "C": "d e"}, "_extra": ["-v", "-x"]}


def test_ssh_settings_go_to_both() -> None:
    inlet = inlet_of(ssh=SSH, maxProcesses=1)
    inlet.startup()
    inlet.end(inlet.spawned[0], 0)
    assert inlet.spawned[0].argv[3] == b"--rsh=ssh -i /k -o A=b -o 'C=d e' -p 22 -v -x"
    ssh = [b"ssh", b"-i", b"/k", b"-o", b"A=b", b"-o", b"C=d e", b"-p", b"22", b"-v", b"-x", b"HOST"]
    assert move_of(inlet)[: len(ssh)] == ssh


def test_without_ssh_settings_moves_use_rsyncs_rsh() -> None:
    argv = move_of(inlet_of(rsync={**PLAIN, "rsh": "/opt/ssh -p 77 -i 'a key'"}))
    assert argv[:6] == [b"/opt/ssh", b"-p", b"77", b"-i", b"a key", b"HOST"]


def test_with_ssh_settings_they_win() -> None:
    inlet = inlet_of(rsync={**PLAIN, "rsh": "foo -x"}, ssh={"binary": "/opt/ssh", "port": "22"})
    assert inlet.config.get("rsync").get("_computed").list() == ["--rsh=foo -x", "--rsh=ssh -p 22"]
    assert move_of(inlet)[:4] == [b"/opt/ssh", b"-p", b"22", b"HOST"]


@pytest.mark.parametrize(
    ("targetdir", "target"),
    [("/t", "HOST:/t/"), ("/t/", "HOST:/t/"), ("x:", "HOST:x:"), ("rel", "HOST:rel/")],
)
def test_trailing_slash(targetdir: str, target: str) -> None:
    assert inlet_of(targetdir=targetdir).config.get("target") == target


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"host": None}, 'default.rsyncssh needs "host" configured'),
        ({"targetdir": None}, 'default.rsyncssh needs "targetdir" configured'),
        ({"targetdir": ""}, 'default.rsyncssh needs "targetdir" configured'),
        ({"maxProcesses": 2}, "default.rsyncssh must have maxProcesses set to 1."),
        ({"rsync": {"_computed": []}}, "please do not use the internal rsync._computed parameter"),
    ],
)
def test_config_errors(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        inlet_of(**config)
    assert str(caught.value) == message


def test_target_is_not_a_key() -> None:
    assert "target" not in OPTIONS


def test_a_batch_ends_at_the_next_move() -> None:
    inlet = inlet_of()
    inlet.change("Create", b"/n")
    inlet.change("Move", b"/a/x", b"/e/x2")
    inlet.change("Move", b"/a/y", b"/e/y2")
    inlet.change("Create", b"/n2")
    inlet.change("Delete", b"/top")
    for _ in range(3):
        inlet.turn()
        inlet.end(inlet.running[0], 0)
    assert [spawn.argv[0] for spawn in inlet.spawned] == [b"rsync", b"ssh", b"rsync"]
    assert [spawn.stdin for spawn in inlet.spawned[::2]] == [b"/n\0/", b"/n2\0/\0/top"]
    assert inlet.lines("Normal")[1:] == [
        "Finished (list): 0", "Moving a/x -> e/x2", "Moving a/y -> e/y2", "Finished (list): 0",
        "Calling rsync with filter-list of new/modified files/dirs\n/n2\n/\n/top", "Finished (list): 0",
    ]  # fmt: skip


def test_exit_codes_of_moves_are_sshs_and_those_of_lists_rsyncs() -> None:
    inlet = inlet_of()
    inlet.startup()
    assert inlet.end(inlet.spawned[0], 24) == "ok"
    move_of(inlet)
    assert inlet.end(inlet.spawned[1], 255) == "again"
    assert inlet.lines("Normal")[-1] == "Retrying Move /src//a/x: 255"


def test_a_move_that_failed_becomes_a_create() -> None:
    inlet = inlet_of()
    move_of(inlet)
    assert inlet.end(inlet.spawned[0], 1) == "ok"
    assert inlet.waiting == [("Create", b"/e/x2")]


# ---- with a shell in the role of the other host ------------------------------------------------


class Remote:
    """A pair of trees, and a program that takes a host and a command as ssh does, and runs the command here."""

    def __init__(self, tmp_path: Path) -> None:
        self.pair = Pair(tmp_path)
        ssh = tmp_path / "ssh"
        ssh.write_text('#!/bin/sh\nshift\nexec sh -c "$*"\n')
        ssh.chmod(0o755)
        self.inlet = FakeInlet(
            RsyncSsh(),
            {
                "host": "HOST",
                "targetdir": os.fsdecode(self.pair.target),
                "ssh": {"binary": str(ssh)},
                "rsync": {"rsh": str(ssh)},
            },
            source=self.pair.source,
        )

    def rename(self, old: bytes, new: bytes) -> None:
        os.rename(self.pair.source + old, self.pair.source + new)
        slash = b"/" if os.path.isdir(self.pair.source + new) else b""
        self.inlet.change("Move", b"/" + old + slash, b"/" + new + slash)

    def is_equal(self) -> bool:
        self.inlet.settle()
        return snapshot(self.pair.source) == snapshot(self.pair.target)


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_hostile_names_are_moved_one_at_a_time(remote: Remote, name: bytes) -> None:
    remote.pair.both(b"d/" + name)
    remote.pair.both(b"keep")
    remote.rename(b"d/" + name, name)
    assert remote.is_equal()
    remote.rename(name, b"d/plain")
    assert remote.is_equal()
    assert [spawn.argv[0].endswith(b"/ssh") for spawn in remote.inlet.spawned] == [True, True]


def test_many_moves_in_one_call(remote: Remote) -> None:
    for name in HOSTILE:
        remote.pair.both(b"d/" + name + b"/f", name)
    os.makedirs(remote.pair.source + b"e")
    os.makedirs(remote.pair.target + b"e")
    for name in HOSTILE:
        remote.rename(b"d/" + name, b"e/" + name + b"2")
    assert remote.is_equal()
    assert len(remote.inlet.spawned) == 1


def test_what_was_not_on_the_target_is_transferred(remote: Remote) -> None:
    write(remote.pair.source + b"a")
    remote.rename(b"a", b"b")
    assert remote.is_equal()


def test_a_tree_that_was_not_on_the_target_is_transferred_whole(remote: Remote) -> None:
    write(remote.pair.source + b"t/x/f")
    write(remote.pair.source + b"t/g")
    remote.rename(b"t", b"u")
    assert remote.is_equal()


def test_one_failing_move_of_many_does_not_hold_up_the_others(remote: Remote) -> None:
    remote.pair.both(b"a")
    write(remote.pair.source + b"missing")
    remote.pair.both(b"c")
    for name in (b"a", b"missing", b"c"):
        remote.rename(name, name + b"2")
    assert remote.is_equal()


def test_a_directory_moved_onto_one_that_lies_there_does_not_land_inside_it(remote: Remote) -> None:
    remote.pair.both(b"a/f")
    write(remote.pair.target + b"b/old")
    remote.rename(b"a", b"b")
    assert not os.path.exists(remote.pair.target + b"b/a")
    remote.inlet.settle()
    assert not os.path.exists(remote.pair.target + b"b/a")
    assert not os.path.exists(remote.pair.target + b"a")
    assert os.path.exists(remote.pair.target + b"b/f")


def test_startup_and_batches_reach_the_other_side(remote: Remote) -> None:
    write(remote.pair.source + b"d/f")
    write(remote.pair.target + b"old")
    remote.inlet.startup()
    assert remote.is_equal()
    shutil.rmtree(remote.pair.source + b"d")
    remote.inlet.change("Delete", b"/d/f")
    remote.inlet.change("Delete", b"/d/")
    assert remote.is_equal()


def test_a_move_from_before_a_full_run_is_not_done_behind_it(remote: Remote) -> None:
    """The full run has brought over the file that is at the origin by now: it must not land at the destination."""
    remote.pair.both(b"a", b"one")
    remote.pair.both(b"t/f", b"one")
    remote.inlet.startup()
    for name in (b"a", b"t"):
        remote.rename(name, name + b"2")
    write(remote.pair.source + b"a", b"two")
    write(remote.pair.source + b"t/f", b"two")
    for path in (b"/a", b"/t/", b"/t/f"):
        remote.inlet.change("Create", path)
    assert remote.is_equal()
