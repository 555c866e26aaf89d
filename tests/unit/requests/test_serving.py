"""The control socket in the life of the daemon: where it cannot be, and what a reload makes of it."""

from __future__ import annotations

import grp
import json
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from orchestrator.config.settings import Settings
from orchestrator.daemon.serving import Serving, check
from orchestrator.errors import OrchestratorError
from orchestrator.requests import place
from tests.kit.descriptors import descriptors_left
from tests.kit.served import Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Whose desk a server may be made at, and whose clock and log it has."""
    monkeypatch.setattr(place, "RUN", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    served = Served(tmp_path / "other")
    yield served
    served.close()


@pytest.mark.parametrize("left", [0, 1, 2])
def test_no_descriptors_left_is_a_debug_line(served: Served, left: int) -> None:
    serving = Serving(served.log)
    served.log._shown = None
    with descriptors_left(left):
        serving.open(served.desk, Settings())
    is_there = bool(list((served.path.parent / "lsyncd").glob("*.sock")))
    lines = [text for category, text in served.log.lines if category == "Debug"]
    assert lines == ([] if is_there else ["no control socket: Too many open files"])
    serving.close()
    assert list((served.path.parent / "lsyncd").glob("*.sock")) == []


def test_a_place_that_the_settings_name_must_be(served: Served, tmp_path: Path) -> None:
    serving = Serving(served.log)
    with descriptors_left(0), pytest.raises(OrchestratorError, match=r"Cannot create control socket.*Too many open"):
        serving.open(served.desk, Settings(control_socket=str(tmp_path / "socket")))
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OrchestratorError, match="Cannot create control socket"):
        serving.open(served.desk, Settings(control_socket=str(tmp_path / "file")))
    assert (tmp_path / "file").read_text() == "precious"
    with pytest.raises(OrchestratorError, match='there is no group "x"'):
        check(Settings(control_group="x"))


def test_a_reload_makes_it_anew_only_where_its_settings_are_others(served: Served, tmp_path: Path) -> None:
    serving, before = Serving(served.log), Settings(control_socket=str(tmp_path / "socket"))
    serving.open(served.desk, before)
    made = os.lstat(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "socket"))
        served.loop.turn(0.0)
        serving.change(before, Settings(control_socket=before.control_socket, insist=True))
        assert os.path.samestat(os.lstat(tmp_path / "socket"), made)
        client.setblocking(False)
        assert client.recv(1000)
        group = Settings(control_socket=before.control_socket, control_group=_own_group())
        serving.change(before, group)
        assert client.recv(1000) == b"", "hung up on: it may be somebody who may not ask any more"
    assert stat.S_IMODE(os.lstat(tmp_path / "socket").st_mode) == 0o660
    (tmp_path / "file").write_text("precious")
    serving.change(group, Settings(control_socket=str(tmp_path / "file")))
    assert not (tmp_path / "socket").exists()
    assert [category for category, _ in served.log.lines] == ["Error"], "the daemon goes on without one"
    assert served.desk.reloads == 3
    (tmp_path / "file").unlink()
    serving.change(Settings(control_socket=str(tmp_path / "file")), Settings(control_socket=str(tmp_path / "file")))
    assert stat.S_ISSOCK(os.lstat(tmp_path / "file").st_mode), "the next reload tries again"
    serving.change(group, Settings(control_socket=False))
    serving.close()


def test_what_it_owes_to_the_loop(served: Served, tmp_path: Path) -> None:
    serving = Serving(served.log)
    assert (serving.timeout(5.0, None), serving.timeout(5.0, 3.0)) == (None, 3.0)
    serving.open(served.desk, Settings(control_socket=str(tmp_path / "socket")))
    assert (serving.timeout(5.0, None), serving.timeout(5.0, 3.0)) == (None, 3.0)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "socket"))
        served.runner.syncs = [served.sync("x" * 1_000_000)]
        client.sendall(b'{"command": "status"}\n')
        for _ in range(4):
            served.loop.turn(0.0)
        now = served.clock.now()
        assert 0 < (serving.timeout(now, None) or 0) <= 30, "until the answers that it does not read are too old"
        assert serving.timeout(now, 3.0) == 3.0
        assert serving.timeout(now + 60, 3.0) == 0.0
    serving.close()


@pytest.mark.parametrize("is_asked", [False, True])
def test_whoever_follows_a_daemon_hears_once_of_its_end(served: Served, tmp_path: Path, is_asked: bool) -> None:
    serving = Serving(served.log)
    serving.open(served.desk, Settings(control_socket=str(tmp_path / "socket")))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "socket"))
        client.sendall(b'{"command": "subscribe"}\n')
        for _ in range(4):
            served.loop.turn(0.0)
        if is_asked:
            serving.ending("signal TERM")
        serving.close()
        with client.makefile() as lines:
            events = [json.loads(line) for line in lines][2:]
    assert [event["event"] for event in events] == ["ending"]
    assert events[0]["reason"] == ("signal TERM" if is_asked else "its work is over")


def _own_group() -> str:

    return grp.getgrgid(os.getgid()).gr_name
