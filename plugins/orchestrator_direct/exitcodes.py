"""How the job for one change ends."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
FAILED: Final = 1
NO_ROOM: Final = 11
"""rsync's code for such trouble: of the file system or the machine, not of one path."""
LINK: Final = 2
"""A symlink on the target was in the way."""
STOPPED: Final = 143
