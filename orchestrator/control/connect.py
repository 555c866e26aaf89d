"""`orchestrator check --connect`: whether the targets on other machines can be reached, and logged in to.

Each is listed by the program, login and options that the sync itself would use. Nothing is written there.
"""

from __future__ import annotations

import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

from orchestrator.logic.cause import cause_of
from orchestrator.logic.text import counted, to_bytes
from orchestrator.process.trial import try_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.control.dry import DryRun

PATIENCE: Final = 20.0
"""Seconds that a login may take in all."""
CONNECTING: Final = 10
"""Seconds for ssh to connect: so that its own words come first."""
AT_ONCE: Final = 8

SOME_NOT_THERE: Final = 23
"""rsync's exit code where what it should list is not there."""

_RSH: Final = b"--rsh="


class Finding(NamedTuple):
    """Of a sync. `kind`: "" is well, "Warn" or "Error"."""

    sync: str
    kind: str
    text: str


def try_targets(run: DryRun, seconds: float = PATIENCE) -> Iterator[Finding]:
    """Try the target of each sync, each way to one once; in the order of the syncs."""
    ways: dict[int, tuple[bytes, ...]] = {}
    findings: dict[int, Finding] = {}
    for sync in run.config.syncs:
        target = run.config.target_of[sync.number]
        if target is not None and target.directory is not None:
            continue  # on this machine: it has been looked at
        if sync.transfers.tunnel is not None:
            findings[sync.number] = Finding(sync.name, "", "target not tried: it is behind a tunnel")
        elif target is None or target.ask is None:
            findings[sync.number] = Finding(sync.name, "", "target not tried: its action does not say how")
        else:
            ways[sync.number] = tuple(map(to_bytes, target.ask(b"")))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {argv: pool.submit(try_target, argv, seconds) for argv in dict.fromkeys(ways.values())}
        for sync in run.config.syncs:
            if sync.number in ways:
                kind, text = futures[ways[sync.number]].result()
                yield Finding(sync.name, kind, text)
            elif sync.number in findings:
                yield findings[sync.number]


def try_target(argv: Sequence[bytes], seconds: float) -> tuple[str, str]:
    shown = os.fsdecode(argv[-1])
    words, environment = without_questions(argv)
    try:
        trial = try_program(words, environment, seconds)
    except (OSError, ValueError) as error:
        return "Error", f"{os.fsdecode(argv[0])} cannot be run: {getattr(error, 'strerror', None) or error}"
    cause = os.fsdecode(cause_of(trial.stderr))
    if trial.code is None:
        why = f": {cause}" if cause else ""
        return "Error", f"{shown} cannot be reached: nothing comes within {counted(seconds, 'second')}{why}"
    if trial.code == 0:
        return "", f"{shown} can be reached"
    if trial.code == SOME_NOT_THERE and b"No such file or directory" in trial.stderr:
        return "Warn", f"{shown} can be reached, but is not there yet"
    return "Error", f"{shown} cannot be reached: {cause or f'exit code {trial.code}'}"


def without_questions(argv: Sequence[bytes]) -> tuple[list[bytes], dict[str, str]]:
    """The arguments and environment by which no ssh waits for an answer of somebody. Options of the user's own go
    before ours, so ssh takes those."""
    environment = os.environ | {"LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
    words = list(argv)
    found = [place for place, word in enumerate(words) if word.startswith(_RSH)]
    if found:
        words[found[-1]] = _RSH + to_bytes(_patient(os.fsdecode(words[found[-1]][len(_RSH) :])))
    else:
        environment["RSYNC_RSH"] = _patient(environment.get("RSYNC_RSH") or "ssh")
    return words, environment


def _patient(shell: str) -> str:
    """A remote shell with our options, if it is an ssh."""
    try:
        program = shlex.split(shell)[0]
    except (IndexError, ValueError):
        return shell
    if os.path.basename(program) != "ssh":
        return shell
    return f"{shell} -o BatchMode=yes -o ConnectTimeout={CONNECTING}"
