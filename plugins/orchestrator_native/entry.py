"""One entry: its path, and the open directories on both sides that hold it."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(slots=True)
class Entry:
    """Good as long as the descriptors are: until their trees open something else.

    One is made for every entry that is looked at: like this, that takes half as long as a NamedTuple does.
    """

    path: str
    name: str
    """The last part of the path."""
    source: int
    target: int

    def source_status(self) -> os.stat_result:
        """Raises OSError."""
        return os.stat(self.name, dir_fd=self.source, follow_symlinks=False)

    def target_status(self) -> os.stat_result:
        """Raises OSError."""
        return os.stat(self.name, dir_fd=self.target, follow_symlinks=False)
