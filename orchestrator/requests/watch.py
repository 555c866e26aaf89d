"""Notices that states and queues of syncs have changed, for the clients that follow these: nobody else pays for that.

After each turn of the loop states are compared; queues at most every INTERVAL, since a queue changes with each file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.requests.desk import Desk
    from orchestrator.sync.sync import Sync

INTERVAL: Final = 0.5
"""Seconds between two events of a queue, at least."""

STATE: Final = ("state", "stuck")
"""Fields of the status that the event `state` has."""

_Shown = dict["Sync", dict[str, Any]]


class Watch:
    """What the followers of states and queues know of each sync."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._feed = desk.runner.host.feed
        self._states: _Shown = {}
        self._queues: _Shown = {}
        self._follows_states = self._follows_queues = False
        self._next_look = float("-inf")
        self._alarm: float | None = None

    def follow(self) -> None:
        """The feed's topics are others: from now on what changes is of interest, and nothing before."""
        topics = self._feed.topics
        states, queues = "state" in topics, "queue" in topics
        if (states and not self._follows_states) or (queues and not self._follows_queues):
            for sync in self._desk.runner.syncs:
                status = sync.status()
                if states and not self._follows_states:
                    self._states[sync] = _fields(status)
                if queues and not self._follows_queues:
                    self._queues[sync] = queue_of(status)
        self._follows_states, self._follows_queues = states, queues
        if not states:
            self._states.clear()
        if not queues:
            self._queues.clear()
        if not states and not queues:
            self._alarm = None

    def timeout(self) -> float | None:
        """When to look though nothing has happened, by the daemon's clock; None: never."""
        return self._alarm

    def work(self, now: float) -> None:
        """Something may have happened: tell of it, or soon."""
        if not self._follows_states and not self._follows_queues:
            return
        if now < self._next_look:
            if self._follows_states:
                self._look_at_states()
            self._alarm = self._next_look
            return
        self._next_look = now + INTERVAL
        syncs = self._desk.runner.syncs
        known = self._states, self._queues
        self._states, self._queues = {}, {}  # those of syncs that are gone are forgotten
        alarms: list[float] = []
        for sync in syncs:
            status = sync.status()
            if self._follows_states:
                self._tell("state", sync, known[0], self._states, _fields(status))
                stale = sync.staleness.next_look(sync.oldest())
                if stale is not None:
                    alarms.append(max(stale, self._next_look))
            if self._follows_queues:
                self._tell("queue", sync, known[1], self._queues, queue_of(status))
                if status["transfers"]:  # bytes move though nothing happens here
                    alarms.append(self._next_look)
        self._alarm = min(alarms, default=None)

    def _look_at_states(self) -> None:
        for sync in self._desk.runner.syncs:
            known = self._states.get(sync)
            if known is None or known["state"] != sync.state.value:
                self._tell("state", sync, self._states, self._states, _fields(sync.status()))

    def _tell(self, topic: str, sync: Sync, known: _Shown, shown: _Shown, fields: dict[str, Any]) -> None:
        before = known.get(sync)
        has_changed = before is None or _without_ages(before) != _without_ages(fields)
        shown[sync] = fields
        if has_changed:
            self._feed.tell(topic, sync.name, **fields)


def _fields(status: Mapping[str, Any]) -> dict[str, Any]:
    return {name: status[name] for name in STATE}


def _without_ages(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Only numbers in the words for what a sync is stuck at, mostly ages, change with each look: that is no news."""
    return {**fields, "stuck": re.sub(r"\d+", "", fields["stuck"])} if fields.get("stuck") else fields


def queue_of(status: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the event `queue`."""
    return {
        "waiting": status["waiting"],
        "retrying": status["retrying"],
        "oldest": status["oldest"],
        "transfers": len(status["transfers"]),
        "bytes": status["counts"]["bytes"],
    }
