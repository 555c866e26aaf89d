"""The fanotify monitor against random changes at full speed: who replays what it tells has the source in the end.

All changes come from one process, so that the kernel puts together as many events as it can.
"""

from __future__ import annotations

import os
import random
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from orchestrator_fanotify.monitor import FanotifyMonitor
from tests.kit.fanotify import needs_fanotify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.logic.change import Change

SEEDS = 150
NAMES = "abc"
DEEPEST = 6

Content = dict[str, "str | None"]
"""Path below a source, with a leading slash → what is in the file; None for a directory, whose path ends in a slash."""


class Box:
    """A source and a place outside, both full of the same few names."""

    def __init__(self, top: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.source, self.outside = str(top / "src"), str(top / "out")
        self.depth = self.source.count("/")
        os.mkdir(self.source)
        os.mkdir(self.outside)
        self.version = 0

    def directories(self) -> list[str]:
        return [directory for top in (self.source, self.outside) for directory, _, _ in os.walk(top)]

    def change(self) -> None:
        """Try something; much of it is impossible."""
        chance = self.chance
        directories = self.directories()
        path, path2 = (f"{chance.choice(directories)}/{chance.choice(NAMES)}" for _ in range(2))
        self.version += 1
        with suppress(OSError):
            match chance.choice(("write", "write", "mkdir", "move", "move", "move", "remove", "rmdir", "tree", "link")):
                case "write" if not (os.path.isfile(path) and os.stat(path).st_nlink > 1):
                    with open(path, "w") as file:
                        file.write(str(self.version))
                case "mkdir" if path.count("/") - self.depth < DEEPEST:
                    os.mkdir(path)
                case "move":
                    os.rename(path, path2)
                case "remove":
                    os.unlink(path)
                case "rmdir":
                    os.rmdir(path)
                case "tree" if chance.random() < 0.3:
                    shutil.rmtree(path)
                case "link":
                    os.link(path, path2)

    def content(self) -> Content:
        found: Content = {}
        for directory, directories, files in os.walk(self.source):
            below = directory[len(self.source) :]
            found.update({f"{below}/{name}/": None for name in directories})
            for name in files:
                with open(f"{directory}/{name}") as file:
                    found[f"{below}/{name}"] = file.read()
        return found


class Target:
    """Brings itself up to a source by what it is told, as a queue of delays and a transfer do (spec 3.3)."""

    def __init__(self, content: Content) -> None:
        self.content = content

    def replay(self, changes: list[tuple[str, str, str]], source: Content) -> None:
        told: list[str] = []
        for etype, path, path2 in changes:
            if etype != "Move":
                self._take(path, source)
            elif any(_touch(one, other) for one in (path, path2) for other in told):
                # split: what is waiting will be transferred as it is by then
                self._drop(path)
                self._take(path2, source)
                self.content.update({below: source[below] for below in _below(source, path2)})
            else:
                moved = {path2 + below[len(path) :]: self.content[below] for below in _below(self.content, path)}
                self._drop(path)
                self._drop(path2.rstrip("/"))
                self._drop(path2.rstrip("/") + "/")
                self.content.update(moved)
            told += [path, path2] if path2 else [path]
            if etype == "Delete":
                self._drop(path)

    def _take(self, path: str, source: Content) -> None:
        if path in source:
            self._drop(path[:-1] if path.endswith("/") else path + "/")
            self.content[path] = source[path]
        else:
            self._drop(path)

    def _drop(self, path: str) -> None:
        for below in list(_below(self.content, path)):
            del self.content[below]


def _below(content: Content, path: str) -> Iterator[str]:
    return (other for other in content if other == path or (path.endswith("/") and other.startswith(path)))


def _touch(one: str, other: str) -> bool:
    return (
        one.rstrip("/") == other.rstrip("/")
        or (one.endswith("/") and other.startswith(one))
        or (other.endswith("/") and one.startswith(other))
    )


def relative(changes: list[Change], source: str) -> list[tuple[str, str, str]]:
    return [
        (change.etype, *(os.fsdecode(path or b"").removeprefix(source) for path in change[1:3])) for change in changes
    ]


@pytest.mark.parametrize("size", [20, 100])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_is_told_leads_to_the_source(tmp_path: Path, seed: int, size: int) -> None:
    needs_fanotify()
    box = Box(tmp_path, seed)
    for _ in range(60):
        box.change()
    monitor = FanotifyMonitor("CloseWrite", lambda _: True, lambda *_: None)
    try:
        monitor.watch(os.fsencode(box.source) + b"/")
        target = Target(box.content())
        for _ in range(4):
            for _ in range(box.chance.randrange(1, size)):
                box.change()
            changes = relative(monitor.read(), box.source)
            target.replay(changes, box.content())
            assert target.content == box.content(), changes
    finally:
        monitor.close()
