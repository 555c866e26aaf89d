"""The counts of one run that say how far it is: written by its threads, read by the daemon's while it runs."""

from __future__ import annotations

import threading

from orchestrator.api import Progress


class Tally:
    """For several threads. An entry that has been compared and is equal counts as a step alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files = 0
        self._bytes = 0
        self._steps = 0

    def made(self) -> None:
        """A file, a link or the like is in its place."""
        with self._lock:
            self._files += 1

    def copied(self, count: int) -> None:
        """So many bytes of a file's content have been written."""
        with self._lock:
            self._bytes += count
            self._steps += 1

    def step(self) -> None:
        """A directory has been looked at, or something else has gone on."""
        with self._lock:
            self._steps += 1

    def progress(self) -> Progress:
        """So far. How much there is in all nobody knows before the end."""
        with self._lock:
            return Progress(files_done=self._files, bytes_done=self._bytes, steps=self._steps)
