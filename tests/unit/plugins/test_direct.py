"""default.direct: the command for each change, and what the real cp, mv, mkdir and rm make of them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import ConfigError
from orchestrator_direct.action import Direct
from tests.kit.inlet import FakeInlet
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
