"""A daemon that goes to the background, under a service manager that waits for it (Type=notify)."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

from tests.kit.daemon import ROOT, confined, wait_until

CREDENTIALS = struct.Struct("iII")
"""unix(7): process id, user and group of the sender."""


def test_a_daemon_in_the_background_is_announced_before_it_is_ready(tmp_path: Path) -> None:
    """As systemd believes the main process alone: the parent says who that is, then the daemon says the rest."""
    (tmp_path / "src").mkdir()
    (tmp_path / "config.lua").write_text(
        f'settings{{pidfile = "{tmp_path}/pid"}} sync{{source = "{tmp_path}/src", onStartup = "true", delay = 0}}'
    )
    heard: list[tuple[int, str]] = []
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(f"{tmp_path}/notify")
    manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    manager.settimeout(30)

    def hear() -> tuple[int, str]:
        text, [(_, _, credentials)], _, _ = manager.recvmsg(4096, socket.CMSG_SPACE(CREDENTIALS.size))
        heard.append((CREDENTIALS.unpack(credentials)[0], text.decode()))
        return heard[-1]

    environment = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
        "NOTIFY_SOCKET": f"{tmp_path}/notify",
        "WATCHDOG_USEC": "200000",
    }
    # the shell's process becomes the daemon's first one, whose number systemd would have set
    command = ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh", sys.executable, "-m", "orchestrator.cli", "config.lua"]
    first = subprocess.Popen(
        confined(tmp_path, *command),
        cwd=tmp_path,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    assert first.wait(30) == 0
    pid = int((tmp_path / "pid").read_text())
    try:
        while hear() != (pid, "READY=1"):
            pass
        assert (first.pid, f"MAINPID={pid}") in heard
        assert {sender for sender, _ in heard[heard.index((first.pid, f"MAINPID={pid}")) + 1 :]} == {pid}
        while hear() != (pid, "WATCHDOG=1"):
            pass
        os.kill(pid, signal.SIGHUP)
        while "RELOADING=1" not in hear()[1]:
            pass
        while hear() != (pid, "READY=1"):
            pass
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "its end")
    while hear() != (pid, "STOPPING=1"):
        pass
    manager.close()
