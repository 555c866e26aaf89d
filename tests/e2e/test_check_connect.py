"""`orchestrator check --connect`: logs in to the targets, writes nothing, and says in one line what is wrong."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from orchestrator.control import connect, main
from tests.kit.need import program
from tests.kit.ports import free_port
from tests.kit.rsyncd import RsyncDaemon
from tests.kit.sshd import Sshd

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("rsync")


@pytest.fixture
def rsync() -> None:
    program("rsync")


def lines(box: Path, capsys: pytest.CaptureFixture[str], status: int, *syncs: str) -> list[str]:
    """What it says of the targets."""
    (box / "src").mkdir(exist_ok=True)
    (box / "src/f").write_text("not to be sent")
    config = box / "config.lua"
    config.write_text("\n".join(syncs))
    assert main(["check", "--connect", str(config)]) == status
    return [line for line in capsys.readouterr().out.splitlines() if "reach" in line or "not tried" in line]


def by_ssh(box: Path, sshd: Sshd, name: str, target: Path, *, key: object = None, hosts: object = None) -> str:
    hosts, key = hosts or sshd.known_hosts, key or sshd.key
    options = f'{{UserKnownHostsFile = "{hosts}"}}'
    return f"""sync{{default.rsyncssh, name = "{name}", source = "{box}/src", host = "{sshd.user}@127.0.0.1",
        targetdir = "{target}", ssh = {{port = {sshd.port}, identityFile = "{key}", options = {options}}}}}"""


def test_by_ssh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "empty").touch()
    with Sshd(tmp_path) as sshd:
        where = f"{sshd.user}@127.0.0.1:{tmp_path}"
        found = lines(
            tmp_path, capsys, 1,
            by_ssh(tmp_path, sshd, "well", tmp_path / "there"),
            by_ssh(tmp_path, sshd, "new", tmp_path / "new"),
            by_ssh(tmp_path, sshd, "no key", tmp_path / "there", key="/dev/null"),
            by_ssh(tmp_path, sshd, "unknown host", tmp_path / "there", hosts=tmp_path / "empty"),
        )  # fmt: skip
        assert found[0] == f"well: {where}/there/ can be reached"
        assert found[1] == f"Warn: new: {where}/new/ can be reached, but is not there yet."
        assert found[2].startswith(f"Error: no key: {where}/there/ cannot be reached: ")
        assert "Permission denied" in found[2]
        assert found[3].startswith("Error: unknown host: ")
        assert "Host key verification failed" in found[3]
    assert os.listdir(tmp_path / "there") == []
    assert not (tmp_path / "new").exists()


def test_rsync_daemons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "trg").mkdir()
    sync = f'sync{{default.rsync, name = "%s", source = "{tmp_path}/src", target = "rsync://u@127.0.0.1:%d/%s"}}'
    with RsyncDaemon(tmp_path, tmp_path / "trg") as daemon:
        found = lines(
            tmp_path, capsys, 1,
            sync % ("well", daemon.port, "m"),
            sync % ("no module", daemon.port, "x"),
            sync % ("nobody", free_port(), "m"),
        )  # fmt: skip
        assert found[0] == f"well: rsync://u@127.0.0.1:{daemon.port}/m/ can be reached"
        assert found[1].endswith("cannot be reached: @ERROR: Unknown module 'x'.")
        assert "Connection refused" in found[2]
    assert os.listdir(tmp_path / "trg") == []


def test_who_says_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        argv = (b"rsync", b"--list-only", f"rsync://127.0.0.1:{port}/m/".encode())
        kind, text = connect.try_target(argv, 0.5)
    assert (kind, text) == ("Error", f"rsync://127.0.0.1:{port}/m/ cannot be reached: nothing comes within 0.5 seconds")


def test_targets_that_are_not_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "trg").mkdir()
    found = lines(
        tmp_path, capsys, 0,
        't = tunnel{name = "t", command = {"true", "^localport"}}',
        f'sync{{default.rsync, name = "local", source = "{tmp_path}/src", target = "{tmp_path}/trg"}}',
        f'sync{{default.rsync, name = "far", source = "{tmp_path}/src", target = "h:/x", tunnel = t}}',
        f'sync{{name = "own", source = "{tmp_path}/src", onCreate = "true"}}',
    )  # fmt: skip
    assert found == [
        "far: target not tried: it is behind a tunnel",
        "own: target not tried: its action does not say how",
    ]


@pytest.mark.parametrize(
    ("shell", "asked"),
    [
        ("ssh -p 7", "ssh -p 7 -o BatchMode=yes -o ConnectTimeout=10"),
        ("/usr/bin/ssh", "/usr/bin/ssh -o BatchMode=yes -o ConnectTimeout=10"),
        ("sshpass -p x ssh", "sshpass -p x ssh"),
        ("'", "'"),
    ],
)
def test_no_ssh_asks_for_anything(shell: str, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words, environment = connect.without_questions([b"rsync", b"--rsh=" + shell.encode(), b"h:/"])
    assert words == [b"rsync", b"--rsh=" + asked.encode(), b"h:/"]
    monkeypatch.setenv("RSYNC_RSH", shell)
    words, environment = connect.without_questions([b"rsync", b"h:/"])
    assert (words, environment["RSYNC_RSH"]) == ([b"rsync", b"h:/"], asked)
