"""The control socket, and whoever was at its place before."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import OrchestratorError
from orchestrator.requests.listener import Listener, check_place
from tests.kit.descriptors import descriptors_left

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.masterloop import Loop


def control(loop: Loop, path: Path, group: int | None = None) -> Listener:
    return Listener(loop, os.fsencode(path), group, lambda connection: connection.close(), lambda: None)


def test_one_that_listens_and_never_accepts_is_an_error_at_once(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as squatter:
        squatter.bind(str(path))
        squatter.listen(0)
        clients = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(2)]
        for client in clients:
            client.connect_ex(str(path))
        assert clients[1].connect_ex(str(path)) != 0, "its queue is full"
        with pytest.raises(OSError, match="in use"):
            control(loop, path)
        for client in clients:
            client.close()
    assert path.is_socket()


def test_that_of_a_daemon_that_is_no_more_is_replaced(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    served = control(loop, path)
    assert path.is_socket()
    served.close()
    assert not path.exists()


@pytest.mark.parametrize("is_there", [False, True])
def test_no_descriptors_left_is_one_line(loop: Loop, tmp_path: Path, is_there: bool) -> None:
    path = tmp_path / "socket"
    if is_there:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    with descriptors_left(0), pytest.raises(OSError, match="Too many open"):
        control(loop, path)


def test_a_path_that_no_socket_can_have(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120)
    with pytest.raises(OSError, match="too long"):
        control(loop, path)
    with pytest.raises(OrchestratorError, match="107 bytes at most"):
        check_place(str(path))


@pytest.mark.parametrize(("group", "mode"), [(False, 0o600), (True, 0o660)])
def test_nobody_else_may_connect_from_the_first_moment_on(loop: Loop, tmp_path: Path, group: bool, mode: int) -> None:
    before = os.umask(0)
    try:
        served = control(loop, tmp_path / "socket", os.getgid() if group else None)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == mode
    served.close()


def test_a_socket_that_has_taken_its_place_stays(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    served = control(loop, path)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        served.close()
        assert path.is_socket()
