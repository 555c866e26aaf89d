"""The status as a table with a summary: pure text, as wide as the terminal is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from orchestrator.control.output import clean
from orchestrator.control.trouble import BAD, GOOD, POOR, severity, trouble
from orchestrator.logic import words
from orchestrator.logic.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.control.answer import StatusAnswer, SyncAnswer

GAP: Final = "  "
LEAST_TROUBLE: Final = 24
"""Columns; with fewer left, a sync's trouble stands in lines of its own."""

PLAIN: Final = ""
_RESET: Final = "\x1b[0m"
_BOLD: Final = "\x1b[1m"
_SHADES: Final[Mapping[int, str]] = {GOOD: "\x1b[32m", POOR: "\x1b[33m", BAD: "\x1b[31m"}
_AT_WORK: Final = "\x1b[36m"
_PAUSED: Final = "\x1b[35m"


class _Column(NamedTuple):
    heading: str
    least: int
    """Columns of the terminal that it keeps where there are too few for all."""
    shorten: Callable[[str, int], str]
    is_number: bool = False


_COLUMNS: Final = (
    _Column("SYNC", 12, words.cut),
    _Column("STATE", 8, words.cut),
    _Column("TARGET", 12, words.cut_front),
    _Column("WAITING", 7, words.cut, is_number=True),
    _Column("OLDEST", 6, words.cut, is_number=True),
    _Column("LAST SUCCESS", 12, words.cut, is_number=True),
)
_STATE: Final = 1
_TARGET: Final = 2


def table(answer: StatusAnswer, columns: int | None, *, is_coloured: bool) -> Iterator[str]:
    """Its lines, the summary last. `columns` of the terminal; None: as wide as it gets, nothing is cut."""
    rows = [_cells(sync, answer.time) for sync in answer.syncs]
    troubles = [clean(trouble(sync, answer.time)) for sync in answer.syncs]
    if rows:
        widths = _widths(rows, columns)
        indent = sum(widths) + len(GAP) * len(widths)
        room = None if columns is None else columns - indent
        headings = [column.heading for column in _COLUMNS]
        head = _row(headings, widths) + (f"{GAP}TROUBLE" if any(troubles) and (room is None or room > 7) else "")
        yield f"{_BOLD}{head}{_RESET}" if is_coloured else head.rstrip()
        for sync, row, words_of_it in zip(answer.syncs, rows, troubles, strict=True):
            shade = _shade(sync) if is_coloured else PLAIN
            yield from _lines(_row(row, widths, shade), words_of_it, room, columns)
        yield ""
    yield from summary(answer)


def _lines(row: str, said: str, room: int | None, columns: int | None) -> Iterator[str]:
    if not said:
        yield row.rstrip()
    elif room is None or columns is None:
        yield f"{row}{GAP}{said}"
    elif room >= LEAST_TROUBLE or words.width(said) <= room:
        first, *others = words.wrapped(said, room)
        yield f"{row}{GAP}{first}"
        yield from (" " * (columns - room) + other for other in others)
    else:
        yield row.rstrip()
        yield from (f"{GAP}{line}" for line in words.wrapped(said, max(8, columns - len(GAP))))


def _cells(sync: SyncAnswer, now: float) -> list[str]:
    return [
        clean(sync.name),
        clean(f"{sync.state} {sync.progress}" if sync.progress else sync.state) + (", stuck" if sync.stuck else ""),
        clean(sync.target) or "-",
        str(sync.waiting),
        "-" if sync.oldest is None else words.age(max(0.0, now - sync.oldest)),
        "-" if sync.last_success is None else f"{words.age(max(0.0, now - sync.last_success))} ago",
    ]


def _widths(rows: Sequence[Sequence[str]], columns: int | None) -> list[int]:
    """Of each column: as its longest cell, or less where the terminal is too narrow, the target's first."""
    needed = [
        max(words.width(text) for text in (column.heading, *(row[number] for row in rows)))
        for number, column in enumerate(_COLUMNS)
    ]
    if columns is None:
        return needed
    over = sum(needed) + len(GAP) * (len(needed) - 1) - columns
    for number in (_TARGET, 0, _STATE):
        less = max(0, min(over, needed[number] - _COLUMNS[number].least))
        needed[number] -= less
        over -= less
    return needed


def _row(cells: Sequence[str], widths: Sequence[int], shade: str = PLAIN) -> str:
    shown = [
        words.pad(column.shorten(cell, width), width, to_right=column.is_number)
        for column, cell, width in zip(_COLUMNS, cells, widths, strict=True)
    ]
    if shade:
        shown[_STATE] = f"{shade}{shown[_STATE]}{_RESET}"
    return GAP.join(shown)


def _shade(sync: SyncAnswer) -> str:
    bad = severity(sync)
    if bad == GOOD and sync.state == "paused":
        return _PAUSED
    return _AT_WORK if bad == GOOD and sync.state != "in sync" else _SHADES[bad]


def summary(answer: StatusAnswer) -> Iterator[str]:
    """Lines about the whole daemon."""
    states = Counter(sync.state for sync in answer.syncs)
    stuck = sum(1 for sync in answer.syncs if sync.stuck)
    parts = [f"{number} {clean(state)}" for state, number in states.most_common()]
    parts += [f"{stuck} stuck"] if stuck else []
    yield (
        f"lsyncd {answer.pid}{'' if answer.state == 'running' else f' ({clean(answer.state)})'}: "
        f"{counted(len(answer.syncs), 'sync')}{': ' if parts else ''}{', '.join(parts)}"
    )
    more = f", {counted(answer.polled, 'directory', 'directories')} polled for lack of watches" if answer.polled else ""
    if answer.overflows:
        more += f", {counted(answer.overflows, 'overflow')}"
    waiting = sum(sync.waiting for sync in answer.syncs)
    yield (
        f"{counted(waiting, 'change waits', 'changes wait')}, {counted(answer.processes, 'transfer')} running, "
        f"{counted(answer.watches, 'directory', 'directories')} watched{more}"
    )
    yield from map(clean, answer.ssh)
