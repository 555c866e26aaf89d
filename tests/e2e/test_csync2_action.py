"""default.csync2 in a cluster of three real csync2 nodes on loopback."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.csync2 import Cluster, Node, csync2_binary
from tests.kit.daemon import Daemon, wait_until
from tests.kit.overflow import stopped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

RECORDER = """\
#!/bin/sh
# csync2, with a record of its arguments (each NUL-ended, an empty one after each call), and of overlaps.
{ for word; do printf '%s\\0' "$word"; done; printf '\\0'; } >>"$0.calls"
mkdir "$0.running" || echo overlap >>"$0.overlaps"
'CSYNC2' "$@"
code=$?
rmdir "$0.running"
exit $code
"""


class World:
    """A cluster, one node's csync2 (the first's) under observation, and our daemon there."""

    def __init__(self, directory: Path, cluster: Cluster, number: int = 0) -> None:
        self.directory = directory
        self.cluster = cluster
        self.here = cluster.nodes[number]
        self.tree = self.here.tree
        self.recorder = directory / "csync2"
        self.recorder.write_text(RECORDER.replace("CSYNC2", csync2_binary()))
        self.recorder.chmod(0o755)
        self.status = directory / "status"

    def lsyncd(self, sources: Sequence[Path] = (), keys: str = "") -> Daemon:
        syncs = "".join(self.sync(source, keys) for source in (sources or [self.tree]))
        # Without CSYNC2_SYSTEM_DIR: the action has to pass its own `config_dir` on.
        return Daemon(self.directory, lua=f"settings{{ statusFile = '{self.status}', statusInterval = 1 }}\n{syncs}")

    def sync(self, source: Path | None = None, keys: str = "") -> str:
        node, syncid = self.here, self.cluster.syncid
        csync2 = (
            f"{{ binary = '{self.recorder}', hostname = '{node.name}', database = '{node.database}', "
            f"config_dir = '{self.cluster.system}', port = {self.cluster.port} }}"
        )
        source = source or self.tree
        return f"sync{{ default.csync2, source = '{source}', syncid = '{syncid}', csync2 = {csync2}, {keys} }}\n"

    def calls(self) -> list[list[bytes]]:
        """The arguments of each csync2 so far, without those that are always the same."""
        record = self.directory / "csync2.calls"
        calls: list[list[bytes]] = [[]]
        for word in (record.read_bytes() if record.exists() else b"").split(b"\0")[:-1]:
            if word:
                calls[-1].append(word)
            else:
                calls.append([])
        return [call[8:] for call in calls[:-1]]

    def wait_equal(self, what: str, deadline: float = 30.0) -> None:
        wait_until(self.cluster.equal, what, deadline)


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A world of three nodes; `auto` of its csync2 group by indirect parametrization."""
    with Cluster(tmp_path / "cluster", 3, auto=getattr(request, "param", "none")) as cluster:
        yield World(tmp_path, cluster)


def started(daemon: Daemon) -> None:
    daemon.wait_for("Startup of 'web' instance finished")


def test_every_kind_of_change_reaches_all_nodes(world: World) -> None:
    tree = world.tree
    (tree / "old").mkdir()
    (tree / "old" / "f").write_text("before")
    with world.lsyncd() as daemon:
        started(daemon)
        assert world.cluster.equal()

        (tree / "new").write_text("created")
        (tree / "a" / "b" / "c").mkdir(parents=True)
        (tree / "a" / "b" / "c" / "leaf").write_text("deep")
        (tree / "link").symlink_to("new")
        world.wait_equal("new files and a new tree")

        (tree / "new").write_text("changed")
        (tree / "old" / "f").chmod(0o600)
        world.wait_equal("a changed file")
        wait_until(lambda: all(n.tree.joinpath("old/f").stat().st_mode & 0o777 == 0o600 for n in world.cluster), "mode")

        (tree / "new").rename(tree / "old" / "moved")
        (tree / "a").rename(tree / "z")
        world.wait_equal("a renamed file and a renamed tree")

        for path in ("z/b/c/leaf", "old/f", "link"):
            (tree / path).unlink()
        for path in ("z/b/c", "z/b", "z"):
            (tree / path).rmdir()
        world.wait_equal("a deleted tree")
        assert world.cluster.nodes[2].snapshot() == {b"old": None, b"old/moved": b"changed"}
    assert world.here.dirty() == []


def test_any_name_arrives(world: World) -> None:
    names = [
        b"sp ace",
        b"it's",
        b'"q"',
        b"-r",
        b"%tree%",
        b"new\nline",
        b"\xff\xfe",
        b"[a]*?",
        b"back\\slash",
        b"$(x) `y`",
    ]
    top = os.fsencode(world.tree)
    with world.lsyncd() as daemon:
        started(daemon)
        for name in names:
            with open(top + b"/" + name, "wb") as file:
                file.write(name)
            os.mkdir(top + b"/d " + name)
            with open(top + b"/d " + name + b"/" + name, "wb") as file:
                file.write(name)
        world.wait_equal("strange names")
        for name in names:
            os.rename(top + b"/d " + name, top + b"/e " + name)
            os.unlink(top + b"/" + name)
        world.wait_equal("strange names, renamed and deleted")
        assert set(world.cluster.nodes[1].snapshot()) == {
            path for name in names for path in (b"e " + name, b"e " + name + b"/" + name)
        }


def test_only_changed_paths_are_handed_over(world: World) -> None:
    tree = world.tree
    for number in range(50):
        (tree / f"d{number}").mkdir()
        (tree / f"d{number}" / "f").write_text(str(number))
    with world.lsyncd() as daemon:
        started(daemon)
        first = len(world.calls())
        (tree / "d7" / "f").write_text("changed")
        (tree / "d8" / "f").unlink()
        (tree / "d9" / "new").mkdir()
        world.wait_equal("three changes")
    top = os.fsencode(tree)
    calls = world.calls()[first:]
    given = {(call[0], path) for call in calls for path in call[1:] if path.startswith(b"/")}
    assert (b"-c", top + b"/d7/f") in given
    assert (b"-cr", top + b"/d8/f") in given
    assert (b"-cr", top + b"/d9/new") in given
    # A directory whose entries change has its own attributes looked at, never what else is in it.
    touched = {top + b"/d7/f", top + b"/d8/f", top + b"/d9/new", top + b"/d8", top + b"/d9"}
    assert {path for _, path in given} <= touched
    # -m: what was written in the very second of the startup is marked, as csync2 could not see it.
    assert {call[0] for call in calls} - {b"-m"} == {b"-c", b"-cr", b"-u"}


def test_a_node_that_is_down_gets_everything_when_it_is_back(world: World) -> None:
    _, second, third = world.cluster.nodes
    with world.lsyncd().hurry(4) as daemon:
        started(daemon)
        third.stop()
        (world.tree / "f").write_text("one")
        wait_until(lambda: second.snapshot().get(b"f") == b"one", "the node that is up")
        daemon.wait_for(f"Warn: csync2 web: no connection to {third.name}")
        (world.tree / "g").write_text("two")
        wait_until(lambda: second.snapshot().get(b"g") == b"two", "a later change, not held up")
        tries = len(world.calls())
        wait_until(lambda: len(world.calls()) > tries + 1, "tries without any new event")
        assert {call[0] for call in world.calls()[tries:]} == {b"-u"}, "nothing is checked again"
        third.start()
        world.wait_equal("the node that is back", 60)
        daemon.wait_for(f"Normal: csync2 web: {third.name} answers again.")
        daemon.wait_for("Normal: csync2 web: everything has been delivered.")
    assert daemon.said().count(f"no connection to {third.name}") == 1, "told once"
    assert world.here.dirty() == []


def test_a_node_that_is_down_at_startup_stops_nobody(world: World) -> None:
    third = world.cluster.nodes[2]
    third.stop()
    (world.tree / "f").write_text("one")
    with world.lsyncd().hurry(4) as daemon:
        daemon.wait_for("Startup of 'web' instance finished; not every host has everything yet.")
        (world.tree / "g").write_text("two")
        wait_until(lambda: world.cluster.nodes[1].snapshot() == world.here.snapshot(), "the node that is up")
        third.start()
        world.wait_equal("the node that was down", 60)


def test_a_change_that_csync2_cannot_see(world: World) -> None:
    """Same size, same second: csync2 compares no more than that."""
    (world.tree / "f").write_text("one")
    with world.lsyncd() as daemon:
        started(daemon)
        for text in ("two", "sea", "air"):
            before = int(time.time())
            (world.tree / "f").write_text(text)
            os.utime(world.tree / "f", (before, before))
            world.wait_equal("a file of the same size")


def clash(world: World) -> None:
    """The same file, changed here and on the second node, where csync2 has noted it."""
    second = world.cluster.nodes[1]
    (second.tree / "f").write_text("theirs, and longer")
    os.utime(second.tree / "f", (1, 1))
    assert second.csync2("-c", str(second.tree / "f")).returncode == 0
    (world.tree / "f").write_text("ours")


def test_an_unresolved_conflict_is_reported_and_kept(world: World) -> None:
    second, third = world.cluster.nodes[1:]
    (world.tree / "f").write_text("both")
    with world.lsyncd().hurry(4) as daemon:
        started(daemon)
        clash(world)
        daemon.wait_for("Warn: csync2 web: 1 not taken, needs attention")
        daemon.wait_for(f"\t{world.tree}/f on {second.name}: File is also marked dirty here!")
        wait_until(lambda: b"1 path waits to be tried again" in world.status.read_bytes(), "the status file")
        (world.tree / "g").write_text("goes on")
        wait_until(lambda: second.snapshot().get(b"g") == b"goes on", "another file")
        assert third.snapshot()[b"f"] == b"ours"
        assert second.snapshot()[b"f"] == b"theirs, and longer"
        assert daemon.said().count("needs attention") == 1, "told once"

        assert world.here.csync2("-f", str(world.tree / "f")).returncode == 0
        world.wait_equal("the conflict that was resolved by hand", 60)
        wait_until(lambda: b"tried again" not in world.status.read_bytes(), "the status file")


@pytest.mark.parametrize("world", ["first", "younger", "left"], indirect=True)
def test_a_conflict_that_csync2_resolves(world: World) -> None:
    (world.tree / "f").write_text("both")
    with world.lsyncd() as daemon:
        started(daemon)
        clash(world)
        world.wait_equal("the resolved conflict")
        assert world.cluster.nodes[1].snapshot()[b"f"] == b"ours"
        daemon.wait_for("Finished events list = 0")
    assert "needs attention" not in daemon.said()


def test_syncs_with_one_database_never_run_at_once(world: World) -> None:
    sources = [world.tree / name for name in ("a", "b", "c")]
    for source in sources:
        source.mkdir()
    with world.lsyncd(sources) as daemon:
        wait_until(lambda: daemon.said().count("Startup of 'web' instance finished.") == 3, "three startups")
        for number in range(100):
            for source in sources:
                (source / f"f{number}").write_text(str(number))
        world.wait_equal("changes in three syncs")
    assert (world.directory / "csync2").exists()
    assert not (world.directory / "csync2.overlaps").exists()
    assert "exceedingly busy" not in daemon.said()


def test_a_batch_longer_than_any_command_line(tmp_path: Path) -> None:
    """Sixteen hundred changed paths, each longer than a thousand bytes: checked in several runs, delivered once."""
    with Cluster(tmp_path / "cluster") as cluster:
        change_long_paths(World(tmp_path, cluster))


def change_long_paths(world: World) -> None:
    def path_of(node: Node, number: int) -> Path:
        return node.tree / "/".join(["d" * 230] * 6) / f"{number // 500}" / f"file {number}"

    count = 1600
    for node in world.cluster:
        for number in range(count):
            path = path_of(node, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (1, 1))
        # Equal already, and csync2 knows: -I notes nothing as to be delivered.
        assert node.csync2("-cIr", "/").returncode == 0
    with world.lsyncd(keys="delay = 5, maxDelays = 100000") as daemon:
        started(daemon)
        first = len(world.calls())
        with stopped(daemon):
            for number in range(count):
                path_of(world.here, number).chmod(0o640)
        console = world.directory / "console"
        # It is long by then: look at its end only.
        wait_until(lambda: b"Finished events list = 0" in console.read_bytes()[-1000:], "the end of the batch", 90)
        calls = world.calls()[first:]
    given = [path for call in calls for path in call[1:] if path.startswith(b"/")]
    assert len(given) == len(set(given)) == count
    assert sum(map(len, given)) > os.sysconf("SC_ARG_MAX")
    assert [call[0] for call in calls].count(b"-u") == 1, "one batch"
    assert len(calls) > 2, "in several runs"
    assert all(sum(map(len, call)) < os.sysconf("SC_ARG_MAX") for call in calls)
    assert path_of(world.cluster.nodes[1], count - 1).stat().st_mode & 0o777 == 0o640


def test_a_key_that_the_other_nodes_do_not_have_is_told(world: World) -> None:
    (world.tree / "f").write_text("one")
    system = world.directory / "other"
    system.mkdir()
    text = (world.cluster.system / "csync2_web.cfg").read_text()
    (system / "key").write_text("x" * 64 + "\n")
    (system / "csync2_web.cfg").write_text(text.replace(f"{world.cluster.system}/key", f"{system}/key"))
    world.cluster.system = system
    with world.lsyncd() as daemon:
        daemon.wait_for(f"\t{world.tree}/f on 127.0.0.2: Permission denied!")
        started(daemon)


def test_a_missing_key_is_told_and_ends_the_startup(world: World) -> None:
    (world.cluster.system / "key").unlink()
    with world.lsyncd() as daemon:
        assert daemon.wait() == 255
    assert f"Config error: Can't read keyfile {world.cluster.system}/key." in daemon.said()
    assert f'Temporary or permanent failure on startup of "{world.tree}/"' in daemon.said()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("syncid = 'nosuch'", "Invalid 'syncid' parameter: {system}/csync2_nosuch.cfg: No such file or directory"),
        ("", "Missing 'syncid' parameter."),
        ("syncid = 'web', syncId = 1", 'Parameter "syncId" unknown'),
    ],
)
def test_config_errors_name_file_and_line(world: World, keys: str, words: str) -> None:
    csync2 = f"csync2 = {{ config_dir = '{world.cluster.system}' }}"
    lua = f"\nsync{{ default.csync2, source = '{world.tree}', {csync2}, {keys} }}\n"
    with Daemon(world.directory, lua=lua) as daemon:
        assert daemon.wait() == 255
    assert "/config.lua:2: " + words.format(system=world.cluster.system) in daemon.said()
    assert "Traceback" not in daemon.said()


def test_two_nodes_that_both_write_see_no_conflict(tmp_path: Path) -> None:
    """Each makes a file; one of them writes its own once more while the other has just received it."""
    with Cluster(tmp_path / "cluster", 2) as cluster:
        first, second = cluster.nodes
        syncs = ""
        for number, node in enumerate(cluster):
            assert node.csync2("-x", "-r").returncode == 0  # makes its database, which two at once cannot
            syncs += World(tmp_path, cluster, number).sync(keys=f"name = '{number}'")
        with Daemon(tmp_path, lua=syncs) as daemon:
            daemon.wait_for("Startup of 'web' instance finished", 2)
            for text in ("one", "two", "three"):
                (first.tree / "a").write_text(text)
                (second.tree / "b").write_text(text)
                wait_until(lambda: first.snapshot().get(b"b") == text.encode(), "the first delivery")  # noqa: B023
                (second.tree / "b").write_text(text + " once more")
                wait_until(lambda: cluster.equal() and not first.dirty() and not second.dirty(), "both to be equal")
            assert "conflict" not in daemon.said()
