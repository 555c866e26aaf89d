"""Ages and sizes for people, and texts cut to a terminal's width."""

from __future__ import annotations

import unicodedata
from typing import Final

_UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_PREFIXES: Final = ("B", "kB", "MB", "GB", "TB", "PB")

CUT: Final = "…"


def age(seconds: float) -> str:
    """In its largest unit, rounded down: 0s, 59s, 14m, 3h, 12d."""
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def size(count: float) -> str:
    """A number of bytes with three digits: 999 B, 12.3 kB, 4.00 GB."""
    power = 0
    while count >= 999.5 and power < len(_PREFIXES) - 1:
        count, power = count / 1000, power + 1
    if not power:
        return f"{count:.0f} B"
    return f"{count:.{2 if count < 9.995 else 1 if count < 99.95 else 0}f} {_PREFIXES[power]}"


def width(text: str) -> int:
    """Columns of a terminal that a text takes; it has no control characters."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fitting(text: str, columns: int) -> int:
    """How many of its characters fit."""
    taken = 0
    for number, character in enumerate(text):
        taken += _columns(character)
        if taken > columns:
            return number
    return len(text)


def cut(text: str, columns: int) -> str:
    """Cut at the end."""
    return text if width(text) <= columns else text[: _fitting(text, columns - 1)] + CUT


def cut_front(text: str, columns: int) -> str:
    """Cut at the beginning: the end of a path is its most telling part."""
    if width(text) <= columns:
        return text
    left = _fitting(text[::-1], columns - 1)
    return CUT + text[len(text) - left :]


def pad(text: str, columns: int, *, to_right: bool = False) -> str:
    """Fill up with blanks."""
    blanks = " " * (columns - width(text))
    return blanks + text if to_right else text + blanks


def wrapped(text: str, columns: int) -> list[str]:
    """In lines of so many columns, cut at blanks where there are some."""
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line and width(longer) > columns:
            lines.append(line)
            longer = word
        while width(longer) > columns:
            fitting = _fitting(longer, columns) or 1
            lines.append(longer[:fitting])
            longer = longer[fitting:]
        line = longer
    return [*lines, line] if line else lines
