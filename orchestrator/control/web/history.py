"""The last hour of each sync: how many changes waited, and how many bytes were moved, in slices of 30 seconds.

Pure: the caller says what time it is. It takes 2 KB for a sync, and knows at most `MOST` syncs.
"""

from __future__ import annotations

from array import array
from typing import Any, Final

SLICE: Final = 30.0
"""Seconds of a slice."""

SLICES: Final = 120

MOST: Final = 2000
"""Syncs; more have no history."""


class History:
    """Slices of one sync, or of several together; the newest is the last one.

    `now`: seconds of any clock that never goes back.
    """

    def __init__(self, now: float) -> None:
        self._waiting = array("d", bytes(8 * SLICES))
        self._bytes = array("d", bytes(8 * SLICES))
        self._slice = int(now // SLICE)
        self._last_waiting = 0
        self._last_bytes: int | None = None

    def add(self, now: float, waiting: int, total: int) -> None:
        """So many changes wait now; so many bytes were moved since the daemon started."""
        self._go_on(now)
        self._waiting[-1] = max(self._waiting[-1], waiting)
        if self._last_bytes is not None:
            # fewer than before: another daemon counts
            self._bytes[-1] += total - self._last_bytes if total >= self._last_bytes else total
        self._last_waiting, self._last_bytes = waiting, total

    def shown(self, now: float) -> dict[str, Any]:
        """`waiting`: the most in each slice; `bytes`: bytes moved in each; `slice`: seconds."""
        self._go_on(now)
        return {"slice": SLICE, "waiting": self._waiting.tolist(), "bytes": self._bytes.tolist()}

    def _go_on(self, now: float) -> None:
        passed = min(int(now // SLICE) - self._slice, SLICES)
        for _ in range(passed):
            # what waited goes on to wait, until somebody says otherwise
            self._waiting.append(self._last_waiting)
            self._bytes.append(0)
        if passed > 0:
            self._slice = int(now // SLICE)
            del self._waiting[:-SLICES], self._bytes[:-SLICES]


class Histories:
    """The history of each sync, by any key of it."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], History] = {}

    def add(self, key: tuple[str, str], now: float, waiting: int, total: int) -> None:
        """See `History.add`; `key`: daemon and sync."""
        if key not in self._of:
            if len(self._of) >= MOST:
                return
            self._of[key] = History(now)
        self._of[key].add(now, waiting, total)

    def forget(self, daemon: str, syncs: frozenset[str] = frozenset()) -> None:
        """The daemon has only these syncs."""
        for key in [key for key in self._of if key[0] == daemon and key[1] not in syncs]:
            del self._of[key]

    def shown(self, now: float, key: tuple[str, str] | None = None) -> dict[str, Any]:
        """The history of a sync, all zero where there is none; None: the sum of all."""
        chosen = list(self._of.values()) if key is None else [self._of[key]] if key in self._of else []
        shown = [history.shown(now) for history in chosen] or [History(now).shown(now)]
        return {
            "slice": SLICE,
            "waiting": [sum(values) for values in zip(*(one["waiting"] for one in shown), strict=True)],
            "bytes": [sum(values) for values in zip(*(one["bytes"] for one in shown), strict=True)],
        }
