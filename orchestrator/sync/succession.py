"""The syncs that a reload has replaced or dropped, until their transfers have ended.

A new sync waits for transfers of those before it: of its own name, and of the same target, as two transfers must not
write to one place. Meanwhile its source is watched, and its changes are queued. It waits for no other transfer, however
long that takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from orchestrator.process.child import Child
    from orchestrator.process.tunnel import Tunnel
    from orchestrator.sync.host import Host
    from orchestrator.sync.sync import Sync

NAMES_AFTER: Final = 10.0
"""Seconds until the log names the transfers that are still waited for; most end sooner."""

LOG_INTERVAL: Final = 60.0
"""Seconds between two lines about them after that."""

NAMED: Final = 5
"""Transfers that are named, at most: those that run longest."""


class Succession:
    """Those that leave, and who follows them."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._followers: dict[Sync, list[Sync]] = {}  # of each that leaves, oldest first
        self._has_timer = False

    def __len__(self) -> int:
        return len(self._followers)

    def replace(self, gone: Iterable[Sync], syncs: Sequence[Sync], fresh: Collection[Sync]) -> None:
        """`gone` leave; `syncs`: all that there are from now on, `fresh` those of them that have not begun yet."""
        for sync in gone:
            sync.leave()
            self._followers[sync] = []
        for sync in self._followers:
            self._followers[sync] = [
                other for other in syncs if (other in fresh or other.life.is_awaiting) and sync.is_followed_by(other)
            ]
        for other in self._waiting():
            other.life.wait_for_others()
        if count := len(self._children()):
            self._host.log("Normal", f"waiting for {count} more child processes.")
            self._set_timer(NAMES_AFTER)

    def settle(self) -> list[Sync]:
        """Let go of those whose transfers have ended. Gives the followers whose turn it is now."""
        ended = [sync for sync in self._followers if not len(sync.transfers)]
        freed: dict[Sync, None] = {}
        for sync in ended:
            sync.close()
        for sync in reversed(ended):  # what the oldest leaves over comes first
            self._host.startups.leave(sync)
            for heir in self._followers.pop(sync):
                sync.bequeath(heir)
                freed[heir] = None
        waiting = self._waiting()
        free = [heir for heir in freed if heir not in waiting]
        for heir in free:
            heir.life.follow()
        return free

    def close(self) -> None:
        """The daemon ends: let go of all."""
        for sync in self._followers:
            sync.close()

    def uses(self, tunnel: Tunnel) -> bool:
        """Whether transfers of those that leave go through a tunnel."""
        return any(sync.transfers.tunnel is tunnel for sync in self._followers if len(sync.transfers))

    def _waiting(self) -> dict[Sync, None]:
        return {other: None for followers in self._followers.values() for other in followers}

    def _children(self) -> list[Child]:
        return [child for sync in self._followers for child in sync.transfers.children()]

    def _set_timer(self, seconds: float) -> None:
        if not self._has_timer:
            self._has_timer = True
            self._host.alarms.add(self._host.clock.now() + seconds, self._log_names)

    def _log_names(self) -> None:
        """An administrator wants to know what hangs."""
        self._has_timer = False
        now = self._host.clock.now()
        children = sorted(self._children(), key=lambda child: child.started)
        if not children:
            return
        named = b", ".join(child.described(now) for child in children[:NAMED])
        more = f", and {len(children) - NAMED} more" if len(children) > NAMED else ""
        self._host.log("Normal", "still running: ", named, more)
        self._set_timer(LOG_INTERVAL)
