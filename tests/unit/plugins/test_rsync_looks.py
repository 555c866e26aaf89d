"""What changes within one second, or takes the place of what looks the same, arrives all the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator_rsync.action import Rsync
from orchestrator_rsync.looks import Looks
from orchestrator_rsyncssh.action import RsyncSsh
from tests.kit.inlet import FakeInlet
from tests.kit.need import program
from tests.kit.trees import Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path

IGNORE = b"--ignore-times"


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
    os.chmod(pair.source + b"large", 0o600)
    write(pair.source + b"f", b"two")
    inlet.change("Attrib", b"/large")
    inlet.change("Modify", b"/f")
    assert mirrored(pair, inlet)
    batches = [(spawn.paths, IGNORE in spawn.argv) for spawn in inlet.spawned[1:]]
    assert batches == [([b"/large"], False), ([b"/f"], True)]
    assert os.stat(pair.target + b"large").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("key", ["checksum", "ignore_times"])
def test_where_the_user_lets_rsync_look_anyway(pair: Pair, key: str) -> None:
    inlet = inlet_of(pair, rsync={key: True})
    for data in (b"one", b"two"):
        write(pair.source + b"f", data)
        inlet.change("Modify", b"/f")
        assert mirrored(pair, inlet)
    assert not any(IGNORE in spawn.argv for spawn in inlet.spawned)


def test_new_files_and_written_ones_go_as_ever(pair: Pair) -> None:
    """Nothing that rsync can have seen: no run was in their second."""
    inlet = inlet_of(pair)
    write(pair.source + b"f", b"one")
    inlet.change("Create", b"/f")
    inlet.change("Modify", b"/f")
    inlet.turn()
    assert IGNORE not in inlet.spawned[0].argv


def test_over_ssh_as_well(pair: Pair) -> None:
    write(pair.source + b"f", b"one")
    inlet = FakeInlet(RsyncSsh(), {"host": "h", "targetdir": "/t"}, source=pair.source)
    inlet.startup()
    inlet.end(inlet.running[0], 0)
    inlet.change("Modify", b"/f")
    inlet.turn()
    assert IGNORE in inlet.running[0].argv


class Event:
    """What is asked of one."""

    is_dir = False

    def __init__(self, path: bytes, etype: str = "Modify") -> None:
        self.source_path = path
        self.etype = etype


def test_which_seconds_count(tmp_path: Path) -> None:
    now = 0.0
    looks = Looks(lambda: now)
    path = os.fsencode(tmp_path / "f")
    write(path)

    def hides(second: float, etype: str = "Create") -> bool:
        os.utime(path, (second, second))
        return looks.may_hide(Event(path, etype))  # type: ignore[arg-type]

    now = 1000.5
    assert not hides(1000.0)
    end = looks.begin()
    assert hides(1000.0)
    now = 1002.5
    end()
    now = 1010.0
    assert hides(1000.0)
    assert hides(1002.9)
    assert hides(10.0)
    assert not hides(1003.0)
    assert hides(2000.0), "a time that is yet to come"
    assert not looks.may_hide(Event(path + b"2"))  # type: ignore[arg-type]
    assert not looks.may_hide(Event(os.fsencode(tmp_path), "Create"))  # type: ignore[arg-type]
    assert not hides(1001.0, "Attrib")


def test_a_file_that_was_opened_and_closed_is_not_sent_again(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "f")
    write(path)
    second = int(os.stat(path).st_mtime)
    now = second + 5.0
    looks = Looks(lambda: now)
    for start in (20.0, 10.0, 30.0):
        now = second + start
        end = looks.begin()
        now += 1
        end()
    assert not looks.may_hide(Event(path))  # type: ignore[arg-type]
    assert looks.may_hide(Event(path, "Create"))  # type: ignore[arg-type]
