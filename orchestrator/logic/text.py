"""Paths as text."""

from __future__ import annotations


def shown(path: bytes) -> str:
    """As it goes into a message: every byte comes out again as it was."""
    return path.decode("utf-8", "surrogateescape")


def text_of(path: bytes) -> str:
    """As JSON can carry it: what is not UTF-8 is written out."""
    return path.decode("utf-8", "backslashreplace")
