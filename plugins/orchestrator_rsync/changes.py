"""What of the tree a list of events asks to be transferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.api import etypes
from orchestrator_rsync.filterlist import Change

if TYPE_CHECKING:
    from orchestrator.api import EventList


def changes_of(events: EventList) -> list[Change]:
    """A deleted directory goes with all below it; so do both ends of a directory's Move."""
    changes: list[Change] = []
    for event in events:
        is_whole = event.is_dir and event.etype in (etypes.DELETE, etypes.MOVE)
        changes.append(Change(event.raw_path, is_whole))
        if event.etype == etypes.MOVE:
            changes.append(Change(event.destination.raw_path, is_whole))
    return changes
