"""Reports to the user what csync2 could not deliver: each thing once, and when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator_csync2.output import CONFLICT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator_csync2.output import HostPath, Output

_ATTENTION = " not taken, needs attention (a conflict: csync2 -f PATH on the host that shall win):\n\t"


class Reporter:
    """One sync's, from run to run. `refused`: paths that their host did not take, as last heard, with the reason where
    that run gave one. `conflicts`: those of them that are conflicts, each with its path on this host."""

    def __init__(self, syncid: str) -> None:
        self.refused: dict[HostPath, bytes] = {}
        self.conflicts: dict[HostPath, bytes] = {}
        self._name = f"csync2 {syncid}: "
        self._unreachable: set[bytes] = set()
        self._gave_up: tuple[bytes, ...] = ()

    def is_new(self, output: Output) -> bool:
        """Whether something was refused that has not been reported."""
        return any(place not in self.refused for place in output.refused)

    def report(self, output: Output, log: Callable[..., None]) -> None:
        """Log what is new about a run that transfers."""
        if not output.finished:
            self.gave_up(output.tail, log)
            return
        self._gave_up = ()
        for line in output.unread:
            log("Warn", self._name, line)
        for host in sorted(output.unreachable - self._unreachable):
            log("Warn", self._name, "no connection to ", host, ": what it has to get is kept and tried again.")
        for host in sorted(self._unreachable - output.unreachable):
            log("Normal", self._name, host, " answers again.")
        new = {place: reason for place, reason in output.refused.items() if place not in self.refused}
        if new:
            lines = sorted(
                output.real_path(place.path) + b" on " + place.host + (b": " + reason if reason else b"")
                for place, reason in new.items()
            )
            log("Warn", self._name, len(lines), _ATTENTION, b"\n\t".join(lines))
        if output.is_clean and (self.refused or self._unreachable):
            log("Normal", self._name, "everything has been delivered.")
        # Nothing is heard of a host that is down: paths that it refused before stay refused.
        still = {place: reason for place, reason in self.refused.items() if place.host in output.unreachable}
        self.refused = {**still, **output.refused}
        # a reason is asked for once only
        found = {place: output.real_path(place.path) for place, why in output.refused.items() if CONFLICT in why}
        self.conflicts = {place: path for place, path in {**self.conflicts, **found}.items() if place in self.refused}
        self._unreachable = set(output.unreachable)

    def gave_up(self, said: Iterable[bytes], log: Callable[..., None]) -> None:
        """csync2 did not come to its end; `said`: its last lines."""
        words = tuple(line for line in said if line.strip())
        if words and words != self._gave_up:
            log("Warn", self._name, b"\n".join(words))
        self._gave_up = words
