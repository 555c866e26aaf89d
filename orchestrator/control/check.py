"""`orchestrator check CONFIG`: what would be run, and what looks wrong. Starts nothing, watches nothing."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

from orchestrator.config.common import SYNC_KEYS
from orchestrator.config.model import Option
from orchestrator.config.settings import SETTINGS
from orchestrator.control.dry import DryRun
from orchestrator.errors import ConfigError, OrchestratorError, UsageError
from orchestrator.logic.event import CREATE, MODIFY
from orchestrator.logic.secrets import MASK, is_secret_input, mask, mask_words
from orchestrator.monitor.filesystems import file_system_of, is_silent
from orchestrator.plugins import make_manager

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.control.dry import Noted
    from orchestrator.sync.sync import Sync

LIMIT = "/proc/sys/fs/inotify/max_user_watches"

SHOWN = 400
"""Bytes of a process's input that are shown."""


def check(path: str, lua: str | None = None) -> int:
    """Print the report. 0: it would start and do its work; 1: it would not, or something it needs is missing."""
    if not os.path.exists(path):
        raise UsageError(f"Cannot find config file at '{path}'.")
    try:
        with DryRun(path, lua) as run:
            return _report(run)
    except OrchestratorError as error:
        sys.stderr.write(f"Error: {mask(str(error))}{_like(str(error))}\n")
        return 1


def _report(run: DryRun) -> int:
    problems = [*run.problems]
    if not run.config.syncs:
        raise ConfigError("Nothing to watch!")
    run.config.lock()
    run.log.is_quiet = True
    for sync in run.config.syncs:
        _say(b"%b: %b" % (sync.name.encode("utf-8", "surrogateescape"), sync.source))
        startup = _startup(run, sync)
        change = _sample(run, sync)
        _tell("at startup", startup)
        _tell("when a file changes", change)
        problems += _problems(sync, [*startup, *change])
    warnings = list(_warnings(run.config.syncs))
    for line in warnings:
        print(f"Warn: {line}")
    for line in problems:
        print(f"Error: {line}")
    return 1 if problems else 0


def _startup(run: DryRun, sync: Sync) -> list[Noted]:
    sync.start()
    sync.invoke(float("inf"))
    return run.processes.take()


def _sample(run: DryRun, sync: Sync) -> list[Noted]:
    """What is run for a file that is written anew: one that is there, where there is one."""
    name = next(_files(sync), b"sample")
    for etype in (CREATE, MODIFY):
        sync.change(etype, 0.0, sync.source + name, None)
    sync.invoke(float("inf"))
    return run.processes.take()


def _files(sync: Sync) -> Iterator[bytes]:
    try:
        with os.scandir(sync.source) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError:
        names = []
    return iter([name for name in names if not sync.filters.excludes_path(b"/" + name)])


def _tell(when: str, noted: list[Noted]) -> None:
    for one in noted:
        if one.job is not None:
            print(f"  {when}: {mask(one.job)}")
            continue
        words = " ".join(shlex.quote(word.decode("utf-8", "backslashreplace")) for word in mask_words(one.child.argv))
        print(f"  {when}: {words}")
        if one.stdin:
            data = MASK.encode() if is_secret_input(one.child.argv) else one.stdin[:SHOWN].replace(b"\0", b"\n")
            shown = mask(data.decode("utf-8", "backslashreplace")).rstrip("\n")
            print("    input: " + shown.replace("\n", "\n           "))
    if not noted:
        print(f"  {when}: nothing")


def _problems(sync: Sync, noted: list[Noted]) -> list[str]:
    """What keeps a sync from its work."""
    found = []
    for binary in dict.fromkeys(one.child.argv[0] for one in noted if one.child.argv):
        if shutil.which(binary) is None:
            found.append(f"{sync.name}: there is no program {os.fsdecode(binary)!r} to run.")
    if not os.access(sync.source, os.R_OK | os.X_OK):
        found.append(f"{sync.name}: source {os.fsdecode(sync.source)} cannot be read.")
    return found


def _warnings(syncs: list[Sync]) -> Iterable[str]:
    directories = 0
    for source in dict.fromkeys(sync.source for sync in syncs):
        kind = file_system_of(source)
        if is_silent(kind):
            yield f"source {os.fsdecode(source)} lies on {kind}: changes made by other machines go unnoticed."
        directories += sum(1 for _ in os.walk(source))
    for sync in syncs:
        target = os.path.abspath(sync.inlet.target) + b"/" if sync.inlet.target[:1] == b"/" else b""
        if target.startswith(sync.source):
            yield f"{sync.name}: the target lies inside the source: every transfer is a change of its own."
    try:
        with open(LIMIT) as file:
            limit = int(file.read())
    except (OSError, ValueError):
        return
    print(f"{directories} directories to watch, of {limit} that {LIMIT} allows")
    if directories > limit:
        yield f"{directories} directories need as many watches; {LIMIT} allows {limit}. Raise it."


def _like(message: str) -> str:
    """For an unknown key of a Lua config: the one that may be meant."""
    unknown = re.search(r'(?:Parameter|setting) "([^"]+)" unknown', message)
    if unknown is None:
        return ""
    *_, last = unknown[1].split(".")
    known = {*SYNC_KEYS, *SETTINGS, *_option_keys()} if "Parameter" in message else set(SETTINGS)
    close = difflib.get_close_matches(last, sorted(known), n=1)
    return f' Did you mean "{close[0]}"?' if close else ""


def _option_keys() -> Iterable[str]:
    pending = [action.options for action in make_manager().actions().values()]
    while pending:
        for key, option in pending.pop().items():
            yield key
            if not isinstance(option, Option):
                pending.append(option)


def _say(line: bytes) -> None:
    print(line.decode("utf-8", "backslashreplace"))
