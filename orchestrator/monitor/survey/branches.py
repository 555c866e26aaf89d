"""Giving up branches of the tree: a directory with all that we know below it.

There are several reasons, and each wants something else to be told and done, which is what the methods are about. In
all of them the watches end first; who comes back to the place afterwards begins with nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.monitor.survey.pace import PERIOD
from orchestrator.monitor.watches import MISSING, POLLED

if TYPE_CHECKING:
    from orchestrator.monitor.kernel import Kernel
    from orchestrator.monitor.survey.account import Account
    from orchestrator.monitor.survey.pace import Pace
    from orchestrator.monitor.watches import Node, Watches


class Branches:
    """Ends what there is of a branch, with its watches. `doubtful`: places to be looked at again; the walk does."""

    def __init__(self, kernel: Kernel, watches: Watches, account: Account, pace: Pace) -> None:
        self.doubtful: list[tuple[Node, bytes]] = []  # parent and name
        self._kernel = kernel
        self._watches = watches
        self._account = account
        self._pace = pace

    def drop(self, top: Node) -> None:
        """Forgets a branch and ends its watches. Tells nothing: the caller knows of a reason that is told already."""
        for count, wd in enumerate(self._watches.drop(top), 1):
            self._kernel.unwatch(wd)
            if count % PERIOD == 0:  # each ended watch is an event of its own
                self._pace.drain()

    def give_up(self, top: Node) -> None:
        """Drops a branch that is not what we took it for: what was told of it is taken back."""
        if top.wd > 0 or top.wd == POLLED:
            self._account.take_back(self._watches.path(top))
        self.drop(top)

    def replace(self, node: Node, wd: int) -> None:
        """Drops a branch, and notes in its place the reason why it is watched no longer."""
        parent, name = node.parent, node.name
        self.drop(node)
        if parent is not None:
            self._watches.add(wd, parent, name)

    def miss(self, node: Node) -> None:
        """Gives up a directory that went away while we were reading it; its event is on its way."""
        parent, name = node.parent, node.name
        self.give_up(node)
        if parent is not None:
            self._watches.add(MISSING, parent, name)

    def doubt(self, node: Node) -> None:
        """What is at the place that `node` is about to leave is to be found out, and told anew."""
        if node.parent is not None:
            self._account.take_back(self._watches.path(node))
            self.doubtful.append((node.parent, node.name))

    def distrust(self, top: Node) -> None:
        """Drops a branch of which nothing can be believed any more; its place is looked at again."""
        self.doubt(top)
        self.drop(top)
