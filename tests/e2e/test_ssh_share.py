"""`sshShare` over a real sshd: how many connections there are, and that none of them costs a change."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.need import program
from tests.kit.relay import Relay
from tests.kit.sshd import Sshd
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator


class World:
    """Two syncs to one host, by rsyncssh and by rsync; `slow` in the box: rsync over there waits while it exists."""

    def __init__(self, box: Path, sshd: Sshd, relay: Relay) -> None:
        self.box, self.relay = box, relay
        slow = box / "slow-rsync"
        slow.write_text(
            f'#!/bin/sh\necho >>{box}/begun; while [ -e {box}/slow ]; do sleep 0.05; done; exec rsync "$@"\n'
        )
        slow.chmod(0o755)
        for name in ("a", "b", "ta", "tb"):
            (box / name).mkdir()
        (box / "a/.here").touch()
        os.link(box / "a/.here", box / "ta/.here")
        options = f"-p {relay.port} -i {sshd.key} -o UserKnownHostsFile={sshd.known_hosts} -o BatchMode=yes"
        ssh = f"ssh {options} -o HostKeyAlias=[127.0.0.1]:{sshd.port}"
        self.rsync = f'rsync = {{archive = true, rsync_path = "{slow}", rsh = "{ssh}"}}'
        self.host = f"{sshd.user}@127.0.0.1"

    def daemon(self, share: float = 600) -> Daemon:
        lua = f"""settings{{ sshShare = {share} }}
        sync{{ default.rsyncssh, source = "{self.box}/a", host = "{self.host}", targetdir = "{self.box}/ta", delay = 0,
               targetMarker = ".here", {self.rsync} }}
        sync{{ default.rsync, source = "{self.box}/b", target = "{self.host}:{self.box}/tb", delay = 0, {self.rsync} }}
        """
        return Daemon(self.box, lua=lua, environment={"XDG_RUNTIME_DIR": str(self.box)})

    def sockets(self) -> list[Path]:
        return list(self.box.glob("lsyncd-*/????????"))

    def wait_open(self, daemon: Daemon) -> int:
        """The connection is open; its process id."""
        daemon.wait_for("Startup of", 2)
        wait_until(lambda: len(self.sockets()) == 1, f"the connection; it said:\n{daemon.said()}")
        return self.masters()[0]

    def masters(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit():
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if b"ControlMaster=yes" in words and os.fsencode(self.box) in b" ".join(words):
                        found.append(int(entry.name))
        return found

    def is_equal(self) -> bool:
        return all(
            snapshot(os.fsencode(self.box / side)) == snapshot(os.fsencode(self.box / f"t{side}")) for side in "ab"
        )

    def wait_equal(self, daemon: Daemon) -> None:
        wait_until(self.is_equal, f"equality; it said:\n{daemon.said()}")

    def begun(self) -> int:
        """How many transfers have come to the other side."""
        return len((self.box / "begun").read_bytes())


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Its parameter: further lines of the server's configuration."""
    for name in ("rsync", "ssh", "sshd"):
        program(name)
    box = Path(tempfile.mkdtemp(prefix="share-"))  # a test's usual directory is too deep for a socket
    try:
        with Sshd(box, getattr(request, "param", "")) as sshd, Relay(sshd.port, 0) as relay:
            yield World(box, sshd, relay)
    finally:
        shutil.rmtree(box)


@pytest.mark.row(40)
def test_all_syncs_to_a_host_share_a_connection_until_the_end(world: World) -> None:
    with world.daemon() as daemon:
        world.wait_open(daemon)
        connections = world.relay.connections
        for number in range(3):
            for side in "ab":
                (world.box / side / f"f{number}").write_text(str(number))
            world.wait_equal(daemon)
        (world.box / "a/f0").rename(world.box / "a/moved")
        world.wait_equal(daemon)
        assert "Moving f0 -> moved" in daemon.said()
        assert world.relay.connections == connections
        assert len(world.masters()) == 1
    wait_until(lambda: world.masters() == [], "its end, which it was told to come to")
    assert list(world.box.glob("lsyncd-*")) == []


@pytest.mark.row(40)
def test_a_connection_that_hangs_or_dies_costs_no_change(world: World) -> None:
    with world.daemon(share=6000).hurry(4) as daemon:
        master = world.wait_open(daemon)
        os.kill(master, signal.SIGSTOP)
        for side in "ab":
            (world.box / side / "f").write_text("while it hangs")
        world.wait_equal(daemon)
        assert "Warn: the ssh connection" in daemon.said()
        assert "share does not answer" in daemon.said()
        wait_until(lambda: master not in world.masters(), "its end")


@pytest.mark.row(40)
def test_a_transfer_whose_connection_dies_is_made_again_at_once(world: World) -> None:
    with world.daemon() as daemon:
        master = world.wait_open(daemon)
        (world.box / "slow").touch()
        begun = world.begun()
        (world.box / "a/f").write_text("f")
        wait_until(lambda: world.begun() > begun, "the transfer")
        (world.box / "slow").unlink()
        (world.box / "a/g").write_text("g")
        os.kill(master, signal.SIGKILL)
        world.wait_equal(daemon)
        assert daemon.said().count("Warn: the ssh connection") == 1
        assert "cannot be reached" not in daemon.said()


def test_it_ends_with_a_daemon_that_is_killed(world: World) -> None:
    with world.daemon() as daemon:
        world.wait_open(daemon)
        daemon.process.kill()
        daemon.wait()
    wait_until(lambda: world.masters() == [], "its end")


@pytest.mark.parametrize("world", ["MaxSessions 1\n"], indirect=True)
def test_a_server_that_lets_less_through_one_connection_gets_more_connections(world: World) -> None:
    with world.daemon() as daemon:
        world.wait_open(daemon)
        connections, begun = world.relay.connections, world.begun()
        (world.box / "slow").touch()
        # one after the other: before each of its transfers a's target is asked for the marker, over the same connection
        for number, side in enumerate("ab", 1):
            (world.box / "f").write_text("both at once")
            (world.box / "f").rename(world.box / side / "f")  # one change, so one transfer
            wait_until(lambda number=number: world.begun() == begun + number, f"it; the daemon said:\n{daemon.said()}")  # type: ignore[misc]
        (world.box / "slow").unlink()
        world.wait_equal(daemon)
        assert world.relay.connections == connections + 1
        assert "Warn" not in daemon.said()
