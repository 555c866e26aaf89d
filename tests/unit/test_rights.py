"""What `-strict` looks at: who could change what is read as a part of the config."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orchestrator.daemon.rights import why_not_trusted
from tests.kit.need import missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STRANGER = 54321


@pytest.fixture
def box(tmp_path: Path) -> Path:
    if os.geteuid() != 0:
        missing("only root can give files away")
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c.lua").write_text("")
    (tmp_path / "a/b/c.lua").chmod(0o644)
    return tmp_path


def link(place: Path, target: object) -> None:
    place.symlink_to(str(target))


def test_what_only_root_can_change_is_trusted(box: Path) -> None:
    link(box / "l", box / "a")
    link(box / "m", "l/b")
    (box / "sticky").mkdir(mode=0o1777)
    (box / "sticky").chmod(0o1777)
    (box / "sticky/x").write_text("")
    for path in ("a/b/c.lua", "m/c.lua", "m/../b/c.lua", "sticky/x", "none", "a/b/c.lua/none"):
        assert why_not_trusted(str(box / path), 0) is None


CASES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "mode of the file": (lambda box: (box / "a/b/c.lua").chmod(0o664), "a/b/c.lua", "may be written by others"),
    "owner of the file": (lambda box: os.chown(box / "a/b/c.lua", STRANGER, -1), "a/b/c.lua", "belongs to user 54321"),
    "mode of its directory": (lambda box: (box / "a/b").chmod(0o775), "a/b", "may be written by others"),
    "owner of its directory": (lambda box: os.chown(box / "a/b", STRANGER, -1), "a/b", "belongs to user 54321"),
    "a directory above": (lambda box: (box / "a").chmod(0o757), "a", "may be written by others"),
    "a sticky directory of a stranger": (
        lambda box: (os.chown(box / "a", STRANGER, -1), (box / "a").chmod(0o1777)), "a", "belongs to user 54321",
    ),
    "a file of a stranger in a sticky directory": (
        lambda box: ((box / "a/b").chmod(0o1777), os.chown(box / "a/b/c.lua", STRANGER, -1)), "a/b/c.lua",
        "belongs to user 54321",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("way", ["itself", "by a link", "by a link of a directory", "by two links"])
def test_each_place_on_the_way_counts(box: Path, case: str, way: str) -> None:
    spoil, place, told = CASES[case]
    path = box / "a/b/c.lua"
    if way == "by a link":
        link(box / "l", "a/b/c.lua")
        path = box / "l"
    elif way == "by a link of a directory":
        link(box / "l", box / "a")
        path = box / "l/b/c.lua"
    elif way == "by two links":
        link(box / "l", "k")
        link(box / "k", "a/b/../b/c.lua")
        path = box / "l"
    spoil(box)
    reason = why_not_trusted(str(path), 0)
    assert reason is not None
    assert reason.startswith(f"{box / place} {told}")


def test_a_link_of_a_stranger(box: Path) -> None:
    link(box / "l", "a/b/c.lua")
    os.chown(box / "l", STRANGER, -1, follow_symlinks=False)
    assert why_not_trusted(str(box / "l"), 0) == f"{box}/l belongs to user 54321"


def test_links_without_end(box: Path) -> None:
    link(box / "l", "k")
    link(box / "k", "l")
    assert "more than 40 links" in str(why_not_trusted(str(box / "l"), 0))


def test_the_daemons_own_user_is_trusted(box: Path) -> None:
    os.chown(box / "a/b/c.lua", STRANGER, -1)
    assert why_not_trusted(str(box / "a/b/c.lua"), STRANGER) is None
