"""How large a tree is: what is counted, and where."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from orchestrator.logic.division import Size
from orchestrator.sync.treesize import count_tree

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.logic.division import Directory


def sizes(tree: Directory | None) -> dict[bytes, Size]:
    """Of each directory, with all that is below it."""
    assert tree is not None
    found = {tree.path: tree.whole}
    for child in tree.children:
        found.update(sizes(child))
    return found


def test_entries_and_bytes_of_all_that_is_below(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/f").write_text("four")
    (tmp_path / "a/g").write_text("two")
    os.mkfifo(tmp_path / "pipe")
    os.symlink("a", tmp_path / "link")
    os.symlink("/", tmp_path / "a/root")
    os.mkdir(os.fsencode(tmp_path) + b"/\xff\n")
    source = os.fsencode(tmp_path) + b"/"
    assert sizes(count_tree(source, None, threading.Event())) == {
        b"/": Size(8, 7),
        b"/a/": Size(4, 7),
        b"/a/b/": Size(1, 4),
        b"/\xff\n/": Size(0, 0),
    }
    excluded = {b"/a/b/", b"/link", b"/a/g"}
    assert sizes(count_tree(source, excluded.__contains__, threading.Event())) == {
        b"/": Size(4, 0),
        b"/a/": Size(1, 0),
        b"/\xff\n/": Size(0, 0),
    }


def test_what_is_not_there_is_empty_and_one_who_is_stopped_says_nothing(tmp_path: Path) -> None:
    stop = threading.Event()
    assert sizes(count_tree(os.fsencode(tmp_path) + b"/gone/", None, stop)) == {b"/": Size(0, 0)}
    stop.set()
    assert count_tree(os.fsencode(tmp_path) + b"/", None, stop) is None
