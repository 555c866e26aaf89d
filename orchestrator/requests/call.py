"""One request that is being met."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.requests import protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.requests.client import Client
    from orchestrator.requests.desk import Desk
    from orchestrator.requests.subscriptions import Subscriptions
    from orchestrator.sync.sync import Sync


class Call:
    """What the function of a command gets. It is answered once; what comes after that is nothing to anybody."""

    def __init__(
        self, desk: Desk, subscriptions: Subscriptions, client: Client, number: Any, arguments: dict[str, Any],
        syncs: list[Sync],
    ) -> None:  # fmt: skip
        """`arguments`: those that were given, checked. `syncs`: those that the client means, in the order of the
        config; of a command that takes neither `syncs` nor `sync`, none."""
        self.desk = desk
        self.subscriptions = subscriptions
        self.client = client
        self.id = number
        self.arguments = arguments
        self.syncs = syncs
        self._is_answered = False
        client.calls += 1

    @property
    def is_over(self) -> bool:
        """Whether it has been answered, or nobody waits for that any more."""
        return self._is_answered or self.client.is_gone

    def answer(self, result: Mapping[str, Any]) -> None:
        self._end(protocol.answer(self.id, result))

    def fail(self, error: protocol.RequestError) -> None:
        self._end(protocol.failure(self.id, error))

    def tell(self, event: str, **fields: Any) -> None:
        """An event for this client alone, whether it has subscribed to it or not."""
        if not self.is_over:
            time = self.desk.time
            self.client.tell(protocol.line_of({"event": event, "time": time, **fields}), time)

    def when_gone(self, callback: Callable[[], None]) -> None:
        """Have it called, once, if the client goes before it has been answered."""
        self.client.when_gone.append(lambda: None if self._is_answered else callback())

    def _end(self, line: bytes) -> None:
        if self._is_answered:
            return
        self._is_answered = True
        self.client.answer(line)
        self.client.settle()
