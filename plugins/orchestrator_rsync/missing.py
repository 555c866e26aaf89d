"""The question whether rsync deletes listed names that the source has not (`--delete-missing-args`), on both sides.

rsync is asked by a dry run over a name that nobody has, once, before the first deletion that has a use for it. The
receiving side of some versions takes such a list for a broken one (Debian's 3.2.7: "invalid file mode 00").
"""

from __future__ import annotations

import os
from enum import Enum, auto
from typing import Final

TRIES: Final = 3
"""Dry runs that fail until deletions go by filter lists for good: the host may have been down."""

FINE: Final = frozenset({0, 24})
"""Exit codes of a dry run that has worked. 24: some source files have vanished."""

CANNOT: Final = frozenset({1, 2, 4})
"""Exit codes that say it of one of the two rsyncs: usage, protocol, not supported. Others may be another time's."""


_NEVER_SAID: Final = 255


class State(Enum):
    UNKNOWN = auto()
    ASKED = auto()
    WORKS = auto()
    FAILED = auto()
    """Unknown again when a transfer has got through."""
    REFUSED = auto()


class MissingNames:
    """The knowledge about one sync's rsyncs."""

    def __init__(self) -> None:
        self._state = State.UNKNOWN
        self._failed = 0

    @property
    def are_deleted(self) -> bool:
        return self._state is State.WORKS

    @property
    def is_unknown(self) -> bool:
        return self._state is State.UNKNOWN

    def ask(self) -> bytes:
        """A dry run begins: a name for it."""
        self._state = State.ASKED
        return b"./.lsyncd-" + os.urandom(8).hex().encode()

    def answered(self, exit_code: int) -> bool:
        """A run without changes has ended. Whether it was the dry run."""
        if self._state is not State.ASKED:
            return False
        if exit_code in FINE:
            self._state = State.WORKS
        else:
            self._failed += 1
            self._state = State.REFUSED if exit_code in CANNOT or self._failed == TRIES else State.FAILED
        return True

    def unanswered(self) -> None:
        """The dry run is over, or was not started. Where nobody has said how it ended, a config has a `collect` of its
        own."""
        self.answered(_NEVER_SAID)

    def got_through(self) -> None:
        """A transfer has succeeded."""
        if self._state is State.FAILED:
            self._state = State.UNKNOWN
