"""What a service manager is sent: by a real socket, as systemd's is, and a daemon that the test turns."""

from __future__ import annotations

import itertools
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from orchestrator import servicemanager
from orchestrator.logic.summary import summary
from orchestrator.servicemanager import ServiceManager
from orchestrator.testing.clock import FakeClock
from tests.kit.turns import TERMINATED, Script, TurnedDaemon, turn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Manager:
    """The other end."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(address)

    def heard(self) -> list[str]:
        """Each message since this was last asked."""
        found = []
        try:
            while True:
                found.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    manager = Manager(f"{tmp_path}/notify")
    monkeypatch.setenv("NOTIFY_SOCKET", f"{tmp_path}/notify")
    yield manager
    manager.socket.close()


def sync(box: Path, name: str) -> str:
    (box / name).mkdir(exist_ok=True)
    return f'sync{{default.rsync, source = "{box}/{name}", target = "{box}/t/{name}", name = "{name}", delay = 1}}\n'


def no_summary() -> str:
    raise AssertionError("made for nothing")


# ---- a daemon ------------------------------------------------------------------------------------


def test_a_daemon_is_ready_when_its_sources_are_watched(manager: Manager, tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        assert manager.heard() == [
            "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=looking through the sources",
            "READY=1",
            "STATUS=2 syncs: 2 starting; 2 changes wait",
        ]
        daemon.end(0, 0)
        yield 10
        assert manager.heard() == ["STATUS=2 syncs: 2 in sync"]
        daemon.send(signal.SIGTERM)
        yield
        assert manager.heard() == ["STOPPING=1"]

    assert turn(tmp_path, script, sync(tmp_path, "one") + sync(tmp_path, "two")) == TERMINATED


def test_the_summary_is_sent_once_in_a_second_and_only_when_it_is_another(manager: Manager, tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        yield 10
        manager.heard()
        before = daemon.clock.now()
        for number in range(5):
            daemon.change(f"{tmp_path}/one/{number}")
            yield 0.1
        daemon.end_all()
        yield 0.3
        assert manager.heard() == ["STATUS=1 sync: 1 syncing; 1 change waits"]
        yield 0.5
        assert manager.heard() == ["STATUS=1 sync: 1 syncing; 5 changes wait"]
        assert daemon.clock.now() - before == pytest.approx(1.3)
        daemon.end(0)
        yield 5
        assert manager.heard() == ["STATUS=1 sync: 1 in sync"]
        yield 3600  # turn() fails where the loop wakes up for nothing again and again
        assert manager.heard() == []

    assert turn(tmp_path, script, sync(tmp_path, "one")) == TERMINATED


def test_a_reload_begins_and_ends_also_one_that_fails(manager: Manager, tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        yield 10
        for text in ("sync{ this is no Lua", sync(tmp_path, "two")):
            manager.heard()
            daemon.config(text)
            daemon.send(signal.SIGHUP)
            yield
            reloading, ready = manager.heard()[:2]
            assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
            assert ready == "READY=1"
        daemon.end_all()

    assert turn(tmp_path, script, sync(tmp_path, "one")) == TERMINATED


def test_the_watchdog_is_fed_while_nothing_happens(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    status = tmp_path / "status"

    def script(daemon: TurnedDaemon) -> Script:
        yield
        daemon.end(0)
        yield 30
        manager.heard()
        written = status.stat().st_mtime_ns
        yield 100
        assert manager.heard() == ["WATCHDOG=1"] * 10
        assert status.stat().st_mtime_ns == written

    text = f'settings{{statusFile = "{status}", statusInterval = 1}}\n'
    assert turn(tmp_path, script, text + sync(tmp_path, "one")) == TERMINATED


def test_a_startup_error_is_no_readiness(manager: Manager, tmp_path: Path) -> None:
    def script(daemon: TurnedDaemon) -> Script:
        yield from ()  # it ends before it ever waits

    assert turn(tmp_path, script, "sync{ this is no Lua") == 255
    assert manager.heard() == []


# ---- by itself -----------------------------------------------------------------------------------


def test_an_abstract_address(tmp_path: Path) -> None:
    name = f"lsyncd-test-{os.getpid()}"
    other = Manager(f"\0{name}")
    service = ServiceManager({"NOTIFY_SOCKET": f"@{name}"}, FakeClock())
    service.ready()
    assert other.heard() == ["READY=1"]
    service.close()
    other.socket.close()


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative", f"/{'long' * 50}", "/none/there"])
def test_nobody_there(address: str) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "junk"}, FakeClock())
    service.ready()
    service.reloading()
    service.busy(is_starting=True)
    service.stopping()
    service.close()


def test_without_a_service_manager_nothing_is_done() -> None:
    service = ServiceManager({"WATCHDOG_USEC": "1000000"}, FakeClock())
    service.turned(no_summary)
    assert not service.is_there
    assert service.limited(None) is None
    assert service.limited(7.0) == 7.0


@pytest.mark.parametrize(
    ("environment", "limit"),
    [
        ({"WATCHDOG_USEC": "4000000"}, 2.0),
        ({"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "junk"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({}, None),
    ],
)
def test_whose_watchdog(manager: Manager, environment: dict[str, str], limit: float | None) -> None:
    service = ServiceManager({**os.environ, **environment}, FakeClock())
    assert service.limited(None) == limit
    service.close()


def test_long_work_feeds_the_watchdog(manager: Manager) -> None:
    clock = FakeClock()
    service = ServiceManager({**os.environ, "WATCHDOG_USEC": "4000000"}, clock)
    for _ in range(50):
        clock.advance(0.1)
        service.busy(is_starting=False)
    assert manager.heard() == ["WATCHDOG=1"] * 2
    service.close()


@pytest.mark.timeout(30)
def test_a_full_socket_holds_up_nothing_and_the_summary_follows(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicemanager, "PATIENCE", 3600)  # for what is urgent
    clock = FakeClock()
    service = ServiceManager(os.environ, clock)
    summaries = map(str, itertools.count())
    while service.limited(None) is None:  # until one is left over
        clock.advance(1)
        service.turned(summaries.__next__)
    manager.heard()
    clock.advance(1)
    service.turned(lambda: "free again")
    assert manager.heard() == ["STATUS=free again"]
    assert service.limited(None) is None
    service.close()


@pytest.mark.parametrize(
    ("states", "waiting", "text"),
    [
        ([], 0, "0 syncs: none"),
        (["in sync"], 0, "1 sync: 1 in sync"),
        (["retrying", "in sync", "in sync"], 1, "3 syncs: 2 in sync, 1 retrying; 1 change waits"),
        (["syncing"], 1200, "1 sync: 1 syncing; 1200 changes wait"),
    ],
)
def test_the_summary(states: list[str], waiting: int, text: str) -> None:
    assert summary(states, waiting) == text
