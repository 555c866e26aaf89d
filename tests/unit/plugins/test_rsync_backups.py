"""Backups: their dates are those of the run, and no full run deletes them, or moves them into themselves."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator_rsync.action import Rsync
from orchestrator_rsync.backups import dated, protecting
from tests.kit.inlet import FakeInlet
from tests.kit.need import program
from tests.kit.trees import Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path

NOON = time.mktime((2026, 11, 29, 12, 0, 0, 0, 0, -1))


def test_a_run_has_its_own_date() -> None:
    words = ["rsync", "-b", "--backup-dir=../%Y-%m-%d/%H", "--suffix=.%j%%%Q", "%Y", b"%Y"]
    assert dated(words, NOON) == ["rsync", "-b", "--backup-dir=../2026-11-29/12", "--suffix=.333%%Q", "%Y", b"%Y"]
    assert dated(words, NOON + 86400)[2] == "--backup-dir=../2026-11-30/12"


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        (["-b", "--backup-dir=old"], [b"--filter=P /old/"]),
        (["--backup", "--backup-dir=./old/"], [b"--filter=P /old/"]),
        (["-ab", "--backup-dir=/trg/d/old"], [b"--filter=P /d/old/"]),
        (["-b", "--backup-dir", "old [1]"], [rb"--filter=P /old \[1]/"]),
        (["-b", "--backup-dir=old/%Y-%m"], [b"--filter=P /old/[0-9][0-9][0-9][0-9]-[0-9][0-9]/"]),
        (["-b", "--suffix=.%d*"], [rb"--filter=P *.[0-9][0-9]\*"]),
        (["-b", "--suffix=.bak"], []),
        (["-b", "--backup-dir=../old"], []),
        (["-b", "--backup-dir=/elsewhere"], []),
        (["-b"], []),
        (["--backup-dir=old"], []),
    ],
    ids=str,
)
def test_what_is_protected(words: list[str], rules: list[bytes]) -> None:
    assert protecting(words, b"/trg/") == rules


@pytest.mark.parametrize(
    ("table", "kept"),
    [
        ({"backup_dir": "old"}, b"old/gone"),
        ({"backup_dir": "d/old"}, b"d/old/gone"),
        ({"backup_dir": "old/%Y-%m-%d"}, time.strftime("old/%Y-%m-%d/gone").encode()),
        ({"backup_dir": "@TARGET@old"}, b"old/gone"),
        ({"suffix": ".%Y-%m-%d"}, time.strftime("gone.%Y-%m-%d").encode()),
        ({"backup_dir": "old", "suffix": "~"}, b"old/gone~"),
    ],
    ids=str,
)
def test_backups_inside_the_target_stay_where_they_are(tmp_path: Path, table: dict[str, Any], kept: bytes) -> None:
    program("rsync")
    pair = Pair(tmp_path)
    table = {key: value.replace("@TARGET@", os.fsdecode(pair.target)) for key, value in table.items()}
    for name in (b"stays", b"gone", b"d/f", b"d/later", b"whole/f"):
        pair.both(name)
    inlet = FakeInlet(Rsync(), pair.config(delay=1, rsync={"backup": True, **table}), source=pair.source)
    os.unlink(pair.source + b"gone")
    inlet.change("Delete", b"/gone")
    inlet.settle()
    assert kept in snapshot(pair.target)
    yesterday = kept.replace(time.strftime("%d").encode(), b"00")
    write(pair.target + yesterday)
    for _ in range(2):
        inlet.full_event()
        inlet.settle()
    names = {name for name, data in snapshot(pair.target).items() if data is not None}
    assert names == {b"stays", b"d/f", b"d/later", b"whole/f", kept, yesterday}


def test_backups_below_a_directory_that_is_deleted_stay(tmp_path: Path) -> None:
    program("rsync")
    pair = Pair(tmp_path)
    write(pair.target + b"d/old/before")
    write(pair.target + b"d/f")
    inlet = FakeInlet(Rsync(), pair.config(rsync={"backup": True, "backup_dir": "d/old"}), source=pair.source)
    inlet.change("Delete", b"/d/")
    inlet.settle()
    assert {name for name, data in snapshot(pair.target).items() if data} == {b"d/old/before", b"d/old/d/f"}
