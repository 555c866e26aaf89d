"""The live view's texts: every one of them harmless for a terminal, and as wide as it may be. Pure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from orchestrator.control.output import clean
from orchestrator.control.top.picture import BARS, Activity, sparkline
from orchestrator.control.trouble import BAD, severity, trouble
from orchestrator.logic.summary import summary
from orchestrator.logic.text import counted
from orchestrator.logic.words import age, cut, cut_front, pad, size, wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.control.answer import StatusAnswer, SyncAnswer

STATE: Final = 13
WAITING: Final = 8
OLDEST: Final = 7
RATE: Final = 10
"""Columns of the table, the blank before each included."""

LEAST_NAME: Final = 12
SPARKLINE: Final = 20
LEAST_SPARKLINE: Final = 13
"""As wide as its title."""
LEAST_TROUBLE: Final = 24

TROUBLE_LINES: Final = 4

PATHS: Final = 50
"""Paths that wait, of which the detail shows as many at most."""


class Widths:
    """How the columns share a width: the name and the sparkline first, and what is left is for the trouble."""

    def __init__(self, width: int, longest_name: int) -> None:
        left = max(0, width - STATE - WAITING - OLDEST - RATE)
        room = min(SPARKLINE, left - LEAST_NAME)
        self.sparkline = room if room >= LEAST_SPARKLINE else 0
        left -= self.sparkline
        # a column for the trouble only where it has room
        has_trouble = left - max(LEAST_NAME, min(longest_name, 24)) >= LEAST_TROUBLE
        self.name = max(LEAST_NAME, min(longest_name, 24)) if has_trouble else left
        self.trouble = left - self.name if has_trouble else 0


def row(sync: SyncAnswer, activity: Activity, now: float, widths: Widths, bars: str = BARS) -> tuple[str, ...]:
    """The cells of a sync: name, state, waiting, oldest, rate, sparkline, trouble. `now`: of the daemon's clock."""
    rate = activity.rate(now)
    oldest = "" if sync.oldest is None else age(max(0.0, now - sync.oldest))
    state = "stuck" if sync.stuck else f"{sync.state} {sync.progress}".rstrip()
    cells = [
        pad(cut(clean(sync.name), widths.name), widths.name),
        f" {cut(clean(state), STATE - 1)}",
        pad(str(sync.waiting or ""), WAITING, to_right=True),
        pad(oldest, OLDEST, to_right=True),
        pad(f"{size(rate)}/s" if rate >= 1 else "", RATE, to_right=True),
    ]
    if widths.sparkline:
        cells.append(f" {sparkline(activity.values(now, widths.sparkline - 1), bars)}")
    if widths.trouble:
        cells.append(f" {cut(clean(trouble(sync, now)), widths.trouble - 1)}")
    return tuple(cells)


def heads(widths: Widths) -> tuple[tuple[str, int], ...]:
    """The columns' titles and widths."""
    found = [
        ("sync", widths.name),
        (" state", STATE),
        (" waiting", WAITING),
        (" oldest", OLDEST),
        ("      rate", RATE),
    ]
    if widths.sparkline:
        found.append((" last minutes", widths.sparkline))
    if widths.trouble:
        found.append((" trouble", widths.trouble))
    return tuple(found)


def head(status: StatusAnswer, width: int) -> str:
    """The first line: which daemon, and how it is doing in all."""
    doing = summary(("stuck" if sync.stuck else sync.state for sync in status.syncs), waiting_in(status))
    state = "" if status.state == "running" else f" is {clean(status.state)}"
    return cut(f"lsyncd {status.pid}{state}  {clean(doing)}  {clean(status.config)}", width)


def waiting_in(status: StatusAnswer) -> int:
    """Changes that wait, over all syncs."""
    return sum(sync.waiting for sync in status.syncs)


def matches(sync: SyncAnswer, words: str) -> bool:
    """Whether a sync has all of these words in its name, state or target."""
    text = f"{sync.name} {sync.state} {'stuck' if sync.stuck else ''} {sync.target}".casefold()
    return all(word in text for word in words.casefold().split())


Line = tuple[str, str]
"""A text, and what it is: `title`, `good`, `poor`, `bad`, or nothing of these."""


def detail(sync: SyncAnswer, answer: Mapping[str, Any] | None, now: float, width: int) -> list[Line]:
    """Everything about one sync. `answer`: of `detail`; None: there is none yet. Whatever it holds, it is lines."""
    lines: list[Line] = [(cut(f"{clean(sync.source)} → {clean(sync.target)}", width), "")]
    words = trouble(sync, now)
    look = "bad" if severity(sync) == BAD else "poor"
    lines += [(line, look) for line in wrapped(clean(words), width)[:TROUBLE_LINES]]
    last = "none yet" if sync.last_success is None else f"{age(max(0.0, now - sync.last_success))} ago"
    lines.append((f"last success: {last}", ""))
    if answer is None:
        return lines
    try:
        return [*lines, *_transfers(answer, now, width), *_paths(answer, now, width), *_recent(answer, width)]
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError):  # of no daemon of ours
        return [*lines, ("(the daemon's answer is not understood)", "bad")]


def _transfers(answer: Mapping[str, Any], now: float, width: int) -> list[Line]:
    transfers = answer["sync"].get("transfers") or []
    lines: list[Line] = [("running", "title")] if transfers else []
    for transfer in transfers:
        pid = transfer.get("pid")
        moved = transfer.get("bytes")
        words = [
            f"{transfer['kind']}",
            "" if pid is None else f"process {pid}",
            f"for {age(max(0.0, now - transfer['since']))}",
            "" if moved is None else size(moved),
            counted(transfer["paths"], "path") if transfer.get("paths") else "",
            " ".join(transfer.get("sample") or ()),
        ]
        lines.append((cut(clean("  " + "  ".join(word for word in words if word)), width), ""))
    return lines


def _paths(answer: Mapping[str, Any], now: float, width: int) -> list[Line]:
    paths = answer.get("paths") or []
    if not paths:
        return []
    waiting = answer["sync"].get("waiting") or len(paths)
    shown = "" if waiting <= len(paths) else f", the oldest {len(paths)}"
    lines: list[Line] = [(f"waiting: {waiting}{shown}", "title")]
    for entry in paths[:PATHS]:
        old = pad(age(max(0.0, entry.get("age") or 0.0)), 5, to_right=True)
        to = f" -> {clean(entry['path2'])}" if entry.get("path2") else ""
        front = f"{old}  {pad(clean(entry.get('status')), 6)}  {pad(clean(entry.get('etype')), 6)}  "
        lines.append((front + cut_front(clean(entry["path"]) + to, max(10, width - len(front))), ""))
    return lines


def _recent(answer: Mapping[str, Any], width: int) -> list[Line]:
    recent = answer.get("recent") or []
    lines: list[Line] = [("recent", "title")] if recent else []
    for ended in recent:
        verdict = str(ended["verdict"])
        moved = ended.get("bytes")
        when = time.strftime("%H:%M:%S", time.localtime(ended["since"] + ended["duration"]))
        words = [
            f"{when}  {pad(clean(verdict), 7)}",
            f"{ended['kind']}",
            f"{ended['duration']:.1f} s",
            "" if moved is None else size(moved),
            clean(ended.get("cause") or " ".join(ended.get("sample") or ())),
        ]
        look = {"ok": "good", "die": "bad"}.get(verdict, "poor")
        lines.append((cut("  ".join(word for word in words if word), width), look))
    return lines


DONE: Final = {
    "pause": "paused",
    "resume": "goes on",
    "run": "a full run is queued",
    "flush": "all that waits goes now",
}
"""Command → its effect, in words."""


def outcome(command: str, syncs: Sequence[str], result: Mapping[str, Any]) -> str:
    """The effect of a command that has been answered, in one line."""
    whom = clean(", ".join(syncs))
    if command != "verify":
        return f"{whom}: {DONE.get(command, command)}"
    found = result.get("syncs")
    reports = [report for report in found if isinstance(report, dict)] if isinstance(found, list) else []
    return "; ".join(map(_verified, reports)) or f"{whom}: verified"


def _verified(report: Mapping[str, Any]) -> str:
    name = clean(report.get("name"))
    if report.get("error"):
        return f"{name}: not verified: {clean(report['error'])}"
    if report.get("is_equal"):
        return f"{name}: target equals source"
    found = report.get("differences")
    number = len(found) if isinstance(found, list) else found
    return f"{name}: {counted(number, 'difference')}" if isinstance(number, int) else f"{name}: differs"
