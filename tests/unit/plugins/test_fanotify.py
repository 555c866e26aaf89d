"""Where a directory was when an event happened; raw events; what they leave open; the table of mounts."""

from __future__ import annotations

import itertools
import random
from struct import pack

import pytest

from orchestrator_fanotify import events
from orchestrator_fanotify.ambiguous import AmbiguousPaths
from orchestrator_fanotify.calls import ATTRIB, CLOSE_WRITE, CREATE, DELETE, MODIFY, ONDIR, Q_OVERFLOW, RENAME
from orchestrator_fanotify.mounts import mount_of, mounts_below, parse_mounts
from orchestrator_fanotify.places import DeletedDirectory, Entry, Places
from tests.kit.fanotify_kernel import event, record


class Disk:
    """Directories with handles, and what happened to them."""

    def __init__(self) -> None:
        self.above: dict[bytes, Entry] = {}  # of each directory but the top
        self.dead: set[bytes] = set()
        self.number = 0

    def make(self, parent: bytes, name: bytes) -> bytes:
        self.number += 1
        handle = b"h%d" % self.number
        self.above[handle] = Entry(parent, name)
        return handle

    def path(self, handle: bytes) -> bytes:
        if handle == b"top":
            return b"/"
        parent, name = self.above[handle]
        return b"%s%s/" % (self.path(parent), name)

    def look(self, handle: bytes) -> bytes | None:
        return None if handle in self.dead else self.path(handle)

    def alive(self) -> list[bytes]:
        return [b"top", *(handle for handle in self.above if handle not in self.dead)]

    def is_below(self, handle: bytes, top: bytes) -> bool:
        while handle != b"top":
            if handle == top:
                return True
            handle = self.above[handle].handle
        return top == b"top"

    def children(self, handle: bytes) -> dict[bytes, bytes]:
        return {self.above[child].name: child for child in self.alive()[1:] if self.above[child].handle == handle}


@pytest.mark.parametrize("seed", range(200))
def test_the_path_at_the_time_of_an_event(seed: int) -> None:
    chance = random.Random(seed)
    disk = Disk()
    names = [b"a", b"b", b"c"]
    for _ in range(chance.randrange(2, 12)):
        parent = chance.choice(disk.alive())
        name = chance.choice(names)
        if name not in disk.children(parent):
            disk.make(parent, name)
    renames: list[tuple[Entry, Entry]] = []
    deleted_directories: dict[bytes, DeletedDirectory] = {}
    seen: list[tuple[int, bytes, bytes]] = []  # renames before it, directory, path then
    for _ in range(25):
        living = disk.alive()
        handle, parent, name = chance.choice(living), chance.choice(living), chance.choice(names)
        seen.append((len(renames), handle, disk.path(handle)))
        if handle == b"top":
            continue
        if chance.random() < 0.2 and not disk.children(handle):
            deleted_directories[handle] = DeletedDirectory(disk.above[handle], len(renames))
            disk.dead.add(handle)
        elif name not in disk.children(parent) and not disk.is_below(parent, handle):
            renames.append((disk.above[handle], Entry(parent, name)))
            disk.above[handle] = Entry(parent, name)
    places = Places(disk.look)
    assert len(places.begin(renames, deleted_directories)) == len(renames)
    passed = 0
    for number, handle, path in seen:
        while passed < number:
            places.passed()
            passed += 1
        assert places.of(handle) == path
    places.end()
    for handle in disk.above:
        assert places.of(handle) == disk.look(handle)


def test_what_is_gone_and_nobody_reported_has_no_path() -> None:
    disk = Disk()
    gone = disk.make(b"top", b"d")
    disk.dead.add(gone)
    places = Places(disk.look)
    assert places.begin([(Entry(gone, b"x"), Entry(b"top", b"y"))], {}) == [(None, b"/y/")]
    assert places.of(gone) is None


def test_thousands_of_renames_cost_by_depth() -> None:
    disk = Disk()
    looks = 0

    def look(handle: bytes) -> bytes | None:
        nonlocal looks
        looks += 1
        return disk.look(handle)

    handles = [disk.make(b"top", b"old%d" % number) for number in range(3000)]
    renames = []
    for number, handle in enumerate(handles):
        renames.append((disk.above[handle], Entry(b"top", b"new%d" % number)))
        disk.above[handle] = renames[-1][1]
    places = Places(look)
    places.begin(renames, {})
    assert [places.of(handle) for handle in handles[:10]] == [b"/old%d/" % number for number in range(10)]
    assert looks == 1 + 10  # all are in one directory, which is looked for once


# ---- raw events -----------------------------------------------------------------------------------


def test_directories_renamed_and_deleted_are_found_in_a_batch() -> None:
    pieces = [
        event(CREATE, record(2, b"HANDLE_A", b"f")) + event(RENAME, record(10, b"A", b"f"), record(12, b"B", b"g")),
        event(RENAME | ONDIR, record(10, b"A", b"d"), record(12, b"B", b"e"), record(1, b"D")),
        event(DELETE | ONDIR, record(2, b"B", b"\xffgone\n"), record(1, b"E")),
    ]
    key = pack("=Ii", 1, 1)
    assert not events.has_directories(pieces[:1])
    assert events.has_directories(pieces)
    renames, deleted_directories = events.directories(pieces)
    assert renames == {b"filesys1": [(Entry(key + b"A", b"d"), Entry(key + b"B", b"e"))]}
    assert deleted_directories == {key + b"E": DeletedDirectory(Entry(key + b"B", b"\xffgone\n"), 1)}


def test_what_happens_outside_is_left_out_of_a_piece() -> None:
    near, far, deep = (b"filesys1" + pack("=Ii", 1, 1) + name for name in (b"N", b"F", b"D"))
    assert len({near, far, deep}) == 3
    kept = [
        event(CREATE, record(2, b"N", b"f")),
        event(RENAME, record(10, b"N", b"f"), record(12, b"F", b"g"), record(1, b"x")),
        event(RENAME | ONDIR, record(10, b"F", b"f"), record(12, b"N", b"g"), record(1, b"x")),
        event(DELETE | ONDIR, record(2, b"F", b"gone"), record(1, b"x")),
        event(CREATE, record(2, b"F", b"f", b"filesys2")),
        event(Q_OVERFLOW),
    ]
    dropped = [
        event(CREATE, record(2, b"F", b"f"), record(1, b"x")),
        event(DELETE, record(2, b"D", b"f")),
        event(CREATE | ONDIR, record(2, b"F", b"f")),
        event(RENAME, record(10, b"F", b"f"), record(12, b"D", b"a longer name"), record(1, b"x")),
        event(RENAME | ONDIR, record(10, b"D", b"f"), record(12, b"D", b"g"), record(1, b"x")),
    ]
    for seed in range(50):
        mixed = [*kept, *dropped]
        random.Random(seed).shuffle(mixed)
        piece = b"".join(mixed)
        assert events.without(piece, {far, deep}) == b"".join(part for part in mixed if part in kept)
        assert events.without(piece, {b"other"}) is piece
    assert events.without(b"".join(dropped), {far, deep}) == b""


def test_what_is_put_together_is_reported_in_order() -> None:
    table = events.etypes_by_mask(CLOSE_WRITE, reports_creates=True)
    assert table[CREATE | CLOSE_WRITE | ATTRIB] == ("Create", "Attrib", "Modify")
    assert table[CLOSE_WRITE | DELETE] == ("Modify", "Delete")
    assert CREATE | DELETE not in table
    assert MODIFY not in table
    finished = events.etypes_by_mask(MODIFY | CLOSE_WRITE, reports_creates=False)
    assert finished[CREATE | MODIFY] == finished[CREATE | CLOSE_WRITE | MODIFY] == finished[MODIFY] == ("Modify",)
    assert CREATE not in finished


# ---- mounts ---------------------------------------------------------------------------------------

MOUNTINFO = rb"""22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:5 / /src rw - tmpfs none rw
31 30 0:6 / /src/with\040blank rw - nfs4 server:/x rw
32 30 0:7 / /src rw - xfs none rw
33 22 0:8 / /srcs rw - tmpfs none rw
"""


def renamed(ambiguous: AmbiguousPaths, *ends: bytes) -> None:
    """One thing renamed from the first to the second, then to the third, and so on."""
    for path, path2 in itertools.pairwise(ends):
        ambiguous.renamed_from(path)
        ambiguous.renamed_to(path2)
        if path.endswith(b"/"):
            ambiguous.moved(path, path2)


@pytest.mark.parametrize(
    ("ends", "deleted", "there", "again"),
    [
        ((b"/a", b"/b"), (), {b"/b"}, []),
        ((b"/a", b"/b", b"/a"), (), {b"/a"}, [b"/a", b"/b"]),  # to and fro
        ((b"/a", b"/b", b"/c"), (), {b"/c"}, [b"/b"]),  # an end of two renames
        ((b"/a", b"/b"), (b"/b",), set(), [b"/b"]),  # deleted before or after that
        ((b"/a", b"/b"), (b"/c",), set(), []),
        ((b"/a", b"/b"), (), {b"/a", b"/b"}, [b"/a"]),  # something else has taken its place
        ((b"/a/", b"/b/"), (), {b"/b/"}, []),
        ((b"/a/", b"/a/b/"), (), {b"/a/b/"}, [b"/a/", b"/a/b/"]),  # within one another
        ((b"/a", b"/a/b"), (), {b"/a/b"}, []),  # a file has nothing in it
    ],
)
def test_what_renames_leave_open(
    ends: tuple[bytes, ...], deleted: tuple[bytes, ...], there: set[bytes], again: list[bytes]
) -> None:
    ambiguous = AmbiguousPaths()
    renamed(ambiguous, *ends)
    ambiguous.deleted.update(deleted)
    assert ambiguous.resolve(there.__contains__) == again
    assert ambiguous.resolve(there.__contains__) == []


def test_mounts_of_a_source() -> None:
    mounts = parse_mounts(MOUNTINFO)
    own = mount_of(b"/src/", mounts)
    assert own is not None
    assert (own.number, own.point, own.kind) == (32, b"/src/", "xfs")
    assert [mount.point for mount in mounts_below(b"/src/", mounts)] == [b"/src/with blank/"]
    assert mount_of(b"/home/", mounts) == (22, b"/", "ext4")
    assert [mount.number for mount in mounts_below(b"/", mounts)] == [32, 31, 33]
