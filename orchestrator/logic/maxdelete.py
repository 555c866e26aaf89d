"""How much a full run may delete: `maxDelete` (spec 6 row 22), a number or a percentage of what the target holds."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

_PERCENT = r"\s*(\d+(?:\.\d+)?)\s*%\s*"
_NUMBER = r"\s*(\d+)\s*"


class DeletionCount(NamedTuple):
    """How much a full run would delete: `deletions` files and directories of the `existing` ones on the target.

    `exit_code` other than 0: it could not be counted, and the run is judged as if it had ended with that code itself;
    `stderr` is the end of what the counting program wrote, `error` why it could not even be run.
    """

    deletions: int
    existing: int
    exit_code: int = 0
    stderr: bytes = b""
    error: str = ""


class MaxDelete(NamedTuple):
    """`amount`: files and directories, or their percentage of all that are there."""

    amount: float
    is_percent: bool = False

    def allowed(self, there: int) -> int:
        """So many may be deleted of so many that are there. Of a percentage the whole part counts."""
        return math.floor(there * self.amount / 100) if self.is_percent else math.floor(self.amount)

    def allows(self, count: DeletionCount) -> bool:
        return count.deletions <= self.allowed(count.existing)

    def refusal(self, count: DeletionCount, name: str, target: str) -> str:
        """The message about a full run of the sync `name` that is refused."""
        return (
            f"a full run of {name} would delete {count.deletions} of {count.existing} files on {target}; "
            f"maxDelete allows {self.allowed(count.existing)} ({self})."
        )

    def __str__(self) -> str:
        return f"{self.amount:g}%" if self.is_percent else f"{self.amount:g}"


def max_delete(value: Any) -> MaxDelete | None:
    """What a config says: a number, `"10%"`, a number as a string; None, false: there is no limit.

    Raises ValueError for anything else.
    """
    if value is None or value is False:
        return None
    if isinstance(value, str):
        percent, number = re.fullmatch(_PERCENT, value), re.fullmatch(_NUMBER, value)
        if percent is not None and float(percent[1]) <= 100:
            return MaxDelete(float(percent[1]), is_percent=True)
        if number is not None:
            return MaxDelete(float(number[1]))
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return MaxDelete(float(value))
    raise ValueError('must be a number >= 0 or a percentage like "10%"')
