"""A target on another machine, so many seconds away: a real sshd behind the relay of tests/kit."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from world import BASE

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.kit.relay import Relay
from tests.kit.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Remote:
    """`target`: the directory there, as the benchmark sees it."""

    sshd: Sshd
    relay: Relay
    target: Path

    def rsyncssh(self, keys: str = "") -> str:
        """The keys of a default.rsyncssh to `target`, but for source and delay. `keys`: more, with a comma behind."""
        return (
            f'default.rsyncssh, {keys} host="{self.sshd.user}@127.0.0.1", targetdir="{self.target}", '
            f"rsync={{ archive=true }}, "
            f'ssh={{ port={self.relay.port}, identityFile="{self.sshd.key}", options={{ BatchMode="yes", '
            f'UserKnownHostsFile="{self.sshd.known_hosts}", HostKeyAlias="[127.0.0.1]:{self.sshd.port}" }} }}'
        )


@contextlib.contextmanager
def remote(round_trip: float) -> Iterator[Remote]:
    box = Path(tempfile.mkdtemp(prefix="orchestrator-bench-", dir=BASE))
    try:
        (box / "trg").mkdir()
        with Sshd(box) as sshd, Relay(sshd.port, round_trip) as relay:
            yield Remote(sshd, relay, box / "trg")
    finally:
        shutil.rmtree(box)
