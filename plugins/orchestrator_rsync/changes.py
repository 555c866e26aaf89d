"""What of the tree a list of events asks to be transferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.api import etypes
from orchestrator_rsync.arguments import follows_links
from orchestrator_rsync.filterlist import Change

if TYPE_CHECKING:
    from orchestrator.api import EventList

_NAMES = frozenset({etypes.CREATE, etypes.DELETE, etypes.MOVE})
"""What makes a name mean something else."""


def changes_of(events: EventList) -> list[Change]:
    """A deleted directory goes with all below it; so do both ends of a directory's Move.

    Where rsync follows links, what comes or goes under a name may be, or may have been, a directory on the target
    though it is none in the source: then all below it goes along, too.
    """
    changes: list[Change] = []
    follows = follows_links(events.config)
    for event in events:
        is_whole = event.etype in (etypes.DELETE, etypes.MOVE) if event.is_dir else follows and event.etype in _NAMES
        changes.append(Change(event.raw_path, is_whole))
        if event.etype == etypes.MOVE:
            changes.append(Change(event.destination.raw_path, is_whole))
    return changes
