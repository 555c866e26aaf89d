"""How all syncs are doing, in one line."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from orchestrator.logic.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable


def summary(states: Iterable[str], waiting: int) -> str:
    """The number of syncs in each state, the most frequent first, and of the changes that wait over all of them."""
    count = Counter(states)
    parts = ", ".join(f"{number} {state}" for state, number in count.most_common())
    changes = f"; {counted(waiting, 'change waits', 'changes wait')}" if waiting else ""
    return f"{counted(count.total(), 'sync')}: {parts or 'none'}{changes}"
