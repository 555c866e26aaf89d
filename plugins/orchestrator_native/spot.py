"""Where one entry lies: its path, and the open directories on both sides that hold it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Spot:
    """Good as long as the descriptors are: until their Trees open something else.

    One is made for every entry that is looked at: like this, that takes half as long as a NamedTuple does.
    """

    path: str
    name: str
    """The last part of the path."""
    source: int
    target: int
