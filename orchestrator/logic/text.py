"""Paths and numbers as text."""

from __future__ import annotations


def counted(number: float, noun: str, plural: str = "") -> str:
    """A number with what it counts: 1 second, 2 seconds, 0.5 seconds; 1 directory, 2 directories."""
    return f"{number:.10g} {noun if number == 1 else plural or noun + 's'}"


def to_text(raw: bytes) -> str:
    """Bytes (a path, an argument) as text that carries every one of them: `to_bytes` gives them back."""
    return raw.decode("utf-8", "surrogateescape")


def to_bytes(value: str | bytes) -> bytes:
    """Text as the bytes that it stands for, in UTF-8; bytes as they are. Raises UnicodeEncodeError for half a
    surrogate pair that no byte was made into."""
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def text_of(path: bytes) -> str:
    """As JSON can carry it: what is not UTF-8 is written out."""
    return path.decode("utf-8", "backslashreplace")
