"""Each key of `rsync` says the same at the startup and while running: of one tree both make the same target."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator_rsync.action import Rsync
from orchestrator_rsync.options import LONG_OPTIONS, SHORT_FLAGS
from tests.kit.inlet import FakeInlet
from tests.kit.need import program
from tests.kit.trees import Pair, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUES: dict[str, Any] = {
    "chmod": "F600,D750",
    "suffix": "~",
    "backup_dir": "../old",
    "bwlimit": 100_000,
    "timeout": 60,
}

KEYS: list[dict[str, Any]] = [
    *({key: True} for key, _, _ in SHORT_FLAGS if key not in ("ipv4", "ipv6")),
    *({key: VALUES[key] if valued else True} for key, valued, _ in LONG_OPTIONS if not valued or key in VALUES),
    {"archive": True},
    {"links": False},
    {"times": False},
    {"delete_excluded": True},
    {"copy_links": True, "cvs_exclude": True, "prune_empty_dirs": True},
    {"_extra": ["-L"]},
    {"_extra": ["--copy-dirlinks", "-C"]},
]


class Story:
    """A tree, what happens to it, and what is told of that."""

    def __init__(self, pair: Pair, outside: bytes) -> None:
        self.source = pair.source
        self.outside = outside
        self.told: list[tuple[str, bytes]] = []
        for name in (b"one/sub/f", b"two/g", b"two/sub"):
            write(outside + name, name)
        for name in (
            b"kept",
            b"gone",
            b"d/f",
            b"moved/in",
            b"becomes",
            b"x.o",
            b"object/x.o",
            b"object/x.c",
            b"only/f",
        ):
            write(self.source + name, name)
        os.mkdir(self.source + b"empty")
        for name in (b"removed", b"retargeted", b"renamed", b"moved/link", b"file"):
            self.link(b"one", name)
        self.link(b"two/g", b"to file")
        os.symlink(b"d", self.source + b"inside")
        write(self.source + b".cvsignore", b"ignored")

    def link(self, to: bytes, name: bytes) -> None:
        os.symlink(self.outside + to, self.source + name)

    def tell(self, etype: str, *names: bytes) -> None:
        self.told += [(etype, b"/" + name) for name in names]

    def happen(self) -> None:
        source = self.source
        self.link(b"two", b"added")
        self.tell("Create", b"added")
        os.unlink(source + b"removed")
        self.tell("Delete", b"removed")
        os.unlink(source + b"retargeted")
        self.link(b"two", b"retargeted")
        self.tell("Delete", b"retargeted")
        self.tell("Create", b"retargeted")
        os.rename(source + b"renamed", source + b"renamed now")
        self.tell("Delete", b"renamed")
        self.tell("Create", b"renamed now")
        os.rename(source + b"moved", source + b"moved now")
        self.tell("Delete", b"moved/")
        self.tell("Create", b"moved now/", b"moved now/in", b"moved now/link")
        os.unlink(source + b"file")
        write(source + b"file", b"a file in the place of a link to a directory")
        self.tell("Delete", b"file")
        self.tell("Create", b"file")
        os.unlink(source + b"becomes")
        self.link(b"one", b"becomes")
        self.tell("Delete", b"becomes")
        self.tell("Create", b"becomes")
        os.unlink(source + b"to file")
        self.link(b"two", b"to file")
        self.tell("Delete", b"to file")
        self.tell("Create", b"to file")
        os.unlink(source + b"inside")
        self.tell("Delete", b"inside")
        for name in (b"new.o", b"core", b"ignored", b"n/ignored", b"n/new.c", b"n/old~"):
            write(source + name, name)
        self.tell("Create", b"new.o", b"core", b"ignored", b"n/", b"n/ignored", b"n/new.c", b"n/old~")
        shutil.rmtree(source + b"object")
        self.tell("Delete", b"object/")
        for name in (b"gone", b"only/f", b"x.o"):
            os.unlink(source + name)
            self.tell("Delete", name)
        write(source + b"kept", b"kept, and longer than it was")
        self.tell("Modify", b"kept")
        os.mkdir(source + b"empty now")
        self.tell("Create", b"empty now/")


def look(root: bytes) -> Iterator[tuple[bytes, Any]]:
    for top, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = os.path.join(top, name)
            status = os.lstat(path)
            content: bytes | None = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            yield os.path.relpath(path, root), (oct(status.st_mode), content)


@pytest.mark.parametrize("table", KEYS, ids=str)
def test_a_key_says_the_same_at_the_startup_and_while_running(tmp_path: Path, table: dict[str, Any]) -> None:
    program("rsync")
    pair = Pair(tmp_path / "running")
    story = Story(pair, os.fsencode(tmp_path / "outside") + b"/")
    inlet = FakeInlet(Rsync(), pair.config(rsync=table, exclude=["*.tmp"]), source=pair.source)
    inlet.startup()
    inlet.settle()
    second = os.fsencode(tmp_path / "full/trg")
    shutil.copytree(pair.target, second, symlinks=True)
    story.happen()
    for etype, path in story.told:
        inlet.change(etype, path)
    inlet.settle()
    full = FakeInlet(Rsync(), {"target": os.fsdecode(second), "rsync": table, "exclude": ["*.tmp"]}, source=pair.source)
    full.full_event()
    full.settle()
    assert dict(look(pair.target)) == dict(look(second))
