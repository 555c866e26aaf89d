"""Trees in which all files have one size and one time, and histories of such trees: only their contents differ, so
whatever takes equal size and time for equal content is found out."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import stat

SIZE = 8
WHEN = 1_577_836_800 * 10**9
"""2020-01-01, in nanoseconds."""

NAMES = (b"a", b"b", b"c", b"d")
AT_FDCWD = -100
RENAME_EXCHANGE = 2

Change = tuple[str, bytes, "bytes | None"]


def exchange(path: bytes, other: bytes) -> None:
    """renameat2(2): two paths change places in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class AlikeTree:
    """`changes`: what the kernel tells of it in that order, as lsyncd has it. `outside`: a directory beside the
    source; `skip` in the source is one that is left out."""

    def __init__(self, root: bytes, outside: bytes, seed: int) -> None:
        self.root = root
        self.outside = outside
        self.random = random.Random(seed)
        self.changes: list[Change] = []
        for path in (root, outside, root + b"/skip"):
            os.makedirs(path, exist_ok=True)

    def write(self, path: bytes) -> None:
        """A new file, or the same one written in place; its time is put back."""
        with open(path, "wb") as file:
            file.write(self.random.randbytes(SIZE))
        os.utime(path, ns=(WHEN, WHEN))

    def grow(self, top: bytes, depth: int = 2) -> None:
        for name in NAMES[: self.random.randrange(2, 4)]:
            path = top + b"/" + name
            if depth and self.random.random() < 0.5:
                os.mkdir(path)
                self.grow(path, depth - 1)
            else:
                self.write(path)

    def change(self, count: int) -> None:
        for _ in range(count):
            inside = [top + b"/" + name for top, names in self._listed(self.root) for name in names]
            inside = [path for path in inside if not path.startswith(self.root + b"/skip")]
            if not inside:
                self._fresh(self.root)
                continue
            try:
                self._change(inside)
            except OSError:
                continue  # into itself, onto a directory that is not empty, and the like: nothing happened

    def _listed(self, root: bytes) -> list[tuple[bytes, list[bytes]]]:
        return [(top, directories + files) for top, directories, files in os.walk(root)]

    def _change(self, inside: list[bytes]) -> None:
        chance = self.random
        path, other = chance.choice(inside), chance.choice(inside)
        parent = os.path.dirname(path) if chance.random() < 0.7 else os.path.dirname(other)
        new = parent + b"/" + chance.choice(NAMES)
        match chance.randrange(10):
            case 0:
                self.move(path, new)
            case 1:
                third = self.root + b"/third"
                self.move(path, third)
                self.move(other, path)
                self.move(third, other)
            case 2:
                if path != other:
                    exchange(path, other)
                    self._tell("Move", path, other, is_dir=_is_dir(other))
                    self._tell("Move", other, path, is_dir=_is_dir(path))
            case 3:
                self._remove(path)
                self._come_from(chance.choice([self.outside, self.root + b"/skip"]), path)
            case 4:
                self._come_from(chance.choice([self.outside, self.root + b"/skip"]), new)
            case 5:
                if not _is_dir(path) and not _is_dir(new) and path != new:
                    self._link(path, new)
            case 6:
                self._remove(path)
            case 7:
                self._remove(path)
                self._fresh(parent)
            case 8:
                if not _is_dir(path):
                    self.write(path)
                    self._tell("Modify", path)
            case 9:
                os.chmod(path, 0o700 | chance.randrange(0o100))
                self._tell("Attrib", path, is_dir=_is_dir(path))

    def move(self, path: bytes, path2: bytes) -> None:
        is_dir = _is_dir(path)
        if os.path.lexists(path2) and os.path.samestat(os.lstat(path), os.lstat(path2)):
            return
        os.rename(path, path2)
        self._tell("Move", path, path2, is_dir=is_dir)

    def _come_from(self, directory: bytes, path: bytes) -> None:
        """Something that was made where nobody looks is moved in."""
        made = directory + b"/made"
        if self.random.random() < 0.6:
            os.mkdir(made)
            self.grow(made, 1)
        else:
            self.write(made)
        try:
            os.rename(made, path)
        except OSError:
            _remove(made)
            raise
        self._tell("Create", path, is_dir=_is_dir(path))

    def _link(self, path: bytes, new: bytes) -> None:
        """`ln -f`, or as editors and packers do it."""
        if os.path.lexists(new):
            if os.path.samestat(os.lstat(path), os.lstat(new)):
                return
            os.unlink(new)
            self._tell("Delete", new)
        os.link(path, new)
        self._tell("Create", new)

    def _fresh(self, parent: bytes) -> None:
        path = parent + b"/" + self.random.choice(NAMES)
        if os.path.lexists(path):
            return
        if self.random.random() < 0.5:
            os.mkdir(path)
            self.grow(path, 1)
        else:
            self.write(path)
        self._tell("Create", path, is_dir=_is_dir(path))

    def _remove(self, path: bytes) -> None:
        is_dir = _is_dir(path)
        _remove(path)
        self._tell("Delete", path, is_dir=is_dir)

    def _tell(self, etype: str, path: bytes, path2: bytes | None = None, *, is_dir: bool = False) -> None:
        slash = b"/" if is_dir else b""
        start = len(self.root)
        self.changes.append((etype, path[start:] + slash, None if path2 is None else path2[start:] + slash))

    def take_changes(self) -> list[Change]:
        taken, self.changes = self.changes, []
        return taken


def _is_dir(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _remove(path: bytes) -> None:
    if _is_dir(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)
