"""Paths that rsync could not transfer are tried again by themselves and hold up nothing else (spec 6 row 16b)."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import RSYNC_EXIT_CODES, Difference
from orchestrator_direct.action import Direct
from orchestrator_rsync.action import Rsync
from orchestrator_rsync.fullretry import FullRetry
from orchestrator_rsyncssh.action import RsyncSsh
from tests.kit.inlet import FakeInlet, Spawn
from tests.kit.trees import Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path

DELAY = 1
"""Seconds: the first pause, and the time that what comes back to the queue waits there."""


def inlet_of(**config: Any) -> FakeInlet:
    return FakeInlet(Rsync(), {"target": "/trg", "delay": DELAY, **config})


def change(inlet: FakeInlet, *paths: bytes) -> Spawn:
    for path in paths:
        inlet.change("Modify", path)
    inlet.turn()
    return inlet.running[-1]


def test_they_come_back_after_growing_pauses_in_a_run_of_their_own() -> None:
    inlet = inlet_of()
    assert inlet.end(change(inlet, b"/bad", b"/good"), 23, b"rsync: open /bad: Permission denied (13)\n") == "ok"
    assert inlet.was_partial
    assert (inlet.retrying, inlet.waiting) == (2, [])
    assert inlet.lines("Warn") == [
        (
            "rsync could not transfer everything; 2 paths are tried again in 1 second: "
            "rsync: open /bad: Permission denied (13)"
        )
    ]
    for pause in (1, 2, 4):
        inlet.advance(pause - 0.1)
        assert inlet.waiting == []
        inlet.advance(DELAY + 0.2)
        inlet.turn()
        assert inlet.running[0].paths == [b"/bad", b"/good"]
        inlet.end(inlet.running[0], 23)


def test_what_changes_meanwhile_goes_at_once_and_apart() -> None:
    inlet = inlet_of(maxProcesses=2)
    inlet.end(change(inlet, b"/bad"), 23)
    inlet.advance(1.1)
    inlet.advance(DELAY)
    inlet.change("Modify", b"/fresh")
    inlet.turn()
    assert [spawn.paths for spawn in inlet.running] == [[b"/bad"], [b"/fresh"]]
    inlet.end(inlet.running[0], 23)
    assert change(inlet, b"/fresh2").paths == [b"/fresh2"]


def test_success_empties_the_list_and_makes_the_pause_short_again() -> None:
    inlet = inlet_of()
    for code in (23, 23, 0):
        if not inlet.spawned:
            change(inlet, b"/bad")
        inlet.turn()
        inlet.end(inlet.running[0], code)
        inlet.advance(5)
    assert inlet.retrying == 0
    inlet.advance(1000)
    assert inlet.waiting == []
    inlet.end(change(inlet, b"/bad"), 23)
    inlet.advance(1.1)
    assert inlet.waiting == [("Modify", b"/bad")]


def test_the_pause_has_a_limit_and_the_log_does_not_fill() -> None:
    inlet = inlet_of()
    change(inlet, b"/bad")
    for _ in range(40):
        inlet.end(inlet.running[0], 23)
        inlet.advance(300.1)
        inlet.advance(DELAY)
        inlet.turn()
    assert len(inlet.spawned) == 41
    assert len(inlet.lines("Warn")) == 10


def test_a_table_of_the_users_own_comes_first() -> None:
    inlet = inlet_of(exitcodes={**RSYNC_EXIT_CODES, 23: "again"})
    assert inlet.end(change(inlet, b"/bad"), 23) == "again"
    assert (inlet.retrying, inlet.lines("Warn")) == (0, [])


@pytest.mark.parametrize("action", [Rsync(), Direct()], ids=["rsync", "direct"])
def test_a_startup_that_could_not_transfer_everything_says_so_and_is_made_again(action: Any, tmp_path: Path) -> None:
    inlet = FakeInlet(action, Pair(tmp_path).config(delay=DELAY))
    inlet.startup()
    assert inlet.end(inlet.spawned[0], 23, b"trouble\n") == "ok"
    assert inlet.lines("Warn") == ["rsync could not transfer everything; one more full run in 1 second: trouble"]
    for pause in (1, 2, 4):
        assert (inlet.retrying, inlet.waiting) == (1, [])
        inlet.advance(pause + 0.1)
        assert inlet.waiting == [("Full", b"")]
        inlet.turn()
        inlet.end(inlet.running[0], 23)
    assert len(inlet.lines("Warn")) == 4
    inlet.advance(8.1)
    inlet.turn()
    inlet.end(inlet.running[0], 0)
    assert inlet.retrying == 0
    inlet.advance(1000)
    assert inlet.waiting == []


def test_a_full_run_of_somebody_elses_that_went_well_makes_it_needless() -> None:
    inlet = inlet_of()
    inlet.startup()
    inlet.end(inlet.spawned[0], 23)
    inlet.full_event()
    inlet.turn()
    inlet.end(inlet.running[0], 0)
    inlet.advance(1000)
    assert (inlet.retrying, inlet.waiting) == (0, [])


def test_a_long_run_is_not_made_again_all_the_time() -> None:
    inlet = inlet_of()
    clock = iter((0.0, 3600.0, 3600.0, 3600.0))
    retry = FullRetry(inlet.delay, lambda: next(clock))
    retry.begin()
    assert [retry.failed(inlet) for _ in range(3)] == [36_000, None, None]
    inlet.advance(35_999)
    assert inlet.waiting == []
    inlet.advance(1)
    assert inlet.waiting == [("Full", b"")]


def test_another_full_run_that_fails_takes_the_place_of_the_one_that_is_planned() -> None:
    inlet = inlet_of()
    retry = FullRetry(1.0, lambda: 0.0)
    assert [retry.failed(inlet), retry.failed(inlet)] == [1, 2]
    inlet.advance(1.9)
    assert inlet.waiting == []
    inlet.advance(0.1)
    assert inlet.waiting == [("Full", b"")]


def test_rsyncssh_tries_again_too() -> None:
    inlet = FakeInlet(RsyncSsh(), {"host": "h", "targetdir": "/t", "delay": DELAY})
    inlet.end(change(inlet, b"/bad"), 23)
    inlet.advance(1.1)
    inlet.advance(DELAY)
    inlet.turn()
    assert inlet.running[0].paths == [b"/bad"]


def test_a_deleted_tree_is_still_deleted_when_tried_again(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    write(pair.target + b"gone/deep/f")
    write(pair.target + b"kept")
    inlet = FakeInlet(Rsync(), pair.config(delay=DELAY), source=pair.source)
    inlet.change("Delete", b"/gone/")
    inlet.turn()
    inlet.end(inlet.running[0], 23)
    inlet.advance(1.1)
    inlet.advance(DELAY)
    inlet.settle()
    assert sorted(snapshot(pair.target)) == [b"kept"]


def test_what_the_real_rsync_could_not_transfer_arrives_when_nothing_is_in_its_way_any_more(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    write(pair.source + b"good")
    write(pair.source + b"bad")
    write(pair.target + b"bad/of somebody else")
    inlet = FakeInlet(Rsync(), pair.config(delay=DELAY), source=pair.source)
    inlet.change("Create", b"/good")
    inlet.change("Create", b"/bad")
    inlet.settle()
    assert inlet.retrying == 1
    assert "could not transfer everything" in inlet.lines("Warn")[0]
    inlet.advance(1.1)
    inlet.advance(DELAY)
    inlet.settle()
    assert inlet.spawned[-1].paths == [b"/bad"]
    assert inlet.retrying == 1
    shutil.rmtree(pair.target + b"bad")
    inlet.advance(2.1)
    inlet.advance(DELAY)
    inlet.settle()
    assert inlet.retrying == 0
    assert snapshot(pair.target) == snapshot(pair.source)


def test_a_restart_looks_at_those_alone_that_failed() -> None:
    inlet = inlet_of()
    inlet.end(change(inlet, b"/bad", b"/good"), 23, b'rsync: [sender] send_files failed to open "/src/bad": No (13)\n')
    assert inlet.collected.unsettled == [b"/bad"]
    inlet.end(change(inlet, b"/fresh"), 0)
    assert inlet.collected.unsettled is None


def test_of_a_directory_that_lacks_attributes_a_restart_looks_at_all() -> None:
    inlet = inlet_of()
    complaint = b'rsync: [receiver] failed to set times on "/trg/d": Operation not permitted (1)\n'
    inlet.end(change(inlet, b"/d/", b"/good"), 23, complaint)
    assert (inlet.was_partial, inlet.collected.unsettled) == (False, [b"/d"])


@pytest.mark.parametrize("stderr", [b"", b"rsync: something new\n"])
def test_where_it_is_unclear_what_failed_of_a_full_run_nothing_is_known(stderr: bytes, tmp_path: Path) -> None:
    inlet = FakeInlet(Rsync(), Pair(tmp_path).config(delay=DELAY))
    inlet.startup()
    inlet.end(inlet.spawned[0], 23, stderr)
    assert (inlet.was_partial, inlet.collected.unsettled) == (True, None)


def test_a_repair_that_fails_is_still_by_checksum_when_it_comes_back(tmp_path: Path) -> None:
    """What verify has found to be of the same size and time, and yet different."""
    pair, action = Pair(tmp_path), Rsync()
    for name in (b"bad", b"good"):
        write(pair.source + name, name)
        os.utime(pair.source + name, (1.0, 1.0))
    inlet = FakeInlet(action, pair.config(delay=DELAY))
    action.repairs(inlet, [Difference(b"/bad", "content"), Difference(b"/good", "content")])
    first = change(inlet, b"/bad", b"/good")
    assert b"--checksum" in first.argv
    inlet.end(first, 23, b'rsync: [sender] send_files failed to open "%sbad": No (13)\n' % pair.source)
    inlet.advance(DELAY + 0.1)
    inlet.advance(DELAY + 0.1)
    inlet.turn()
    assert inlet.running[-1].paths == [b"/bad"]
    assert b"--checksum" in inlet.running[-1].argv
    inlet.end(inlet.running[-1], 0)
    assert b"--checksum" not in change(inlet, b"/bad").argv
