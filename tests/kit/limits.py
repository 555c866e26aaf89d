"""A daemon that may have so many inotify watches and no more: in a user name space of its own, so that nobody else is
kept from watching (user_namespaces(7), /proc/sys/user).
"""

from __future__ import annotations

import functools
import subprocess
from typing import TYPE_CHECKING, Any

from tests.kit.daemon import Daemon
from tests.kit.need import missing

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = "/proc/sys/user/max_inotify_watches"

_SET = f'echo "$0" >{LIMIT} && exec "$@"'


@functools.cache
def _can_be_limited() -> bool:
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", _SET, "5", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class LimitedDaemon(Daemon):
    """`watches`: so many."""

    def __init__(self, box: Path, *arguments: str | Path, watches: int, **more: Any) -> None:
        if not _can_be_limited():
            missing("user name spaces cannot be made")
        super().__init__(box, *arguments, **more)
        self._watches = watches

    def command(self) -> list[str]:
        return ["unshare", "--user", "--map-root-user", "sh", "-c", _SET, str(self._watches), *super().command()]

    def set_limit(self, watches: int) -> None:
        """From now on."""
        into = ["nsenter", "--user", "--target", str(self.process.pid)]
        subprocess.run([*into, "sh", "-c", _SET, str(watches), "true"], check=True)
