"""The configs that README.md shows run as they stand there, but for the paths, and the host to log in to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import ROOT, Daemon
from tests.kit.examples import arrives, goes
from tests.kit.need import program
from tests.kit.sshd import Sshd

if TYPE_CHECKING:
    from pathlib import Path


def shown(name: str) -> str:
    """The config of that name in README.md."""
    found = re.search(
        rf"^```\w+\n(?:--|#) {re.escape(name)}\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S
    )
    assert found
    return found[1]


def start(box: Path, name: str, changes: dict[str, str]) -> Daemon:
    text = shown(name)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (box / name).write_text(text)
    return Daemon(box, box / name)


def test_first_screen(tmp_path: Path) -> None:
    """The log is what the README shows, line for line."""
    program("rsync")
    source, target = tmp_path / "www", tmp_path / "mirror"
    source.mkdir()
    target.mkdir()
    with start(tmp_path, "mirror.lua", {"/srv/www": str(source), "/mnt/mirror/www": str(target)}) as daemon:
        daemon.wait_for("Startup of")
        daemon.wait_for_watches(1)
        (source / "index.html").write_text("hello")
        (source / "a.tmp").write_text("")
        daemon.wait_for("Finished a list")
        arrives(target / "index.html", "hello")
        assert not (target / "a.tmp").exists()
        said = daemon.said().replace(str(source), "/srv/www").replace(str(target), "/mnt/mirror/www")
    expected = re.search(r"lsyncd mirror\.lua\n((?:    .*\n)+)", (ROOT / "README.md").read_text())
    assert expected
    without_times = re.sub(r"^ *\d\d:\d\d:\d\d |^ +", "", expected[1], flags=re.M)
    assert re.sub(r"^\d\d:\d\d:\d\d ", "", said, flags=re.M).startswith(without_times)


LOGIN = {
    "project.lua": """    delay     = 1,
    ssh = {{ port = {port}, identityFile = "{key}",
            options = {{ UserKnownHostsFile = "{hosts}", BatchMode = "yes" }} }},
""",
    "project.toml": """delay = 1
ssh = {{ port = {port}, identityFile = "{key}", options = {{ UserKnownHostsFile = "{hosts}", BatchMode = "yes" }} }}
""",
}
DELAY = {"project.lua": "    delay     = 1,\n", "project.toml": "delay = 1\n"}


@pytest.mark.parametrize("name", LOGIN)
def test_quick_start(tmp_path: Path, name: str) -> None:
    program("rsync")
    source, target = tmp_path / "project", tmp_path / "server"
    for directory in ("node_modules/left-pad", ".git", "src"):
        (source / directory).mkdir(parents=True)
        (source / directory / "index.js").write_text("there before")
    with Sshd(tmp_path) as sshd:
        login = LOGIN[name].format(port=sshd.port, key=sshd.key, hosts=sshd.known_hosts)
        changes = {
            "/home/me/project": str(source), "me@server.example.org": f"{sshd.user}@127.0.0.1",
            "/srv/project": str(target), DELAY[name]: login,
        }  # fmt: skip
        with start(tmp_path, name, changes) as daemon:
            arrives(target / "src/index.js", "there before")
            daemon.wait_for_watches(2)
            (source / "node_modules/left-pad/index.js").write_text("not to be sent")
            (source / "src/index.js").write_text("edited")
            arrives(target / "src/index.js", "edited")
            daemon.wait_for("Finished (list)")
            (source / "src").rename(source / "lib")
            arrives(target / "lib/index.js", "edited")
            goes(target / "src")
            assert sorted(path.name for path in target.iterdir()) == ["lib"]
            daemon.wait_for("Moving src/ -> lib/")
