"""PollCycle of looks at a world in memory (tests/kit/kernel.py), each over at once, and due when the test says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.monitor.treescan import TreeScan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.logic.snapshot import Directory, Snapshot
    from orchestrator.monitor.pollcycle import Tree
    from orchestrator.monitor.watches import Node
    from tests.kit.kernel import World


class PromptPollCycle:
    """Stands in for orchestrator.monitor.pollcycle.PollCycle."""

    interval = 30.0

    def __init__(self, world: World, wants: Callable[[bytes], bool]) -> None:
        self.is_time = False
        self.is_waited_for = False
        self._world = world
        self._wants = wants
        self._results: list[tuple[Node, Tree, TreeScan]] = []

    def fileno(self) -> int:
        return -1

    def scan(self, path: bytes, before: Snapshot | None, progress: Callable[[int], None] | None = None) -> TreeScan:
        scan = TreeScan(before, self._wants, progress=progress, read_directory=self._world.read_directory)
        scan.walk(path)
        return scan

    def read_directory(self, path: bytes) -> Directory:
        return self._world.read_directory(path)

    def schedule(self) -> None:
        self.is_waited_for = True

    def is_due(self) -> bool:
        is_due, self.is_time = self.is_time and self.is_waited_for, False
        if is_due:
            self.is_waited_for = False
        return is_due

    def begin(self, trees: Mapping[Node, Tree]) -> None:
        for node, tree in trees.items():
            scan = TreeScan(tree.snapshot, self._wants, read_directory=self._world.read_directory)
            scan.walk(tree.path, is_source=tree.is_source)
            self._results.append((node, tree, scan))

    def results(self) -> list[tuple[Node, Tree, TreeScan]]:
        results, self._results = self._results, []
        return results

    def close(self) -> None:
        pass
