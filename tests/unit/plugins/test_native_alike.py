"""Files of one size and one time: native is never taken in."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.api import Change
from orchestrator_native import proofs
from orchestrator_native.engine import MirrorSpec, mirror, update
from orchestrator_native.memory import Memory
from orchestrator_native.rules import TICK
from tests.kit.alike import WHEN, AlikeTree, exchange
from tests.kit.mirrors import IS_ROOT, differences
from tests.kit.trees import Pair, snapshot, write

if TYPE_CHECKING:
    from pathlib import Path


def is_skipped(path: bytes) -> bool:
    return path.startswith(b"/skip/")


@pytest.mark.parametrize("seed", range(10))
def test_random_histories(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if seed % 2:
        monkeypatch.setattr(proofs, "MOST_SPOILT", 5)
    base = os.fsencode(tmp_path)
    tree, target = AlikeTree(base + b"/source", base + b"/outside", seed), base + b"/target"
    tree.grow(tree.root)
    chance = random.Random(seed)
    trees, memory, stop = MirrorSpec(tree.root, target, excluded=is_skipped), Memory(), threading.Event()
    mirror(trees, memory, stop, deletes=True)
    for step in range(25):
        tree.change(chance.randrange(1, 7))
        changes = tree.take_changes()
        if chance.random() < 0.1:
            report = mirror(trees, memory, stop, deletes=True)
        else:
            report = update(trees, [Change(*change) for change in changes], memory, stop, deletes=True)
        assert report.lines() == []
        there = {path: data for path, data in snapshot(tree.root).items() if not path.startswith(b"skip")}
        assert snapshot(target) == there, (step, changes)


class Deploy(Pair):
    """A pair in step, its files of one size and one time."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.memory = Memory()
        self.stop = threading.Event()

    def put(self, side: bytes, path: bytes, data: bytes) -> None:
        write(side + path, data)
        os.utime(side + path, ns=(WHEN, WHEN))

    def startup(self) -> None:
        assert mirror(MirrorSpec(self.source, self.target), self.memory, self.stop, deletes=True).lines() == []

    def batch(self, *changes: tuple[str, bytes] | tuple[str, bytes, bytes]) -> None:
        trees = MirrorSpec(self.source, self.target)
        told = [Change(*change) for change in changes]
        assert update(trees, told, self.memory, self.stop, deletes=True).lines() == []

    def inode(self, path: bytes) -> int:
        return os.stat(self.target + path).st_ino


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    return Deploy(tmp_path)


def test_a_new_release_takes_the_place_of_the_old_one(deploy: Deploy) -> None:
    deploy.put(deploy.source, b"app/f", b"old")
    deploy.put(deploy.source, b"app.new/f", b"new")
    deploy.startup()
    os.rename(deploy.source + b"app", deploy.source + b"app.old")
    os.rename(deploy.source + b"app.new", deploy.source + b"app")
    deploy.batch(("Move", b"/app/", b"/app.old/"), ("Move", b"/app.new/", b"/app/"))
    assert snapshot(deploy.target) == {b"app": None, b"app/f": b"new", b"app.old": None, b"app.old/f": b"old"}


def test_a_full_run_that_comes_between_is_not_taken_in_either(deploy: Deploy) -> None:
    deploy.put(deploy.source, b"a/f", b"one")
    deploy.put(deploy.source, b"b/f", b"two")
    deploy.startup()
    exchange(deploy.source + b"a", deploy.source + b"b")
    deploy.startup()
    assert snapshot(deploy.target) == snapshot(deploy.source)


def test_a_link_put_over_a_file_leaves_the_good_copy_alone(deploy: Deploy) -> None:
    for good, over in ((b"a", b"b"), (b"z", b"y")):
        deploy.put(deploy.source, good, b"good")
        deploy.put(deploy.source, over, b"over")
    deploy.startup()
    inodes = deploy.inode(b"a"), deploy.inode(b"z")
    for good, over in ((b"a", b"b"), (b"z", b"y")):
        os.unlink(deploy.source + over)
        os.link(deploy.source + good, deploy.source + over)
    deploy.batch(("Create", b"/b"), ("Create", b"/y"))
    assert set(snapshot(deploy.target).values()) == {b"good"}
    assert (deploy.inode(b"b"), deploy.inode(b"y")) == inodes


def test_an_equal_file_is_never_written(deploy: Deploy) -> None:
    """As it comes back from a mirror of ours that mirrors to here in turn."""
    data = {b"small": b"data", b"large": os.urandom(3 << 20), b"sub/f": b"data"}
    for path in data:
        deploy.put(deploy.source, path, data[path])
    deploy.startup()
    inodes = [deploy.inode(path) for path in data]
    for path in data:
        # another inode with the same content, by now of another time
        write(deploy.source + b"tmp", data[path])
        os.utime(deploy.source + b"tmp", ns=(WHEN, WHEN + 10**9))
        os.rename(deploy.source + b"tmp", deploy.source + path)
    deploy.batch(("Create", b"/small"), ("Create", b"/large"), ("Create", b"/sub/"))
    assert [deploy.inode(path) for path in data] == inodes
    assert os.stat(deploy.target + b"large").st_mtime_ns == WHEN + 10**9
    assert differences(deploy.source, deploy.target) == []


def test_files_with_holes_are_compared(deploy: Deploy) -> None:
    for path in (b"f", b"g"):
        with open(deploy.source + path, "wb") as file:
            file.truncate(200 << 20)
        os.utime(deploy.source + path, ns=(WHEN, WHEN))
    deploy.startup()
    inode = deploy.inode(b"f")
    for path, data in ((b"f", b""), (b"g", b"here")):
        with open(deploy.source + path, "r+b") as file:
            file.seek(100 << 20)
            file.write(data)
        os.utime(deploy.source + path, ns=(WHEN, WHEN))
    deploy.batch(("Modify", b"/f"), ("Modify", b"/g"))
    assert deploy.inode(b"f") == inode
    with open(deploy.target + b"g", "rb") as file:
        file.seek(100 << 20)
        assert file.read(4) == b"here"


def test_what_was_renamed_or_had_its_mode_changed_is_not_read(deploy: Deploy) -> None:
    """Nothing but the name or the mode is new: that of a large file costs nothing. What somebody else did to the
    target meanwhile, with time and size put back, is found when there is a reason to look."""
    for path in (b"moved", b"tree/deep/f", b"mode"):
        deploy.put(deploy.source, path, b"data")
    while time.time_ns() < os.stat(deploy.source + b"mode").st_ctime_ns + 2 * TICK:
        time.sleep(TICK / 1e9)  # what is finished within a tick of its last change is not trusted
    deploy.startup()
    for path in (b"moved", b"tree/deep/f", b"mode"):
        deploy.put(deploy.target, path, b"else")
    os.rename(deploy.source + b"moved", deploy.source + b"here")
    os.rename(deploy.source + b"tree", deploy.source + b"wood")
    os.chmod(deploy.source + b"mode", 0o600)
    deploy.batch(("Move", b"/moved", b"/here"), ("Move", b"/tree/", b"/wood/"), ("Attrib", b"/mode"))
    assert set(snapshot(deploy.target).values()) == {None, b"else"}
    deploy.put(deploy.source, b"here", b"data")
    deploy.put(deploy.source, b"mode", b"data")
    deploy.batch(("Modify", b"/here"), ("Modify", b"/mode"))
    assert snapshot(deploy.target)[b"here"] == snapshot(deploy.target)[b"mode"] == b"data"


@pytest.mark.skipif(not IS_ROOT, reason="gives files to others")
@pytest.mark.parametrize("right", ["owner", "group", "set-user bit", "capability"])
def test_rights_are_only_given_to_data_of_our_own(deploy: Deploy, right: str) -> None:
    """On the target a user has put a file of equal size and time in the place of a program, and has it open."""
    program, planted = deploy.source + b"d/program", deploy.target + b"d/program"
    deploy.put(deploy.source, b"d/program", b"good")
    os.chown(program, 1001, 1001)
    os.chmod(program, 0o755)
    deploy.startup()
    os.unlink(planted)
    deploy.put(deploy.target, b"d/program", b"good")
    if right == "owner":
        os.chown(planted, 1002, 1001)
    elif right == "group":
        os.chown(planted, 1001, 1002)
    else:
        os.chown(planted, 1001, 1001)
    os.chmod(planted, 0o755)
    if right == "capability":
        os.setxattr(program, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    elif right == "set-user bit":
        os.chmod(program, 0o4755)
    os.utime(program, ns=(WHEN, WHEN))
    os.utime(planted, ns=(WHEN, WHEN))
    with open(planted, "r+b") as held:
        os.rename(deploy.source + b"d", deploy.source + b"e")
        deploy.batch(("Move", b"/d/", b"/e/"))
        held.write(b"evil")
    assert differences(deploy.source, deploy.target) == []
    assert snapshot(deploy.target)[b"e/program"] == b"good"


def test_what_another_mirror_is_just_writing_is_not_mirrored_on(deploy: Deploy) -> None:
    """The source is the target of another sync: a large file is half there, under its temporary name."""
    half = b".f.lsyncd-00112233445566ff"
    deploy.put(deploy.source, b"f", b"old")
    deploy.put(deploy.source, half, b"ha")
    deploy.put(deploy.source, b"d/" + half, b"ha")
    deploy.startup()
    deploy.batch(("Create", b"/" + half), ("Create", b"/d/"))
    assert snapshot(deploy.target) == {b"d": None, b"f": b"old"}
    deploy.put(deploy.source, half, b"half")
    os.rename(deploy.source + half, deploy.source + b"f")
    deploy.batch(("Move", b"/" + half, b"/f"))
    assert snapshot(deploy.target)[b"f"] == b"half"


def test_what_was_just_written_on_the_target_waits(deploy: Deploy) -> None:
    """Another sync mirrors it back, and what comes from there is older than what has been written here meanwhile."""
    write(deploy.source + b"f", b"1")
    deploy.startup()

    def run(patience: float) -> dict[str, None]:
        trees = MirrorSpec(deploy.source, deploy.target, patience=patience)
        report = update(trees, [Change("Modify", b"/f")], deploy.memory, deploy.stop, deletes=True)
        assert report.exit_code == 0
        return report.deferred

    def append(side: bytes, when: int) -> None:
        with open(side + b"f", "ab") as file:
            file.write(b"+")
        os.utime(side + b"f", ns=(when, when))

    now = os.stat(deploy.source + b"f").st_mtime_ns
    append(deploy.target, now + 2)
    append(deploy.target, now + 3)
    append(deploy.source, now + 1)
    assert list(run(60)) == list(run(60)) == ["f"]
    append(deploy.target, now + 4)
    assert list(run(1e-9)) == ["f"], "it has changed since"
    assert snapshot(deploy.target)[b"f"] == b"1+++"
    assert run(1e-9) == {}, "nobody takes it over"
    assert snapshot(deploy.target)[b"f"] == b"1+"
    append(deploy.target, now + 5)
    append(deploy.source, now + 6)
    assert run(60) == {}, "the source's is newer"
    assert snapshot(deploy.target)[b"f"] == b"1++"


@pytest.mark.parametrize("seed", range(5))
def test_where_nobody_else_changes_the_target_nothing_waits(tmp_path: Path, seed: int) -> None:
    base = os.fsencode(tmp_path)
    tree, target = AlikeTree(base + b"/source", base + b"/outside", seed), base + b"/target"
    tree.grow(tree.root)
    chance = random.Random(seed)
    trees, memory, stop = MirrorSpec(tree.root, target, patience=60), Memory(), threading.Event()
    mirror(trees, memory, stop, deletes=True)
    for step in range(25):
        tree.change(chance.randrange(1, 7))
        changes = [Change(*change) for change in tree.take_changes()]
        report = update(trees, changes, memory, stop, deletes=True)
        assert (report.lines(), report.deferred) == ([], {})
        assert snapshot(target) == snapshot(tree.root), (step, changes)


class Deleted:
    """Something that came to the source from the target, and was deleted there before it was given back."""

    def __init__(self, deploy: Deploy) -> None:
        self.deploy = deploy
        self.target = deploy.target
        write(deploy.source + b"kept", b"1")
        deploy.startup()

    def come_and_go(self, path: bytes) -> None:
        write(self.deploy.source + path, b"new")
        wait_for_tick(self.deploy.source + path)
        write(self.target + b"by others", b"")
        os.unlink(self.target + b"by others")

    def run(self, patience: float, *changes: tuple[str, bytes], meanwhile: bytes = b"") -> list[str]:
        """The paths that are deferred. When it comes to the path `meanwhile`, somebody changes the target's root."""

        def excluded(path: bytes) -> bool:
            if path == meanwhile:
                write(self.target + b"by others", b"")
                os.unlink(self.target + b"by others")
            return False

        trees = MirrorSpec(self.deploy.source, self.target, patience=patience, excluded=excluded)
        told = [Change(*change) for change in changes]
        report = update(trees, told, self.deploy.memory, self.deploy.stop, deletes=True)
        assert report.lines() == []
        return list(report.deferred)


def wait_for_tick(path: bytes) -> None:
    """Until what is finished now has a ctime that proves it, by the kernel's coarse clock too."""
    while os.stat(path).st_ctime_ns + 2 * TICK > time.time_ns():
        time.sleep(0.001)


@pytest.fixture
def deleted(deploy: Deploy) -> Deleted:
    return Deleted(deploy)


def test_what_may_have_been_deleted_on_the_target_waits_once(deleted: Deleted) -> None:
    deleted.come_and_go(b"f")
    assert deleted.run(60, ("Create", b"/f")) == deleted.run(60, ("Create", b"/f")) == ["f"]
    assert b"f" not in snapshot(deleted.target)
    assert deleted.run(1e-9, ("Create", b"/f")) == [], "nobody takes the deletion over"
    assert snapshot(deleted.target)[b"f"] == b"new"


def test_what_was_deleted_while_we_were_at_work_in_its_directory_waits(deleted: Deleted) -> None:
    """The run that finds its directory as it was, and the one that changes it, do not take the deletion for theirs."""
    for name in (b"found", b"changed", b"another changed before"):
        write(deleted.deploy.source + name, b"1")
        write(deleted.target + name, b"1")
        shutil.copystat(deleted.deploy.source + name, deleted.target + name)
        deleted.run(60, ("Attrib", b"/" + name))
        write(deleted.deploy.source + b"f", b"new")
        wait_for_tick(deleted.deploy.source + b"f")
        if name == b"changed":
            write(deleted.deploy.source + name, b"two")
        earlier = [("Modify", b"/kept")] if name == b"another changed before" else []
        if earlier:
            write(deleted.deploy.source + b"kept", b"three")
        deleted.run(60, *earlier, ("Modify", b"/" + name), meanwhile=b"/" + name)
        assert deleted.run(60, ("Create", b"/f")) == ["f"], name
        os.unlink(deleted.deploy.source + b"f")


def test_nothing_waits_in_the_first_run_of_a_daemon(deploy: Deploy) -> None:
    """It has not looked at the target yet, and finds out how fine its times are."""
    deploy.startup()
    wait_for_tick(deploy.target)
    write(deploy.source + b"f", b"new")
    wait_for_tick(deploy.source + b"f")
    trees = MirrorSpec(deploy.source, deploy.target, patience=60)
    report = update(trees, [Change("Create", b"/f")], Memory(), deploy.stop, deletes=True)
    assert (report.lines(), report.deferred) == ([], {})
    assert snapshot(deploy.target)[b"f"] == b"new"


def test_what_was_deleted_in_the_tick_in_which_it_came_waits(deleted: Deleted) -> None:
    deleted.run(60, ("Modify", b"/kept"))
    for _ in range(20):  # of which some are within one tick
        write(deleted.deploy.source + b"f", b"new")
        os.utime(deleted.target)
        assert deleted.run(60, ("Create", b"/f")) == ["f"]
        os.unlink(deleted.deploy.source + b"f")


def test_what_is_written_anew_after_the_deletion_does_not_wait(deleted: Deleted) -> None:
    deleted.come_and_go(b"f")
    wait_for_tick(deleted.target)
    write(deleted.deploy.source + b"f", b"again")
    assert deleted.run(60, ("Modify", b"/f")) == []
    assert snapshot(deleted.target)[b"f"] == b"again"


def test_a_directory_that_may_have_been_deleted_on_the_target_waits_with_all_in_it(deleted: Deleted) -> None:
    deleted.come_and_go(b"d/f")
    assert deleted.run(60, ("Create", b"/d/"), ("Create", b"/d/f")) == ["d"]
    assert deleted.run(60, ("Create", b"/d/f")) == ["d"]
    assert set(snapshot(deleted.target)) == {b"kept"}
    assert deleted.run(1e-9, ("Create", b"/d/")) == []
    assert snapshot(deleted.target)[b"d/f"] == b"new"


def test_what_may_have_been_deleted_does_not_come_with_its_directory_either(deleted: Deleted) -> None:
    write(deleted.deploy.source + b"d/f", b"new")
    wait_for_tick(deleted.deploy.source + b"d/f")
    os.mkdir(deleted.target + b"d")
    assert deleted.run(60, ("Create", b"/d/"), ("Create", b"/d/f")) == ["d/f"]
    assert b"d/f" not in snapshot(deleted.target)


@pytest.mark.parametrize("is_taken_over", [True, False])
def test_what_is_new_on_the_target_is_not_deleted_with_the_news_of_its_directory(
    deleted: Deleted, is_taken_over: bool
) -> None:
    """The other sync has made the directory in the source, and has not come to the file yet."""
    source = deleted.deploy.source
    write(deleted.target + b"d/f", b"theirs")
    os.mkdir(source + b"d")
    assert deleted.run(60, ("Create", b"/d/")) == deleted.run(60, ("Create", b"/d/")) == ["d"]
    assert snapshot(deleted.target)[b"d/f"] == b"theirs"
    if is_taken_over:
        write(source + b"d/f", b"theirs")
    assert deleted.run(1e-9, ("Create", b"/d/")) == []
    assert (b"d/f" in snapshot(deleted.target)) is is_taken_over


def test_what_we_deleted_ourselves_is_no_reason_to_wait(deleted: Deleted) -> None:
    write(deleted.deploy.source + b"new", b"2")
    wait_for_tick(deleted.deploy.source + b"new")
    os.unlink(deleted.deploy.source + b"kept")
    assert deleted.run(60, ("Delete", b"/kept"), ("Create", b"/new")) == []
    assert deleted.run(60, ("Create", b"/new")) == []
    assert snapshot(deleted.target) == {b"new": b"2"}


@pytest.mark.parametrize("takes_its_place", ["a file", "a directory", "another file, renamed"])
def test_a_name_that_goes_proves_nothing_of_the_other_names(deploy: Deploy, takes_its_place: str) -> None:
    """The ctime of the target's file changes with the number of its names, not because it was finished."""
    source = deploy.source
    deploy.put(source, b"a", b"old")
    os.link(source + b"a", source + b"b")
    deploy.put(source, b"other", b"new")
    deploy.startup()
    deploy.batch(("Modify", b"/a"))  # compared since it was linked: its ctime counts again
    held = os.open(source + b"a", os.O_RDONLY)  # so that its number is not given again
    os.unlink(source + b"a")
    os.unlink(source + b"b")
    deploy.put(source, b"a", b"new")
    if takes_its_place == "a file":
        deploy.put(source, b"b", b"two")
        change: tuple[str, bytes] | tuple[str, bytes, bytes] = ("Create", b"/b")
    elif takes_its_place == "a directory":
        os.mkdir(source + b"b")
        change = ("Create", b"/b/")
    else:
        os.rename(source + b"other", source + b"b")
        change = ("Move", b"/other", b"/b")
    wait_for_tick(source + b"a")
    deploy.batch(change, ("Modify", b"/a"))
    os.close(held)
    assert snapshot(deploy.target) == snapshot(source)


def test_a_directory_that_was_made_anew_with_the_number_of_the_old_one_is_another_one(deploy: Deploy) -> None:
    """As file systems give the number of a deleted inode to the next one, device and inode alone prove nothing."""
    deploy.put(deploy.source, b"d/b/a", b"old")
    deploy.startup()
    deploy.startup()
    for number in range(20):
        before = [os.stat(deploy.source + path).st_ino for path in (b"d", b"d/b")]
        shutil.rmtree(deploy.source + b"d")
        deploy.put(deploy.source, b"d/b/a", b"%03d" % number)
        os.chmod(deploy.source + b"d/b/a", 0o600 + number)
        deploy.batch(("Attrib", b"/d/b/a"), ("Delete", b"/d/"), ("Create", b"/d/"))
        assert snapshot(deploy.target)[b"d/b/a"] == b"%03d" % number
        if [os.stat(deploy.source + path).st_ino for path in (b"d", b"d/b")] == before:
            return
    pytest.skip("this file system gives no number again")
