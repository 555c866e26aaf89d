"""The commands that steer, from a client's line to what becomes of the syncs, the log and the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.sync.steering import Steering
from orchestrator.sync.sync import Options
from tests.kit.served import Served
from tests.unit.sync.test_steering import Copying, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Steered(Served):
    """The server over one real sync, `s`."""

    def __init__(self, path: Path) -> None:
        self.world = World(Copying(), Options(sets=True, delay=10.0))
        super().__init__(path)
        self.runner.syncs[:] = [self.world.sync]
        self.runner.steering = Steering(self.world.host)
        self.runner.read_all = self.read_all
        self.unread: list[bytes] = []
        self.log_changes = 0
        self.desk.log_changed = self.count_log_change

    def read_all(self) -> None:
        unread, self.unread = self.unread, []
        self.world.change(*unread)

    def count_log_change(self) -> None:
        self.log_changes += 1

    def finish(self) -> None:
        """All that is due is transferred."""
        self.world.run()
        self.runner.steering.settle()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Steered]:
    served = Steered(tmp_path / "socket")
    yield served
    served.close()
    served.world.close()


def test_pause_and_resume(served: Steered) -> None:
    client = served.client()
    assert client.ask("pause", syncs=["s"])["result"] == {"syncs": ["s"]}
    assert served.world.sync.state.value == "paused"
    assert client.ask("resume")["result"] == {"syncs": ["s"]}
    assert served.world.sync.state.value == "in sync"
    assert served.touched > 0


def test_run_names_those_that_do(served: Steered) -> None:
    client = served.client()
    assert client.ask("run")["result"] == {"syncs": ["s"]}
    served.finish()
    assert served.world.calls.done == [[b""]]
    served.world.sync.life.stop("by a test")
    assert client.ask("run")["result"] == {"syncs": []}


def flushed(is_done: bool, waiting: int, state: str) -> dict[str, Any]:
    return {"syncs": [{"name": "s", "is_done": is_done, "waiting": waiting, "state": state}]}


def test_flush_takes_what_was_written_before_it(served: Steered) -> None:
    client = served.client()
    served.unread = [b"/a"]
    assert client.ask("flush")["result"] == flushed(False, 1, "syncing")
    served.finish()
    assert served.world.calls.done == [[b"/a"]]
    assert client.ask("flush")["result"] == flushed(True, 0, "in sync")


def test_flush_answers_when_it_is_done(served: Steered) -> None:
    client = served.client()
    served.unread = [b"/a"]
    client.send({"id": 1, "command": "flush", "wait": 60})
    assert client.lines() == []
    served.finish()
    assert client.line()["result"] == flushed(True, 0, "in sync")


def test_nobody_waits_for_a_client_that_has_gone(served: Steered) -> None:
    client, other = served.client(), served.client()
    served.world.change(b"/a")
    for one in (client, other):
        one.send({"id": 1, "command": "flush", "wait": 60})
    assert other.lines() == []
    client.socket.close()
    served.turn(3)
    served.finish()
    assert other.line()["result"] == flushed(True, 0, "in sync")


@pytest.mark.parametrize("wait", [-1, "60", True, [1]])
def test_no_number_of_seconds(served: Steered, wait: object) -> None:
    assert served.client().ask("flush", wait=wait)["error"]["code"] == "bad request"


def test_retry(served: Steered) -> None:
    served.world.calls.codes = [1] * 8
    served.world.change(b"/a")
    served.world.run(500)
    tries = len(served.world.processes.started)
    assert served.client().ask("retry")["result"] == {"syncs": ["s"]}
    served.finish()
    assert len(served.world.processes.started) == tries + 1


def test_categories_of_the_log(served: Steered) -> None:
    client, world = served.client(), served.world
    served.log.change(["Exec"], [])
    assert client.ask("log")["result"] == {"categories": ["Error", "Exec", "Normal", "Warn"]}
    world.host.log.change(["Delay"], [])  # the daemon has one log; here the syncs have another one than the server
    shown = client.ask("log", on=["Delay"], off=["Exec"])["result"]
    assert shown == {"categories": ["Delay", "Error", "Normal", "Warn"]}
    world.change(b"/a")
    assert "Delay: New Modify: /a" in world.said
    said = len(world.said)
    world.host.log.change([], ["Delay"])
    client.ask("log", off=["Delay"])
    world.change(b"/b")
    assert len(world.said) == said
    assert served.log_changes == 3


def test_an_unknown_category(served: Steered) -> None:
    error = served.client().ask("log", on=["Exex"])["error"]
    assert error["code"] == "bad request"
    assert error["message"].startswith('there is no category "Exex"; there are: all, scarce, Alarm, Call')


def test_reload_is_answered_when_it_is_over(served: Steered) -> None:
    waiting: list[Any] = []
    served.desk.reload = waiting.append
    client = served.client()
    client.send({"id": 1, "command": "reload"}, {"id": 2, "command": "reload"})
    assert client.lines() == []
    first, second = waiting
    first(["Normal: reload: 1 sync goes on."], "")
    second(["Error: no"], "no")
    assert client.line() == {"id": 1, "result": {"lines": ["Normal: reload: 1 sync goes on."]}}
    assert client.line() == {"id": 2, "error": {"code": "failed", "message": "no"}}
