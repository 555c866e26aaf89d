"""The paths that a list of events asks to be transferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.api import etypes
from orchestrator_rsync.arguments import rsync_options
from orchestrator_rsync.filterlist import ChangedPath

if TYPE_CHECKING:
    from orchestrator.api import EventList
    from orchestrator_rsync.arguments import RsyncOptions

_NAMES = frozenset({etypes.CREATE, etypes.DELETE, etypes.MOVE})
"""Events after which a name means something else."""

_WHOLE = frozenset({etypes.DELETE, etypes.MOVE})
"""Events of a directory that concern all below it."""


def changes_of(events: EventList, options: RsyncOptions | None = None) -> list[ChangedPath]:
    """A deleted directory goes with all below it; so do both ends of a directory's Move.

    Where rsync follows links, what comes or goes under a name may be, or may have been, a directory on the target
    though it is none in the source: then all below it goes along, too. `options`: the config's.
    """
    changes: list[ChangedPath] = []
    follows = (options or rsync_options(events.config)).follows_links
    for delay in events.delays:
        etype, path, path2 = delay.etype, delay.path, delay.path2
        is_whole = etype in _WHOLE if path.endswith(b"/") else follows and etype in _NAMES
        changes.append(ChangedPath(path, is_whole))
        if path2 is not None:
            changes.append(ChangedPath(path2, is_whole))
    return changes
