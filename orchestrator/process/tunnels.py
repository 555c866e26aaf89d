"""The tunnels of a configuration, and the change to those of another one (spec 4.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orchestrator.clock import Clock
    from orchestrator.logic.alarms import Alarms
    from orchestrator.process.tunnel import Tunnel

PATIENCE: Final = 2.0
"""Seconds that a tunnel that is replaced gets to end by itself."""


class Tunnels:
    """Those at work, and those that are on their way out or in: a port may be wanted again, so what comes waits until
    what goes has ended."""

    def __init__(self, clock: Clock, alarms: Alarms) -> None:
        self._clock = clock
        self._alarms = alarms
        self._current: list[Tunnel] = []
        self._used: list[Tunnel] = []  # not wanted any more, but transfers go through them
        self._going: list[Tunnel] = []
        self._coming: list[Tunnel] = []

    def __iter__(self) -> Iterator[Tunnel]:
        return iter(self._current)

    def replace(self, wanted: Sequence[Tunnel], keeps: Callable[[Tunnel], bool]) -> dict[Tunnel, Tunnel]:
        """`wanted` are those from now on. Gives the tunnels at work that stand for some of them: those with the same
        options for which `keeps` answers yes."""
        known = {tunnel.options: tunnel for tunnel in (*self._used, *self._current) if keeps(tunnel)}
        kept = {tunnel: known[tunnel.options] for tunnel in wanted if tunnel.options in known}
        before = [*self._used, *self._current]
        self._current = [kept.get(tunnel, tunnel) for tunnel in wanted]
        self._used = [tunnel for tunnel in before if tunnel not in self._current]
        self._coming = [tunnel for tunnel in self._current if tunnel not in before or tunnel in self._coming]
        return kept

    @property
    def is_changing(self) -> bool:
        """Whether `settle` has something to do."""
        return bool(self._used or self._going or self._coming)

    def settle(self, is_used: Callable[[Tunnel], bool]) -> None:
        """Take the next steps of a change; `is_used`: whether transfers still go through a tunnel."""
        for tunnel in [tunnel for tunnel in self._used if not is_used(tunnel)]:
            self._used.remove(tunnel)
            tunnel.close()
            self._going.append(tunnel)
            self._alarms.add(self._clock.now() + PATIENCE, tunnel.kill)
        self._going = [tunnel for tunnel in self._going if tunnel.running()]
        if not self._going:
            coming, self._coming = self._coming, []
            for tunnel in coming:
                tunnel.start()

    def close(self) -> None:
        """Ask all of them to end."""
        for tunnel in (*self._current, *self._used):
            tunnel.close()
