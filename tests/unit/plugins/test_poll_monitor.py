"""The poll monitor as a whole, with its timer and its thread, on real files."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

import pytest

from orchestrator_poll import orchestrator_configured, orchestrator_monitors
from orchestrator_poll.monitor import PollMonitor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.logic.change import Change

LONG_AGO = 1_000_000_000
"""Seconds: what was changed just now is reported once more, as it may change again and look the same."""


class Bench:
    """A source `src`, and a monitor of it whose cycles follow each other at once."""

    def __init__(self, top: Path) -> None:
        self.top = top
        (top / "src/d").mkdir(parents=True)
        self.write("src/d/old")
        self.src = os.fsencode(top) + b"/src/"
        self.said: list[str] = []
        self.markers = 0
        self.monitor = PollMonitor(
            lambda directory: not directory.endswith(b"/unwanted/"),
            lambda category, *parts: self.said.append(f"{category}: {''.join(map(str, parts))}"),
            0.001,
        )
        self.progress: list[int] = []
        self.monitor.watch(self.src, self.progress.append)

    def write(self, name: str) -> None:
        """A file comes, in one step, as a cycle may be at work; or it gets other contents, in two."""
        path = self.top / name
        new = path if path.exists() else self.top / "new"
        with new.open("a") as file:
            file.write("x")
        os.utime(new, (LONG_AGO, LONG_AGO))
        new.rename(path)

    def changes(self) -> list[str]:
        """All that has happened up to now, as reported. A cycle may be at work already: so by the end of the next."""
        found: list[str] = []
        for _ in range(2):
            self.markers += 1
            marker = f"marker{self.markers}"
            self.write(f"src/{marker}")
            while f"Create {marker}" not in found:
                self.wait()
                found += self.reported(self.monitor.read())
        return [change for change in found if "marker" not in change]

    def wait(self) -> None:
        assert select.select([self.monitor.fileno()], [], [], 10)[0], "nothing to be read"

    def reported(self, changes: list[Change]) -> list[str]:
        return [f"{kind} {path.removeprefix(self.src).decode()}" for kind, path, _ in changes]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.monitor.close()


def test_what_is_there_at_first_is_not_reported(bench: Bench) -> None:
    assert bench.monitor.watched() == [bench.src, bench.src + b"d/"]
    assert bench.changes() == []
    assert (bench.monitor.lost_roots(), bench.monitor.returned_roots(), bench.said) == ([], [], [])
    assert not bench.monitor.is_behind()
    assert bench.monitor.polled() == []


def test_what_changes_is_reported_once(bench: Bench) -> None:
    bench.write("src/new")
    bench.write("src/d/old")
    (bench.top / "src/n").mkdir()
    bench.write("src/n/f")
    assert sorted({*bench.changes()}) == ["Create n/", "Create n/f", "Create new", "Modify d/old"]
    os.rename(bench.top / "src/n", bench.top / "src/m")
    (bench.top / "src/new").unlink()
    assert sorted(bench.changes()) == ["Create m/", "Create m/f", "Delete n/", "Delete new"]
    (bench.top / "src/d/old").chmod(0o600)
    assert {change.split()[1] for change in bench.changes()} == {"d/old"}
    assert bench.changes() == []


def test_unwanted_directories_are_not_looked_at(bench: Bench) -> None:
    (bench.top / "src/unwanted").mkdir()
    bench.write("src/unwanted/f")
    assert bench.changes() == ["Create unwanted/"]
    assert bench.src + b"unwanted/" not in bench.monitor.watched()


def test_a_source_goes_and_comes_back(bench: Bench) -> None:
    os.rename(bench.top / "src", bench.top / "away")
    lost: list[bytes] = []
    while not lost:
        bench.wait()
        assert bench.monitor.read() == []
        lost += bench.monitor.lost_roots()
    assert (lost, bench.monitor.watched()) == ([bench.src], [])
    bench.write("away/meanwhile")
    os.rename(bench.top / "away", bench.top / "src")
    back: list[bytes] = []
    while not back:
        bench.wait()
        assert bench.monitor.read() == []  # its contents are for the full run
        back += bench.monitor.returned_roots()
    assert back == [bench.src]
    bench.write("src/later")
    assert bench.changes() == ["Create later"]


def test_a_source_is_let_go(bench: Bench) -> None:
    bench.monitor.unwatch(bench.src)
    assert bench.monitor.watched() == []


def test_a_directory_that_cannot_be_read_stays_as_it_was(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: bytes) -> object:
        if os.path.samefile(path, bench.top / "src/d"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert bench.changes() == []
    assert bench.said == [f"Warn: Cannot read {bench.top}/src/d/: Permission denied."]
    monkeypatch.undo()
    bench.write("src/d/old")
    assert {*bench.changes()} == {"Modify d/old"}


def test_the_plugin_makes_one_with_the_interval_of_the_settings(tmp_path: Path) -> None:
    orchestrator_configured({"pollInterval": 1000})
    (kind,) = orchestrator_monitors()
    assert kind.name == "poll"
    monitor = kind.make("CloseWrite", lambda _: True, lambda *_: None)
    try:
        monitor.watch(os.fsencode(tmp_path) + b"/")
        monitor.read()
        assert not select.select([monitor.fileno()], [], [], 0)[0]  # for a thousand seconds
    finally:
        monitor.close()
