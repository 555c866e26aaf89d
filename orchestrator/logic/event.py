"""The words of lsyncd's event model (spec 2.5, 3.1): types of change, states of a delay.

They are plain strings, not an enum: users compare `event.etype == "Create"` in Lua, they stand
in status files, and hashing a str is several times cheaper than hashing an Enum member.
"""

from __future__ import annotations

from typing import Final

ATTRIB: Final = "Attrib"
CREATE: Final = "Create"
MODIFY: Final = "Modify"
DELETE: Final = "Delete"
MOVE: Final = "Move"
INIT: Final = "Init"
BLANKET: Final = "Blanket"
FULL: Final = "Full"
PART: Final = "Part"

BARRIERS: Final = frozenset({INIT, BLANKET})
"""Everything that arrives later waits for these."""

SPECIAL: Final = frozenset({INIT, BLANKET, FULL, PART})
"""They speak of the whole tree, or of a part of it at the startup, so they are never combined with a path."""

WAIT: Final = "wait"
ACTIVE: Final = "active"
BLOCK: Final = "block"
