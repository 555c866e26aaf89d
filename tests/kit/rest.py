"""When daemons are at rest: nothing runs, nothing waits, and nothing will come of what they have done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.control.client import connect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def report(control_socket: Path) -> dict[str, Any]:
    """What a daemon says of itself (setting `controlSocket`), but for the time at which it says so."""
    with connect(str(control_socket)) as daemon:
        found = daemon.ask("status")
    del found["daemon"]["time"]
    return found


def are_at_rest(control_sockets: Sequence[Path]) -> bool:
    """Whether nothing is under way in any of the daemons, nor between them: all their syncs are in sync, twice.

    A daemon may answer before it has read what another one did just now. The second answer comes from a later turn of
    its loop, in which it has.
    """
    first, second = ([report(path) for path in control_sockets] for _ in range(2))
    return first == second and all(_is_at_rest(one) for one in first)


def _is_at_rest(one: dict[str, Any]) -> bool:
    return one["daemon"]["processes"] == 0 and all(
        (sync["state"], sync["waiting"], sync["retrying"]) == ("in sync", 0, 0) for sync in one["syncs"]
    )
