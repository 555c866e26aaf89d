"""What the real rsync makes of our lists: exactly what changed travels, nothing else is touched."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from orchestrator_rsync.action import Rsync
from tests.kit.inlet import FakeInlet
from tests.kit.trees import DECOYS, HOSTILE, Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def inlet_of(pair: Pair, **config: object) -> FakeInlet:
    return FakeInlet(Rsync(), pair.config(**config), source=pair.source)


def with_decoys(pair: Pair) -> dict[bytes, bytes | None]:
    """Fill the target with what only careless patterns would reach; returns the whole target."""
    for name in (*DECOYS, *HOSTILE):
        write(pair.target + b"only on target/" + name)
        write(pair.target + b"d/" + name + b" kept/" + name)
    for name in DECOYS:
        write(pair.target + name)
        write(pair.target + b"d/" + name)
    return snapshot(pair.target)


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_changed_file_travels_and_nothing_else_changes(pair: Pair, name: bytes) -> None:
    before = with_decoys(pair)
    write(pair.source + name, b"new")
    write(pair.source + b"d/" + name, b"new")
    inlet = inlet_of(pair)
    inlet.change("Modify", b"/" + name)
    inlet.change("Create", b"/d/" + name)
    inlet.settle()
    assert snapshot(pair.target) == {**before, name: b"new", b"d/" + name: b"new"}


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_deleted_file_goes_and_nothing_else_does(pair: Pair, name: bytes) -> None:
    before = with_decoys(pair)
    os.makedirs(pair.source + b"d")
    write(pair.target + name)
    write(pair.target + b"d/" + name)
    inlet = inlet_of(pair)
    inlet.change("Delete", b"/" + name)
    inlet.change("Delete", b"/d/" + name)
    inlet.settle()
    assert snapshot(pair.target) == before


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_deleted_directory_goes_with_all_below_it_and_nothing_else(pair: Pair, name: bytes) -> None:
    before = with_decoys(pair)
    for inner in HOSTILE:
        write(pair.target + name + b"/" + inner + b"/f")
    inlet = inlet_of(pair)
    inlet.change("Delete", b"/" + name + b"/")
    inlet.settle()
    assert snapshot(pair.target) == before


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_files_in_a_hostile_directory_are_reached(pair: Pair, name: bytes) -> None:
    before = with_decoys(pair)
    inlet = inlet_of(pair)
    inlet.change("Create", b"/" + name + b"/")
    added: dict[bytes, bytes | None] = {name: None}
    for inner in HOSTILE:
        path = name + b"/" + inner
        write(pair.source + path, b"new")
        inlet.change("Create", b"/" + path)
        added[path] = b"new"
    inlet.settle()
    assert snapshot(pair.target) == {**before, **added}


def test_all_hostile_names_at_once_in_trees_are_mirrored(pair: Pair) -> None:
    for outer in HOSTILE:
        for inner in HOSTILE:
            pair.both(outer + b"/" + inner)
    inlet = inlet_of(pair)
    for number, outer in enumerate(HOSTILE):
        if number % 3 == 0:
            shutil.rmtree(pair.source + outer)
            inlet.change("Delete", b"/" + outer + b"/")
        elif number % 3 == 1:
            for inner in HOSTILE[:20]:
                os.unlink(pair.source + outer + b"/" + inner)
                inlet.change("Delete", b"/" + outer + b"/" + inner)
        else:
            for inner in HOSTILE[20:]:
                write(pair.source + outer + b"/" + inner, b"changed")
                inlet.change("Modify", b"/" + outer + b"/" + inner)
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source)


def test_excluded_files_on_the_target_survive_the_deletion_of_their_directory(pair: Pair) -> None:
    write(pair.target + b"gone/keep.tmp")
    write(pair.target + b"gone/deep/keep.tmp")
    write(pair.target + b"gone/deep/other")
    write(pair.target + b"stays/other")
    inlet = inlet_of(pair, exclude=["*.tmp"])
    inlet.change("Delete", b"/gone/")
    inlet.settle()
    assert snapshot(pair.target) == {
        b"gone": None,
        b"gone/keep.tmp": b"data",
        b"gone/deep": None,
        b"gone/deep/keep.tmp": b"data",
        b"stays": None,
        b"stays/other": b"data",
    }


def test_an_include_rule_does_not_reach_beyond_the_deleted_directory(pair: Pair) -> None:
    write(pair.target + b"only on target.c")
    write(pair.target + b"d/only on target.c")
    write(pair.target + b"d/gone/x.c")
    write(pair.target + b"d/gone/deep/y.c")
    write(pair.target + b"d/gone/deep/z.o")
    os.makedirs(pair.source + b"d")
    inlet = inlet_of(pair, filter=["+ *.c", "+ */", "- *"], delete="running")
    inlet.change("Delete", b"/d/gone/")
    inlet.settle()
    assert snapshot(pair.target) == {
        b"only on target.c": b"data",
        b"d": None,
        b"d/only on target.c": b"data",
        b"d/gone": None,
        b"d/gone/deep": None,
        b"d/gone/deep/z.o": b"data",
    }


def test_a_changed_file_that_an_exclude_would_match_but_for_an_include_travels_with_a_deletion(pair: Pair) -> None:
    write(pair.target + b"gone/f")
    write(pair.source + b"x.keep.tmp", b"new")
    inlet = inlet_of(pair, filter=["+ *.keep.tmp", "- *.tmp"])
    inlet.change("Delete", b"/gone/")
    inlet.change("Create", b"/x.keep.tmp")
    inlet.settle()
    assert snapshot(pair.target) == {b"x.keep.tmp": b"new"}


def test_a_file_that_became_a_directory_and_the_other_way_round(pair: Pair) -> None:
    write(pair.target + b"was file")
    write(pair.source + b"was file/f")
    write(pair.target + b"was directory/f")
    write(pair.source + b"was directory")
    inlet = inlet_of(pair)
    for etype, path in (
        ("Delete", b"/was file"), ("Create", b"/was file/"), ("Create", b"/was file/f"),
        ("Delete", b"/was directory/f"), ("Delete", b"/was directory/"), ("Create", b"/was directory"),
    ):  # fmt: skip
        inlet.change(etype, path)
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source)


def test_startup_with_excludes_and_filters(pair: Pair) -> None:
    for path in (b"a.c", b"a.o", b"d/b.c", b"d/b.o", b"skip/x"):
        write(pair.source + path)
    write(pair.target + b"old")
    write(pair.target + b"kept.o")
    inlet = inlet_of(pair, exclude=["*.o"], filter=["- /skip/"])
    inlet.startup()
    inlet.settle()
    assert sorted(snapshot(pair.target)) == [b"a.c", b"d", b"d/b.c", b"kept.o"]
