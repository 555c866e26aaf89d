"""Whether this machine lets us use fanotify: root, and a file system with handles under the tests."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.errors import MonitorError
from orchestrator_fanotify.monitor import FanotifyMonitor
from tests.kit.need import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def needs_fanotify() -> None:
    """Skips the test where fanotify can't be had, or fails it where everything must be there."""
    problem = _problem()
    if problem:
        missing(problem)


@contextmanager
def own_file_system(place: Path) -> Iterator[None]:
    """Mounts one where no other test does anything.

    The kernel tells of all of a file system: directories of others that are gone before they can be looked at make the
    monitor more careful than the few changes of a test would, and it may never have read everything.
    """
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@functools.cache
def _problem() -> str:
    try:
        monitor = FanotifyMonitor("CloseWrite", lambda _: True, lambda *_: None)
    except MonitorError as error:
        return str(error)
    try:
        with tempfile.TemporaryDirectory() as top:
            monitor.watch(f"{top}/".encode())
    except MonitorError as error:
        return str(error)
    finally:
        monitor.close()
    return ""
