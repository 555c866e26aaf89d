"""Events for those who follow a daemon through its control socket (contrib/CONTROL.md).

Nothing is gathered for nobody: code with an event asks first whether its topic is wanted.

    if "started" in host.feed.topics:
        host.feed.tell("started", sync.name, transfer=…)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Callable

    Deliver = Callable[[str, "str | None", dict[str, object]], None]


class Feed:
    """Takes events from anywhere in the daemon to the one that delivers them."""

    def __init__(self) -> None:
        self.topics: frozenset[str] = frozenset()
        """Those that anybody follows just now."""
        self._deliver: Deliver = lambda topic, name, fields: None

    def connect(self, deliver: Deliver) -> None:
        """`deliver(topic, sync, fields)` is called for each event from now on. `sync`: the name; None: the daemon's."""
        self._deliver = deliver

    def want(self, topics: frozenset[str]) -> None:
        """Somebody follows these, and nobody any other."""
        self.topics = topics

    def tell(self, topic: str, name: str | None, /, **fields: object) -> None:
        """Deliver an event, of the sync with that name (None: of the daemon). Fields must be fit for JSON, texts in
        them masked and free of bytes that are no UTF-8. On the loop's thread only."""
        self._deliver(topic, None if name is None else mask(name), fields)
