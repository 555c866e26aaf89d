"""`monitor = "poll"`: looks again and again, for file systems on which other machines make changes (spec 6 row 20)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.api import MonitorKind, hookimpl
from orchestrator_poll.kind import PollKind

if TYPE_CHECKING:
    from collections.abc import Mapping

_POLL = PollKind()


@hookimpl
def orchestrator_configured(settings: Mapping[str, object]) -> None:
    _POLL.configure(settings)


@hookimpl
def orchestrator_monitors() -> list[MonitorKind]:
    return [MonitorKind("poll", _POLL.make)]
