"""Bytes as text that JSON can carry."""

from __future__ import annotations


def text_of(path: bytes) -> str:
    """A path as text; what is not UTF-8 is written out."""
    return path.decode("utf-8", "backslashreplace")
