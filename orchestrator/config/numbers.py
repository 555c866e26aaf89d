"""The one check that every number of a config passes: finite, and in its range (spec 2.2, 2.3).

One table for settings and syncs, since some keys stand in both. Says what is wrong in words; where, its caller knows.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from orchestrator.config.types import shown


class Range(NamedTuple):
    """What a number may be. `least`: None where any will do. `may_be_endless`: `math.huge`, for "no limit"."""

    least: float | None = 0
    may_be_endless: bool = False


RANGES: Final = {
    "delay": Range(),
    "maxDelays": Range(least=None, may_be_endless=True),
    "maxProcesses": Range(least=1, may_be_endless=True),
    "batchSizeLimit": Range(),
}
"""Of the keys that have one of their own; any other is a number >= 0."""

LARGEST: Final = 1e15
"""Seconds, bytes and counts beyond this are a slip of the pen, and sums of them lose whole seconds."""


def number(key: str, value: Any) -> float:
    """The value as a number: lsyncd's users write numbers as strings, too.

    Raises ValueError with what is wrong of the key: `must be …, not …`.
    """
    least, may_be_endless = RANGES.get(key, Range())
    wanted = "a number" if least is None else f"a number and >= {least:g}"
    try:
        result = float("x" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if math.isnan(result) or (least is not None and result < least) or (result > LARGEST and not may_be_endless):
        raise ValueError(f"must be {wanted}, not {shown(value)}")
    return result
