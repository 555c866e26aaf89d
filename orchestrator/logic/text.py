"""Paths and numbers as text."""

from __future__ import annotations


def counted(number: float, noun: str, plural: str = "") -> str:
    """A number with what it counts: 1 second, 2 seconds, 0.5 seconds; 1 directory, 2 directories."""
    return f"{number:.10g} {noun if number == 1 else plural or noun + 's'}"


def shown(path: bytes) -> str:
    """As it goes into a message: every byte comes out again as it was."""
    return path.decode("utf-8", "surrogateescape")


def text_of(path: bytes) -> str:
    """As JSON can carry it: what is not UTF-8 is written out."""
    return path.decode("utf-8", "backslashreplace")
