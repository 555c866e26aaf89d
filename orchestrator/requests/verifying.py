"""The command `verify`: source and target of syncs are compared, and the client gets what differs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from orchestrator.logic.secrets import mask
from orchestrator.logic.text import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.logic.difference import Difference, Verified
    from orchestrator.requests.call import Call
    from orchestrator.sync.sync import Sync
    from orchestrator.sync.verification import Verification

MOST_LISTED: Final = 10_000
"""Differences of one sync in an answer."""


def verify(call: Call) -> None:
    """One sync after the other; the answer comes when all are done. A client that goes ends what it has asked for."""
    results: dict[Sync, dict[str, Any]] = {}
    running: list[Verification] = []

    def tell(sync: Sync, differences: Sequence[Difference]) -> None:
        for path, kind in differences:
            call.tell("difference", sync=mask(sync.name), id=call.id, path=text_of(path), kind=kind)

    def done(sync: Sync, result: Verified, differences: Sequence[Difference]) -> None:
        listed = [{"path": text_of(path), "kind": kind} for path, kind in differences[:MOST_LISTED]]
        results[sync] = {"name": mask(sync.name), **result.fields(), "listed": listed}
        if len(results) == len(call.syncs):
            call.answer({"syncs": [results[sync] for sync in call.syncs]})

    def leave() -> None:
        for verification in reversed(running):  # else each would begin when the one before it ends
            verification.end("nobody waits for it any more")

    if not call.syncs:
        call.answer({"syncs": []})
        return
    call.when_gone(leave)
    how = {"quick": call.arguments.get("quick", False), "repair": call.arguments.get("repair", False)}
    for sync in call.syncs:
        running.append(sync.verification_of(**how, tell=partial(tell, sync), then=partial(done, sync)))
    for verification in running:
        call.desk.runner.host.verifications.add(verification)
