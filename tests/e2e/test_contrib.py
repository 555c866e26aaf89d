"""What contrib has for a service: the init script does what one does, the unit is one for systemd."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.daemon import ROOT, confined, wait_until
from tests.kit.need import program

if TYPE_CHECKING:
    from collections.abc import Iterator


def write_script(box: Path) -> Path:
    """contrib's, for a daemon of the test's own."""
    places = {
        "DAEMON": f"{box}/lsyncd",
        "CONFIG": f"{box}/config.lua",
        "PIDFILE": f"{box}/pid",
        "NICELEVEL": "1",
        "STOP_SECONDS": "30",
    }
    text = (ROOT / "contrib/init/lsyncd").read_text()
    for name, value in places.items():
        text, count = re.subn(rf"^{name}=.*$", f"{name}={value}", text, flags=re.M)
        assert count == 1
    text = text.replace('"/etc/default/$NAME"', f'"{box}/default"')
    daemon = f"#!{sys.executable}\nimport sys\nfrom orchestrator.cli import main\nsys.exit(main())\n"
    for name, content in (("init", text), ("lsyncd", daemon)):
        (box / name).write_text(content)
        (box / name).chmod(0o755)
    return box / "init"


def is_leader(pid: int) -> bool:
    """What a daemon is, and what it is about to start is not."""
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


class Machine:
    """A shell in which the daemons of one box live; each line is answered by its status and what it said."""

    def __init__(self, box: Path) -> None:
        self.box = box
        script = 'while read -r line; do eval "$line" >said 2>&1 </dev/null; echo $?; done'
        path = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
        self.process = subprocess.Popen(
            confined(box, "sh", "-c", script),
            cwd=box,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, line: str) -> tuple[int, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        return status, (self.box / "said").read_text()

    def daemons(self) -> list[int]:
        """Of this box; but for a child of one that has not become its program yet."""
        found: dict[int, int] = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = process.joinpath("cmdline").read_bytes().split(b"\0")
                parent = int(process.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if words[0] == os.fsencode(self.box / "lsyncd") and is_leader(int(process.name)):
                found[int(process.name)] = parent
        return [pid for pid, parent in found.items() if parent not in found]

    def close(self) -> None:
        for pid in self.daemons():
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    write_script(tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "config.lua").write_text(
        f'settings{{logfile = "{tmp_path}/log"}}\nsync{{source = "{tmp_path}/src", onStartup = "true"}}'
    )
    machine = Machine(tmp_path)
    yield machine
    machine.close()


def test_the_init_script_knows_its_daemon_without_the_pid_file(machine: Machine) -> None:
    box = machine.box
    assert machine("./init status") == (3, "lsyncd is not running.\n")
    assert machine("./init start") == (0, "")
    (pid,) = machine.daemons()
    assert machine("./init status") == (0, f"lsyncd is running: {pid}\n")

    (box / "pid").unlink()
    assert machine("./init start") == (0, "lsyncd is running already.\n")
    assert machine.daemons() == [pid]
    assert machine("./init reload") == (0, "")
    wait_until(lambda: "--- HUP signal, resetting ---" in (box / "log").read_text(), "the reset")
    assert machine("./init restart") == (0, "")
    (other,) = machine.daemons()
    assert other != pid
    assert int((box / "pid").read_text()) == other

    (box / "pid").unlink()
    assert machine("./init stop") == (0, "")
    assert machine.daemons() == []
    assert machine("./init stop") == (0, "")
    assert machine("./init reload") == (7, "lsyncd is not running.\n")


def test_the_init_script_tells_what_is_wrong(machine: Machine) -> None:
    box = machine.box
    (box / "config.lua").write_text("sync{ this is no Lua")
    status, said = machine("./init start")
    assert (status, said.startswith("Error: error loading ")) == (1, True)
    (box / "config.lua").unlink()
    assert machine("./init start") == (6, f"there is no config file {box}/config.lua.\n")
    (box / "lsyncd").unlink()
    assert machine("./init start") == (5, f"there is no program {box}/lsyncd.\n")
    assert machine("./init nonsense")[0] == 2


def test_the_init_script_leaves_the_daemons_of_others_alone(machine: Machine) -> None:
    """Another config's, and a program that only is called so."""
    box = machine.box
    assert machine("./init start") == (0, "")
    (pid,) = machine.daemons()
    (box / "default").write_text(f"PIDFILE={box}/other\nDAEMON_ARGS='-log all'\n")
    assert machine("./init status") == (3, "lsyncd is not running.\n")
    assert machine("./init stop") == (0, "")
    assert machine("./init start") == (0, "")
    assert len(machine.daemons()) == 2
    assert machine("./init stop") == (0, "")
    assert machine.daemons() == [pid]


def test_the_init_script_kills_what_does_not_end(machine: Machine) -> None:
    box = machine.box
    config = (box / "config.lua").read_text()
    (box / "config.lua").write_text(config.replace("true", f"touch {box}/began; trap '' TERM; sleep 1000"))
    (box / "default").write_text("STOP_SECONDS=3\n")
    assert machine("./init start") == (0, "")
    wait_until((box / "began").exists, "the startup")
    status, said = machine("./init stop")
    assert (status, said) == (0, "lsyncd still waits for its transfers after 3 seconds; killing it.\n")
    assert machine.daemons() == []


@pytest.mark.parametrize("unit", sorted((ROOT / "contrib/systemd").glob("*")), ids=lambda path: path.name)
def test_systemd_understands_each_unit(unit: Path, tmp_path: Path) -> None:
    """Offline: it reads the unit, and looks for the programs that it names."""
    program("systemd-analyze")
    for name in ("lsyncd", "orchestrator"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/lsyncd-orchestrator/bin", str(tmp_path)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
