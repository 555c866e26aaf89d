"""What rsync complains of is read: what it names is tried again, the rest is done with (spec 6 row 16b)."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator_direct.action import Direct
from orchestrator_rsync.action import Rsync
from orchestrator_rsync.complaints import MOST, About, Complaint, Complaints, understood
from orchestrator_rsync.failing import of_batch
from orchestrator_rsync.filterlist import ChangedPath
from tests.kit.inlet import FakeInlet
from tests.kit.need import program
from tests.kit.trees import Pair, snapshot, write

if TYPE_CHECKING:
    from collections.abc import Iterator

IS_ROOT = os.geteuid() == 0
NOBODY = 65534

CONTENT, ATTRIBUTES, BELOW = About.CONTENT, About.ATTRIBUTES, About.BELOW

LINES: dict[bytes, tuple[bytes, About]] = {
    b'rsync: [sender] send_files failed to open "/s/f": Permission denied (13)': (b"/s/f", CONTENT),
    b'rsync: send_files failed to open "/s/f": Permission denied (13)': (b"/s/f", CONTENT),
    b'rsync: [sender] read errors mapping "/s/f": Input/output error (5)': (b"/s/f", CONTENT),
    b'rsync: [receiver] mkstemp "/t/.f.aB3xyz" failed: Permission denied (13)': (b"/t/.f.aB3xyz", CONTENT),
    b'rsync: [receiver] mkstemp "/d/.f.aB3xyz" (in mod) failed: Permission denied (13)': (b"/d/.f.aB3xyz", CONTENT),
    b'rsync: [receiver] write failed on "/t/f": No space left on device (28)': (b"/t/f", CONTENT),
    b'rsync: [generator] symlink "/t/.l.23889" -> "no" failed: Permission denied (13)': (b"/t/.l.23889", CONTENT),
    b'rsync: [receiver] rename "/t/.f.aB3xyz" -> "f": Is a directory (21)': (b"/t/.f.aB3xyz", CONTENT),
    b"rsync: [generator] delete_file: unlink(x/y) failed: Permission denied (13)": (b"x/y", CONTENT),
    b"cannot delete non-empty directory: f/y": (b"f/y", CONTENT),
    b"could not make way for new regular file: f": (b"f", CONTENT),
    b'symlink has no referent: "/s/l"': (b"/s/l", CONTENT),
    b"ERROR: d/f failed verification -- update discarded.": (b"d/f", CONTENT),
    b'rsync: [sender] opendir "/s/d" failed: Permission denied (13)': (b"/s/d", BELOW),
    b'rsync: [generator] recv_generator: mkdir "/t/d" failed: Permission denied (13)': (b"/t/d", BELOW),
    b'rsync: [generator] failed to set times on "/t/.": Operation not permitted (1)': (b"/t/.", ATTRIBUTES),
    b'rsync: failed to set permissions on "/t/d": Operation not permitted (1)': (b"/t/d", ATTRIBUTES),
    b'rsync: [generator] chgrp "/t/d" failed: Operation not permitted (1)': (b"/t/d", ATTRIBUTES),
    b'rsync: [receiver] rsync_xal_set: lsetxattr("/t/f","user.x") failed: Operation not supported (95)': (
        b"/t/f",
        ATTRIBUTES,
    ),
    b"rsync: [generator] set_acl: sys_acl_set_file(d, ACL_TYPE_ACCESS): Operation not supported (95)": (
        b"d",
        ATTRIBUTES,
    ),
    rb'rsync: [sender] send_files failed to open "/s/a\#012b"c\#134#\#377": Permission denied (13)': (
        b'/s/a\nb"c\\#\xff',
        CONTENT,
    ),
}


@pytest.mark.parametrize("line", LINES, ids=repr)
def test_a_line_is_understood(line: bytes) -> None:
    assert understood(line) == Complaint(*LINES[line])


def read(*lines: bytes) -> Complaints:
    complaints = Complaints()
    text = b"\n".join(lines)
    for start in range(0, len(text), 7):
        complaints.feed(text[start : start + 7])
    complaints.end()
    return complaints


def test_sums_and_what_others_say_add_nothing() -> None:
    complaints = read(
        b"Warning: Permanently added 'h' (ED25519) to the list of known hosts.",
        b'file has vanished: "/s/f"',
        b'skipping non-regular file "p"',
        b"*** Skipping any contents from this failed directory ***",
        b"rsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1394)",
    )
    assert (complaints.named, complaints.is_unclear) == ([], False)


@pytest.mark.parametrize(
    "lines",
    [
        [b"rsync: something that nobody has heard of"],
        [b"[sender] cannot convert filename: x (Invalid argument)"],
        [b"x" * 100_000],
        [b"cannot delete non-empty directory: d"] * (MOST + 1),
    ],
    ids=["rsync", "sender", "long", "many"],
)
def test_what_is_not_understood_or_too_much_is_unclear(lines: list[bytes]) -> None:
    assert read(*lines).is_unclear


def failing(path: bytes, about: About, *changes: ChangedPath, roots: tuple[bytes, ...] = (b"/s", b"/t")) -> Any:
    found = of_batch([Complaint(path, about)], changes, roots)
    return None if found is None else ([change.path for change in found.changes], found.directories)


F, G, H = ChangedPath(b"/f"), ChangedPath(b"/d/g"), ChangedPath(b"/d/e/h")
D, GONE = ChangedPath(b"/d/"), ChangedPath(b"/gone/", whole=True)


def test_which_changes_a_complaint_means() -> None:
    every = (F, G, H, GONE)
    assert failing(b"/s/f", CONTENT, *every) == ([b"/f"], [])
    assert failing(b"/t/d/.g.aB3xyz", CONTENT, *every) == ([b"/d/g"], [])
    assert failing(b"f", CONTENT, *every) == ([b"/f"], [])
    assert failing(b"/t/d", BELOW, *every) == ([b"/d/e/h", b"/d/g"], [])
    assert failing(b"/t/d", BELOW, D, *every) == ([b"/d/", b"/d/e/h", b"/d/g"], [])
    assert failing(b"gone/deep/x", CONTENT, *every) == ([b"/gone/"], [])
    assert failing(b"/t/d", ATTRIBUTES, *every) == ([], [b"/d"])
    assert failing(b"/t/.", ATTRIBUTES, *every) == ([], [b"/"])
    assert failing(b"/t/f", ATTRIBUTES, *every) == ([b"/f"], [])
    assert failing(b"/t/other", CONTENT, *every) is None


def test_on_another_host_any_ending_of_the_name_may_be_meant() -> None:
    every = (F, ChangedPath(b"/trg/f"), G)
    assert failing(b"/home/u/trg/f", CONTENT, *every, roots=(b"/s",)) == ([b"/trg/f", b"/f"], [])
    assert failing(b"/home/u/trg/d/.g.aB3xyz", CONTENT, *every, roots=(b"/s",)) == ([b"/d/g"], [])
    assert failing(b"/home/u/trg/.", ATTRIBUTES, *every, roots=(b"/s",)) == ([], [b"/"])
    assert failing(b"/home/u/trg/d", ATTRIBUTES, *every, roots=(b"/s",)) == ([], [b"/d"])


# ---- with the real rsync


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Not within pytest's own, which every session that begins on this machine shuts to others."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def as_nobody(tmp_path: Path) -> str:
    """An rsync that runs as nobody, in a directory that nobody can enter."""
    program("rsync")
    if not IS_ROOT:
        pytest.skip("needs root, to be somebody else")
    path = tmp_path / "rsync"
    path.write_text(
        f'#!/bin/sh\nexec {program("setpriv")} --reuid={NOBODY} --regid={NOBODY} --clear-groups rsync "$@"\n'
    )
    path.chmod(0o755)
    for parent in (tmp_path, *tmp_path.parents):
        if str(parent) != "/" and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    return str(path)


def foreign(path: bytes, mode: int = 0o777) -> None:
    """A directory of root's that nobody may write into, but not change."""
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    pair = Pair(tmp_path)
    for path in (pair.source, pair.target):
        os.makedirs(path, exist_ok=True)
    return pair


def inlet_of(pair: Pair, tmp_path: Path, action: Any = None, **more: Any) -> FakeInlet:
    config = pair.config(delay=1, rsync={"binary": as_nobody(tmp_path), **more})
    return FakeInlet(action or Rsync(), config, source=pair.source)


def test_attributes_of_directories_of_somebody_elses_are_one_warning(pair: Pair, tmp_path: Path) -> None:
    inlet = inlet_of(pair, tmp_path)
    for name in (b"", b"d"):
        foreign(pair.target + name)
    for number in range(3):
        for name in (b"f%d", b"d/f%d"):
            write(pair.source + name % number)
            inlet.change("Create", b"/" + name % number)
        for name in (b"", b"d"):
            os.utime(pair.source + name, (10**9, 10**9))
        inlet.settle()
        assert inlet.retrying == 0
    assert snapshot(pair.source) == snapshot(pair.target)
    warnings = [line.partition(":")[0] for line in inlet.lines("Warn")]
    assert len(warnings) == 1, warnings
    assert "attributes of the directory /" in warnings[0]
    assert "(and of 1 more)" in warnings[0]
    inlet.advance(1000)
    assert inlet.waiting == []


@pytest.mark.parametrize("action", [Rsync(), Direct()], ids=["rsync", "direct"])
def test_a_startup_that_meets_only_such_directories_is_done(pair: Pair, tmp_path: Path, action: Any) -> None:
    inlet = inlet_of(pair, tmp_path, action)
    foreign(pair.target)
    write(pair.source + b"f")
    os.utime(pair.source, (10**9, 10**9))
    inlet.startup()
    assert inlet.execute(inlet.running[0]) == "ok"
    assert inlet.retrying == 0
    inlet.advance(1000)
    assert inlet.waiting == []
    assert len(inlet.lines("Warn")) == 1


def test_only_what_rsync_names_is_tried_again(pair: Pair, tmp_path: Path) -> None:
    inlet = inlet_of(pair, tmp_path)
    os.chmod(pair.target, 0o777)
    for name in (b"good", b"bad", b"d/in", b"d/e/in"):
        write(pair.source + name)
    os.chmod(pair.source + b"bad", 0o600)
    foreign(pair.target + b"d", 0o755)
    for name in (b"/good", b"/bad", b"/d/in", b"/d/e/", b"/d/e/in"):
        inlet.change("Create", name)
    inlet.settle()
    assert inlet.retrying == 4
    inlet.advance(1.1)  # the pause
    inlet.advance(1)  # the delay
    inlet.turn()
    assert sorted(inlet.running[0].paths) == [b"/bad", b"/d/e/", b"/d/e/in", b"/d/in"]
    os.chmod(pair.source + b"bad", 0o644)
    os.chmod(pair.target + b"d", 0o777)
    inlet.settle()
    assert inlet.retrying == 0
    assert snapshot(pair.source) == snapshot(pair.target)


def test_of_a_startup_only_what_rsync_names_is_tried_again(pair: Pair, tmp_path: Path) -> None:
    inlet = inlet_of(pair, tmp_path)
    os.chmod(pair.target, 0o777)
    for name in (b"good", b"bad", b"d/e/in"):
        write(pair.source + name)
    os.chmod(pair.source + b"bad", 0o600)
    foreign(pair.target + b"d", 0o755)
    write(pair.target + b"d/old/f")
    inlet.startup()
    inlet.settle()
    assert inlet.retrying > 0
    os.chmod(pair.source + b"bad", 0o644)
    os.chmod(pair.target + b"d", 0o777)
    os.chmod(pair.target + b"d/old", 0o777)
    inlet.advance(1.1)  # the pause
    inlet.advance(1)  # the delay
    inlet.settle()
    assert inlet.retrying == 0
    assert all(spawn.agent.is_list for spawn in inlet.spawned[1:]), "everything was looked at again"
    assert snapshot(pair.source) == snapshot(pair.target)


def test_a_file_that_does_not_fit_holds_up_nothing_else(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "rsync"
    # what the receiver may not write fails as on a full file system
    path.write_text("#!/bin/sh\ntrap '' XFSZ\nulimit -f 8\nexec rsync \"$@\"\n")
    path.chmod(0o755)
    inlet = FakeInlet(Rsync(), pair.config(delay=1, rsync={"binary": str(path)}), source=pair.source)
    sizes = {b"a": 10, b"big": 100_000, b"larger": 200_000, b"z": 10, b"zz": 50_000}
    for name, size in sizes.items():
        write(pair.source + name, b"x" * size)
        inlet.change("Create", b"/" + name)
    inlet.settle()
    assert sorted(snapshot(pair.target)) == [b"a", b"z"], "at once"
    path.write_text('#!/bin/sh\nexec rsync "$@"\n')
    inlet.advance(1.1)
    inlet.settle()
    assert snapshot(pair.source) == snapshot(pair.target)
    assert inlet.waiting == []


def test_a_startup_brings_all_but_what_does_not_fit(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "rsync"
    path.write_text("#!/bin/sh\ntrap '' XFSZ\nulimit -f 8\nexec rsync \"$@\"\n")
    path.chmod(0o755)
    inlet = FakeInlet(Rsync(), pair.config(delay=1, rsync={"binary": str(path)}), source=pair.source)
    for name, size in {b"a": 10, b"big": 100_000, b"z": 10}.items():
        write(pair.source + name, b"x" * size)
    inlet.startup()
    assert inlet.execute(inlet.running[0]) == "again"
    inlet.advance(1.1)
    inlet.turn()
    assert inlet.execute(inlet.running[0]) == "ok"
    assert (sorted(snapshot(pair.target)), inlet.retrying) == ([b"a", b"z"], 1)
    path.write_text('#!/bin/sh\nexec rsync "$@"\n')
    inlet.advance(10)
    inlet.settle()
    assert snapshot(pair.source) == snapshot(pair.target)
    assert inlet.retrying == 0


def test_the_list_of_what_is_tried_again_is_told_in_part(pair: Pair) -> None:
    shutil.rmtree(pair.source)
    inlet = FakeInlet(Rsync(), {"target": "/trg", "delay": 1})
    for number in range(30):
        inlet.change("Modify", b"/f%02d" % number)
    inlet.turn()
    first = inlet.lines("Normal")[-1]
    assert first.count("\n") == 31
    inlet.end(inlet.running[0], 23, b"rsync: who knows\n")
    inlet.advance(1.1)  # the pause
    inlet.advance(1)  # the delay
    inlet.turn()
    again = inlet.lines("Normal")[-1].splitlines()
    assert again == [*first.splitlines()[:11], "(and 21 more)"]
