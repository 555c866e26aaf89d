"""Two daemons that mirror each other come to rest: what one has brought is no news to the other (spec 6 row 26)."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import Daemon, wait_until
from tests.kit.mirrors import differences
from tests.kit.need import program
from tests.kit.overflow import stopped
from tests.kit.rest import are_at_rest
from tests.kit.sshd import Sshd
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

DELAY = 0.2
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
    """Two trees, each mirrored to the other, by one daemon or by two."""

    carries_attributes = True

    def __init__(self, box: Path, daemons: Sequence[Daemon]) -> None:
        self.a = box / "a"
        self.b = box / "b"
        self._daemons = daemons
        self._sockets = [box / f"{number}.socket" for number in range(len(daemons))]

    def are_equal(self) -> bool:
        a, b = os.fsencode(self.a), os.fsencode(self.b)
        return not differences(a, b) if self.carries_attributes else snapshot(a) == snapshot(b)

    def said(self) -> str:
        """By both: they write to one console."""
        return self._daemons[0].said()

    def transfers(self) -> int:
        """How many were begun."""
        return len(TRANSFER.findall(self.said()))

    def settle(self) -> None:
        """Wait until the daemons are at rest; the trees are equal then."""
        wait_until(lambda: are_at_rest(self._sockets), f"rest; it said:\n{self.said()[-3000:]}")
        assert self.are_equal(), self.said()[-3000:]

    def after(self, change: Callable[[], object]) -> int:
        """Make a change, and wait for rest; how many transfers that took.

        Each daemon finds in its kernel queue all that it has to bring together: the second one stands still until the
        first has brought it. How many batches it becomes else is a matter of the machine.
        """
        before = self.transfers()
        first, *others = self._daemons
        with ExitStack() as stack:
            for other in others:
                stack.enter_context(stopped(other))
            with stopped(first):
                change()
            if others:
                wait_until(lambda: are_at_rest(self._sockets[:1]), f"the first to rest; it said:\n{self.said()}")
        self.settle()
        return self.transfers() - before


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
    daemons = []
    for number, text in enumerate(configs):
        settings = f'settings{{insist = true, controlSocket = "{box}/{number}.socket"}}'
        (box / f"{number}.lua").write_text(f"{settings}\n{text}")
        daemons.append(stack.enter_context(Daemon(box, box / f"{number}.lua")))
        wait_until((box / f"{number}.socket").exists, "the daemon to be there")
    return Pair(box, daemons)


@pytest.mark.row(26)
@pytest.mark.parametrize("config", [rsync, native, rsyncssh])
def test_two_daemons_that_mirror_each_other_come_to_rest(
    box: Path, config: Callable[[Path, Path, Sshd | None], str], request: pytest.FixtureRequest
) -> None:
    sshd = request.getfixturevalue("sshd") if config is rsyncssh else None
    with ExitStack() as stack:
        pair = start(stack, box, [config(box / "a", box / "b", sshd), config(box / "b", box / "a", sshd)])
        pair.settle()
        for what, change in changes(pair.a):
            taken = pair.after(change)
            # on the way back rsyncssh finds that there is nothing to rename any more, and then that all is equal
            more = 1 if config is rsyncssh and "rename" in what else 0
            assert taken <= AT_MOST + more, what


def test_two_syncs_of_one_daemon_that_write_into_the_files_themselves_come_to_rest(box: Path) -> None:
    there, back = rsync_inplace(box / "a", box / "b", None), rsync_inplace(box / "b", box / "a", None)
    with ExitStack() as stack:
        pair = start(stack, box, [f"{there}\n{back}"])
        pair.settle()
        for what, change in changes(pair.a):
            assert pair.after(change) <= AT_MOST, what


@pytest.mark.row(26)
def test_default_direct_writes_no_file_that_is_there_already(box: Path) -> None:
    """It starts no transfers that could be counted: who writes what is there already comes to no rest."""
    configs = [
        f'sync{{default.direct, source = "{box}/{source}", target = "{box}/{target}", delay = {DELAY}, init = {init}}}'
        for source, target, init in (("a", "b", "true"), ("b", "a", "false"))
    ]
    with ExitStack() as stack:
        pair = start(stack, box, configs)
        pair.carries_attributes = False
        pair.settle()
        for what, change in changes(pair.a):
            pair.after((lambda: (box / "a/fresh").write_text("written again")) if "mode" in what else change)
