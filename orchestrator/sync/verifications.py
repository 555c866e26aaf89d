"""The verifications of all syncs of a daemon: one runs at a time, the others wait in line."""

from __future__ import annotations

from collections import deque
from typing import Protocol


class OneOfThem(Protocol):
    """A verification, as the line sees it; see Verification."""

    @property
    def sync(self) -> object: ...
    def begin(self) -> None: ...
    def end(self, reason: str) -> None: ...


class Verifications:
    """For the loop's thread."""

    def __init__(self) -> None:
        self._line: deque[OneOfThem] = deque()
        self._current: OneOfThem | None = None
        self._is_beginning = False

    def add(self, verification: OneOfThem) -> None:
        """Have it begin when those before it are over."""
        self._line.append(verification)
        self._go_on()

    def has(self, sync: object) -> bool:
        """Whether one of this sync runs or waits."""
        return any(one.sync is sync for one in (self._current, *self._line) if one is not None)

    def of(self, sync: object) -> OneOfThem | None:
        """The one of this sync that runs."""
        return self._current if self._current is not None and self._current.sync is sync else None

    def over(self, verification: OneOfThem) -> None:
        """It has its result: the next one begins."""
        if verification in self._line:
            self._line.remove(verification)
        if verification is self._current:
            self._current = None
            self._go_on()

    def leave(self, sync: object, reason: str) -> None:
        """None of this sync is wanted any more."""
        for one in [one for one in self._line if one.sync is sync]:
            self._line.remove(one)
            one.end(reason)
        current = self.of(sync)
        if current is not None:
            current.end(reason)

    def _go_on(self) -> None:
        if self._is_beginning:  # one that is over as it begins: the loop below goes on
            return
        self._is_beginning = True
        try:
            while self._current is None and self._line:
                self._current = self._line.popleft()
                self._current.begin()
        finally:
            self._is_beginning = False
