"""Two daemons that mirror each other come to rest: what one has brought is no news to the other (spec 6 row 26)."""

from __future__ import annotations

import os
import re
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.mirrors import differences
from tests.kit.need import program
from tests.kit.sshd import Sshd
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DELAY = 0.3
QUIET = 4 * DELAY
"""Seconds in which a daemon that had anything to do would have begun."""

OLD = 10**9
TRANSFER = re.compile(r"Calling (?:rsync|native) with|Moving .* -> ")
AT_MOST = 2
"""Transfers until there is rest: there, and back to find that all is equal."""


def rsync(source: Path, target: Path, sshd: Sshd | None) -> str:
    return f"""sync{{default.rsync, source = "{source}", target = "{target}", delay = {DELAY}, delete = "running",
        rsync = {{archive = true}}}}"""


def rsync_inplace(source: Path, target: Path, sshd: Sshd | None) -> str:
    return rsync(source, target, sshd).replace("archive = true", "archive = true, inplace = true")


def native(source: Path, target: Path, sshd: Sshd | None) -> str:
    return f"""sync{{default.native, source = "{source}", target = "{target}", delay = {DELAY}, delete = "running"}}"""


def rsyncssh(source: Path, target: Path, sshd: Sshd | None) -> str:
    assert sshd is not None
    return f"""sync{{default.rsyncssh, source = "{source}", host = "{sshd.user}@127.0.0.1", targetdir = "{target}",
        delay = {DELAY}, delete = "running", rsync = {{archive = true}},
        ssh = {{port = {sshd.port}, identityFile = "{sshd.key}",
               options = {{UserKnownHostsFile = "{sshd.known_hosts}", BatchMode = "yes"}}}}}}"""


class Pair:
    """Two trees, each mirrored to the other."""

    def __init__(self, box: Path, daemon: Daemon) -> None:
        self.a = box / "a"
        self.b = box / "b"
        self._daemon = daemon

    def are_equal(self) -> bool:
        return not differences(os.fsencode(self.a), os.fsencode(self.b))

    def transfers(self) -> int:
        """How many were begun, by both: they write to one console."""
        return len(TRANSFER.findall(self._daemon.said()))

    def settle(self, what: str) -> int:
        """Wait until the trees are equal and nothing is begun any more; how many transfers that took."""
        before = self.transfers()
        wait_until(self.are_equal, f"{what} to arrive; it said:\n{self._daemon.said()}")
        deadline = time.monotonic() + 30
        seen, since = self.transfers(), time.monotonic()
        while time.monotonic() - since < QUIET:
            assert time.monotonic() < deadline, f"no rest after {what}: {self._daemon.said()[-3000:]}"
            time.sleep(0.1)
            if (now := self.transfers()) != seen:
                seen, since = now, time.monotonic()
        assert self.are_equal(), what
        return seen - before


@pytest.fixture
def box(tmp_path: Path) -> Path:
    program("rsync")
    (tmp_path / "a/d/e").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "a/d/e/f").write_text("f")
    (tmp_path / "a/kept").write_text("kept")
    os.utime(tmp_path / "a/kept", (OLD, OLD))
    return tmp_path


@pytest.fixture
def sshd(box: Path) -> Iterator[Sshd]:
    with Sshd(box) as server:
        yield server


def changes(a: Path) -> list[tuple[str, Callable[[], object]]]:
    """What a user does on one side, each by itself."""

    def put(name: str, data: str, when: int | None) -> None:
        (a / name).parent.mkdir(parents=True, exist_ok=True)
        (a / f"{name}.new").write_text(data)
        if when is not None:
            os.utime(a / f"{name}.new", (when, when))
        (a / f"{name}.new").rename(a / name)

    return [
        ("a fresh file and a link", lambda: ((a / "fresh").write_text("fresh"), (a / "link").symlink_to("old"))),
        ("an old file", lambda: put("old", "old", OLD)),
        ("a directory with an old and a fresh file", lambda: (put("n/old", "o", OLD), put("n/fresh", "f", None))),
        ("a rename of a file", lambda: (a / "kept").rename(a / "renamed")),
        ("a rename of a directory", lambda: (a / "d").rename(a / "moved")),
        ("a mode and a time", lambda: ((a / "old").chmod(0o600), os.utime(a / "fresh", (OLD, OLD)))),
        ("a file of equal size and time in the place of another", lambda: put("old", "new", OLD)),
        ("deletions", lambda: ((a / "moved/e/f").unlink(), (a / "moved/e").rmdir(), (a / "link").unlink())),
    ]


def start(stack: ExitStack, box: Path, configs: list[str]) -> Pair:
    for number, text in enumerate(configs):
        (box / f"{number}.lua").write_text(f"settings{{insist = true}}\n{text}")
        daemon = stack.enter_context(Daemon(box, box / f"{number}.lua"))
        daemon.wait_for("Startup of", number + 1)
    return Pair(box, daemon)


@pytest.mark.row(26)
@pytest.mark.parametrize("config", [rsync, native, rsyncssh])
def test_two_daemons_that_mirror_each_other_come_to_rest(
    box: Path, config: Callable[[Path, Path, Sshd | None], str], request: pytest.FixtureRequest
) -> None:
    sshd = request.getfixturevalue("sshd") if config is rsyncssh else None
    with ExitStack() as stack:
        pair = start(stack, box, [config(box / "a", box / "b", sshd), config(box / "b", box / "a", sshd)])
        pair.settle("the startups")
        for what, change in changes(pair.a):
            change()
            taken = pair.settle(what)
            # on the way back rsyncssh finds that there is nothing to rename any more, and then that all is equal
            more = 1 if config is rsyncssh and "rename" in what else 0
            assert taken <= AT_MOST + more, what


def test_two_syncs_of_one_daemon_that_write_into_the_files_themselves_come_to_rest(box: Path) -> None:
    there, back = rsync_inplace(box / "a", box / "b", None), rsync_inplace(box / "b", box / "a", None)
    with ExitStack() as stack:
        pair = start(stack, box, [f"{there}\n{back}"])
        pair.settle("the startups")
        for what, change in changes(pair.a):
            change()
            assert pair.settle(what) <= AT_MOST, what


def stamps(tree: Path) -> dict[Path, tuple[int, int, int]]:
    """Of each file which one it is, and when it was last touched in any way."""
    found = {path: path.lstat() for path in tree.rglob("*")}
    return {
        path: (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        for path, status in found.items()
        if not path.is_dir() or path.is_symlink()
    }


@pytest.mark.row(26)
def test_default_direct_writes_no_file_that_is_there_already(box: Path) -> None:
    """It starts no transfers that could be counted: at rest is who touches nothing any more."""
    configs = [
        f'sync{{default.direct, source = "{box}/{source}", target = "{box}/{target}", delay = {DELAY}, init = {init}}}'
        for source, target, init in (("a", "b", "true"), ("b", "a", "false"))
    ]
    with ExitStack() as stack:
        for number, text in enumerate(configs):
            (box / f"{number}.lua").write_text(f"settings{{insist = true}}\n{text}")
            daemon = stack.enter_context(Daemon(box, box / f"{number}.lua"))
            daemon.wait_for("--- Startup ---", number + 1)
        a, b = os.fsencode(box / "a"), os.fsencode(box / "b")
        wait_until(lambda: snapshot(a) == snapshot(b), f"the startup; it said:\n{daemon.said()}")
        for what, change in changes(box / "a"):
            if what == "a mode and a time":  # direct carries no attributes
                (box / "a/fresh").write_text("written again")
            change()
            wait_until(lambda: snapshot(a) == snapshot(b), f"{what} to arrive; it said:\n{daemon.said()}")
            deadline = time.monotonic() + 30
            seen, since = None, time.monotonic()
            while time.monotonic() - since < QUIET:
                assert time.monotonic() < deadline, f"no rest after {what}: {daemon.said()[-3000:]}"
                time.sleep(0.1)
                if (now := (stamps(box / "a"), stamps(box / "b"))) != seen:
                    seen, since = now, time.monotonic()
            assert snapshot(a) == snapshot(b), what
