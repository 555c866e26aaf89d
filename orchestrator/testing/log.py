"""A log that is read by a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.log import Log
from orchestrator.logic.message import escape, to_text, without_passwords

if TYPE_CHECKING:
    from collections.abc import Container

SHOWN = ("Normal", "Warn", "Error")
"""Categories that are shown without being asked for."""


class FakeLog(Log):
    """Writes nowhere. `lines`: (category, text) of all that was shown, with the text as it stands in a log.

    `shown`: which categories; None: all.
    """

    def __init__(self, shown: Container[str] | None = SHOWN) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []
        self._shown = shown

    def __call__(self, category: str, *parts: Any) -> None:
        if self.shows(category):
            self.lines.append((category, escape(without_passwords("".join(map(to_text, parts))))))
            for hear in self._hearers:
                hear(*self.lines[-1])

    def configure(self, **places: Any) -> None:
        """Everything stays here."""

    def close(self) -> None: ...

    def shows(self, category: str) -> bool:
        return self._shown is None or category in self._shown or category in self._named
