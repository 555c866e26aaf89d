"""The status of a daemon, asked for and judged: what `status`, its `--watch` and `health` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.control import client
from orchestrator.control.answer import NotOurs, StatusAnswer, status_of
from orchestrator.control.exits import ATTENTION, OK
from orchestrator.control.trouble import GOOD, reason, severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.control.output import Output


CHANGES_STATUS: Final = ("state", "queue", "started", "ended", "verified", "reloaded", "ending")
"""Topics of the events that change a row of the status."""


def ask(
    daemon: client.Connection, syncs: Sequence[str], patience: float = client.PATIENCE
) -> tuple[dict[str, Any], StatusAnswer]:
    """The status of these syncs (none: all), as it came and checked. `patience`: seconds to wait. Raises Refused."""
    raw = daemon.ask("status", patience=patience, syncs=[*syncs] or None)
    try:
        return raw, status_of(raw)
    except NotOurs:
        raise client.not_ours(daemon.path) from None


def attention(answer: StatusAnswer, output: Output) -> int:
    """Say on stderr which syncs need attention. Returns the exit status."""
    worth_a_look = list(_worth_a_look(answer))
    if worth_a_look:
        output.complain(f"Attention: {', '.join(worth_a_look)}.")
    return ATTENTION if worth_a_look else OK


def _worth_a_look(answer: StatusAnswer) -> Iterator[str]:
    for sync in answer.syncs:
        if severity(sync) != GOOD:
            yield f"{sync.name} {reason(sync)}"
