"""The monitors poll and fanotify over a real directory: what they report, and what becomes of a source that goes."""

from __future__ import annotations

import select
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from orchestrator.api import Change, Monitor, MonitorError
from orchestrator_fanotify.monitor import FanotifyMonitor
from orchestrator_poll.monitor import PollMonitor
from tests.kit.fanotify import needs_fanotify, own_file_system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE = 20.0


def is_wanted(directory: bytes) -> bool:
    return b"/unwanted/" not in directory


def make_poll(log: Callable[..., None]) -> Monitor:
    return PollMonitor(is_wanted, log, 0.01)


def make_fanotify(log: Callable[..., None]) -> Monitor:
    return FanotifyMonitor("CloseWrite", is_wanted, log)


class Watched:
    """A monitor of `source`; `changes` are all that it has reported."""

    def __init__(self, monitor: Monitor, source: Path) -> None:
        self.monitor = monitor
        self.source = source
        self.root = f"{source}/".encode()
        self.changes: list[Change] = []
        self.lost: list[bytes] = []
        self.returned: list[bytes] = []

    def until(self, condition: Callable[[], object]) -> None:
        """Read whenever the monitor is readable, until that holds."""
        end = time.monotonic() + DEADLINE
        while not condition():
            left = end - time.monotonic()
            assert left > 0, f"in vain; reported: {self.changes}, lost: {self.lost}, back: {self.returned}"
            select.select([self.monitor.fileno()], (), (), left)
            self.changes += self.monitor.read()
            self.lost += self.monitor.lost_roots()
            self.returned += self.monitor.returned_roots()

    def reported(self, path: str, *etypes: str) -> bool:
        """Whether a change of that path below the source was reported, of one of these kinds."""
        name = self.root + path.encode()
        changes = [change for change in self.changes if change.etype in etypes]
        return any(name == change.path or name == change.path2 for change in changes)


@pytest.fixture(params=[make_poll, make_fanotify], ids=["poll", "fanotify"])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    lines: list[object] = []
    with ExitStack() as open_:
        if request.param is make_fanotify:
            needs_fanotify()
            open_.enter_context(own_file_system(tmp_path))
        source = tmp_path / "source"
        (source / "d").mkdir(parents=True)
        (source / "old").write_text("old")
        monitor = open_.enter_context(closing(request.param(lambda *parts: lines.append(parts))))
        watched = Watched(monitor, source)
        monitor.watch(watched.root)
        yield watched
        assert lines == []


def test_what_changes_is_reported(watched: Watched) -> None:
    source = watched.source
    (source / "d" / "new").write_text("new")
    (source / "old").write_text("changed")
    watched.until(lambda: watched.reported("d/new", "Create", "Modify") and watched.reported("old", "Modify"))
    (source / "d" / "new").rename(source / "moved")
    watched.until(lambda: watched.reported("moved", "Create", "Move") and watched.reported("d/new", "Delete", "Move"))
    (source / "e" / "f").mkdir(parents=True)
    (source / "e" / "f" / "g").write_text("g")
    watched.until(lambda: watched.reported("e/", "Create") and watched.reported("e/f/g", "Create", "Modify"))
    (source / "old").unlink()
    watched.until(lambda: watched.reported("old", "Delete"))
    assert not watched.reported("d/", "Delete")
    assert (watched.lost, watched.returned) == ([], [])


def test_what_nobody_wants_is_not(watched: Watched) -> None:
    (watched.source / "unwanted").mkdir()
    (watched.source / "unwanted" / "f").write_text("x")
    (watched.source / "f").write_text("x")
    watched.until(lambda: watched.reported("f", "Create", "Modify"))
    (watched.source / "g").write_text("x")  # one more round, to be sure
    watched.until(lambda: watched.reported("g", "Create", "Modify"))
    assert not [change for change in watched.changes if b"/unwanted/f" in change.path]


def test_a_source_that_goes_and_comes_back(watched: Watched) -> None:
    away = watched.source.with_name("away")
    watched.source.rename(away)
    watched.until(lambda: watched.lost)
    assert watched.lost == [watched.root]
    (away / "meanwhile").write_text("x")
    away.rename(watched.source)
    watched.until(lambda: watched.returned)
    assert watched.returned == [watched.root]
    (watched.source / "after").write_text("x")
    watched.until(lambda: watched.reported("after", "Create", "Modify"))
    assert not watched.reported("meanwhile", "Create", "Modify"), "what was there is transferred as a whole"


def test_a_source_that_is_watched_no_more(watched: Watched, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    watched.monitor.watch(f"{other}/".encode())
    assert f"{other}/".encode() in watched.monitor.watched()
    watched.monitor.unwatch(watched.root)
    assert watched.root not in watched.monitor.watched()
    (watched.source / "f").write_text("x")
    (other / "f").write_text("x")
    watched.until(lambda: any(change.path == f"{other}/f".encode() for change in watched.changes))
    assert not watched.reported("f", "Create", "Modify")


def test_after_a_rescan_all_is_reported_as_before(watched: Watched) -> None:
    watched.monitor.rescan()
    (watched.source / "f").write_text("x")
    watched.monitor.drain()
    watched.until(lambda: watched.reported("f", "Create", "Modify"))
    assert not watched.monitor.is_behind()
    assert not watched.monitor.overflowed


def test_a_paused_source_is_in_place_when_it_is_resumed(watched: Watched) -> None:
    watched.monitor.pause(watched.root)
    (watched.source / "meanwhile").write_text("x")
    watched.monitor.resume(watched.root)
    assert watched.monitor.lost_roots() == []
    (watched.source / "f").write_text("x")
    watched.until(lambda: watched.reported("f", "Create", "Modify"))


@pytest.mark.parametrize("make", [make_poll, make_fanotify], ids=["poll", "fanotify"])
def test_a_source_that_is_not_there_is_lost_from_the_beginning(
    make: Callable[[Callable[..., None]], Monitor], tmp_path: Path
) -> None:
    monitor = make(lambda *parts: None)
    try:
        watched = Watched(monitor, tmp_path / "later")
        monitor.watch(watched.root)
        assert monitor.lost_roots() == [watched.root]
        watched.source.mkdir()
        watched.until(lambda: watched.returned)
        assert watched.returned == [watched.root]
    finally:
        monitor.close()


def test_a_mode_that_there_is_not() -> None:
    with pytest.raises(MonitorError, match="'nosuch' not a valid"):
        FanotifyMonitor("nosuch", is_wanted, lambda *parts: None)
