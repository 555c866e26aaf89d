"""The native action seen from its sync: what it takes, says, and makes of a run's end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orchestrator.api import ConfigError
from orchestrator_native.action import Native
from tests.kit.inlet import FakeInlet
from tests.kit.mirrors import differences
from tests.kit.trees import Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def make_inlet(pair: Pair, **config: object) -> FakeInlet:
    return FakeInlet(Native(), pair.config(**config), source=pair.source)


def test_startup_then_changes(pair: Pair) -> None:
    inlet = make_inlet(pair)
    write(pair.source + b"d/f")
    write(pair.target + b"extra")
    inlet.startup()
    inlet.settle()
    assert inlet.lines("Normal") == [
        f"recursive startup native: {os.fsdecode(pair.source)} -> {os.fsdecode(pair.target)}",
        f"Startup of {os.fsdecode(pair.source)} -> {os.fsdecode(pair.target)} finished.",
    ]
    os.rename(pair.source + b"d", pair.source + b"e")
    write(pair.source + b"new")
    inlet.change("Move", b"/d/", b"/e/")
    inlet.change("Create", b"/new")
    inlet.settle()
    assert inlet.lines("Normal")[2:] == [
        "Calling native with list of new/modified files/dirs\n/d/\n/e/\n/new",
        "Finished a list after exitcode: 0",
    ]
    assert differences(pair.source, pair.target) == []


def test_what_is_made_and_copied_is_counted(pair: Pair) -> None:
    inlet = make_inlet(pair)
    write(pair.source + b"d/large", b"x" * 3_000_000)
    write(pair.source + b"d/small", b"y" * 10)
    write(pair.source + b"same", b"z" * 10)
    write(pair.target + b"same", b"z" * 10)
    os.symlink(b"small", pair.source + b"d/link")
    inlet.startup()
    startup = inlet.sync.status()["startup"]
    assert (startup["parts_done"], startup["parts"], startup["bytes_done"]) == (0, 1, 0)
    inlet.settle()
    (ended,) = inlet.sync.recent()
    assert (ended["kind"], ended["files"], ended["bytes"]) == ("startup", 3, 3_000_010)
    counts = inlet.sync.status()["counts"]
    assert (counts["files"], counts["bytes"], counts["full_runs"]) == (3, 3_000_010, 1)
    assert inlet.sync.status()["startup"] is None


def test_a_full_run_is_called_one(pair: Pair) -> None:
    inlet = make_inlet(pair)
    inlet.full_event()
    inlet.settle()
    assert inlet.lines("Normal")[0].startswith("recursive full native: ")


@pytest.mark.parametrize(
    ("delete", "after_startup", "after_change"),
    [
        (True, [b"f"], []),
        (False, [b"extra", b"f"], [b"extra", b"f"]),
        ("startup", [b"f"], [b"f"]),
        ("running", [b"extra", b"f"], [b"extra"]),
    ],
)
def test_the_four_values_of_delete(
    pair: Pair, delete: bool | str, after_startup: list[bytes], after_change: list[bytes]
) -> None:
    inlet = make_inlet(pair, delete=delete)
    write(pair.source + b"f")
    write(pair.target + b"extra")
    inlet.startup()
    inlet.settle()
    assert sorted(snapshot(pair.target)) == after_startup
    os.unlink(pair.source + b"f")
    inlet.change("Delete", b"/f")
    inlet.settle()
    assert sorted(snapshot(pair.target)) == after_change


def test_excludes_and_filters(pair: Pair) -> None:
    inlet = make_inlet(pair, exclude=["*.tmp"], filter=["+ keep.tmp", "- /d/*.o"])
    for name in (b"a.tmp", b"keep.tmp", b"d/x.o", b"x.o"):
        write(pair.source + name)
    write(pair.target + b"old.tmp")
    inlet.startup()
    inlet.settle()
    assert sorted(snapshot(pair.target)) == [b"d", b"keep.tmp", b"old.tmp", b"x.o"]
    assert inlet.lines("Normal")[0].endswith(" filtering\n+ keep.tmp\n- /d/*.o\n- *.tmp")


def test_what_could_not_be_mirrored_comes_again_by_itself(pair: Pair) -> None:
    inlet = make_inlet(pair, delete=False)
    write(pair.source + b"f")
    write(pair.source + b"g")
    write(pair.target + b"f/in the way")
    inlet.startup()
    inlet.settle()
    assert inlet.lines("Warn") == ['native: cannot mirror "/f": Directory not empty']
    assert sorted(snapshot(pair.target)) == [b"f", b"f/in the way", b"g"]
    os.unlink(pair.target + b"f/in the way")
    assert inlet.was_partial
    assert inlet.retrying == 1
    inlet.advance(5)
    inlet.settle()
    assert inlet.retrying == 0
    assert not inlet.was_partial
    assert differences(pair.source, pair.target) == []


def test_no_pause_after_a_failure_is_shorter_than_the_delay(pair: Pair) -> None:
    inlet = make_inlet(pair, delete=False, delay=600)
    write(pair.source + b"f")
    write(pair.target + b"f/in the way")
    inlet.startup()
    inlet.settle()
    inlet.advance(599)
    assert inlet.waiting == []
    inlet.advance(2)
    assert inlet.waiting == [("Modify", b"/f")]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, 'default.native needs "target" configured'),
        ({"target": " "}, "default.native: the target must not be empty"),
        ({"target": "/"}, "default.native: the target must not be the root directory"),
        ({"target": "/tmp/../"}, "default.native: the target must not be the root directory"),
        (
            {"target": "host:/dir"},
            'default.native: the target "host:/dir" names a host; native works on local trees only',
        ),
        ({"source": "/tmp", "target": "/tmp/"}, "default.native: source and target are the same directory"),
        ({"source": "/tmp/x/y", "target": "/tmp/x"}, "default.native: the source lies inside the target"),
        ({"target": "/tmp/t", "threads": 0}, 'default.native: "threads" must be a number, 1 or more'),
    ],
)
def test_configs_that_are_refused(config: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        FakeInlet(Native(), config)
    assert str(caught.value) == message


def test_a_relative_target_is_resolved(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(os.fsdecode(pair.root))
    inlet = FakeInlet(Native(), {"target": "trg"}, source=pair.source)
    assert inlet.target == pair.target


def test_renames_stay_renames_whatever_they_wait_for(pair: Pair) -> None:
    """Into a directory that is new itself; one after the other."""
    names = {b"big": b"archive/big", b"tree/f": b"archive/tree/f", b"n/f": b"p/f", b"a": b"c"}
    for name in names:
        write(pair.source + name, name)
    inlet = make_inlet(pair)
    inlet.startup()
    inlet.settle()
    held = {name: os.open(pair.target + name, os.O_RDONLY) for name in names}  # so that no number is given twice
    os.mkdir(pair.source + b"archive")
    inlet.change("Create", b"/archive/")
    steps = [(b"big", b"archive/big"), (b"tree", b"archive/tree"), (b"n", b"m"), (b"m", b"o"), (b"o", b"p")]
    for old, new in [*steps, (b"a", b"b"), (b"b", b"c")]:
        os.rename(pair.source + old, pair.source + new)
        slash = b"/" if os.path.isdir(pair.source + new) else b""
        inlet.change("Move", b"/" + old + slash, b"/" + new + slash)
    inlet.settle()
    assert differences(pair.source, pair.target) == []
    kept = {old: os.path.samestat(os.fstat(held[old]), os.stat(pair.target + new)) for old, new in names.items()}
    for fd in held.values():
        os.close(fd)
    assert kept == dict.fromkeys(names, True)


@pytest.mark.parametrize("_attempt", range(5))  # in most, the startup ends within the same tick of the clock
def test_a_new_directory_that_is_renamed_takes_the_renames_into_it_along(pair: Pair, _attempt: int) -> None:
    write(pair.source + b"big", b"big")
    inlet = make_inlet(pair)
    inlet.startup()
    inlet.settle()
    before = os.stat(pair.target + b"big").st_ino
    os.mkdir(pair.source + b"n")
    inlet.change("Create", b"/n/")
    for old, new, slash in ((b"big", b"n/big", b""), (b"n", b"m", b"/")):
        os.rename(pair.source + old, pair.source + new)
        inlet.change("Move", b"/" + old + slash, b"/" + new + slash)
    inlet.settle()
    assert differences(pair.source, pair.target) == []
    assert os.stat(pair.target + b"m/big").st_ino == before
