"""The check of every number in a config: finite, and within its range (spec 2.2, 2.3).

One table for settings and syncs, since both have some of the keys. Messages say what is wrong; the caller adds where.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from orchestrator.config.types import shown


class Range(NamedTuple):
    """The values that a number may have. `least` None: any. `may_be_endless`: also `math.huge`, for "no limit"."""

    least: float | None = 0
    may_be_endless: bool = False


RANGES: Final = {
    "delay": Range(),
    "maxDelays": Range(least=None, may_be_endless=True),
    "maxProcesses": Range(least=1, may_be_endless=True),
    "maxStartups": Range(least=1, may_be_endless=True),
    "startupProcesses": Range(least=1),
    "batchSizeLimit": Range(),
    "statusHeartbeat": Range(least=1),
}
"""The ranges of keys; any other is a number >= 0."""

LARGEST: Final = 1e15
"""Seconds, bytes and counts above this are a mistake, and sums of them lose whole seconds."""


def number(key: str, value: Any) -> float:
    """The value as a number; lsyncd accepts numbers written as strings.

    Raises ValueError, whose text follows the name of the key: `must be …, not …`.
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


def seconds_or_never(value: Any) -> float | None:
    """The seconds of a key that may be false, which is 0; None where the key is not set, or true."""
    return None if value is None or value is True else float(value)
