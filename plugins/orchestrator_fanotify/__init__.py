"""`monitor = "fanotify"`: one mark on a file system instead of a watch per directory (spec 6 "Beyond")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.api import Monitor, MonitorKind, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable


def _make(inotify_mode: str, wants: Callable[[bytes], bool], log: Callable[..., None]) -> Monitor:
    # imported here, so that those who use another monitor need not wait for it
    from orchestrator_fanotify.monitor import FanotifyMonitor

    return FanotifyMonitor(inotify_mode, wants, log)


@hookimpl
def orchestrator_monitors() -> list[MonitorKind]:
    return [MonitorKind("fanotify", _make)]
