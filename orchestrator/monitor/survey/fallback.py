"""What to do with a directory that there is no watch left for: it is polled, if the user wants that (`watchLimit`).

The polling itself is `monitor.polled`'s. Here is what the tree has to know of it: that such a directory is known as
polled, without any below it, and that it is reported of like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.monitor.kernel import is_out_of_watches
from orchestrator.monitor.watches import POLLED

if TYPE_CHECKING:
    from orchestrator.monitor.polled import Polled
    from orchestrator.monitor.survey.tree import Tree
    from orchestrator.monitor.watches import Node


class Fallback:
    """Has directories polled, where there is somebody who does."""

    def __init__(self, tree: Tree, polled: Polled | None) -> None:
        """`polled` is None if being out of watches is to end the daemon; the kernel raises MonitorError then."""
        self._watches = tree.watches
        self._account = tree.account
        self._pace = tree.pace
        self._polled = polled

    def is_way_out(self, error: OSError) -> bool:
        """Whether a directory that could not be watched for this reason is to be polled."""
        return self._polled is not None and is_out_of_watches(error)

    def enter(self, path: bytes) -> Node:
        """Has a source polled."""
        assert self._polled is not None
        known = self._polled.find(path)
        return known if known is not None else self._poll(self._watches.add(POLLED, None, path[:-1]), path, False)

    def add(self, parent: Node, name: bytes, path: bytes, known: Node | None, report: bool) -> None:
        """Has a directory polled; `known`: what was at its place so far. `report`: reports all that is in it."""
        assert self._polled is not None
        source = self._polled.find(path)
        if known is not None:
            known.wd = POLLED
            self._poll(known, path, report)
        elif source is not None:
            self._watches.move(source, parent, name)
        else:
            self._poll(self._watches.add(POLLED, parent, name), path, report)

    def is_in(self, node: Node) -> bool:
        """Whether anything at or below `node` is polled."""
        return bool(self._polled) and any(idle.wd == POLLED for idle in self._watches.idle_below(node))

    def _poll(self, node: Node, path: bytes, report: bool) -> Node:
        assert self._polled is not None
        self._account.changes += self._polled.add(node, path, report=report, progress=self._tick)
        return node

    def _tick(self, directories: int) -> None:
        """Called while a tree is looked at that is to be polled."""
        self._pace.tick(len(self._watches.nodes) + len(self._polled or ()) + directories)
