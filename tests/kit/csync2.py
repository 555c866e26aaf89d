"""A csync2 cluster on one machine: N real nodes on 127.0.0.1, 127.0.0.2, …

csync2 names its hosts by whatever `getaddrinfo` resolves, and an address resolves to itself. So the
nodes are called by their loopback address, and neither /etc/hosts nor a namespace is needed:
`-N 127.0.0.2` is the name in the configuration, the address that the server binds to and the one that
outgoing connections come from (csync2 checks that a peer's address belongs to the name it gives).

Each node has a directory of its own for the same tree, by a csync2 `prefix`, and a database of its own.
The configuration and the key are one for all, in a system directory inside the cluster's directory.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

DEADLINE = 30.0
"""Seconds after which a wait fails; generous, for machines that do much else at the time."""


def csync2_binary() -> str:
    """Where csync2 is; it lies in /usr/sbin, which is not in everybody's PATH."""
    binary = shutil.which("csync2", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if binary is None:
        raise AssertionError("csync2 is not installed: apt-get install csync2")
    return binary


def wait_until(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> None:
    """Wait until the condition holds; fails with `what` after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline:g} s in vain for {what}")
        time.sleep(0.02)


def snapshot(tree: Path) -> dict[bytes, bytes | None]:
    """What a tree holds: path below it → content, None for a directory, `-> TARGET` for a symlink."""
    found: dict[bytes, bytes | None] = {}
    top = os.fsencode(tree)
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = directory + b"/" + name
            # What vanishes between the listing and the look was not there.
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                if os.path.islink(path):
                    found[path[len(top) + 1 :]] = b"-> " + os.readlink(path)
                elif os.path.isdir(path):
                    found[path[len(top) + 1 :]] = None
                else:
                    with open(path, "rb") as file:
                        found[path[len(top) + 1 :]] = file.read()
    return found


class Node:
    """One csync2 host: its tree, its database, its server."""

    def __init__(self, cluster: Cluster, name: str, directory: Path) -> None:
        self.cluster = cluster
        self.name = name
        self.tree = directory / "tree"
        self.database = directory / "db"
        self.log = directory / "server.log"
        self._server: subprocess.Popen[bytes] | None = None
        self.tree.mkdir(parents=True)
        self.database.mkdir()

    @property
    def options(self) -> list[str]:
        """What each csync2 call of this node needs beside `-C SYNCID`."""
        return ["-N", self.name, "-D", str(self.database), "-p", str(self.cluster.port)]

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        with open(self.log, "ab") as log:
            server = subprocess.Popen(
                [csync2_binary(), "-ii", *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.cluster.environment,
                # It forks for each connection: a group of its own ends them all.
                start_new_session=True,
            )
        self._server = server
        wait_until(lambda: self._listens() or server.poll() is not None, f"the csync2 server {self.name}")
        if server.poll() is not None:
            self._server = None
            raise OSError(f"csync2 server {self.name} ended with {server.returncode}: {self.log.read_text()}")

    def stop(self) -> None:
        """End the server: the node is down."""
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            # From the node's own address, as its server looks up whoever connects.
            probe.bind((self.name, 0))
            return probe.connect_ex((self.name, self.cluster.port)) == 0

    def csync2(self, *arguments: str | bytes, syncid: str | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run csync2 on this node by hand; its messages (all on stderr) and listings are kept."""
        command: Sequence[str | bytes] = [
            csync2_binary(),
            *("-C", syncid or self.cluster.syncid),
            *self.options,
            *arguments,
        ]
        return subprocess.run(command, capture_output=True, check=False, env=self.cluster.environment)

    def dirty(self) -> list[tuple[str, str]]:
        """(peer, path) of each change that this node has not delivered yet, from `csync2 -M`."""
        lines = self.csync2("-M").stdout.decode("utf-8", "surrogateescape").splitlines()
        return [(peer, path) for _, _, peer, path in (line.split("\t", 3) for line in lines)]

    def snapshot(self) -> dict[bytes, bytes | None]:
        """What the node's tree holds (see the function of that name)."""
        return snapshot(self.tree)


class Cluster:
    """`count` running nodes, in a directory of their own. Use it in a `with`: leaving it ends them all.

    `auto` is the group's way of resolving conflicts, `group` are more lines for its section.
    """

    def __init__(
        self, directory: Path, count: int = 2, *, syncid: str = "web", auto: str = "none", group: str = ""
    ) -> None:
        self.directory = directory
        self.syncid = syncid
        self.system = directory / "etc"
        self.system.mkdir(parents=True)
        self.port = 0
        self.nodes = [Node(self, f"127.0.0.{number}", directory / f"node{number}") for number in range(1, count + 1)]
        self.environment = {**os.environ, "CSYNC2_SYSTEM_DIR": str(self.system)}
        subprocess.run(
            [csync2_binary(), "-k", str(self.system / "key")], check=True, env=self.environment, capture_output=True
        )
        self.write_config(syncid, auto=auto, group=group)

    def __enter__(self) -> Cluster:
        # A port that is free at all addresses now may be taken a moment later by somebody else's test.
        for attempt in range(10):
            self.port = free_port([node.name for node in self.nodes])
            try:
                for node in self.nodes:
                    node.start()
            except OSError:
                self.stop()
                if attempt == 9:
                    raise
            else:
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def stop(self) -> None:
        """End every node."""
        for node in self.nodes:
            node.stop()

    def write_config(self, syncid: str, *, auto: str = "none", group: str = "") -> Path:
        """Write csync2_<syncid>.cfg for all nodes: nothing but the nodes' own trees is ever touched."""
        hosts = " ".join(node.name for node in self.nodes)
        places = "\n".join(f"\ton {node.name}: {node.tree};" for node in self.nodes)
        config = self.system / f"csync2_{syncid}.cfg"
        config.write_text(
            f"nossl * *;\n"
            f"group {syncid}\n{{\n\thost {hosts};\n\tkey {self.system}/key;\n\tinclude %tree%;\n\tauto {auto};\n"
            f"{group}}}\n"
            f"prefix tree\n{{\n{places}\n}}\n"
        )
        return config

    def equal(self) -> bool:
        """Whether all nodes hold the same."""
        first, *others = [node.snapshot() for node in self.nodes]
        return all(other == first for other in others)


def free_port(addresses: Sequence[str]) -> int:
    """A TCP port at which nobody listens on any of the addresses, below those that the kernel hands out."""
    while True:
        port = random.randrange(20000, 32000)
        with contextlib.ExitStack() as stack:
            try:
                for address in addresses:
                    stack.enter_context(socket.socket()).bind((address, port))
            except OSError:
                continue
        return port


class Lsyncd:
    """Our daemon in the foreground, run on a config file; what it says goes to `log`. Use it in a `with`."""

    def __init__(self, config: Path, log: Path, environment: Mapping[str, str], *options: str) -> None:
        self.log = log
        root = Path(__file__).resolve().parents[2]
        path = os.pathsep.join([str(root), str(root / "plugins"), os.environ.get("PYTHONPATH", "")])
        self._command = [sys.executable, "-m", "orchestrator.cli", "-nodaemon", *options, str(config)]
        self._environment = {**environment, "PYTHONPATH": path}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Lsyncd:
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        code = self.stop()
        if error is None:
            assert code == 128 + signal.SIGTERM, self.said()
            assert "Traceback" not in self.said()
        else:
            print(self.said()[-8000:])

    def stop(self) -> int:
        """End it with SIGTERM; its exit status."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def wait(self) -> int:
        """Wait until it ends by itself; its exit status."""
        assert self._process is not None
        return self._process.wait(DEADLINE)

    def said(self) -> str:
        return self.log.read_text("utf-8", "surrogateescape")

    def wait_for(self, words: str, deadline: float = DEADLINE) -> None:
        """Wait until it has said that."""
        assert self._process is not None
        process, wanted, size = self._process, os.fsencode(words), -1

        def has_said() -> bool:
            nonlocal size
            before, size = size, self.log.stat().st_size  # it may be long: read again only if there is more
            return before != size and wanted in self.log.read_bytes()

        wait_until(lambda: has_said() or process.poll() is not None, f"{words!r} in its log", deadline)
        assert wanted in self.log.read_bytes(), f"it ended before it said {words!r}: {self.said()[-8000:]}"
