"""How far startups are, on a terminal (`-nodaemon`)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from orchestrator.daemon.progress import StartupProgress, words_of
from orchestrator.log import Log
from orchestrator.sync.sync import Options
from tests.kit.syncs import Calls, SyncWorld

if TYPE_CHECKING:
    import pytest

    from orchestrator.sync.inlet import Event

NOW = 1000.0


class Copying(Calls):
    def has_init(self) -> bool:
        return True

    def init(self, event: Event) -> None:
        self.sync.inlet.spawn(event, ["copy"])


class World(SyncWorld):
    """A sync whose startup runs; `shown` is what has been on the terminal."""

    def __init__(self) -> None:
        super().__init__(Copying(), Options())
        self.shown: list[str] = []
        self.sync.start()
        self.sync.invoke(self.clock.now())
        StartupProgress(self.host, lambda: [self.sync], self.shown.append)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        while (due := self.host.alarms.pop_due(self.clock.now())) is not None:
            due()


def test_a_short_startup_shows_nothing() -> None:
    world = World()
    world.advance(4.9)
    assert world.shown == []
    world.processes.end(world.processes.running()[0], 0)
    world.advance(100)
    assert world.shown == [""]


def test_a_long_one_is_shown_until_it_is_over() -> None:
    world = World()
    world.advance(5.1)
    world.advance(2.1)
    assert [re.search(r"starting for (\w+)", text)[1] for text in world.shown] == ["5s", "7s"]  # type: ignore[index]
    assert world.shown[0].startswith(f"{world.sync.name}: ")
    world.processes.end(world.processes.running()[0], 0)
    world.advance(2.1)
    assert world.shown[2:] == [""]
    world.advance(100)
    assert len(world.shown) == 3


def status(name: str = "web", **values: Any) -> dict[str, Any]:
    startup = {"since": NOW - 90, "parts": None, "parts_done": None, "bytes_done": None}
    transfers = [{"bytes": 1500}, {"bytes": None}, {"bytes": 500}]
    return {"name": name, "startup": startup | values, "transfers": transfers}


def test_the_words() -> None:
    assert list(words_of([status()], NOW)) == ["web: starting for 1m, 2.00 kB"]
    parts = status("mail", parts=8, parts_done=3, bytes_done=7_000_000)
    assert list(words_of([parts], NOW)) == ["mail: starting for 1m, 3 of 8 parts, 7.00 MB"]
    assert list(words_of([status(parts=1, parts_done=0)], NOW)) == ["web: starting for 1m, 2.00 kB"]
    assert list(words_of([status() | {"transfers": []}, status() | {"startup": None}], NOW)) == []
    (hostile,) = words_of([status("a\n\x1b[31m")], NOW)
    assert "\n" not in hostile
    assert "\x1b" not in hostile


def test_a_message_takes_its_place(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    log = Log()
    log.configure(nodaemon=True)
    log.show_progress("web: " + "far " * 20)
    log("Normal", "a line")
    log("Normal", "another")
    log.show_progress("")
    log.close()
    erase = "\r\x1b[K"
    first, second, *rest = capfd.readouterr().out.split(erase)[1:]
    assert first.endswith("…\r")
    assert len(first) == 30
    assert second.startswith("\r")
    assert second.count("\n") == 2
    assert not rest


def test_a_daemon_in_the_background_shows_none(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.configure(nodaemon=True, logfile=os.devnull)
    log.detach()
    log.show_progress("web")
    log.close()
    assert capfd.readouterr().out == ""
