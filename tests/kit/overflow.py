"""More events than the kernel can queue for a daemon."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.daemon import Daemon


@contextmanager
def stopped(daemon: Daemon) -> Iterator[None]:
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)


def flood(directory: Path) -> None:
    """More events than the queue holds. Two files in turn: of like events in a row the kernel keeps one."""
    count = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) // 2 + 10
    paths = (directory / "flood1", directory / "flood2")
    for path in paths:
        path.touch()
    for number in range(count):
        for path in paths:
            path.chmod(0o600 + number % 2)
