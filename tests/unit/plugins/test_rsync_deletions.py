"""What a full run would delete, told by the real rsync, and by native's own look: both say what is then deleted."""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.logic.maxdelete import MaxDelete
from orchestrator.sync.host import RunOptions
from orchestrator_native.action import Native
from orchestrator_rsync.action import Rsync
from orchestrator_rsync.deletions import CAP, asking, limited, was_cut
from tests.kit.inlet import FakeInlet
from tests.kit.need import program
from tests.kit.trees import HOSTILE, Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.api import DeletionCount

FORGED = (b"*deleting   x", b"a\n*deleting   x\n>f+++++++++", b">f+++++++++", b"Number of files: 1,000,000")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    program("rsync")
    return Pair(tmp_path)


def count_deletions(action: Any, pair: Pair, **config: Any) -> tuple[FakeInlet, DeletionCount]:
    inlet = FakeInlet(action, pair.config(maxDelete=10**6, **config), source=pair.source)
    inlet.startup()
    spawn = inlet.spawned[0]
    assert spawn.check is not None
    found = inlet.count_deletions(spawn)
    assert found is not None
    return inlet, found


def entries(root: bytes) -> int:
    return len(snapshot(root))


ACTIONS = [Rsync(), Native()]


@pytest.mark.parametrize("action", ACTIONS, ids=["rsync", "native"])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"exclude": ["*.tmp", "/kept/"]},
        {"filter": ["+ /kept/in", "- /kept/**"]},
    ],
    ids=["all", "exclude", "filter"],
)
def test_as_much_is_deleted_as_was_said(pair: Pair, action: Any, config: dict[str, Any]) -> None:
    for path in (b"both", b"d/both", b"d/e/both"):
        pair.both(path)
    for name in (*HOSTILE, *FORGED):
        write(pair.target + b"gone/" + name)
        write(pair.target + name)
        write(pair.source + b"new/" + name)
    for path in (b"d/old", b"d/e/old.tmp", b"kept/in", b"kept/deep/in"):
        write(pair.target + path)
    before = entries(pair.target)
    inlet, found = count_deletions(action, pair, **config)
    assert entries(pair.target) == before, "nothing is touched"
    new = 1 + len({*HOSTILE, *FORGED})
    inlet.execute(inlet.running[0])
    deleted = before + new - entries(pair.target)
    assert found.deletions == deleted
    if not config:
        assert found.existing == before
    assert found.exit_code == 0


@pytest.mark.parametrize("action", ACTIONS, ids=["rsync", "native"])
def test_a_directory_that_a_file_replaces_goes_with_all_that_is_in_it(pair: Pair, action: Any) -> None:
    write(pair.source + b"x")
    for number in range(20):
        write(pair.target + b"x/%d" % number)
    found = count_deletions(action, pair)[1]
    assert 20 <= found.deletions <= 21
    assert found.existing >= found.deletions


@pytest.mark.parametrize("action", ACTIONS, ids=["rsync", "native"])
def test_a_target_that_is_not_there_yet(pair: Pair, action: Any) -> None:
    write(pair.source + b"x")
    shutil.rmtree(pair.target)
    assert (count_deletions(action, pair)[1].deletions, count_deletions(action, pair)[1].existing) == (0, 0)
    assert not os.path.exists(pair.target)


@pytest.mark.parametrize(
    "rsync",
    [
        {"quiet": True},
        {"quiet": True, "verbose": True, "archive": True},
        {"_extra": ["-q"]},
        {"_extra": ["--quiet", "--info=none"]},
        {"_extra": ["--out-format=%n", "-h", "-h", "--progress", "-vv"]},
        {"_extra": ["--stats", "--itemize-changes", "--debug=none"]},
        {"delete_excluded": True},
    ],
    ids=str,
)
def test_options_of_the_users_do_not_change_the_count(pair: Pair, rsync: dict[str, Any]) -> None:
    pair.both(b"both")
    for number in range(1200):
        write(pair.target + b"%d" % number)
    found = count_deletions(Rsync(), pair, rsync=rsync)[1]
    assert (found.deletions, found.existing) == (1200, 1201)


def test_excluded_files_are_counted_where_they_are_deleted(pair: Pair) -> None:
    pair.both(b"both")
    write(pair.target + b"a.tmp")
    config: dict[str, Any] = {"exclude": ["*.tmp"], "delete": False}
    inlet = FakeInlet(Rsync(), pair.config(maxDelete=0, **config), source=pair.source)
    inlet.startup()
    assert inlet.spawned[0].check is None, "nothing is deleted"
    found = count_deletions(Rsync(), pair, **config, rsync={"delete_excluded": True})[1]
    assert found.deletions == 1


@pytest.mark.parametrize("config", [{}, {"maxDelete": False}, {"maxDelete": 5, "delete": "running"}])
@pytest.mark.parametrize("action", ACTIONS, ids=["rsync", "native"])
def test_off_costs_nothing(pair: Pair, action: Any, config: dict[str, Any]) -> None:
    inlet = FakeInlet(action, pair.config(**config), source=pair.source)
    inlet.startup()
    assert inlet.spawned[0].check is None
    assert CAP not in inlet.spawned[0].argv


def test_a_dry_run_needs_no_other(pair: Pair) -> None:
    inlet = FakeInlet(Rsync(), pair.config(maxDelete=5, rsync={"dry_run": True}), source=pair.source)
    inlet.startup()
    assert inlet.spawned[0].check is None


def test_the_setting_counts_where_the_sync_says_nothing(pair: Pair) -> None:
    inlet = FakeInlet(Rsync(), pair.config(), source=pair.source)
    inlet.sync.host.run.begin(RunOptions(max_delete=MaxDelete(7)))
    assert inlet.max_delete == MaxDelete(7)
    inlet.config.set("maxDelete", "5%")
    assert inlet.max_delete == MaxDelete(5, is_percent=True)
    inlet.config.set("maxDelete", False)
    assert inlet.max_delete is None


def test_a_dry_run_that_fails_says_how(pair: Pair) -> None:
    found = count_deletions(Rsync(), pair, rsync={"_extra": ["--no-such-option"]})[1]
    assert found.exit_code == 1
    assert b"--no-such-option" in found.stderr
    found = count_deletions(Rsync(), pair, rsync={"binary": "/no/such/rsync"})[1]
    assert (found.exit_code, found.error) == (255, "No such file or directory")


def test_asking_differs_from_the_run_by_what_asks_alone() -> None:
    argv = [b"rsync", b"--delete", b"-lqst", b"-essh -q", b"-q", b"-r", CAP, b"/q/", b"-q/"]
    assert [word for word in asking(argv) if b"%" not in word] == [
        *(b"rsync", b"--delete", b"-lst", b"-essh -q", b"-r"),
        *(b"--dry-run", b"--no-human-readable", b"--stats", b"/q/", b"-q/"),
    ]
    assert limited(argv, 12)[6] == b"--max-delete=12"


def test_native_stops_where_more_is_gone_by_then(pair: Pair) -> None:
    for number in range(20):
        write(pair.target + b"d/%d" % number)
    inlet = FakeInlet(Native(), pair.config(maxDelete=7), source=pair.source)
    pair.both(b"both")
    inlet.startup()
    spawn = inlet.spawned[0]
    assert spawn.check is not None
    assert spawn.job is not None
    found = inlet.count_deletions(spawn)
    assert found is not None
    assert found.deletions == 21
    os.unlink(pair.source + b"both")
    code = spawn.job(threading.Event())
    assert spawn.check.was_cut(code, b"")
    assert entries(pair.target) == 22 - 7


def test_native_deletes_as_much_as_it_may(pair: Pair) -> None:
    for number in range(20):
        write(pair.target + b"d/%d" % number)
    write(pair.source + b"new")
    inlet = FakeInlet(Native(), pair.config(maxDelete=21), source=pair.source)
    inlet.startup()
    inlet.count_deletions(inlet.spawned[0])
    inlet.execute(inlet.spawned[0])
    assert sorted(snapshot(pair.target)) == [b"new"]


def test_rsync_itself_stops_where_more_is_gone_by_then(pair: Pair) -> None:
    write(pair.target + b"0")
    inlet = FakeInlet(Rsync(), pair.config(maxDelete=5), source=pair.source)
    inlet.startup()
    inlet.count_deletions(inlet.running[0])
    for number in range(1, 20):
        write(pair.target + b"%d" % number)
    inlet.execute(inlet.running[0])
    assert entries(pair.target) == 15
    assert was_cut(25, b"")
    assert was_cut(23, b"x\nDeletions stopped due to --max-delete limit (15 skipped)\n")
    assert not was_cut(23, b"permission denied")
