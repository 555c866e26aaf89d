"""default.direct: the command for each change, and what the real cp, mv, mkdir and rm make of them."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import ConfigError
from orchestrator_direct.action import Direct
from orchestrator_direct.removal import Removal
from tests.kit.inlet import FakeInlet, Spawn
from tests.kit.trees import HOSTILE, Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def inlet_of(pair: Pair, **config: Any) -> FakeInlet:
    return FakeInlet(Direct(), pair.config(**config), source=pair.source)


def commands(etype: str, *paths: bytes, **config: Any) -> list[list[bytes]]:
    inlet = FakeInlet(Direct(), {"target": "/no such target", **config})
    inlet.change(etype, *paths)
    inlet.turn()
    return [spawn.argv for spawn in inlet.spawned]


NOBODY = 65534
S, T = b"/src//", b"/no such target//"


@pytest.mark.parametrize(
    ("etype", "paths", "argv"),
    [
        ("Create", [b"/d/e/"], [b"mkdir", b"--", T + b"d/e/"]),
        ("Create", [b"/d/f"], [b"cp", b"-p", b"--", S + b"d/f", T + b"d/"]),
        ("Modify", [b"/f"], [b"cp", b"-p", b"--", S + b"f", T]),
        ("Delete", [b"/d/f"], [b"rm", b"-rf", b"--", T + b"d/f"]),
        ("Delete", [b"/d/e/"], [b"rm", b"-rf", b"--", T + b"d/e/"]),
        (
            "Move",
            [b"/a/", b"/b/"],
            [b"sh", b"-c", b'mv -T -- "$1" "$2" || { rm -rf -- "$1"; exit 1; }', b"sh", T + b"a/", T + b"b/"],
        ),
    ],
)
def test_one_command_for_each_change(etype: str, paths: list[bytes], argv: list[bytes]) -> None:
    assert commands(etype, *paths) == [argv]


@pytest.mark.parametrize("delete", [False, "startup"])
def test_deletions_can_be_off(delete: bool | str) -> None:
    assert commands("Delete", b"/f", delete=delete) == []
    assert commands("Move", b"/a", b"/b", delete=delete) == [
        [b"sh", b"-c", b'mv -T -- "$1" "$2"', b"sh", T + b"a", T + b"b"]
    ]


def test_attributes_are_not_carried_over(pair: Pair) -> None:
    inlet = inlet_of(pair)
    inlet.change("Attrib", b"/f")
    inlet.turn()
    assert inlet.lines("Warn") == ['ignored an event of type "Attrib"']
    assert (inlet.spawned, inlet.waiting) == ([], [])


def test_the_root_is_never_removed_or_replaced(pair: Pair) -> None:
    inlet = inlet_of(pair)
    inlet.change("Delete", b"/")
    inlet.turn()
    assert (inlet.spawned, inlet.waiting) == ([], [])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (None, 'default.rsync needs "target" configured'),
        ("", "default.direct: the target must not be empty"),
        ("/", "default.direct: the target must not be the root directory"),
        ("//", "default.direct: the target must not be the root directory"),
        ("/tmp/..", "default.direct: the target must not be the root directory"),
    ],
)
def test_dangerous_targets_are_refused(target: str | None, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        FakeInlet(Direct(), {"target": target, "rsync": {"binary": "false"}})
    assert str(caught.value) == message


def test_a_link_to_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(ConfigError, match="must not be the root directory"):
        FakeInlet(Direct(), {"target": str(tmp_path / "link"), "rsync": {"binary": "false"}})


def test_startup_is_rsyncs() -> None:
    inlet = FakeInlet(Direct(), {"target": "/trg"}, insist=False)
    inlet.startup()
    assert inlet.spawned[0].argv[0] == b"rsync"
    assert inlet.end(inlet.spawned[0], 5) == "die"
    assert inlet.lines("Error") == [
        'Temporary or permanent failure on startup of "/src/". Terminating since "insist" is not set.'
    ]


def test_exit_codes_of_copies_are_not_judged_but_a_killed_one_is_tried_again() -> None:
    inlet = FakeInlet(Direct(), {"target": "/no such target"})
    inlet.change("Create", b"/gone")
    inlet.turn()
    assert inlet.end(inlet.spawned[0], 1) == "ok"
    assert inlet.waiting == []
    inlet.change("Create", b"/gone")
    inlet.turn()
    assert inlet.end(inlet.spawned[1], 137) == "again"


# ---- with the real programs -----------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_hostile_names_are_created_changed_moved_and_deleted(pair: Pair, name: bytes) -> None:
    pair.both(b"keep/x")
    inlet = inlet_of(pair)
    write(pair.source + name + b" dir/" + name)
    inlet.change("Create", b"/" + name + b" dir/")
    inlet.change("Create", b"/" + name + b" dir/" + name)
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source)
    write(pair.source + name + b" dir/" + name, b"changed")
    inlet.change("Modify", b"/" + name + b" dir/" + name)
    inlet.settle()
    os.rename(pair.source + name + b" dir/" + name, pair.source + name)
    inlet.change("Move", b"/" + name + b" dir/" + name, b"/" + name)
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source)
    os.unlink(pair.source + name)
    inlet.change("Delete", b"/" + name)
    os.rmdir(pair.source + name + b" dir")
    inlet.change("Delete", b"/" + name + b" dir/")
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source) == {b"keep": None, b"keep/x": b"data"}


def test_a_directory_moved_onto_another_takes_its_place(pair: Pair) -> None:
    pair.both(b"a/f")
    os.makedirs(pair.target + b"b")
    os.rename(pair.source + b"a", pair.source + b"b")
    inlet = inlet_of(pair)
    inlet.change("Move", b"/a/", b"/b/")
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source) == {b"b": None, b"b/f": b"data"}


def test_swapped_directories_converge(pair: Pair) -> None:
    pair.both(b"a/of a")
    pair.both(b"b/of b")
    for old, new in ((b"a", b"tmp"), (b"b", b"a"), (b"tmp", b"b")):
        os.rename(pair.source + old, pair.source + new)
    inlet = inlet_of(pair)
    for old, new in ((b"/a/", b"/tmp/"), (b"/b/", b"/a/"), (b"/tmp/", b"/b/")):
        inlet.change("Move", old, new)
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source)


def test_a_move_that_fails_is_made_up_for_from_the_source(pair: Pair) -> None:
    write(pair.source + b"t/x/f")
    inlet = inlet_of(pair)
    write(pair.target + b"t/stale")
    write(pair.target + b"u/in the way")
    os.rename(pair.source + b"t", pair.source + b"u")
    inlet.change("Move", b"/t/", b"/u/")
    inlet.settle()
    assert snapshot(pair.target)[b"u/x/f"] == b"data"
    assert b"t" not in snapshot(pair.target)


def test_what_is_in_the_way_on_the_target_is_put_right(pair: Pair) -> None:
    write(pair.source + b"was directory")
    write(pair.target + b"was directory/f")
    inlet = inlet_of(pair)
    inlet.change("Create", b"/was directory")
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source)


def test_nothing_is_written_through_a_link_on_the_target(pair: Pair) -> None:
    outside = pair.root + b"/outside"
    write(outside, b"precious")
    os.symlink(outside, pair.target + b"f")
    write(pair.source + b"f", b"new")
    inlet = inlet_of(pair)
    inlet.change("Modify", b"/f")
    inlet.settle()
    assert snapshot(pair.target) == {b"f": b"new"}
    with open(outside, "rb") as file:
        assert file.read() == b"precious"


def test_nothing_is_deleted_through_a_link_on_the_target(pair: Pair) -> None:
    write(pair.root + b"/outside/f", b"precious")
    for name in (b"d", b"e"):
        os.symlink(pair.root + b"/outside", pair.target + name)
    inlet = inlet_of(pair)
    inlet.change("Delete", b"/d/")
    os.makedirs(pair.source + b"e2")
    inlet.change("Move", b"/e/", b"/e2/")
    inlet.settle()
    assert os.path.exists(pair.root + b"/outside/f")
    assert not os.path.lexists(pair.target + b"d")


def test_links_and_fifos_are_copied_as_what_they_are(pair: Pair) -> None:
    os.symlink(b"nowhere", pair.source + b"link")
    os.mkfifo(pair.source + b"fifo")
    inlet = inlet_of(pair)
    inlet.change("Create", b"/link")
    inlet.change("Create", b"/fifo")
    inlet.settle()
    assert os.readlink(pair.target + b"link") == b"nowhere"
    assert stat.S_ISFIFO(os.lstat(pair.target + b"fifo").st_mode)


def test_a_move_from_before_a_full_run_is_not_done_behind_it(pair: Pair) -> None:
    """The full run has brought over the file that is at the origin by now: it must not land at the destination."""
    pair.both(b"a", b"one")
    inlet = inlet_of(pair)
    inlet.startup()
    os.rename(pair.source + b"a", pair.source + b"b")
    inlet.change("Move", b"/a", b"/b")
    write(pair.source + b"a", b"two")
    inlet.change("Create", b"/a")
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source)


def test_a_directory_that_was_moved_and_went_on_before_a_full_run_ended_is_not_made_again(pair: Pair) -> None:
    pair.both(b"d/f")
    inlet = inlet_of(pair)
    inlet.startup()
    os.rename(pair.source + b"d", pair.source + b"e")
    inlet.change("Move", b"/d/", b"/e/")
    write(pair.source + b"e/g")
    inlet.change("Create", b"/e/g")
    os.rename(pair.source + b"e", os.path.dirname(pair.source.rstrip(b"/")) + b"/outside")
    inlet.change("Delete", b"/e/")
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source)


def test_what_a_directory_that_is_there_already_has_too_much_goes(pair: Pair) -> None:
    pair.both(b"d/f")
    write(pair.target + b"d/stale")
    inlet = inlet_of(pair)
    inlet.change("Create", b"/d/")
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source)


def test_what_it_has_too_much_stays_where_nothing_is_deleted(pair: Pair) -> None:
    pair.both(b"d/f")
    write(pair.target + b"d/stale")
    inlet = inlet_of(pair, delete=False)
    inlet.change("Create", b"/d/")
    inlet.settle()
    assert b"d/stale" in snapshot(pair.target)
    assert len(inlet.spawned) == 1


# ---- what users of either tree do to a daemon of root's ---------------------------------------------


def started(inlet: FakeInlet) -> Spawn:
    """What is due has been started, and nothing of it done yet: attackers are as fast as that."""
    inlet.turn()
    return inlet.running[0]


@pytest.fixture
def secret(pair: Pair) -> bytes:
    """A directory of somebody else's, outside of both trees."""
    write(pair.root + b"/secret/f", b"root's")
    write(pair.root + b"/secret/d/g", b"root's")
    return pair.root + b"/secret"


def exchange(path: bytes, link_to: bytes) -> None:
    os.rename(path, path + b".was")
    os.symlink(link_to, path)


@pytest.mark.parametrize("etype", ["Create", "Modify"])
def test_no_link_in_the_place_of_a_file_has_anothers_copied(pair: Pair, secret: bytes, etype: str) -> None:
    write(pair.source + b"f", b"mine")
    inlet = inlet_of(pair)
    inlet.change(etype, b"/f")
    spawn = started(inlet)
    assert spawn.argv[:2] == [b"cp", b"-p"]
    exchange(pair.source + b"f", secret + b"/f")
    inlet.execute(spawn)
    assert snapshot(pair.target) == {b"f": b"-> " + secret + b"/f"}


def test_no_link_in_the_place_of_a_directory_of_the_source_has_anothers_copied(pair: Pair, secret: bytes) -> None:
    pair.both(b"d/f", b"mine")
    inlet = inlet_of(pair)
    inlet.change("Modify", b"/d/f")
    spawn = started(inlet)
    exchange(pair.source + b"d", secret)
    inlet.execute(spawn)
    assert snapshot(pair.target) == {b"d": None, b"d/f": b"mine"}


CHANGES: list[tuple[str, bytes, bytes | None]] = [
    ("Create", b"/d/new", None),
    ("Create", b"/d/new/", None),
    ("Modify", b"/d/f", None),
    ("Modify", b"/d/d/g", None),
    ("Delete", b"/d/f", None),
    ("Delete", b"/d/d/", None),
    ("Move", b"/d/f", b"/taken"),
    ("Move", b"/d/d/", b"/taken/"),
    ("Move", b"/mine", b"/d/f"),
    ("Move", b"/mine", b"/d/new"),
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("when", ["before", "after"])
def test_no_link_on_the_target_leads_a_step_elsewhere(
    pair: Pair, secret: bytes, change: tuple[str, bytes, bytes | None], when: str
) -> None:
    """Before it is looked at, or after, when what it will do is decided."""
    for name in (b"d/f", b"d/d/g", b"mine"):
        pair.both(name, b"mine")
    before = snapshot(secret)
    inlet = inlet_of(pair)
    etype, path, path2 = change
    if path.startswith(b"/d/new"):
        (os.mkdir if path.endswith(b"/") else write)(pair.source + path.strip(b"/"))
    elif etype == "Delete":
        shutil.rmtree(pair.source + path[1:]) if path.endswith(b"/") else os.unlink(pair.source + path[1:])
    elif path2 is not None:
        os.rename(pair.source + path.strip(b"/"), pair.source + path2.strip(b"/"))
    inlet.change(etype, path, path2)
    if when == "before":
        exchange(pair.target + b"d", secret)
    spawn = started(inlet)
    if when == "after":
        exchange(pair.target + b"d", secret)
    inlet.execute(spawn)
    assert snapshot(secret) == before
    assert inlet.lines("Warn") == [
        f"{os.fsdecode(pair.target)}d is a symlink, and a directory in the source: it is not followed."
    ]
    inlet.settle()
    assert snapshot(secret) == before
    assert snapshot(pair.target) == snapshot(pair.source)


def test_links_to_directories_are_followed_where_rsync_is_told_to(pair: Pair) -> None:
    pair.both(b"d/f", b"old")
    exchange(pair.target + b"d", pair.root + b"/elsewhere")
    os.rename(pair.target + b"d.was", pair.root + b"/elsewhere")
    write(pair.source + b"d/f", b"new")
    inlet = inlet_of(pair, rsync={"keep_dirlinks": True})
    inlet.change("Modify", b"/d/f")
    inlet.settle()
    assert snapshot(pair.root + b"/elsewhere") == {b"f": b"new"}
    assert inlet.lines("Warn") == []


@pytest.mark.parametrize("kind", ["fifo", "socket", "directory", "gone"])
def test_what_becomes_something_else_before_it_is_copied_holds_nothing_up(pair: Pair, kind: str) -> None:
    pair.both(b"f", b"mine")
    inlet = inlet_of(pair)
    inlet.change("Modify", b"/f")
    spawn = started(inlet)
    os.unlink(pair.source + b"f")
    if kind == "fifo":
        os.mkfifo(pair.source + b"f")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(pair.source + b"f")
    elif kind == "directory":
        os.mkdir(pair.source + b"f")
    assert inlet.execute(spawn) == "ok"
    there = os.lstat(pair.target + b"f").st_mode
    wanted = {"fifo": stat.S_ISFIFO, "socket": stat.S_ISSOCK}.get(kind, stat.S_ISREG)
    assert wanted(there)
    assert inlet.lines("Normal") == []


# ---- how a file is copied --------------------------------------------------------------------------


def test_other_names_of_the_file_that_was_there_keep_what_they_had(pair: Pair) -> None:
    pair.both(b"f", b"old")
    os.link(pair.target + b"f", pair.root + b"/kept")
    write(pair.source + b"f", b"new")
    inlet = inlet_of(pair)
    inlet.change("Modify", b"/f")
    inlet.settle()
    assert snapshot(pair.target) == {b"f": b"new"}
    with open(pair.root + b"/kept", "rb") as file:
        assert file.read() == b"old"


def test_mode_owner_and_times_are_the_sources(pair: Pair) -> None:
    write(pair.source + b"f", b"x")
    if os.geteuid() == 0:
        os.chown(pair.source + b"f", 1234, 5678)
    os.chmod(pair.source + b"f", 0o4751)
    os.utime(pair.source + b"f", ns=(1_000_000_007, 1_234_567_890_123_456_789))
    inlet = inlet_of(pair)
    inlet.change("Create", b"/f")
    inlet.settle()
    wanted, found = (os.lstat(root + b"f") for root in (pair.source, pair.target))
    for field in ("st_mode", "st_uid", "st_gid", "st_mtime_ns"):
        assert getattr(found, field) == getattr(wanted, field), field


def test_a_target_without_room_keeps_what_it_had_and_gets_the_file_when_there_is_some(pair: Pair) -> None:
    """The limit stands for a full file system: the kernel refuses to write in the midst of the file."""
    pair.both(b"f", b"old")
    write(pair.source + b"f", b"x" * 50_000)
    write(pair.source + b"g", b"small")
    inlet = inlet_of(pair)
    inlet.change("Modify", b"/f")
    inlet.change("Create", b"/g")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        assert inlet.execute(started(inlet)) == "again"
        inlet.execute(started(inlet))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert snapshot(pair.target) == {b"f": b"old", b"g": b"small"}
    assert inlet.lines("Normal")[-1] == "Retrying Modify /src//f: 11".replace("/src/", os.fsdecode(pair.source))
    inlet.advance(1.0)
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source)


def test_one_that_is_to_end_leaves_nothing_half_done(pair: Pair) -> None:
    pair.both(b"f", b"old")
    write(pair.source + b"f", b"x" * 5_000_000)
    inlet = inlet_of(pair)
    inlet.change("Modify", b"/f")
    spawn = started(inlet)
    assert spawn.job is not None
    stop = threading.Event()
    stop.set()
    code = spawn.job(stop)
    if code:  # a file system that clones files has no time to be stopped
        assert inlet.end(spawn, code) == "again"
        assert snapshot(pair.target) == {b"f": b"old"}
    assert set(snapshot(pair.target)) == {b"f"}


def test_two_names_of_one_file_are_one_after_a_move(pair: Pair) -> None:
    """rename(2) of one onto the other does nothing, and says that all is well."""
    for root in (pair.source, pair.target):
        write(root + b"a")
        os.link(root + b"a", root + b"b")
    os.unlink(pair.source + b"a")
    inlet = inlet_of(pair)
    inlet.change("Move", b"/a", b"/b")
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source) == {b"b": b"data"}


# ---- rm -rf -----------------------------------------------------------------------------------------


def make_deep(root: bytes, levels: int) -> None:
    """Directories in each other, with a file and a link in each."""
    fd = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(b"d", dir_fd=fd)
        inner = os.open(b"d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
        os.close(os.open(b"f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        os.symlink(b"/", b"link", dir_fd=fd)
    os.close(fd)


@pytest.mark.parametrize("levels", [1, 63, 64, 65, 66, 130, 5000])
def test_a_tree_of_any_depth_is_removed(pair: Pair, levels: int) -> None:
    os.mkdir(pair.target + b"top")
    make_deep(pair.target + b"top", levels)
    write(pair.target + b"keep")
    inlet = inlet_of(pair)
    inlet.change("Delete", b"/top/")
    files = len(os.listdir("/proc/self/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files + 100, hard))
    try:
        inlet.settle()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert os.listdir(pair.target) == [b"keep"]
    assert len(os.listdir("/proc/self/fd")) == files


def test_what_cannot_be_removed_keeps_nothing_else_from_being(pair: Pair) -> None:
    for name in (b"top/a/f", b"top/closed/f", b"top/z/f", b"top/deep/closed/f"):
        write(pair.target + name)
    for top, _, _ in os.walk(pair.target):
        if os.geteuid() == 0:
            os.chown(top, NOBODY, NOBODY)
        if top.endswith(b"closed"):
            os.chmod(top, 0o500)
    parent = os.open(pair.target, os.O_RDONLY)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(NOBODY)
        with pytest.raises(PermissionError):
            Removal(threading.Event()).remove(b"top", parent)
    finally:
        os.seteuid(user)
        os.close(parent)
    left = {b"top", b"top/closed", b"top/closed/f", b"top/deep", b"top/deep/closed", b"top/deep/closed/f"}
    assert set(snapshot(pair.target)) == left


# ---- renames that wait for something else


def rename(inlet: FakeInlet, pair: Pair, old: bytes, new: bytes) -> None:
    os.rename(pair.source + old, pair.source + new)
    slash = b"/" if os.path.isdir(pair.source + new) else b""
    inlet.change("Move", b"/" + old + slash, b"/" + new + slash)


def test_renames_stay_renames_whatever_they_wait_for(pair: Pair) -> None:
    for name in (b"big", b"a", b"b", b"tree/f"):
        pair.both(name, name)
    inodes = {name: os.stat(pair.target + name).st_ino for name in (b"big", b"a", b"b", b"tree/f")}
    inlet = inlet_of(pair)
    os.mkdir(pair.source + b"archive")
    inlet.change("Create", b"/archive/")
    for old, new in ((b"big", b"archive/big"), (b"a", b"t"), (b"b", b"a"), (b"t", b"b"), (b"tree", b"archive/tree")):
        rename(inlet, pair, old, new)
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source)
    names = {b"big": b"archive/big", b"a": b"b", b"b": b"a", b"tree/f": b"archive/tree/f"}
    assert {old: os.stat(pair.target + new).st_ino for old, new in names.items()} == inodes
    assert {spawn.argv[0] for spawn in inlet.spawned} == {b"mkdir", b"sh"}


def test_a_new_directory_that_is_renamed_takes_the_renames_into_it_along(pair: Pair) -> None:
    pair.both(b"big", b"big")
    before = os.stat(pair.target + b"big").st_ino
    inlet = inlet_of(pair)
    os.mkdir(pair.source + b"n")
    inlet.change("Create", b"/n/")
    rename(inlet, pair, b"big", b"n/big")
    rename(inlet, pair, b"n", b"m")
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source)
    assert os.stat(pair.target + b"m/big").st_ino == before


def test_one_that_fails_takes_those_with_it_that_wait_for_it(pair: Pair) -> None:
    pair.both(b"b", b"old")
    write(pair.source + b"a", b"new")
    inlet = inlet_of(pair)
    for old, new in ((b"a", b"b"), (b"b", b"c"), (b"c", b"d")):
        rename(inlet, pair, old, new)
    inlet.settle()
    assert snapshot(pair.target) == snapshot(pair.source) == {b"d": b"new"}


def test_a_file_that_is_there_already_is_not_written(pair: Pair) -> None:
    """As when it came from there: to write it would be news to whoever mirrors it back."""
    write(pair.source + b"f", b"one")
    os.symlink("f", pair.source + b"link")
    inlet = inlet_of(pair)

    def bring() -> list[int]:
        for path in (b"/f", b"/link"):
            inlet.change("Create", path)
        inlet.settle()
        return [os.lstat(pair.target + name).st_ino for name in (b"f", b"link")]

    before = bring()
    assert bring() == before
    times = os.stat(pair.source + b"f")
    write(pair.source + b"f", b"two")
    os.utime(pair.source + b"f", ns=(times.st_atime_ns, times.st_mtime_ns))
    os.unlink(pair.source + b"link")
    os.symlink("g", pair.source + b"link")
    os.utime(pair.source + b"link", ns=(times.st_atime_ns, times.st_mtime_ns), follow_symlinks=False)
    os.utime(pair.target + b"link", ns=(times.st_atime_ns, times.st_mtime_ns), follow_symlinks=False)
    bring()
    assert snapshot(pair.target) == snapshot(pair.source)
    os.chmod(pair.source + b"f", 0o600)
    bring()
    assert stat.S_IMODE(os.stat(pair.target + b"f").st_mode) == 0o600
