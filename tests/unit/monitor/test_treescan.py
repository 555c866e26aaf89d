"""How a tree looks, and what is different from how it looked before."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from orchestrator.monitor import treescan
from orchestrator.monitor.treescan import ScanStopped, TreeScan

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.logic.snapshot import Directory, Snapshot

OLD = 1_000_000_000


def wanted(path: bytes) -> bool:
    return not path.endswith(b"/skipped/")


class Tree:
    """A tree that is looked at again and again."""

    def __init__(self, top: Path) -> None:
        self.top = os.fsencode(top) + b"/"
        self.before: Snapshot | None = None
        self.unread: list[tuple[bytes, str]] = []
        self.read_directory = treescan.read_directory

    def changes(self) -> list[str]:
        now = TreeScan(self.before, wanted, read_directory=self.read_directory)
        now.walk(self.top)
        self.before, self.unread = now.seen, now.unread
        return [f"{change.etype} {change.path[len(self.top) :].decode()}" for change in now.changes]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "d/e").mkdir(parents=True)
    for name in ("f", "d/g", "d/e/h"):
        write(tmp_path / name, name)
    tree = Tree(tmp_path)
    assert tree.changes() == []
    assert tree.changes() == []
    return tree


def write(path: Path, text: str) -> None:
    """So long ago that it is beyond doubt."""
    path.write_text(text)
    os.utime(path, ns=(OLD, OLD))


def test_what_is_reported(tree: Tree, tmp_path: Path) -> None:
    write(tmp_path / "f", "other size")
    (tmp_path / "d/g").chmod(0o600)
    (tmp_path / "d/e").chmod(0o700)
    (tmp_path / "n/m").mkdir(parents=True)
    write(tmp_path / "n/m/o", "")
    assert sorted(tree.changes()) == [
        "Attrib d/e/", "Create n/", "Create n/m/", "Create n/m/o", "Modify d/g", "Modify f"
    ]  # fmt: skip
    assert tree.changes() == []


def test_the_source_itself(tree: Tree, tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    assert tree.changes() == ["Attrib "]
    os.utime(tmp_path, ns=(OLD, OLD))
    assert tree.changes() == ["Attrib "]
    write(tmp_path / "n", "")
    assert tree.changes() == ["Create n"], "its time has changed with that, and goes with it"


def test_a_directory_that_is_gone_is_one_deletion(tree: Tree, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "d")
    (tmp_path / "d").write_text("a file now")
    changes = tree.changes()
    assert changes == ["Delete d/", "Create d"]


def test_a_file_replaced_by_one_that_looks_the_same(tree: Tree, tmp_path: Path) -> None:
    write(tmp_path / "new", "f")
    (tmp_path / "new").rename(tmp_path / "f")
    assert tree.changes() == ["Modify f"]


def test_a_file_written_in_place_whose_time_was_put_back(tree: Tree, tmp_path: Path) -> None:
    """Nothing but its ctime reports, and that is the same for a change of attributes."""
    write(tmp_path / "f", "g")
    assert tree.changes() == ["Modify f"]
    write(tmp_path / "d/g", "d/h")
    (tmp_path / "d/g").chmod(0o600)
    assert tree.changes() == ["Modify d/g"]


def test_a_file_changed_just_now_is_reported_once_more(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("now")
    assert tree.changes() == ["Modify f"]
    os.utime(tmp_path / "f", ns=(OLD, OLD))
    assert tree.changes() == ["Modify f"]
    assert tree.changes() == []


def test_unwanted_directories_are_not_looked_into(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "skipped/x").mkdir(parents=True)
    assert tree.changes() == ["Create skipped/"]
    (tmp_path / "skipped/y").mkdir()
    assert tree.changes() == []


def test_what_cannot_be_read_is_as_it_was(tree: Tree, tmp_path: Path) -> None:
    def fails(path: bytes) -> Directory:
        if path.endswith(b"/d/"):
            raise PermissionError(13, "Permission denied")
        return treescan.read_directory(path)

    tree.read_directory = fails
    write(tmp_path / "d/e/h", "changed meanwhile")
    assert tree.changes() == []
    assert tree.unread == [(os.fsencode(tmp_path / "d") + b"/", "Permission denied")]
    tree.read_directory = treescan.read_directory
    assert tree.changes() == ["Modify d/e/h"]


def test_a_file_system_mounted_or_unmounted_below_deletes_nothing(tree: Tree, tmp_path: Path) -> None:
    assert tree.before is not None
    inside = os.fsencode(tmp_path / "d") + b"/"
    other = {b"unmounted": (1, 1), **tree.before[inside].entries}
    tree.before[inside] = tree.before[inside]._replace(device=0, entries=other)
    assert "Delete d/unmounted" not in tree.changes()


def test_a_look_can_be_broken_off(tmp_path: Path) -> None:
    with pytest.raises(ScanStopped):
        TreeScan({}, wanted, lambda: True).walk(os.fsencode(tmp_path) + b"/")
