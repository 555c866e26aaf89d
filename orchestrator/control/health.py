"""`orchestrator health`: one line for Nagios, Icinga, check_mk, consul and container health checks.

Form and exit statuses are those of monitoring plugins: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. A daemon that does not
answer is critical, a wrong call or a missing right is unknown.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from orchestrator.control import client, exits
from orchestrator.control.asking import ask
from orchestrator.control.output import clean
from orchestrator.control.trouble import GOOD, POOR, severity, trouble
from orchestrator.logic.text import counted
from orchestrator.logic.words import age

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from orchestrator.control.answer import StatusAnswer, SyncAnswer
    from orchestrator.control.output import Output

OK: Final = 0
WARNING: Final = 1
CRITICAL: Final = 2
UNKNOWN: Final = 3

NAMES: Final = ("OK", "WARNING", "CRITICAL", "UNKNOWN")

MOST_NAMED: Final = 5
"""Syncs whose trouble the line names."""
LONGEST: Final = 200
"""Characters of what is said of one of them: some monitors take a kilobyte in all."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the line. Returns the exit status of a monitoring plugin."""
    limits = Limits(options.warning_age, options.max_age, options.warning_delays, options.max_delays)
    try:
        with client.reach(options.socket, options.pid, options.timeout) as daemon:
            verdict = judge(ask(daemon, options.syncs, options.timeout)[1], limits)
    except exits.Refused as refusal:
        verdict = Verdict(_code_of(refusal), _short(str(refusal)), {})
    if options.json:
        known = {"status": NAMES[verdict.code], "code": verdict.code, "text": verdict.text, "figures": verdict.figures}
        output.raw(json.dumps(known))
    else:
        output.raw(line_of(verdict, limits))
    return verdict.code


def _code_of(refusal: exits.Refused) -> int:
    """CRITICAL where no daemon answers; UNKNOWN where this call cannot find out."""
    if isinstance(refusal, exits.NotAllowed) or (isinstance(refusal, client.Answered) and refusal.code == "denied"):
        return UNKNOWN
    return CRITICAL if refusal.status == exits.NO_DAEMON else UNKNOWN


class Limits(NamedTuple):
    """Seconds, and numbers of changes; None: no limit. Above a warning limit is a warning, and so on."""

    warning_age: float | None = None
    max_age: float | None = None
    warning_delays: int | None = None
    max_delays: int | None = None


class Verdict(NamedTuple):
    """`code` is the exit status; `text` follows the name of the service; `figures` by name."""

    code: int
    text: str
    figures: dict[str, int]


class _Finding(NamedTuple):
    code: int
    text: str


def judge(answer: StatusAnswer, limits: Limits) -> Verdict:
    """How the syncs of an answer are doing, the worst first."""
    findings = sorted(_findings(answer, limits), key=lambda finding: -finding.code)
    ages = [max(0, int(answer.time - sync.oldest)) for sync in answer.syncs if sync.oldest is not None]
    figures = {
        "waiting": sum(sync.waiting for sync in answer.syncs),
        "oldest": max(ages, default=0),
        "retrying": sum(sync.retrying for sync in answer.syncs),
        "transfers": sum(sync.transfers for sync in answer.syncs),
        "syncs": len(answer.syncs),
        "troubled": len(findings),
    }
    if not findings:
        paused = sum(sync.state == "paused" for sync in answer.syncs)
        wait = counted(figures["waiting"], "change waits", "changes wait")
        text = f"{counted(len(answer.syncs), 'sync')}, {f'{paused} paused, ' if paused else ''}{wait}"
        return Verdict(OK, text, figures)
    texts = [finding.text for finding in findings[:MOST_NAMED]]
    if len(findings) > MOST_NAMED:
        texts.append(f"and {len(findings) - MOST_NAMED} more")
    return Verdict(findings[0].code, "; ".join(texts), figures)


def _findings(answer: StatusAnswer, limits: Limits) -> Iterator[_Finding]:
    """One for each sync with something wrong."""
    for sync in answer.syncs:
        codes, texts = [], []
        bad = severity(sync)
        if bad != GOOD:
            codes.append(WARNING if bad == POOR else CRITICAL)
            words = trouble(sync, answer.time)
            texts.append(f"{'stuck' if sync.stuck else sync.state}{f' ({words})' if words else ''}")
        for code, text in _over(sync, answer.time, limits):
            codes.append(code)
            texts.append(text)
        if codes:
            yield _Finding(max(codes), f"{_short(sync.name)} {_short(', '.join(texts))}")


def _over(sync: SyncAnswer, now: float, limits: Limits) -> Iterator[tuple[int, str]]:
    old = 0.0 if sync.oldest is None else now - sync.oldest
    code = _beyond(old, limits.warning_age, limits.max_age)
    if code:
        yield code, f"oldest change {age(old)} old"
    code = _beyond(sync.waiting, limits.warning_delays, limits.max_delays)
    if code:
        yield code, f"{counted(sync.waiting, 'change waits', 'changes wait')}"


def _beyond(value: float, warning: float | None, critical: float | None) -> int:
    if critical is not None and value > critical:
        return CRITICAL
    return WARNING if warning is not None and value > warning else OK


def _short(text: str) -> str:
    """Harmless for a terminal, and for a monitor, to which a bar begins the perfdata."""
    text = clean(text).replace("|", "/")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def line_of(verdict: Verdict, limits: Limits) -> str:
    """The line, with its perfdata."""
    bounds = {
        "waiting": (limits.warning_delays, limits.max_delays),
        "oldest": (limits.warning_age, limits.max_age),
    }
    units = {"oldest": "s"}
    perfdata = " ".join(
        f"{name}={value}{units.get(name, '')};{';'.join(map(_bound, bounds.get(name, (None, None))))};0"
        for name, value in verdict.figures.items()
    )
    return f"LSYNCD {NAMES[verdict.code]} - {verdict.text}{f' | {perfdata}' if perfdata else ''}"


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
