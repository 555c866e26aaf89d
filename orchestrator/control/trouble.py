"""How bad it is with a sync, and in which words: the same for `status`, `health` and whoever else judges an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.logic.text import counted
from orchestrator.logic.words import age

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.control.answer import SyncAnswer

GOOD: Final = 0
POOR: Final = 1
"""It works on it: somebody should have a look some day."""
BAD: Final = 2
"""Nothing will come of it by itself."""

STATES: Final[Mapping[str, int]] = {"retrying": POOR, "suspended": BAD, "left alone": BAD, "stopped": BAD}
"""State → how bad it is; all others are good. A pause is somebody's wish; `health --max-age` says when it is long."""


def severity(sync: SyncAnswer) -> int:
    """GOOD, POOR or BAD."""
    is_poor = bool(sync.retrying or sync.unreachable or sync.differences or sync.conflicts)
    return max(STATES.get(sync.state, GOOD), POOR if is_poor else GOOD, BAD if sync.stuck else GOOD)


def reason(sync: SyncAnswer) -> str:
    """The worst of what is wrong with it, as the end of a sentence that begins with its name; it is not GOOD."""
    if sync.stuck or sync.state in STATES:
        return f"is {'stuck' if sync.stuck else sync.state}"
    if sync.unreachable is not None:
        return f"cannot reach {sync.unreachable.host}"
    if sync.retrying:
        return f"tries {counted(sync.retrying, 'path')} again"
    if sync.differences:
        return f"had {counted(sync.differences, 'difference')} when it was last verified"
    return f"has {counted(sync.conflicts, 'conflict')}"


def trouble(sync: SyncAnswer, now: float) -> str:
    """Its problem in a few words, or the thing that it waits for; empty: nothing. `now`: seconds since 1970."""
    found = [sync.stuck] if sync.stuck else []
    if sync.unreachable is not None:
        then = sync.unreachable.next_try
        next_try = "" if then is None else f", next try in {age(max(0.0, then - now))}"
        said = f"{sync.unreachable.host} cannot be reached"
        # a stuck sync's words say so already
        if not any(said in word for word in found):
            found.append(f"{said}{next_try}")
    if sync.held_by:
        found.append(f"held by {sync.held_by}")
    if sync.retrying:
        found.append(f"{counted(sync.retrying, 'path is', 'paths are')} tried again")
    error = sync.last_error
    if error is not None and (sync.last_success is None or error.time > sync.last_success):
        words = error.cause or (f"exit code {error.exit_code}" if error.exit_code is not None else "failed")
        found.append(f"{words} ({age(max(0.0, now - error.time))} ago)")
    if sync.differences:
        found.append(f"verify found {counted(sync.differences, 'difference')}")
    if sync.conflicts:
        found.append(counted(sync.conflicts, "conflict"))
    return "; ".join(found)
