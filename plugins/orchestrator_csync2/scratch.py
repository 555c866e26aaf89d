"""csync2's own scratch files, which it makes beside each file that it compares or sends.

`.NAME.XXXXXX`, created and unlinked at once, three times for each file and host: in a watched directory that
is nine events, and each batch would be followed by another one three times as long, of files that were
never there. Nothing is lost by leaving out what has that shape, is gone, and was never known to csync2: a check
of such a path finds nothing to do. So it is enough to remember the few names of that shape which csync2 may know.
"""

from __future__ import annotations

import os
import re

# No newline: csync2 lists a line for each file, so a name that holds one could not be recognised there.
_SHAPE = re.compile(rb"\.[^/\n]+\.[A-Za-z0-9]{6}")


class Scratch:
    """Recognises scratch files. Until `is_complete` is set, it calls none so."""

    def __init__(self) -> None:
        self.is_complete = False
        self._real: set[bytes] = set()

    def note(self, path: bytes) -> None:
        """csync2 may know of this path, or of one that ends like this text."""
        name = path[path.rfind(b"/") + 1 :]
        if _SHAPE.fullmatch(name):
            self._real.add(name)

    def is_scratch(self, path: bytes) -> bool:
        """Whether an absolute path is one that came and went without csync2 knowing of it."""
        name = path[path.rfind(b"/") + 1 :]
        if not self.is_complete or not _SHAPE.fullmatch(name) or name in self._real:
            return False
        if os.path.lexists(path):
            self._real.add(name)
            return False
        return True
