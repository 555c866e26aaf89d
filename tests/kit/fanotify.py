"""Whether this machine lets us use fanotify: root, and a file system with handles under the tests."""

from __future__ import annotations

import functools
import tempfile

from orchestrator.errors import MonitorError
from orchestrator_fanotify.monitor import FanotifyMonitor
from tests.kit.need import missing


def needs_fanotify() -> None:
    """Skips the test where fanotify can't be had, or fails it where everything must be there."""
    problem = _problem()
    if problem:
        missing(problem)


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
