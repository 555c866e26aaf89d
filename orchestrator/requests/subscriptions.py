"""The clients that follow events, and of which syncs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.logic.syncnames import chosen
from orchestrator.requests.protocol import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.requests.client import Client
    from orchestrator.sync.feed import Feed


class Subscription(NamedTuple):
    """`words`: as the client has named its syncs (None: all), which a reload may give another meaning. `names`: of the
    syncs that it means now."""

    topics: frozenset[str]
    words: tuple[str, ...] | None
    names: frozenset[str] | None


class Subscriptions:
    """Takes the events of a feed to the clients that follow them, and keeps it informed of what they follow."""

    def __init__(self, feed: Feed, wall: Callable[[], float], on_change: Callable[[], None]) -> None:
        """`wall`: seconds since 1970; `on_change` is called when other topics are followed."""
        self._feed = feed
        self._wall = wall
        self._on_change = on_change
        self._of: dict[Client, Subscription] = {}
        feed.connect(self.deliver)

    def add(self, client: Client, topics: frozenset[str], words: Sequence[str] | None, names: Sequence[str]) -> None:
        """The client follows these from now on, and no other. `names`: of all syncs, as clients know them."""
        kept = None if words is None else tuple(words)
        self._of[client] = Subscription(topics, kept, _named(kept, names))
        self._tell_feed()

    def remove(self, client: Client) -> None:
        """The client follows nothing any more."""
        if self._of.pop(client, None) is not None:
            self._tell_feed()

    def rename(self, names: Sequence[str]) -> None:
        """There are other syncs now."""
        for client, (topics, words, _) in self._of.items():
            self._of[client] = Subscription(topics, words, _named(words, names))

    def _tell_feed(self) -> None:
        topics = frozenset[str]().union(*(subscription.topics for subscription in self._of.values()))
        if topics != self._feed.topics:
            self._feed.want(topics)
            self._on_change()

    def lose(self, topic: str, count: int) -> None:
        """So many events of a topic were left out for all who follow it."""
        for client, subscription in self._of.items():
            if topic in subscription.topics:
                client.lose(count)

    def deliver(self, topic: str, name: str | None, fields: dict[str, Any]) -> None:
        """Send an event to those who follow it. `name`: of its sync, as clients know it; None: it is the daemon's."""
        time = self._wall()
        event = {"event": topic, "time": time}
        if name is not None:
            event["sync"] = name
        line = line_of({**event, **fields})
        for client, (topics, _, names) in list(self._of.items()):
            if topic in topics and (name is None or names is None or name in names):
                client.tell(line, time)


def _named(words: Sequence[str] | None, names: Sequence[str]) -> frozenset[str] | None:
    """The names of the syncs that the words mean; a word that means none now may mean one later."""
    if words is None:
        return None
    return frozenset(names[place] for place in chosen(words, names, skips_unknown=True))
