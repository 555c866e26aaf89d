"""A real sshd on a free port of the loopback address, with its own keys; it writes into the test's directory only."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kit.daemon import confined, wait_until
from tests.kit.need import program
from tests.kit.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host_key
AuthorizedKeysFile {home}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
MaxStartups 100
SetEnv "HOME={home}" "PATH={path}"
Subsystem sftp internal-sftp
"""


class Sshd:
    """Its sessions find the test's programs, and run no startup file of the user's shell.

    Log in with `ssh -p PORT -i KEY -o UserKnownHostsFile=KNOWN_HOSTS USER@127.0.0.1`. Use it in a `with`.
    `more`: further lines of its configuration.
    """

    def __init__(self, box: Path, more: str = "") -> None:
        self.box = box
        self._more = more
        self.home = box / "sshd"
        self.user = getpass.getuser()
        self.key = self.home / "key"
        self.known_hosts = self.home / "known_hosts"
        self.port = 0
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Sshd:
        self.home.mkdir()
        for name in ("host_key", "key"):
            subprocess.run(
                [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", self.home / name],
                check=True,
                stdin=subprocess.DEVNULL,
            )
        if self.user == "root":
            # where sshd locks up what has not logged in yet; the package's service makes it at boot
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.port = free_port()
        host_key = (self.home / "host_key.pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host_key}[localhost]:{self.port} {host_key}")
        config = CONFIG.format(port=self.port, home=self.home, path=os.environ["PATH"])
        (self.home / "config").write_text(config + self._more)
        self.start()
        return self

    def start(self) -> None:
        """Serve, again after `stop`."""
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                confined(self.box, program("sshd"), "-D", "-e", "-f", str(self.home / "config")),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(self._listens, "sshd to listen")
        except BaseException:
            self.__exit__(None, None, None)
            print((self.home / "log").read_text())
            raise

    def stop(self) -> None:
        """Nobody can connect any more; sessions that are open go on."""
        self._process.terminate()
        self._process.wait()

    def _listens(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"sshd has ended: {(self.home / 'log').read_text()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
