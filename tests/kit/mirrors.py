"""Random trees with all that a file system has, random changes to them, and rsync's word on whether two are equal."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = (
    b"a", b"b", b"c", b" sp ", b"new\nline", b"q'\"`$(x)", b"*?[x]", b"-rf", b"\xff\xfe", b"\xc3\xa4", b"#", b"+ x",
    b"\\", b"x" * 255, b"--delete", b"\r\t\x01",
)  # fmt: skip
IS_ROOT = os.geteuid() == 0

NOTHING = (b".d", b".f", b".L", b".S", b".D", b"hf", b"hS", b"hD", b"hL")
"""rsync(1), --itemize-changes: what stands in front of an entry with nothing to do, followed by blanks."""


def differences(source: bytes, target: bytes, *more: str) -> list[bytes]:
    """What rsync would still do to make the target equal the source, by checksum."""
    command = ["rsync", "-aXHncii", "--delete", *more, "--", source.rstrip(b"/") + b"/", target.rstrip(b"/") + b"/"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if done.returncode:
        return [done.stderr]
    lines = [line for line in done.stdout.split(b"\n") if line]
    return [line for line in lines if not (line[:2] in NOTHING and not line[2:11].strip())]


class Tree:
    """A tree that grows and changes by a seed. `changes`: what the kernel would have told of it, as
    (etype, path) or (etype, path, path2), paths as lsyncd has them."""

    def __init__(self, root: bytes, seed: int) -> None:
        self.root = root
        self.random = random.Random(seed)
        self.changes: list[tuple[str, bytes, bytes | None]] = []
        os.makedirs(root, exist_ok=True)

    def grow(self, top: bytes | None = None, depth: int = 0, *, links: bool = True) -> None:
        top = self.root if top is None else top
        chance = self.random
        for name in chance.sample(NAMES, chance.randrange(3, 9)):
            path = top + b"/" + name
            if os.path.lexists(path) or len(path) > 3500:
                continue
            kind = chance.randrange(12)
            if kind < 3 and depth < 4:
                os.mkdir(path)
                self.grow(path, depth + 1, links=links)
            elif kind == 7:
                os.symlink(chance.choice([b"nowhere", b"../a", b"/etc/passwd", name]), path)
            elif kind == 8:
                os.mkfifo(path)
            elif kind == 9 and IS_ROOT:
                device = os.makedev(chance.randrange(9), chance.randrange(9))
                os.mknod(path, 0o600 | chance.choice([stat.S_IFCHR, stat.S_IFBLK]), device)
            elif kind == 10 and links and (files := list(self.files())):
                os.link(chance.choice(files), path, follow_symlinks=False)
            elif kind == 11:
                os.mknod(path, 0o600 | stat.S_IFSOCK)
            else:
                self.write(path)
            self.change_attributes(path)

    def write(self, path: bytes) -> None:
        chance = self.random
        with open(path, "wb") as file:
            for _ in range(chance.randrange(3)):
                if chance.random() < 0.2:
                    file.seek(chance.randrange(1 << 20), os.SEEK_CUR)
                file.write(chance.randbytes(chance.choice([0, 5, 100, 5000, 1 << 17])))
            if chance.random() < 0.1:
                file.truncate(chance.randrange(1 << 22))

    def change_attributes(self, path: bytes) -> None:
        chance = self.random
        is_link = os.path.islink(path)
        if chance.random() < 0.3 and IS_ROOT:
            os.chown(path, chance.randrange(5), chance.randrange(5), follow_symlinks=False)
        if not is_link and chance.random() < 0.5:
            os.chmod(path, chance.randrange(0o10000) if IS_ROOT else 0o700 | chance.randrange(0o100))
        if chance.random() < 0.3:
            with contextlib.suppress(OSError):  # links and special files take none of the user's
                os.setxattr(path, chance.choice(["user.a", "trusted.b"]), chance.randbytes(9), follow_symlinks=False)
        if chance.random() < 0.5:
            os.utime(path, ns=(0, chance.randrange(2 * 10**18)), follow_symlinks=False)

    def paths(self) -> Iterator[bytes]:
        for top, directories, files in os.walk(self.root):
            yield from (top + b"/" + name for name in directories + files)

    def files(self) -> Iterator[bytes]:
        return (path for path in self.paths() if os.path.isfile(path) and not os.path.islink(path))

    def change(self, count: int) -> None:
        """Do so many random things to it."""
        for _ in range(count):
            paths = list(self.paths())
            if paths:
                self._change(paths)

    def tell(self, etype: str, path: bytes, path2: bytes | None = None, *, is_dir: bool) -> None:
        slash = b"/" if is_dir else b""
        relative = path[len(self.root) :] + slash
        self.changes.append((etype, relative, None if path2 is None else path2[len(self.root) :] + slash))

    def _change(self, paths: list[bytes]) -> None:
        chance = self.random
        path, other = chance.choice(paths), chance.choice(paths)
        is_dir = _is_dir(path)
        parent = os.path.dirname(path)
        kind = chance.randrange(9)
        if kind == 0:
            self._remove(path)
        elif kind == 1:
            self.change_attributes(path)
            self.tell("Attrib", path, is_dir=is_dir)
        elif kind == 2:
            self._rename(path, other)
        elif kind == 3:
            self._rename(path, parent + b"/" + chance.choice(NAMES)[:200] + b"2")
        elif kind == 4:
            self._make_directory(parent + b"/N%d" % chance.randrange(99))
        elif kind == 5 and os.path.isfile(path) and not os.path.islink(path):
            with open(path, "r+b") as file:
                file.write(chance.randbytes(3))
            self.tell("Modify", path, is_dir=False)
        elif kind == 6 and not is_dir and not os.path.lexists(path[:-1] + b"L"):
            os.link(path, path[:-1] + b"L", follow_symlinks=False)
            self.tell("Create", path[:-1] + b"L", is_dir=False)
        elif kind == 7 and not is_dir and not _is_dir(other):
            self._rename(path, parent + b"/SWAP")
            self._rename(other, path)
            self._rename(parent + b"/SWAP", other)
        elif kind == 8:
            self._remove(path)
            if chance.random() < 0.5:
                self._make_directory(path)
            else:
                self.write(path)
                self.tell("Create", path, is_dir=False)

    def _make_directory(self, path: bytes) -> None:
        if not os.path.lexists(path):
            os.mkdir(path)
            self.tell("Create", path, is_dir=True)
            self.grow(path, 3, links=False)

    def _remove(self, path: bytes) -> None:
        self.tell("Delete", path, is_dir=_is_dir(path))
        if _is_dir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def _rename(self, path: bytes, path2: bytes) -> None:
        if not os.path.lexists(path) or (os.path.lexists(path2) and os.path.samestat(os.lstat(path), os.lstat(path2))):
            return
        is_dir = _is_dir(path)
        try:
            os.rename(path, path2)
        except OSError:  # into itself, onto a directory with something in it, and the like
            return
        self.tell("Move", path, path2, is_dir=is_dir)


def _is_dir(path: bytes) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)
