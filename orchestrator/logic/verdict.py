"""What the end of a transfer means (spec 3.7, 4.1): ok, again, die. Rules in tables.

Pure: maps (kind of agent, exit code, exit code table) to a verdict; the words of the log lines
are here too, since log readers match on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Verdict = Literal["ok", "again", "die"]

OK: Final[Verdict] = "ok"
AGAIN: Final[Verdict] = "again"
DIE: Final[Verdict] = "die"

SIGNALLED: Final = 128
"""A process killed by signal N ends with 128 + N; lsyncd calls that 0, a success (spec 6 row 3)."""

RSYNC_EXIT_CODES: Final[Mapping[int, Verdict]] = {
    **dict.fromkeys((0, 23, 24), OK),
    **dict.fromkeys((1, 2, 4, 25), DIE),
    **dict.fromkeys((3, 5, 6, 10, 11, 12, 14, 20, 21, 22, 30, 35, 255), AGAIN),
}
SSH_EXIT_CODES: Final[Mapping[int, Verdict]] = {0: OK, 255: AGAIN}


class Judgement(NamedTuple):
    """A verdict and the log line that tells it. `unknown`: no table lists the exit code."""

    verdict: Verdict
    category: str
    message: str
    unknown: bool = False


def classify(exit_code: int, exit_codes: Mapping[int, Verdict] | None) -> Verdict | None:
    """The verdict of the table; without a table 0 is ok and all else die; None: not listed.

    Death by a signal is always `again`, unless the table itself lists the code (spec 3.7).
    """
    if exit_codes and exit_code in exit_codes:
        return exit_codes[exit_code]
    if SIGNALLED < exit_code < SIGNALLED + 65:
        return AGAIN
    if exit_codes:
        return None
    return OK if exit_code == 0 else DIE
