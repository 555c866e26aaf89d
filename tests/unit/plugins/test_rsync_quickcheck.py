"""What changes within one second, or takes the place of what looks the same, arrives all the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator_rsync.action import Rsync
from orchestrator_rsync.batches import LITTLE
from orchestrator_rsync.quickcheck import QuickCheck
from orchestrator_rsyncssh.action import RsyncSsh
from tests.kit.inlet import FakeInlet
from tests.kit.need import program
from tests.kit.trees import Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path

CHECKSUM = b"--checksum"


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    program("rsync")
    return Pair(tmp_path)


def inlet_of(pair: Pair, **config: Any) -> FakeInlet:
    return FakeInlet(Rsync(), pair.config(**config), source=pair.source)


def put(pair: Pair, path: bytes, data: bytes, nanoseconds: int) -> None:
    write(pair.source + path, data)
    os.utime(pair.source + path, ns=(0, nanoseconds))


def mirrored(pair: Pair, inlet: FakeInlet) -> bool:
    inlet.settle()
    return snapshot(pair.source) == snapshot(pair.target)


def test_a_file_written_again_in_the_second_in_which_it_was_transferred(pair: Pair) -> None:
    inlet = inlet_of(pair)
    for etype, data in (("Create", b"one"), ("Modify", b"two"), ("Modify", b"six")):
        write(pair.source + b"f", data)
        inlet.change(etype, b"/f")
        assert mirrored(pair, inlet), data


def test_a_file_written_again_in_the_second_of_the_startup(pair: Pair) -> None:
    write(pair.source + b"f", b"one")
    inlet = inlet_of(pair)
    inlet.startup()
    inlet.settle()
    write(pair.source + b"f", b"two")
    inlet.change("Modify", b"/f")
    assert mirrored(pair, inlet)


def test_files_of_one_second_and_one_size_that_are_swapped(pair: Pair) -> None:
    put(pair, b"a", b"aa", 10**18)
    put(pair, b"b", b"bb", 10**18 + 1000)
    inlet = inlet_of(pair)
    inlet.startup()
    inlet.settle()
    os.rename(pair.source + b"a", pair.source + b"c")
    os.rename(pair.source + b"b", pair.source + b"a")
    os.rename(pair.source + b"c", pair.source + b"b")
    for path, path2 in ((b"/a", b"/c"), (b"/b", b"/a"), (b"/c", b"/b")):
        inlet.change("Move", path, path2)
    assert mirrored(pair, inlet)


def test_a_file_that_got_its_old_time_back(pair: Pair) -> None:
    put(pair, b"f", b"one", 10**18)
    inlet = inlet_of(pair)
    inlet.startup()
    inlet.settle()
    put(pair, b"f", b"two", 10**18)
    inlet.change("Modify", b"/f")
    assert mirrored(pair, inlet)


def test_attributes_are_not_sent_with_whole_files(pair: Pair) -> None:
    put(pair, b"large", b"x" * 100, 10**18)
    write(pair.source + b"f", b"one")
    inlet = inlet_of(pair, rsync={"archive": True})
    inlet.startup()
    inlet.settle()
    inode = os.stat(pair.target + b"large").st_ino
    os.chmod(pair.source + b"large", 0o600)
    write(pair.source + b"f", b"two")
    inlet.change("Attrib", b"/large")
    inlet.change("Modify", b"/f")
    assert mirrored(pair, inlet)
    there = os.stat(pair.target + b"large")
    assert (there.st_mode & 0o777, there.st_ino) == (0o600, inode), "written anew"


@pytest.mark.parametrize("more", [{}, {"inplace": True}], ids=["", "inplace"])
def test_an_equal_file_is_not_written(pair: Pair, more: dict[str, Any]) -> None:
    """Where two mirror each other, writing it would be a change to the other one, and so on."""
    inlet = inlet_of(pair, rsync={"archive": True, **more})
    inlet.startup()
    inlet.settle()
    for root in (pair.source, pair.target):
        write(root + b"old", b"data")
        os.utime(root + b"old", ns=(0, 10**18))
    before = os.stat(pair.target + b"old")
    for etype in ("Create", "Modify", "Attrib"):
        inlet.change(etype, b"/old")
        inlet.settle()
    after = os.stat(pair.target + b"old")
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_what_the_quick_check_is_right_about_is_not_read_for_the_sake_of_others(pair: Pair) -> None:
    inlet = inlet_of(pair)
    inlet.startup()
    inlet.settle()
    put(pair, b"big", b"x" * (LITTLE + 1), 10**18)
    put(pair, b"old", b"o", 10**18)
    os.makedirs(pair.source + b"d")
    for order in (
        (("Attrib", b"/big"), ("Create", b"/d/"), ("Create", b"/old")),
        (("Create", b"/old"), ("Attrib", b"/big")),
    ):
        inlet.spawned.clear()
        for etype, path in order:
            inlet.change(etype, path)
        inlet.settle()
        whole = [(sorted(spawn.paths), CHECKSUM in spawn.argv) for spawn in inlet.spawned]
        assert ([b"/big"], False) in whole or ([b"/big", b"/d/"], False) in whole
        assert sum(by_checksum for _, by_checksum in whole) == 1
        assert len(whole) == 2
    assert snapshot(pair.source) == snapshot(pair.target)


def test_a_little_is_read_rather_than_that_rsync_is_started_twice(pair: Pair) -> None:
    inlet = inlet_of(pair)
    inlet.startup()
    inlet.settle()
    put(pair, b"old", b"o", 10**18)
    write(pair.source + b"fresh", b"f")
    for path in (b"/fresh", b"/old"):
        inlet.change("Create", path)
    assert mirrored(pair, inlet)
    assert len(inlet.spawned) == 2


def test_what_a_move_brings_is_new_under_its_name(pair: Pair) -> None:
    put(pair, b"a", b"aa", 10**18)
    put(pair, b"b", b"bb", 10**18)
    put(pair, b"d/f", b"cc", 10**18)
    put(pair, b"e/f", b"dd", 10**18)
    inlet = inlet_of(pair, onMove=True)
    inlet.startup()
    inlet.settle()
    os.rename(pair.source + b"a", pair.source + b"b")
    os.unlink(pair.source + b"d/f")
    os.rmdir(pair.source + b"d")
    os.rename(pair.source + b"e", pair.source + b"d")
    inlet.change("Move", b"/a", b"/b")
    inlet.change("Move", b"/e/", b"/d/")
    assert mirrored(pair, inlet)


@pytest.mark.parametrize(
    "table",
    [
        {"checksum": True},
        {"ignore_times": True},
        {"_extra": ["--ignore-times"]},
        {"_extra": ["-vI"]},
        {"_extra": ["--bwlimit", "9999", "--checksum"]},
    ],
    ids=str,
)
def test_where_the_user_lets_rsync_look_anyway(pair: Pair, table: dict[str, Any]) -> None:
    inlet = inlet_of(pair, rsync=table)
    own = len([word for word in inlet.config.get("rsync").get("_computed").list() if word == CHECKSUM.decode()])
    for data in (b"one", b"two"):
        write(pair.source + b"f", data)
        inlet.change("Modify", b"/f")
        assert mirrored(pair, inlet)
    assert all(spawn.argv.count(CHECKSUM) == own for spawn in inlet.spawned)


def test_a_size_that_is_all_the_user_compares_stays_all(pair: Pair) -> None:
    inlet = inlet_of(pair, rsync={"_extra": ["--size-only"]})
    for data in (b"one", b"two"):
        write(pair.source + b"f", data)
        inlet.change("Modify", b"/f")
        inlet.settle()
    assert snapshot(pair.target) == {b"f": b"one"}


def test_new_files_and_written_ones_go_as_ever(pair: Pair) -> None:
    """Nothing that rsync can have seen: no run was in their second."""
    inlet = inlet_of(pair)
    write(pair.source + b"f", b"one")
    inlet.change("Create", b"/f")
    inlet.change("Modify", b"/f")
    inlet.turn()
    assert CHECKSUM not in inlet.spawned[0].argv


def test_over_ssh_as_well(pair: Pair) -> None:
    write(pair.source + b"f", b"one")
    inlet = FakeInlet(RsyncSsh(), {"host": "h", "targetdir": "/t"}, source=pair.source)
    inlet.startup()
    inlet.end(inlet.running[0], 0)
    inlet.change("Modify", b"/f")
    inlet.turn()
    assert CHECKSUM in inlet.running[0].argv


def test_which_seconds_count(tmp_path: Path) -> None:
    now = 0.0
    quick_check = QuickCheck(lambda: now)
    path = os.fsencode(tmp_path / "f")
    write(path)

    def is_racy(second: float, etype: str = "Create") -> bool:
        os.utime(path, (second, second))
        return quick_check.is_racy(etype, path)

    now = 1000.5
    assert not is_racy(1000.0)
    end = quick_check.begin()
    assert is_racy(1000.0)
    now = 1002.5
    end()
    now = 1010.0
    assert is_racy(1000.0)
    assert is_racy(1002.9)
    assert is_racy(10.0)
    assert not is_racy(1003.0)
    assert is_racy(2000.0), "a time that is yet to come"
    assert not quick_check.is_racy("Modify", path + b"2")
    assert not quick_check.is_racy("Create", os.fsencode(tmp_path))
    assert not is_racy(1001.0, "Attrib")


def test_a_file_that_was_opened_and_closed_is_not_sent_again(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "f")
    write(path)
    second = int(os.stat(path).st_mtime)
    now = second + 5.0
    quick_check = QuickCheck(lambda: now)
    for start in (20.0, 10.0, 30.0):
        now = second + start
        end = quick_check.begin()
        now += 1
        end()
    assert not quick_check.is_racy("Modify", path)
    assert quick_check.is_racy("Create", path)
