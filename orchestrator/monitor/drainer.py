"""Emptying the kernel's event queue while the loop's thread is busy.

The kernel holds 16,384 events (fs.inotify.max_queued_events), which a writer at full speed makes in
70 ms; combining a burst or listing 200,000 paths takes longer. So for the time of heavy work, and
only then, a thread takes what has come into memory. An idle daemon has no such thread, and a single
event never waits for one.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL = 0.002
"""Seconds between two looks: 500 events at the rate above."""


SWITCH = 0.0005
"""Seconds until the busy thread lets the drainer in; Python's own 5 ms are a quarter of the kernel's queue."""


class Drainer:
    """A context in which `drain` is called over and over. The body must not read the monitor itself."""

    def __init__(self, drain: Callable[[], None]) -> None:
        self._drain = drain
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH)
        thread = threading.Thread(target=self._work, name="drainer", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # no thread to be had: an overflow is recovered from
        self._thread = thread

    def __exit__(self, *_: object) -> None:
        sys.setswitchinterval(self._interval)
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._drain()
