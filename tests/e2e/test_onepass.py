"""onepass: the startup of every sync once, then the end (spec 1.5; 6 row 16)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.daemon import ROOT, Daemon, confined, wait_until
from tests.kit.need import program

SUCCESS = "Info: onepass active and all syncs finished. Exiting successfully"

SCRIPT = """\
#!/bin/sh
: >"{box}/begun-{name}"
while ! test -e "{box}/go-{name}"; do sleep 0.05; done
{then}
"""


class Box:
    """Some syncs; the transfers of each begin when they are told to go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names: list[str] = []

    def sync(self, name: str, then: str = 'exec rsync "$@"', more: str = "") -> str:
        """`then`: what the sync's rsync does when it may go on."""
        self.names.append(name)
        source, target = self.path / f"source-{name}", self.path / f"target-{name}"
        source.mkdir()
        target.mkdir()
        (source / "file").write_text(name)
        script = self.path / f"rsync-{name}"
        script.write_text(SCRIPT.format(box=self.path, name=name, then=then))
        script.chmod(0o755)
        return f"""sync{{
            default.rsync, name = "{name}", source = "{source}", target = "{target}", delay = 0,
            rsync = {{ binary = "{script}" }}, {more}
        }}
        """

    def has_begun(self, name: str) -> bool:
        return (self.path / f"begun-{name}").exists()

    def go(self, *names: str) -> None:
        for name in names:
            (self.path / f"go-{name}").touch()

    def has_arrived(self, name: str) -> bool:
        file = self.path / f"target-{name}" / "file"
        return file.exists() and file.read_text() == name

    def daemon(self, lua: str, *options: str) -> Daemon:
        return Daemon(self.path, "-onepass", "-log", "Info", *options, lua=lua)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    program("rsync")
    return Box(tmp_path)


@pytest.mark.row(16)
def test_it_leaves_when_the_last_of_three_has_finished(box: Box) -> None:
    with box.daemon(box.sync("a") + box.sync("b") + box.sync("c")) as daemon:
        for count, name in enumerate("bca", 1):
            wait_until(lambda name=name: box.has_begun(name), "the startup to begin")
            assert daemon.process.poll() is None
            box.go(name)
            daemon.wait_for("onepass config set, exiting", times=count)
            assert box.has_arrived(name)
        assert daemon.wait() == 0
        said = daemon.said().splitlines()
        assert said[-1].endswith(SUCCESS)
        assert sum(line.endswith(" finished.") for line in said) == 3
        assert sum(line.endswith("Normal: onepass config set, exiting") for line in said) == 3


def test_as_a_setting_of_the_config(box: Box) -> None:
    box.go("a")
    with Daemon(box.path, "-log", "Info", lua="settings{ onepass = true }" + box.sync("a")) as daemon:
        assert daemon.wait() == 0
        assert SUCCESS in daemon.said()
        assert box.has_arrived("a")


def test_what_changes_meanwhile_is_left_for_the_next_time(box: Box) -> None:
    """Else a source that changes all the time would keep it from leaving."""
    box.go("a")
    with box.daemon(box.sync("a") + box.sync("b")) as daemon:
        daemon.wait_for("onepass config set, exiting")
        (box.path / "source-a" / "late").write_text("too late")
        wait_until(lambda: box.has_begun("b"), "the other startup")
        box.go("b")
        assert daemon.wait() == 0
        assert "Calling rsync" not in daemon.said()
        assert not (box.path / "target-a" / "late").exists()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (12, 'Terminating since "insist" is not set.'),
        (1, "Error: Failure on startup of"),
        (77, 'Error: Unknown exitcode "77" on startup of'),
    ],
)
def test_a_startup_that_fails_is_255(box: Box, code: int, told: str) -> None:
    box.go("a")
    with box.daemon(box.sync("a", then=f"exit {code}")) as daemon:
        assert daemon.wait() == 255
        assert told in daemon.said()
        assert SUCCESS not in daemon.said()
        assert "onepass config set" not in daemon.said()


def test_one_that_dies_does_not_keep_the_others_from_finishing(box: Box) -> None:
    box.go("a")
    with box.daemon(box.sync("a", then="exit 1") + box.sync("b")) as daemon:
        daemon.wait_for("a is stopped: exit code 1")
        box.go("b")
        assert daemon.wait() == 255
        assert box.has_arrived("b")
        assert SUCCESS not in daemon.said()


def test_with_insist_it_is_tried_until_it_succeeds(box: Box) -> None:
    tries = f'echo >>"{box.path}/tries"; test $(wc -l <"{box.path}/tries") -ge 3 || exit 12; exec rsync "$@"'
    box.go("a", "b")
    with box.daemon(box.sync("a", then=tries) + box.sync("b"), "-insist") as daemon:
        assert daemon.wait() == 0
        assert "Retrying startup of" in daemon.said()
        assert (box.path / "tries").read_text().count("\n") == 3
        assert box.has_arrived("a")
        assert box.has_arrived("b")
        assert daemon.said().count("onepass config set, exiting") == 2


@pytest.mark.parametrize("more", ["init = false,", 'onCreate = "true",', 'onStartup = "true",'])
def test_syncs_of_the_users_own(box: Box, more: str) -> None:
    (box.path / "src").mkdir()
    with box.daemon(f'sync{{ source = "{box.path}/src", {more} }}') as daemon:
        assert daemon.wait() == 0
        assert SUCCESS in daemon.said()


@pytest.mark.row(14)
def test_a_config_for_lsyncd_2_0_with_a_blanket_event(box: Box) -> None:
    (box.path / "src").mkdir()
    lua = f"""sync{{
        source = "{box.path}/src",
        init = function(inlet) spawnShell(inlet.createBlanketEvent(), "sleep 0.3; echo blanket done") end,
        action = function(inlet) end,
    }}"""
    with box.daemon(lua) as daemon:
        assert daemon.wait() == 0
        said = daemon.said()
        assert said.index("blanket done") < said.index(SUCCESS)


def test_through_a_tunnel_it_waits_for_that_and_takes_it_down(box: Box) -> None:
    box.go("a")
    tunnel = 'tunnel = tunnel{ command = "sleep 1000", readyDelay = 0.3 },'
    with box.daemon(box.sync("a", more=tunnel), "-log", "Tunnel") as daemon:
        assert daemon.wait() == 0
        assert box.has_arrived("a")
        said = daemon.said()
        assert said.index("Tunnel1 is UP") < said.index("recursive startup rsync")


def test_as_a_daemon(box: Box) -> None:
    config = box.path / "config.lua"
    config.write_text(box.sync("a") + box.sync("b"))
    log, pidfile = box.path / "log", box.path / "pid"
    lsyncd = [sys.executable, "-m", "orchestrator.cli", "-onepass", "-log", "Info"]
    started = subprocess.run(
        confined(box.path, *lsyncd, "-logfile", str(log), "-pidfile", str(pidfile), str(config)),
        cwd=box.path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    pid = int(pidfile.read_text())
    box.go("a")
    wait_until(lambda: box.has_arrived("a"), "the first to finish")
    wait_until(lambda: "onepass config set" in log.read_text(), "that to be logged")
    assert Path(f"/proc/{pid}").exists()
    box.go("b")
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the daemon to leave")
    assert box.has_arrived("b")
    assert not pidfile.exists()
    assert log.read_text().splitlines()[-1].endswith(SUCCESS)
