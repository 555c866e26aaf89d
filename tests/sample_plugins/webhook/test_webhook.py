"""The sample plugin that sends alerts, with a real HTTP server."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import Action, ConfigError, Inlet, of_paths
from orchestrator.testing.inlet import FakeInlet
from tests.kit.daemon import Daemon, wait_until
from tests.kit.sample import loaded, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        alert = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.alerts.append((alert["sync"], alert["what"], alert["cause"], self.headers["Authorization"]))
        self.server.answers.wait()
        self.send_response(self.server.codes.pop(0) if self.server.codes else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


class Server(ThreadingHTTPServer):
    """Keeps the `alerts`; answers while `answers` is set, with the first of `codes`, or 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.alerts: list[tuple[str, str, str, str]] = []
        self.codes: list[int] = []
        self.answers = threading.Event()
        self.answers.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client is a daemon that has ended."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.answers.set()
        server.shutdown()
        thread.join()


def alerting(box: Path, server: Server, command: str, more: str = "") -> Daemon:
    """A daemon with one sync, of the name web, that runs a command for each new file."""
    (box / "source").mkdir()
    url = f"http://127.0.0.1:{server.server_port}/hook"
    lua = f"""
    settings {{ plugins = {{ webhook = {{ url = "{url}", token = "opensesame", look = 0.1 }} }} }}
    sync {{ source = "{box}/source", name = "web", delay = 0, onCreate = "{command}",
            exitcodes = {{ [0] = "ok", [1] = "again" }}, maxProcesses = 2 {more} }}
    """
    return Daemon(box, lua=lua, plugins={"webhook": source_of("webhook")})


def test_a_failure_and_its_end_are_reported_once_each(tmp_path: Path, server: Server) -> None:
    server.codes = [503]  # the first alert is sent once more
    with alerting(tmp_path, server, f"test -e {tmp_path}/works") as daemon:
        daemon.wait_for_watches(1)
        (tmp_path / "source" / "a").symlink_to("x")
        daemon.wait_for("Retrying Create", times=2)
        (tmp_path / "works").touch()
        wait_until(lambda: any(what == "recovered" for _, what, _, _ in server.alerts), "the recovery")
    failed = ("web", "failed", "exit code 1", "Bearer opensesame")
    assert server.alerts == [failed, failed, ("web", "recovered", "", "Bearer opensesame")]
    assert "Warn: webhook: HTTP Error 503: Service Unavailable" in daemon.said()


def test_a_sync_that_is_stuck_is_reported(tmp_path: Path, server: Server) -> None:
    command = f"while ! test -e {tmp_path}/works; do sleep 0.1; done"
    with alerting(tmp_path, server, command, ", staleAfter = 0.3") as daemon:
        daemon.wait_for_watches(1)
        (tmp_path / "source" / "a").symlink_to("x")
        wait_until(lambda: server.alerts, "the alert")
        (tmp_path / "works").touch()
        wait_until(lambda: len(server.alerts) == 2, "the recovery")
    stuck, recovered = server.alerts
    assert stuck[:2] == ("web", "stuck")
    assert stuck[2]  # what it waits for
    assert recovered[:2] == ("web", "recovered")


def test_a_server_that_never_answers_holds_up_nothing(tmp_path: Path, server: Server) -> None:
    server.answers.clear()
    with alerting(tmp_path, server, "test -d ^sourcePathname") as daemon:
        daemon.wait_for_watches(1)
        (tmp_path / "source" / "bad").symlink_to("x")
        wait_until(lambda: server.alerts, "the alert to be on its way")
        (tmp_path / "source" / "good").mkdir()
        daemon.wait_for("Finished Create")
    assert len(set(server.alerts)) == 1  # a slow machine may send it once more


class Idle(Action):
    name = "idle"

    def action(self, inlet: Inlet) -> None:
        inlet.spawn(inlet.get_events(of_paths), ["true"])


def quiet(name: str, module: ModuleType) -> FakeInlet:
    """A sync for which nothing is sent, as there is no thread."""
    module.own.update(url="http://127.0.0.1:1/", token=None, look=60)
    inlet = FakeInlet(Idle(), {"name": name}, observers={"webhook": module})
    inlet.startup()
    return inlet


def test_of_too_many_alerts_the_oldest_is_dropped() -> None:
    module = loaded("webhook")
    inlets = [quiet(f"s{number}", module) for number in range(101)]
    for inlet in inlets:
        module.alert(inlet, "failed")
    assert module.alerts.qsize() == 100
    assert module.alerts.get_nowait()[0]["sync"] == "s1"
    assert inlets[-1].lines("Warn") == ["webhook: too many alerts, dropped that s0 has failed"]


def test_what_is_in_sync_is_not_looked_at(tmp_path: Path) -> None:
    module = loaded("webhook")
    inlet = quiet("web", module)
    inlet.change("Create", b"/a")
    inlet.turn()
    assert len(module.looked_at) == 1
    inlet.end(inlet.spawned[0], 0)
    inlet.advance(60)
    assert len(module.looked_at) == 0
    assert inlet.sync.host.alarms.next() is None


def test_a_wrong_url_is_refused() -> None:
    inlet = FakeInlet(Idle(), observers={"webhook": loaded("webhook")})
    with pytest.raises(ConfigError, match='needs a "url"'):
        inlet.configure(webhook={"url": "gopher://x"})
