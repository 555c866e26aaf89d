"""What each action finds where source and target differ (Action.verify), with the real programs."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.api import CannotVerify, Difference
from orchestrator.testing import FakeInlet
from orchestrator_command.action import Command
from orchestrator_direct.action import Direct
from orchestrator_native.action import Native
from orchestrator_rsync.action import Rsync
from tests.kit.need import program
from tests.kit.trees import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.api import Action

HARD = (b"nl\nname", b"esc\x1b[31m", b"\\#134", b"\xff\xfe", b"-dash", b"*deleting", b" lead", b">f+++++++++ x", b"a|b")

ARCHIVE = {"rsync": {"archive": True, "xattrs": True, "hard_links": True}}

ACTIONS: list[Any] = [
    pytest.param(Rsync, ARCHIVE, id="rsync"),
    pytest.param(Rsync, {"rsync": {"archive": True, "_extra": ["-vv", "-ii", "--progress"]}}, id="rsync, talkative"),
    pytest.param(Direct, ARCHIVE, id="direct"),
    pytest.param(Native, {}, id="native"),
]


class World:
    """An equal pair of trees, in which a test plants differences."""

    def __init__(self, box: Path, make: Callable[[], Action], config: dict[str, Any]) -> None:
        program("rsync")
        self.source, self.target = (os.fsencode(box / name) for name in ("source", "target"))
        os.makedirs(self.source + b"/d/e")
        for name in (b"f", b"d/f", b"d/e/f", *HARD):
            self.write(self.source, name, b"1")
        os.symlink(b"f", self.source + b"/link")
        self.make, self.config = make, config
        self.inlet = self.inlet_with()
        self.inlet.startup()
        self.inlet.settle()

    def inlet_with(self, **more: Any) -> FakeInlet:
        config = {"target": os.fsdecode(self.target), "delete": True, "delay": 0, **self.config, **more}
        return FakeInlet(self.make(), config, source=self.source + b"/")

    @staticmethod
    def write(tree: bytes, name: bytes, data: bytes, time: float | None = 1e9) -> None:
        path = tree + b"/" + name
        with open(path, "wb") as file:
            file.write(data)
        if time is not None:
            os.utime(path, (time, time))

    def repair(self, differences: list[Any]) -> None:
        self.inlet.sync.repair([Difference(*difference) for difference in differences])
        self.inlet.settle()

    def plant(self) -> list[tuple[bytes, str]]:
        """A difference of each kind, and what they are. Times of directories stay as they were."""
        target, times = self.target, {}
        for directory in (b"", b"/d", b"/d/e"):
            status = os.stat(target + directory)
            times[directory] = (status.st_atime_ns, status.st_mtime_ns)
        os.unlink(target + b"/d/f")
        self.write(target, b"f", b"2")  # the same size and time
        os.mkdir(target + b"/x")
        self.write(target, b"x/y", b"")
        os.chmod(target + b"/d/e/f", 0o600)
        os.unlink(target + b"/link")
        os.symlink(b"g", target + b"/link")
        os.unlink(target + b"/" + HARD[0])
        os.mkdir(target + b"/" + HARD[0])
        self.write(target, HARD[0] + b"/in", b"")
        for name in HARD[1:]:
            self.write(target, name, b"22")
        self.write(target, b"nl\nextra", b"")
        for directory, stamps in times.items():
            os.utime(target + directory, ns=stamps)
        return [
            (b"/d/f", "missing"),
            (b"/f", "content"),
            (b"/x/", "extra"),
            (b"/x/y", "extra"),
            (b"/d/e/f", "attributes"),
            (b"/link", "content"),
            (b"/nl\nextra", "extra"),
            (b"/" + HARD[0], "type"),
            *((b"/" + name, "content") for name in HARD[1:]),
        ]


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[[Callable[[], Action], dict[str, Any]], World]:
    return lambda make, config: World(tmp_path, make, config)


@pytest.mark.parametrize(("make", "config"), ACTIONS)
def test_each_kind_of_difference_is_found_and_nothing_is_changed(
    make_world: Any, make: Callable[[], Action], config: dict[str, Any]
) -> None:
    world = make_world(make, config)
    assert world.inlet.verify() == []
    planted = world.plant()
    # a second look is what counts: the first one may not tell a type from something that is missing
    first = world.inlet.verify()
    found = world.inlet.verify([path for path, _ in first])
    within = (b"/" + HARD[0] + b"/in", "extra")  # of the directory in the way; an action may name it or not
    assert sorted(set(found) - {within}) == sorted(planted)
    assert sorted(set(world.inlet.verify([path for path, _ in first])) - {within}) == sorted(planted)


@pytest.mark.parametrize(("make", "config"), ACTIONS)
def test_quickly_it_goes_by_size_and_time(make_world: Any, make: Callable[[], Action], config: dict[str, Any]) -> None:
    world = make_world(make, config)
    world.write(world.target, b"f", b"2")
    assert world.inlet.verify(quick=True) == []
    assert world.inlet.verify() == [(b"/f", "content")]
    world.write(world.target, b"f", b"1", 2e9)
    assert world.inlet.verify(quick=True) == [(b"/f", "content")]
    assert world.inlet.verify() == [(b"/f", "attributes")]


@pytest.mark.parametrize(("make", "config"), ACTIONS)
def test_what_a_full_run_leaves_alone_is_no_difference(
    make_world: Any, make: Callable[[], Action], config: dict[str, Any]
) -> None:
    world = make_world(make, config)
    world.plant()
    rules = {"exclude": ["x", "/nl*", "/f", "d/"]}
    left = {path for path, _ in world.inlet_with(**rules).verify()}
    assert not left & {b"/f", b"/x/", b"/x/y", b"/nl\nextra", b"/d/f", b"/d/e/f"}
    assert b"/link" in left
    # without deletions rsync could not make way there, neither now nor in a run
    shutil.rmtree(world.target + b"/" + HARD[0])
    for delete in (False, "running"):
        assert "extra" not in {kind for _, kind in world.inlet_with(delete=delete).verify()}
    assert "extra" in {kind for _, kind in world.inlet_with(delete="startup").verify()}


@pytest.mark.parametrize(("make", "config"), ACTIONS)
def test_a_second_look_is_at_these_paths_alone(
    make_world: Any, make: Callable[[], Action], config: dict[str, Any]
) -> None:
    world = make_world(make, config)
    world.plant()
    assert world.inlet.verify([b"/d/f", b"/x/", b"/f"]) == [(b"/d/f", "missing"), (b"/f", "content"), (b"/x/", "extra")]
    assert world.inlet.verify([b"/d/e/", b"/" + HARD[3]]) == [(b"/" + HARD[3], "content")]


@pytest.mark.parametrize(("make", "config"), ACTIONS[:1] + ACTIONS[3:])
def test_any_name_is_found_as_it_is(make_world: Any, make: Callable[[], Action], config: dict[str, Any]) -> None:
    world = make_world(make, config)
    for place, name in enumerate(HOSTILE):
        world.write((world.source, world.target)[place % 2] + b"/d", name, b"here")
    for tree in (world.source, world.target):
        os.utime(tree + b"/d", (1e9, 1e9))
    planted = sorted((b"/d/" + name, ("missing", "extra")[place % 2]) for place, name in enumerate(HOSTILE))
    assert world.inlet.verify() == planted
    assert world.inlet.verify([path for path, _ in planted]) == planted
    if make is not Native:  # which lets them wait, see tests/e2e/test_verify.py
        world.repair(planted)
        assert world.inlet.verify() == []


@pytest.mark.parametrize(("make", "config"), ACTIONS[:3])
def test_a_repair_ends_with_equal_trees(make_world: Any, make: Callable[[], Action], config: dict[str, Any]) -> None:
    world = make_world(make, config)
    world.plant()
    first = world.inlet.verify()
    world.repair(world.inlet.verify([path for path, _ in first]))
    assert world.inlet.verify() == []


@pytest.mark.parametrize("make", [Rsync, Direct])
def test_a_repair_is_by_content_where_transfers_go_by_size(make_world: Any, make: Callable[[], Action]) -> None:
    world = make_world(make, {"rsync": {"archive": True, "_extra": ["--size-only"]}})
    world.write(world.target, b"f", b"2")
    if make is Rsync:
        world.inlet.change("Modify", b"/f")
        world.inlet.settle()
    assert world.inlet.verify() == [(b"/f", "content")]
    world.repair([(b"/f", "content")])
    assert world.inlet.verify() == []
    world.write(world.target, b"f", b"2")
    world.inlet.sync.request_full()
    world.inlet.settle()
    assert world.inlet.verify() == [(b"/f", "content")], "one repair is one repair"


@pytest.mark.parametrize("backup", [{"backup_dir": ".old"}, {"suffix": ".%Y-%m-%d"}])
def test_backups_on_the_target_are_none(make_world: Any, backup: dict[str, str]) -> None:
    world = make_world(Rsync, {"rsync": {"archive": True, "backup": True, **backup}})
    os.mkdir(world.target + b"/.old")
    for name in (b".old/f", b"f.2001-01-01"):
        world.write(world.target, name, b"")
    os.utime(world.target, ns=(0, os.stat(world.source).st_mtime_ns))
    extra = {b"/.old/", b"/.old/f"} if "suffix" in backup else {b"/f.2001-01-01"}
    assert {path for path, _ in world.inlet.verify()} == extra
    assert {path for path, _ in world.inlet.verify([b"/.old/", b"/.old/f", b"/f.2001-01-01"])} == extra


def test_after_each_kind_of_change_there_is_no_difference(make_world: Any) -> None:
    """Of the times of directories, either."""
    for make in (Rsync, Direct, Native):
        world = make_world(make, {} if make is Native else ARCHIVE)
        world.write(world.source, b"new", b"x", None)
        os.unlink(world.source + b"/d/f")
        os.rename(world.source + b"/f", world.source + b"/d/moved")
        world.write(world.source, b"d/e/f", b"22", None)
        for change in (("Create", b"/new"), ("Delete", b"/d/f"), ("Move", b"/f", b"/d/moved"), ("Modify", b"/d/e/f")):
            world.inlet.change(*change)
        world.inlet.settle()
        assert world.inlet.verify() == [], make.name
        shutil.rmtree(world.source)
        shutil.rmtree(world.target)


def test_native_sees_hard_links_that_are_two_files_on_the_target(make_world: Any) -> None:
    world = make_world(Native, {})
    os.link(world.source + b"/f", world.source + b"/g")
    world.write(world.target, b"g", b"1")
    os.utime(world.target, ns=(0, os.stat(world.source).st_mtime_ns))
    assert [kind for path, kind in world.inlet.verify()] == ["attributes"]


@pytest.mark.parametrize(("make", "config"), ACTIONS[:1] + ACTIONS[3:])
def test_a_target_that_is_gone_is_an_error(make_world: Any, make: Callable[[], Action], config: dict[str, Any]) -> None:
    world = make_world(make, config)
    os.rename(world.source, world.source + b"-gone")
    with pytest.raises(AssertionError, match="No such file"):
        world.inlet.verify()


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("pass", []),
        (
            "print('missing d/f'); print('extra /x/'); print('content a b'); print('y'); exit(1)",
            [(b"/a b", "content"), (b"/d/f", "missing"), (b"/x/", "extra"), (b"/y", "content")],
        ),
        ("exit(1)", [(b"/", "content")]),
    ],
)
def test_a_program_of_the_users(script: str, found: list[tuple[bytes, str]]) -> None:
    config = {"command": ["true"], "verifyCommand": [sys.executable, "-c", script]}
    assert FakeInlet(Command(), config).verify() == found
    assert (
        FakeInlet(Command(), config).verify([b"/y"]) == [one for one in found if one[0] in (b"/y", b"/")][:1] or found
    )


def test_a_program_of_the_users_that_could_not_tell() -> None:
    config = {"command": ["true"], "verifyCommand": ["sh", "-c", "echo missing x; echo no route >&2; exit 7"]}
    with pytest.raises(AssertionError, match=r"the verifyCommand ended with 7: no route"):
        FakeInlet(Command(), config).verify()


def test_without_such_a_program() -> None:
    with pytest.raises(CannotVerify, match="it has no verifyCommand"):
        FakeInlet(Command(), {"command": ["true"]}).verify()
