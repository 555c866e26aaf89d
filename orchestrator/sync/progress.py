"""How far a transfer is, as whoever does it counts."""

from __future__ import annotations

from typing import NamedTuple


class Progress(NamedTuple):
    """None: nobody knows. `steps`: any number that grows as long as something goes on; None: there is none."""

    files_done: int | None = None
    files: int | None = None
    bytes_done: int | None = None
    bytes: int | None = None
    steps: int | None = None


UNKNOWN = Progress()
