"""lsyncd's categories as levels of loguru."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.logic.message import escape

if TYPE_CHECKING:
    from loguru import Level, Logger

NORMAL: Final = "Normal"
WARN: Final = "Warn"
ERROR: Final = "Error"
DEBUG: Final = "Debug"

_NUMBERS: Final = {ERROR: 40, WARN: 30, NORMAL: 20}
"""loguru's own numbers of ERROR, WARNING and INFO."""

_NUMBER_OF_OTHERS: Final = 10
"""loguru's own number of DEBUG."""

SHOWN_IF_NAMED: Final = frozenset({
    "Alarm", "Call", DEBUG, "Delay", "Exclude", "Exec", "FWrite", "Filter", "Function", "Info", "Inotify",
    "Masterloop", "Statusfile", "Tunnel",
})  # fmt: skip
"""Categories that lsyncd or this program has, beside the three that are always known."""


def number_of(category: str) -> int:
    """The number of a category's level: its severity."""
    return _NUMBERS.get(category, _NUMBER_OF_OTHERS)


def category_of(number: int) -> str:
    """The category of a level that is none of ours, by its number."""
    return next((category for category, least in _NUMBERS.items() if number >= least), DEBUG)


def add_level(logger: Logger, category: str) -> Level:
    """Make a category a level of the logger, if it is none yet. Returns the level; its name is harmless text."""
    name = category if category.isalpha() else escape(category)
    try:
        return logger.level(name)
    except ValueError:
        return logger.level(name, no=number_of(category))
