"""Random changes of a tree, of all the kinds that people make, and whether another tree has become like it.

The same seed makes the same changes in the same order. When the daemon sees them is up to the machine.

Left out is what no watcher of directories can see (inotify(7)): writing to a file, or changing its mode, through
one of several names; only that name is told of. A file with more names than one is replaced, renamed
or removed, never changed where it is.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = (
    *(b"a", b"b", b"c", b"d", b"e"),  # few, so that they meet
    *(b" sp ", b"new\nline", b"q'\"`$(x)", b"*?[x]", b"-rf", b"\xff\xfe", b"#", b"+ x", b"\\", b"\\*", b"[a]"),
    *(b"x" * 255, b".a.abcdef"),
)
SIZES = (0, 1, 5, 5, 5, 4000, 70_000)
"""Often the same: programs that compare times and sizes do not see that such a file has changed."""

SWAP = b"swap"
DEPTH = 4
MAX_ENTRIES = 60


class Entry(NamedTuple):
    """What is compared of a file, a directory or a link. `seconds`: of a file's time, 0 of all others."""

    kind: int
    content: bytes
    mode: int
    seconds: int


def picture(root: bytes, *, modes: bool = True, times: bool = True) -> dict[bytes, Entry]:
    """Relative path → entry. The tree may change meanwhile: what vanishes is not there."""
    found: dict[bytes, Entry] = {}
    for top, directories, files in os.walk(root):
        for name in directories + files:
            path = top + b"/" + name
            try:
                found[path[len(root) + 1 :]] = _entry(path, modes, times)
            except OSError:
                continue
    return found


def _entry(path: bytes, modes: bool, times: bool) -> Entry:
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        return Entry(kind, os.readlink(path), 0, 0)
    mode = stat.S_IMODE(status.st_mode) if modes else 0
    if kind != stat.S_IFREG:
        return Entry(kind, b"", mode, 0)
    with open(path, "rb") as file:
        return Entry(kind, file.read(), mode, int(status.st_mtime) if times else 0)


def told(source: dict[bytes, Entry], target: dict[bytes, Entry]) -> str:
    """In what two trees differ, one line for each path."""
    lines = []
    for path in sorted(source.keys() | target.keys()):
        ours, theirs = source.get(path), target.get(path)
        if ours == theirs:
            continue
        if ours is None or theirs is None:
            lines.append(f"{path!r} only in the {'target' if ours is None else 'source'}")
        else:
            fields = [name for name in Entry._fields if getattr(ours, name) != getattr(theirs, name)]
            lines.append(f"{path!r} differs in {', '.join(fields)}: {_short(ours)} became {_short(theirs)}")
    return "\n".join(lines)


def _short(entry: Entry) -> str:
    size = len(entry.content)
    return f"({entry.kind:o}, {size} bytes {entry.content[:8].hex()}, {entry.mode:o}, {entry.seconds})"


class Churn:
    """A tree that changes by a seed, with a place outside of it for what is moved in and out.

    `one_link`: all symlinks point to the same place. `sizes_differ`: no two files that differ have the same size.
    `log`: what was done, one line each.
    """

    def __init__(
        self, root: bytes, outside: bytes, seed: int, *, one_link: bool = False, sizes_differ: bool = False
    ) -> None:
        self.root = root
        self.outside = outside
        self.random = random.Random(seed)
        self.log: list[str] = []
        self._number = 0
        self._sizes_differ = sizes_differ
        self._last_size = 0
        self._operations: list[Callable[[], None]] = [getattr(self, name) for name in OPERATIONS]
        os.makedirs(root, exist_ok=True)
        os.makedirs(outside, exist_ok=True)
        self.sentinel = outside + b"/sentinel"
        os.makedirs(self.sentinel, exist_ok=True)
        with open(self.sentinel + b"/a", "wb") as file:
            file.write(b"not to be touched")
        self._targets = [b"a", b"../a", b"nowhere", self.sentinel, self.sentinel + b"/a"]
        if one_link:
            self._targets = [self.sentinel]

    def change(self, count: int) -> None:
        """Do so many random things."""
        for _ in range(count):
            if len(self._all()) > MAX_ENTRIES:
                self.remove_tree()
            self.random.choice(self._operations)()

    # ---- what there is ------------------------------------------------------------------------

    def _all(self) -> list[bytes]:
        # sorted, as a directory's own order is not the same in the next run; and of our own making alone, as csync2
        # puts scratch files in here
        found = (
            top + b"/" + name for top, dirs, files in os.walk(self.root) for name in dirs + files if _is_ours(name)
        )
        return sorted(found)

    def _directories(self, *, with_root: bool = False) -> list[bytes]:
        return [self.root] * with_root + [path for path in self._all() if _is_dir(path)]

    def _one(self, paths: list[bytes]) -> bytes | None:
        return self.random.choice(paths) if paths else None

    def _file(self, *, in_place: bool = False) -> bytes | None:
        """A regular file; `in_place`: with this name alone."""
        links = {path: _links(path) for path in self._all()}
        return self._one([path for path, count in links.items() if count == 1 or (count and not in_place)])

    def _new(self, parent: bytes | None = None) -> bytes:
        """A name in some directory; it may be taken."""
        if parent is None:
            deep = self.root.count(b"/") + DEPTH
            parent = self.random.choice([d for d in self._directories(with_root=True) if d.count(b"/") < deep])
        return parent + b"/" + self.random.choice(NAMES)

    def _free(self, parent: bytes | None = None) -> bytes | None:
        path = self._new(parent)
        return None if os.path.lexists(path) else path

    def _size(self) -> int:
        if self._sizes_differ:
            self._last_size += 1
            return self._last_size
        return self.random.choice(SIZES)

    def _data(self) -> bytes:
        return self.random.randbytes(self._size())

    def _say(self, what: str, *paths: bytes) -> None:
        self.log.append(f"{what} {' -> '.join(repr(path[len(os.path.dirname(self.root)) :]) for path in paths)}")

    # ---- operations ---------------------------------------------------------------------------

    def create(self) -> None:
        path = self._free()
        if path is not None:
            self._write(path, "create")

    def write(self) -> None:
        path = self._file(in_place=True)
        if path is not None:
            self._write(path, "write")

    def overwrite(self) -> None:
        """As many bytes as before."""
        path = self._file(in_place=True)
        if path is not None:
            self._say("overwrite", path)
            with open(path, "r+b") as file:
                file.write(self.random.randbytes(os.fstat(file.fileno()).st_size))
                if self._sizes_differ:
                    file.truncate(self._size())

    def append(self) -> None:
        path = self._file(in_place=True)
        if path is not None:
            self._say("append", path)
            with open(path, "ab") as file:
                file.write(self._data())
                if self._sizes_differ:
                    file.truncate(self._size())

    def truncate(self) -> None:
        path = self._file(in_place=True)
        if path is not None:
            self._say("truncate", path)
            with open(path, "r+b") as file:
                file.truncate(self._size())

    def rename_within(self) -> None:
        """Onto something or to a new name, in the same directory."""
        path = self._one(self._all())
        if path is not None:
            self._rename(path, self._new(os.path.dirname(path)))

    def rename_across(self) -> None:
        path = self._one(self._all())
        if path is not None:
            self._rename(path, self._new())

    def replace_by_rename(self) -> None:
        """As careful programs save a file."""
        path = self._file()
        if path is not None:
            self._write(path[:-1] + b"~", "write beside")
            self._rename(path[:-1] + b"~", path)

    def replace(self) -> None:
        """Something else under the same name."""
        path = self._one(self._all())
        if path is not None:
            self._remove(path)
            self.random.choice([self._make_directory, self._make_link, self._write])(path)

    def swap(self) -> None:
        """Two files, or two directories neither of which is in the other."""
        paths = self._all()
        path = self._one(paths)
        if path is None:
            return
        other = self._one([one for one in paths if _is_dir(one) == _is_dir(path) and not _nested(one, path)])
        if other is not None:
            middle = self.root + b"/" + SWAP
            self._rename(path, middle)
            self._rename(other, path)
            self._rename(middle, other)

    def hard_link(self) -> None:
        path, path2 = self._file(), self._free()
        if path is not None and path2 is not None:
            self._say("hard link", path, path2)
            os.link(path, path2)

    def symlink(self) -> None:
        path = self._free()
        if path is not None:
            self._make_link(path)

    def chmod(self) -> None:
        path = self._one([path for path in self._all() if not os.path.islink(path)])
        if path is not None and (_is_dir(path) or os.lstat(path).st_nlink == 1):
            self._say("chmod", path)
            os.chmod(path, 0o700 | self.random.randrange(0o100))

    def touch(self) -> None:
        """A file's time alone."""
        path = self._file(in_place=True)
        if path is not None:
            self._say("touch", path)
            os.utime(path, ns=(0, self.random.randrange(1, 10**18)))

    def make_directories(self) -> None:
        path = self._free()
        if path is not None:
            self._make_directory(path)

    def remove(self) -> None:
        path = self._one([path for path in self._all() if not _is_dir(path)])
        if path is not None:
            self._remove(path)

    def remove_tree(self) -> None:
        path = self._one(self._directories())
        if path is not None:
            self._remove(path)

    def move_out(self) -> None:
        path = self._one(self._directories())
        if path is not None:
            self._number += 1
            self._rename(path, self.outside + b"/%d" % self._number)

    def move_in(self) -> None:
        """A tree that was here before, or a new one."""
        path = self._one([self.outside + b"/" + name for name in sorted(os.listdir(self.outside)) if name.isdigit()])
        if path is None or self.random.random() < 0.5:
            self._number += 1
            path = self.outside + b"/%d" % self._number
            self._make_directory(path)
        path2 = self._free()
        if path2 is not None:
            self._rename(path, path2)

    # ---- what they are made of -----------------------------------------------------------------

    def _write(self, path: bytes, what: str = "write") -> None:
        self._say(what, path)
        with open(path, "wb") as file:
            file.write(self._data())

    def _make_directory(self, path: bytes) -> None:
        """With things in it, some levels deep."""
        self._say("make directory", path)
        os.mkdir(path)
        for name in self.random.sample(NAMES, self.random.randrange(4)):
            chance = self.random.random()
            if chance < 0.4 and path.count(b"/") < self.root.count(b"/") + DEPTH:
                self._make_directory(path + b"/" + name)
            elif chance < 0.5:
                self._make_link(path + b"/" + name)
            else:
                self._write(path + b"/" + name)

    def _make_link(self, path: bytes) -> None:
        self._say("link", path)
        os.symlink(self.random.choice(self._targets), path)

    def _remove(self, path: bytes) -> None:
        self._say("remove", path)
        if not _is_dir(path):
            os.unlink(path)
        while _is_dir(path):  # what others put in, or take away, does not keep it
            shutil.rmtree(path, ignore_errors=True)

    def _rename(self, path: bytes, path2: bytes) -> None:
        try:
            os.rename(path, path2)
        except OSError:  # into itself, onto a directory with something in it, and the like
            return
        self._say("rename", path, path2)


OPERATIONS = tuple(name for name in vars(Churn) if not name.startswith("_") and name != "change")


def _links(path: bytes) -> int:
    """How many names a regular file has; 0: it is none, or was a file of csync2's, which puts some beside ours for a
    moment."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return 0
    return status.st_nlink if stat.S_ISREG(status.st_mode) else 0


def _is_ours(name: bytes) -> bool:
    return name in NAMES or name == SWAP or name.endswith(b"~")


def _is_dir(path: bytes) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _nested(path: bytes, other: bytes) -> bool:
    return (path + b"/").startswith(other + b"/") or (other + b"/").startswith(path + b"/")
