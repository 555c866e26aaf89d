"""A real rsync daemon on a free port of the loopback address, which writes into the test's directory only."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import TYPE_CHECKING

from tests.kit.daemon import confined, wait_until
from tests.kit.need import program
from tests.kit.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

CONFIG = """\
use chroot = no
reverse lookup = no
log file = {box}/rsyncd.log
{owner}
[m]
path = {target}
read only = no
"""

# it gives up its rights by default, and the test's directory is ours alone
AS_ROOT = "uid = root\ngid = root"


class RsyncDaemon:
    """`rsync://127.0.0.1:PORT/m/` is the directory `target`, which must lie in `box`. Use it in a `with`."""

    def __init__(self, box: Path, target: Path, port: int = 0) -> None:
        """`port` 0: any that is free."""
        assert target.resolve().is_relative_to(box.resolve())
        self.box = box
        self.target = target
        self.port = port
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> RsyncDaemon:
        if not self.port:
            self.port = free_port()
        owner = AS_ROOT if os.geteuid() == 0 else ""
        config = self.box / "rsyncd.conf"
        config.write_text(CONFIG.format(box=self.box, target=self.target, owner=owner))
        serve = [program("rsync"), "--daemon", "--no-detach", "--address=127.0.0.1"]
        self._process = subprocess.Popen(
            confined(self.box, *serve, f"--port={self.port}", f"--config={config}"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(self._listens, "the rsync daemon to listen")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _listens(self) -> bool:
        assert self._process.poll() is None, (self.box / "rsyncd.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
