"""What the end of a transfer means (spec 3.7, 4.1): ok, again, die. Rules in tables.

Pure: maps (kind of agent, exit code, exit code table) to a verdict; the words of the log lines
are here too, since log readers match on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from orchestrator.logic.text import to_text

Verdict = Literal["ok", "again", "die"]

OK: Final[Verdict] = "ok"
AGAIN: Final[Verdict] = "again"
DIE: Final[Verdict] = "die"

PARTIAL: Final = "partial"
"""What onBatchEnd and hooks hear in the place of `ok` where part of it did not arrive, and is tried again. No table
and no `collect` says it: see Collected."""

SIGNALLED: Final = 128
"""A process killed by signal N ends with 128 + N; lsyncd calls that 0, a success (spec 6 row 3)."""

RSYNC_EXIT_CODES: Final[Mapping[int, Verdict]] = {
    **dict.fromkeys((0, 23, 24), OK),
    **dict.fromkeys((1, 2, 4, 25), DIE),
    **dict.fromkeys((3, 5, 6, 10, 11, 12, 14, 20, 21, 22, 30, 35, 255), AGAIN),
}
SSH_EXIT_CODES: Final[Mapping[int, Verdict]] = {0: OK, 255: AGAIN}


Kind = Literal["init", "list", "event"]
"""What a process served: the startup, a list of changes, or one change."""

NORMAL: Final = "Normal"
ERROR: Final = "Error"


class JobResult(NamedTuple):
    """The end of a job that says why: its exit code, and the cause in a few words, for status and hooks."""

    exit_code: int
    cause: str = ""


class Judgement(NamedTuple):
    """A verdict and its log line.

    `unknown`: no table lists the exit code. `at_once`: the daemon leaves without a further word,
    where for any other `die` lsyncd logs `Critical exitcode.` first. `gave_up`: the daemon ends since
    its startup failed, though another try might have worked.
    """

    verdict: Verdict
    category: str
    message: str
    unknown: bool = False
    at_once: bool = False
    gave_up: bool = False


class Line(NamedTuple):
    """Category and text of a log line; the text is a format over the arguments of `judge`."""

    category: str
    text: str
    at_once: bool = False


GIVE_UP: Final = "give up"
"""`again` at startup without `insist`."""

UNKNOWN: Final = "unknown"

Wording = Mapping[Kind, Mapping[str, Line]]
"""The log lines of a family of actions, by what was served and how it ended."""

COMMON: Final[Wording] = {
    "init": {
        OK: Line(NORMAL, "Startup of {source} -> {target} finished."),
        AGAIN: Line(NORMAL, "Retrying startup of {source} -> {target}: {code}"),
        GIVE_UP: Line(
            ERROR,
            'Temporary or permanent failure on startup of {source} -> {target}. Terminating since "insist" is not set.',
            at_once=True,
        ),
        DIE: Line(ERROR, "Failure on startup of {source} -> {target}.", at_once=True),
        UNKNOWN: Line(ERROR, 'Unknown exitcode "{code}" on startup of {source} -> {target}.'),
    },
    "list": {
        OK: Line(NORMAL, "Finished a list after exitcode: {code}"),
        AGAIN: Line(NORMAL, "Retrying a list after exitcode = {code}"),
        DIE: Line(ERROR, "Failure with a list with exitcode = {code}"),
        UNKNOWN: Line(ERROR, 'Unknown exitcode "{code}" with a list'),
    },
    "event": {
        OK: Line(NORMAL, "Finished {etype} on {source_path} = {code}"),
        AGAIN: Line(NORMAL, "Retrying {etype} on {source_path} = {code}"),
        DIE: Line(ERROR, "Failure with {etype} on {source_path} = {code}"),
        UNKNOWN: Line(NORMAL, 'Unknown exitcode "{code}" with {etype} on {source_path} = {code}'),
    },
}
"""default.collect's (spec 3.7)."""

SHORT: Final[Wording] = {
    "init": {
        OK: Line(NORMAL, 'Startup of "{source}" finished: {code}'),
        AGAIN: Line(NORMAL, 'Retrying startup of "{source}": {code}'),
        GIVE_UP: Line(
            ERROR,
            'Temporary or permanent failure on startup of "{source}". Terminating since "insist" is not set.',
            at_once=True,
        ),
        DIE: Line(ERROR, 'Failure on startup of "{source}": {code}'),
        UNKNOWN: Line(ERROR, 'Unknown exitcode on startup of "{source}: "{code}'),
    },
    "list": {
        OK: Line(NORMAL, "Finished (list): {code}"),
        AGAIN: Line(NORMAL, "Retrying (list): {code}"),
        DIE: Line(ERROR, "Failure (list): {code}"),
        UNKNOWN: Line(ERROR, "Unknown exitcode (list): {code}"),
    },
    "event": {
        OK: Line(NORMAL, "Finished {etype} {source_path}: {code}"),
        AGAIN: Line(NORMAL, "Retrying {etype} {source_path}: {code}"),
        DIE: Line(ERROR, "Failure {etype} {source_path}: {code}"),
        UNKNOWN: Line(ERROR, "Unknown exitcode {etype} {source_path}: {code}"),
    },
}
"""default.rsyncssh's and default.direct's (spec 4.3)."""


def classify(exit_code: int, exit_codes: Mapping[int, Verdict] | None) -> Verdict | None:
    """The verdict of the table; without a table 0 is ok and all else die; None: not listed.

    Death by a signal is always `again`, unless the table itself lists the code (spec 3.7).
    """
    if exit_codes and exit_code in exit_codes:
        verdict = exit_codes[exit_code]
        return verdict if verdict in (OK, AGAIN, DIE) else None
    if SIGNALLED < exit_code < SIGNALLED + 65:
        return AGAIN
    if exit_codes:
        return None
    return OK if exit_code == 0 else DIE


def judge(
    kind: Kind,
    etype: str,
    source_path: bytes,
    source: bytes,
    target: bytes,
    exit_code: int,
    exit_codes: Mapping[int, Verdict] | None,
    insist: bool,
    wording: Wording = COMMON,
) -> Judgement:
    """What the end of a process means, and the line that says so (spec 3.7).

    A startup is tried again only with `insist`. A code that no table lists ends the daemon at a
    startup without `insist`; later, or with it, the transfer is tried again (spec 6 row 17).
    """
    verdict = classify(exit_code, exit_codes)
    outcome: str = verdict if verdict is not None else UNKNOWN
    if verdict == DIE and not exit_codes:
        verdict = None  # worded as a failure, but no table says that it is one
    gives_up = kind == "init" and not insist
    if outcome == AGAIN and gives_up:
        outcome, verdict = GIVE_UP, DIE
    line = wording[kind][outcome]
    message = line.text.format(
        code=exit_code, etype=etype, source=to_text(source), target=to_text(target), source_path=to_text(source_path)
    )
    if verdict is None:
        return Judgement(DIE if gives_up else AGAIN, line.category, message, unknown=True, gave_up=gives_up)
    return Judgement(verdict, line.category, message, at_once=line.at_once, gave_up=outcome == GIVE_UP)


End = Literal["daemon at once", "daemon", "sync"]
"""What a `die` puts an end to; at once: without a further word."""


def end_of(judgement: Judgement | None, is_own: bool) -> End:
    """What a `die` puts an end to (spec 6 row 17). `judgement` None: the config's function said so itself.

    `is_own`: the user's own table, not a built-in one, maps the exit code to die.
    """
    if judgement is None:
        return "daemon"
    if judgement.gave_up or is_own:
        return "daemon at once" if judgement.at_once else "daemon"
    return "sync"
