"""`sshShare` in rsync and rsyncssh: which ssh is shared, and what becomes of a transfer whose connection has ended."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import ConfigError
from orchestrator_rsync.action import Rsync
from orchestrator_rsync.shell import split_as_rsync
from orchestrator_rsyncssh.action import RsyncSsh
from tests.kit.inlet import FakeInlet
from tests.kit.need import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOST = 12


@pytest.fixture
def inlets(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeInlet]]:
    """Those that a test has made."""
    monkeypatch.delenv("RSYNC_RSH", raising=False)
    made: list[FakeInlet] = []
    yield made
    for inlet in made:
        for connections in inlet.sync.host.shared_ssh:
            connections.close()


@pytest.fixture
def by_rsync(inlets: list[FakeInlet]) -> Any:
    def make(*, insist: bool = True, **config: Any) -> FakeInlet:
        inlets.append(FakeInlet(Rsync(), {"target": "u@h:/t", "sshShare": 60, **config}, insist=insist))
        return inlets[-1]

    return make


@pytest.fixture
def by_rsyncssh(inlets: list[FakeInlet]) -> Any:
    def make(**config: Any) -> FakeInlet:
        inlets.append(FakeInlet(RsyncSsh(), {"host": "u@h", "targetdir": "/t", "sshShare": 60, **config}))
        return inlets[-1]

    return make


def masters(inlet: FakeInlet) -> list[list[str]]:
    """The ssh of each shared connection."""
    return [list(map(os.fsdecode, helper.argv)) for helper in inlet.sync.host.processes.helpers()]


def socket_of(inlet: FakeInlet) -> str:
    return next(word for word in masters(inlet)[0] if word.startswith("ControlPath=")).partition("=")[2]


def shells(inlet: FakeInlet) -> list[str]:
    """What the last transfer has rsync log in by; the last one counts."""
    return [os.fsdecode(word)[6:] for word in inlet.spawned[-1].argv if word.startswith(b"--rsh=")]


def test_rsync_goes_through_the_connection(by_rsync: Any) -> None:
    inlet = by_rsync()
    inlet.startup()
    assert shells(inlet) == [f"ssh -o ControlMaster=no -o ControlPath={socket_of(inlet)}"]
    assert inlet.spawned[-1].argv[-2:] == [b"/src/", b"u@h:/t/"]
    [master] = masters(inlet)
    assert (master[0], master[-1]) == ("ssh", "u@h")
    inlet.end(inlet.spawned[-1], 0)
    inlet.change("Modify", b"/f")
    inlet.turn()
    assert shells(inlet) == [f"ssh -o ControlMaster=no -o ControlPath={socket_of(inlet)}"]
    assert len(masters(inlet)) == 1


@pytest.mark.parametrize(
    ("shell", "command"),
    [
        ("ssh -p 23 -l me", ["ssh", "-p", "23", "-l", "me"]),
        ("/opt/ssh -i 'a b'", ["/opt/ssh", "-i", "a b"]),
        ("sshpass -f /etc/pw ssh -o StrictHostKeyChecking=no", ["sshpass", "-f", "/etc/pw", "ssh"]),
        ('ssh -o "ProxyJump=a,b"', ["ssh", "-o", "ProxyJump=a,b"]),
        ("ssh -oServerAliveInterval=7 -iS", ["ssh", "-oServerAliveInterval=7", "-iS"]),
    ],
)
def test_what_the_user_logs_in_by_is_kept(by_rsync: Any, shell: str, command: list[str]) -> None:
    inlet = by_rsync(rsync={"rsh": shell})
    inlet.startup()
    assert shells(inlet)[-1].startswith(f"{shell} -o ControlMaster=no ")
    assert masters(inlet)[0][: len(command)] == command


def test_so_is_the_environments(by_rsync: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSYNC_RSH", "ssh -p 24")
    inlet = by_rsync()
    inlet.startup()
    assert shells(inlet)[-1].startswith("ssh -p 24 -o ControlMaster=no ")
    assert masters(inlet)[0][:3] == ["ssh", "-p", "24"]


@pytest.mark.parametrize(
    "config",
    [
        {"target": "/local"},
        {"target": "h::m/x"},
        {"target": "rsync://h/m"},
        {"target": "-oProxyCommand=x:/t"},
        {"sshShare": False},
        {"sshShare": 0},
        {"sshShare": None},
        *(
            {"rsync": {"rsh": shell}}
            for shell in (
                *("ssh -S none", "ssh -S/x", "ssh -M", "ssh -4M", "ssh -o ControlPath=/x", "ssh -ocontrolmaster=auto"),
                *("rsh", "sudo -u x ssh", "my-wrapper ssh"),
            )
        ),
    ],
)
def test_what_is_not_shared(by_rsync: Any, config: dict[str, Any]) -> None:
    inlet = by_rsync(**config)
    inlet.startup()
    assert masters(inlet) == []
    assert not any(b"ControlPath=/run" in word or b"lsyncd-" in word for word in inlet.spawned[0].argv)


@pytest.mark.parametrize("action", [Rsync, RsyncSsh])
@pytest.mark.parametrize("value", ["60", -1, True, float("inf"), float("nan")])
def test_another_value_is_an_error(action: Any, value: Any) -> None:
    with pytest.raises(ConfigError, match="sshShare"):
        FakeInlet(action(), {"target": "h:/t", "host": "h", "targetdir": "/t", "sshShare": value})


def test_moves_go_through_the_connection_of_rsync(by_rsyncssh: Any) -> None:
    inlet = by_rsyncssh(ssh={"port": 23, "options": {"ProxyCommand": "ssh j -W %h:%p"}})
    inlet.startup()
    inlet.end(inlet.spawned[-1], 0)
    options = ["-o", "ControlMaster=no", "-o", f"ControlPath={socket_of(inlet)}"]
    inlet.change("Move", b"/a", b"/b")
    inlet.turn()
    assert list(map(os.fsdecode, inlet.spawned[-1].argv))[-6:] == [*options, "u@h", "sh"], "the probe"
    inlet.end(inlet.spawned[-1], 81)
    inlet.turn()
    assert list(map(os.fsdecode, inlet.spawned[-1].argv))[-6:] == [*options, "u@h", "sh"], "the move"
    assert len(masters(inlet)) == 1


def test_a_host_in_brackets_is_one_for_rsync_and_for_moves(by_rsyncssh: Any) -> None:
    inlet = by_rsyncssh(host="u@::1")
    inlet.startup()
    assert masters(inlet)[0][-1] == "u@::1"
    inlet.end(inlet.spawned[-1], 0)
    inlet.change("Move", b"/a", b"/b")
    inlet.turn()
    assert len(masters(inlet)) == 1


def lose(inlet: FakeInlet) -> str:
    """The transfer that runs ends with the connection that it went through. Gives the verdict."""
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(socket_of(inlet))
        server.listen()
        yet = inlet.spawned[-1]
        inlet.turn()
        assert inlet.spawned[-1] is not yet
    return inlet.end(inlet.spawned[-1], LOST)


def test_a_change_whose_connection_has_ended_is_transferred_at_once_without_it(by_rsync: Any) -> None:
    inlet = by_rsync(delay=15)
    inlet.startup()
    inlet.end(inlet.spawned[-1], 0)
    inlet.change("Modify", b"/f")
    assert lose(inlet) == "again"
    inlet.turn()
    assert inlet.spawned[-1].paths == [b"/f"]
    assert shells(inlet) == []
    assert b"/.f.[a-zA-Z0-9]" in (inlet.spawned[-1].stdin or b""), "half a file may have been left there"
    assert inlet.end(inlet.spawned[-1], 0) == "ok"
    assert inlet.waiting == []
    assert len(inlet.lines("Warn")) == 1
    assert not [line for line in inlet.lines("Normal") if line.startswith("Retrying")]


def test_a_startup_whose_connection_has_ended_does_not_end_the_daemon(by_rsync: Any) -> None:
    inlet = by_rsync(insist=False)
    inlet.startup()
    inlet.end(inlet.spawned[-1], 0)
    inlet.full_event()
    assert lose(inlet) == "again"
    inlet.turn()
    assert inlet.end(inlet.spawned[-1], 0) == "ok"


def test_a_move_whose_connection_has_ended_stays_a_move(by_rsyncssh: Any) -> None:
    inlet = by_rsyncssh()
    inlet.startup()
    inlet.end(inlet.spawned[-1], 0)
    inlet.change("Move", b"/a", b"/b")
    assert lose(inlet) == "again", "the probe"
    inlet.turn()
    assert inlet.spawned[-1].argv == [b"ssh", b"u@h", b"sh"]
    inlet.end(inlet.spawned[-1], 81)
    inlet.turn()
    assert inlet.spawned[-1].paths == [b"/a"]
    inlet.end(inlet.spawned[-1], 0)
    inlet.advance(20)
    inlet.change("Modify", b"/f")
    inlet.turn()  # opens it anew
    inlet.end(inlet.spawned[-1], 0)
    inlet.change("Move", b"/c", b"/d")
    assert lose(inlet) == "again", "the move"
    inlet.turn()
    assert inlet.spawned[-1].paths == [b"/c"]
    assert inlet.spawned[-1].argv == [b"ssh", b"u@h", b"sh"]


def test_a_way_that_is_broken_beyond_the_connection_waits_as_ever(by_rsync: Any) -> None:
    inlet = by_rsync()
    inlet.startup()
    assert inlet.end(inlet.spawned[-1], 255) == "again"
    count = len(inlet.spawned)
    inlet.turn()
    assert len(inlet.spawned) == count


def test_words_are_those_that_rsync_makes(tmp_path: Path) -> None:
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\nprintf "%s\\0" "$@" >"$0.words"\n')
    shell.chmod(0o755)
    for words in ("a  b", "'a b' c", '"a \'b" c', "'a''b'", '"a""b" d', "x'y z'w", "a\\ b", "''", "-o 'a''b c' "):
        subprocess.run([program("rsync"), "-e", f"{shell} {words}", "h:/x", tmp_path / "y"], check=False, stderr=-3)
        got = (tmp_path / "shell.words").read_bytes().split(b"\0")
        told = list(split_as_rsync(f"{shell} {words}"))[1:]
        assert list(map(os.fsdecode, got))[: len(told) + 1] == [*told, "h"], words
