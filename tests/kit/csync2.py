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
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

from tests.kit.daemon import wait_until
from tests.kit.need import program
from tests.kit.ports import free_port
from tests.kit.trees import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType


def csync2_binary() -> str:
    """Where csync2 is; it lies in /usr/sbin, which is not in everybody's PATH."""
    return program("csync2")


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
        """What the node's tree holds (see tests.kit.trees)."""
        return snapshot(os.fsencode(self.tree))


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
            self.port = free_port(*(node.name for node in self.nodes))
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
