"""`orchestrator check CONFIG`: the programs that would be run, and faults. Starts, changes and watches nothing."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

from orchestrator.config.hints import hint
from orchestrator.control.directories import count_directories
from orchestrator.control.dry import DryRun
from orchestrator.control.places import problems_of_places, problems_of_settings, warnings_of_places
from orchestrator.errors import OrchestratorError, UsageError
from orchestrator.logic.event import CREATE, MODIFY
from orchestrator.logic.secrets import MASK, is_secret_input, mask_words
from orchestrator.logic.text import counted
from orchestrator.monitor.filesystems import file_system_of, is_silent
from orchestrator.plugins import make_manager

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from orchestrator.control.dry import Note, Noted
    from orchestrator.control.output import Output
    from orchestrator.sync.sync import Sync

LIMIT = "/proc/sys/fs/inotify/max_user_watches"

SHOWN = 400
"""Bytes of a process's input that are shown."""

WORDS = {
    "run": "run",
    "popen": "run",
    "kill": "send a signal to",
    "write": "write",
    "remove": "remove",
    "rename": "rename",
    "load": "load",
    "call": "call",
}
"""The verb of each kind of note that the report shows (see dry.Note)."""


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the report. Returns the exit status."""
    return check(
        options.config,
        output,
        options.lua,
        for_real=options.for_real,
        elsewhere=options.elsewhere,
        only_load=options.load,
        connects=options.connect,
    )


def check(
    path: str,
    output: Output,
    lua: str | None = None,
    *,
    for_real: bool = False,
    elsewhere: bool = False,
    only_load: bool = False,
    connects: bool = False,
) -> int:
    """Print the report. 0: it would start and do its work; 1: it would not, or something it needs is missing.

    `for_real`: everything that a Lua config does while it is loaded is done, and its handlers are called. `elsewhere`:
    the config is for another machine: sources, programs and places need not be here. `only_load`: do no more than the
    daemon does before it begins to watch, for a service that is about to start it; silent where nothing is wrong.
    `connects`: try to log in to the targets on other machines; nothing is written there.
    """
    if not os.path.exists(path):
        raise UsageError(f"Cannot find config file at '{path}'.")
    with DryRun(path, lua, for_real=for_real or only_load, elsewhere=elsewhere) as run:
        return _Check(run, output, elsewhere).report(only_load=only_load, connects=connects)


class _Check:
    def __init__(self, run: DryRun, output: Output, elsewhere: bool) -> None:
        self._run = run
        self._output = output
        self._elsewhere = elsewhere
        self._problems = [*run.manager.problems()]
        self._warnings: list[str] = []

    def report(self, *, only_load: bool = False, connects: bool = False) -> int:
        try:
            self._run.load()
        except OrchestratorError as error:
            self._show_notes()
            self._output.complain(f"Error: {error}{_like(str(error))}")
            skipped = self._skipped()
            if skipped:
                self._output.complain(
                    f"What the config does at {skipped[-1].place} was not done, which may be the reason; "
                    "--for-real does it."
                )
            return 1
        self._show_notes()
        if not self._run.config.syncs:
            self._output.complain("Error: Nothing to watch!")
            return 1
        if only_load:
            self._problems += problems_of_settings(self._run.settings, self._run.monitors)
            self._problems += [] if self._elsewhere else problems_of_places(self._run.settings)
            return self._show_problems()
        self._run.config.lock()
        self._run.log.is_quiet = True
        for sync in self._run.config.syncs:
            self._show_sync(sync)
        if self._run.settings.reload == "changed":
            self._show_reload()
        self._look_around()
        if connects:
            self._connect()
        for line in dict.fromkeys(self._warnings):
            self._output.line(f"Warn: {line}")
        return self._show_problems()

    def _show_problems(self) -> int:
        for line in dict.fromkeys(self._problems):
            self._output.line(f"Error: {line}")
        return 1 if self._problems else 0

    # ---- loading ------------------------------------------------------------------------------

    def _skipped(self) -> list[Note]:
        return [] if self._run.config.for_real else [note for note in self._run.notes if note.changes_world]

    def _show_notes(self) -> None:
        """Show everything that loading would have done to the world."""
        for note in self._skipped():
            self._output.line(f"would {WORDS[note.kind]}: {note.text}  ({note.place})")

    # ---- a sync -------------------------------------------------------------------------------

    def _show_sync(self, sync: Sync) -> None:
        self._output.line(f"{sync.name}: {os.fsdecode(sync.source)}")
        tunnel = sync.transfers.tunnel
        if tunnel is not None:
            self._output.line(f"  through tunnel {tunnel.name}: {_words(tunnel.options.command)}")
            self._look_for_programs(sync, [tunnel.options.command[0], *tunnel.options.check_command[:1]])
        known = len(self._problems)
        startup = self._noted(sync, lambda: _start(sync))
        if sync.startup is not None:  # the tree has been looked through now
            startup += self._noted(sync, lambda: sync.invoke(float("inf")))
        self._show("at startup", startup)
        change = self._noted(sync, lambda: _change(sync))
        self._show("when a file changes", change)
        if not startup and not change and len(self._problems) == known:
            self._warnings.append(f"{sync.name}: it does nothing, neither at the startup nor when a file changes.")
        for host, idle in self._run.ssh.take():
            seconds = counted(idle, "second")
            self._output.line(f"  shares an ssh connection to {host}, which is closed when unused for {seconds}")
        for remark in sync.calls.remarks():
            self._output.line(f"  {remark}")
        if self._run.settings.state_dir is not None:
            self._output.line(f"  at a restart: {_of_restart(sync)}")
        programs = [one.child.argv[0] for one in (*startup, *change) if one.child is not None and one.child.argv]
        self._look_for_programs(sync, programs)
        if not self._elsewhere and not os.access(sync.source, os.R_OK | os.X_OK):
            self._problems.append(f"{sync.name}: source {os.fsdecode(sync.source)} cannot be read.")

    def _show_reload(self) -> None:
        self._output.line("on HUP: syncs that the config has changed begin anew, all others go on")
        nameless = [sync.name for sync in self._run.config.syncs if sync.config.get("name") is None]
        if nameless:
            known = "is known by its number" if len(nameless) == 1 else "are known by their numbers"
            self._warnings.append(f"{', '.join(nameless)} {known}: with one more in front, a reload begins anew.")

    def _noted(self, sync: Sync, act: Callable[[], None]) -> list[Noted]:
        act()
        noted = self._run.processes.take()
        for category, text in self._run.log.take():
            (self._problems if category == "Error" else self._warnings).append(f"{sync.name}: {text}")
        return noted

    def _show(self, when: str, noted: list[Noted]) -> None:
        for one in noted:
            if one.child is None or one.job is not None:
                self._output.line(f"  {when}: {one.job or one.call}")
                continue
            self._output.line(f"  {when}: {_words(one.child.argv)}")
            if one.stdin:
                data = MASK.encode() if is_secret_input(one.child.argv) else one.stdin[:SHOWN]
                for number, item in enumerate(data.rstrip(b"\0\n").split(b"\0" if b"\0" in data else b"\n")):
                    self._output.line(f"    {'' if number else 'input:':6} {os.fsdecode(item)}")
        if not noted:
            self._output.line(f"  {when}: nothing")

    def _look_for_programs(self, sync: Sync, programs: Iterable[bytes]) -> None:
        for program in dict.fromkeys(programs):
            if not self._elsewhere and shutil.which(program) is None:
                self._problems.append(f"{sync.name}: there is no program {os.fsdecode(program)!r} to run.")

    def _connect(self) -> None:
        from orchestrator.control.connect import try_targets

        for finding in try_targets(self._run):
            line = f"{finding.sync}: {finding.text}"
            if finding.kind == "Error":
                self._problems.append(f"{line}.")
            elif finding.kind == "Warn":
                self._warnings.append(f"{line}.")
            else:
                self._output.line(line)

    # ---- the whole ----------------------------------------------------------------------------

    def _look_around(self) -> None:
        settings = self._run.settings
        self._problems += problems_of_settings(settings, self._run.monitors)
        self._warnings += self._run.config.missing
        for sync in self._run.config.syncs:
            target = os.path.abspath(sync.inlet.target) + b"/" if sync.inlet.target[:1] == b"/" else b""
            # where an action says what its target is, loading has looked at it already
            if target.startswith(sync.source) and self._run.config.target_of[sync.number] is None:
                self._warnings.append(
                    f"{sync.name}: the target lies inside the source: every transfer is a change of its own."
                )
        if self._elsewhere:
            return
        self._problems += problems_of_places(settings)
        # with insist the startup is tried until there is a place
        (self._warnings if settings.insist else self._problems).extend(self._targets_without_place())
        self._warnings += warnings_of_places(settings)
        self._warnings += self._watch_warnings()

    def _targets_without_place(self) -> Iterator[str]:
        """A line for each target whose parent directory is missing: mirrors make their target, but nothing above it."""
        for sync in self._run.config.syncs:
            target = self._run.config.target_of[sync.number]
            if target is None or target.directory is None:
                continue
            above = os.path.dirname(os.path.abspath(target.directory))
            if not os.path.isdir(above):
                yield (
                    f"{sync.name}: its target cannot be made: there is no directory {os.fsdecode(above)} "
                    "(with insist it would be waited for)."
                )

    def _watch_warnings(self) -> Iterator[str]:
        syncs = self._run.config.syncs
        for source in dict.fromkeys(sync.source for sync in syncs):
            kind = file_system_of(source)
            if is_silent(kind):
                yield f"source {os.fsdecode(source)} lies on {kind}: changes made by other machines go unnoticed."
        try:
            with open(LIMIT) as file:
                limit = int(file.read())
        except (OSError, ValueError):
            return
        directories = count_directories(syncs)
        self._output.line(
            f"{counted(directories, 'directory', 'directories')} to watch, of {limit} that {LIMIT} allows"
        )
        if directories > limit:
            yield f"{directories} directories need as many watches; {LIMIT} allows {limit}. Raise it."


def _start(sync: Sync) -> None:
    sync.start()
    sync.invoke(float("inf"))


def _change(sync: Sync) -> None:
    """A file is written anew: one that is there, where there is one."""
    name = next(_files(sync), b"sample")
    for etype in (CREATE, MODIFY):
        sync.change(etype, 0.0, sync.source + name, None)
    sync.invoke(float("inf"))


def _files(sync: Sync) -> Iterator[bytes]:
    try:
        with os.scandir(sync.source) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError:
        names = []
    return iter([name for name in names if not sync.filters.excludes_path(b"/" + name)])


def _of_restart(sync: Sync) -> str:
    """What a restart transfers with the setting `stateDir`."""
    if sync.resumable is None:
        return "everything, as its action makes no promise, or resume is false"
    if not sync.calls.is_of_plugin():
        return "everything, as functions of the config stand in the action's place"
    return "what has changed since, by the recorded state"


def _words(argv: Sequence[bytes]) -> str:
    """As it could be given to a shell; the output escapes bytes that are not UTF-8 and unprintable characters."""
    return " ".join(shlex.quote(os.fsdecode(word)) for word in mask_words(argv))


def _like(message: str) -> str:
    """For an unknown key of a Lua config: a guess at the key that was meant."""
    words = hint(message, {name: action.options for name, action in make_manager().actions().items()})
    return f" {words}" if words else ""
