"""The direct action: full runs by rsync, then one event a process (spec 4.4)."""

from __future__ import annotations

import os
import stat
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.api import (
    AGAIN,
    OK,
    SHORT,
    Agent,
    Change,
    Collected,
    Config,
    ConfigError,
    Event,
    Inlet,
    Outcome,
    Verdict,
    Wording,
    etypes,
    exit_codes_of,
)
from orchestrator_direct.commands import command, file_kind
from orchestrator_direct.exitcodes import LINK, NO_ROOM
from orchestrator_direct.options import OPTIONS
from orchestrator_rsync.api import RsyncAction, deletes_running, is_on, prepare_rsync, rsync_table, with_slash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator_direct.steps import Step

SIGNALLED = 128


_NEVER_RAN = frozenset({126, 127})
"""Of cp, mv and rm none ends with these: the loader of programs had no descriptor or no memory for it."""


class Direct(RsyncAction):
    name = "direct"
    sets = False
    chains_moves = True
    options = OPTIONS
    retries_paths = False
    brings_directory_times = False
    defaults: ClassVar[Mapping[str, Any]] = {"delay": 1, "maxProcesses": 1, "onMove": True}
    wording: ClassVar[Wording] = SHORT

    def prepare(self, config: Config) -> None:
        target = config.get("target")
        if target is None:
            raise ConfigError('default.rsync needs "target" configured')  # lsyncd's words, as its startup is rsync's
        if not isinstance(target, str) or not target.strip():
            raise ConfigError("default.direct: the target must not be empty")
        if os.path.realpath(os.fsencode(target)) == b"/":
            raise ConfigError("default.direct: the target must not be the root directory")
        prepare_rsync(config)
        config.set("target", with_slash(target))
        import_module("orchestrator_direct.steps")  # not at the first change: no descriptor may be left then

    def action(self, inlet: Inlet) -> None:
        event = inlet.get_event()
        if event is None:
            return
        argv = command(event, deletes_running(inlet.config))
        if argv is not None:
            step = _step(event)
            inlet.run(event, step, argv=argv, progress=step.progress)
            return
        if event.etype == etypes.ATTRIB:
            inlet.log("Warn", f'ignored an event of type "{event.etype}"')
        inlet.discard(event)

    def collect(self, outcome: Outcome) -> Verdict | Collected | None:
        agent, exit_code = outcome.agent, outcome.exit_code
        if not isinstance(agent, Event):
            return None
        if agent.etype in etypes.SPECIAL:
            agent.inlet.split_moves()
            return self.runs.collect(outcome, self.exit_codes(agent))
        if exit_code in _NEVER_RAN or (exit_code > SIGNALLED and exit_code != 255):
            return AGAIN
        if exit_code == NO_ROOM:
            return None
        if exit_code != 0:
            _put_right(agent, was_refused=exit_code == LINK)
        return OK

    def exit_codes(self, agent: Agent) -> Mapping[int, Verdict] | None:
        """rsync's codes are the config's; of single steps one is common trouble, and logged as such."""
        if isinstance(agent, Event) and agent.etype not in etypes.SPECIAL:
            return {NO_ROOM: AGAIN}
        return exit_codes_of(agent.config, "rsyncExitCodes")


def _step(event: Event) -> Step:
    from orchestrator_direct.steps import Step  # late: most daemons have no sync of this action

    inlet, table = event.inlet, rsync_table(event.config)
    is_move = event.etype == etypes.MOVE
    return Step(
        change=Change(event.etype, event.raw_path, event.destination.raw_path if is_move else None),
        source=event.source,
        target=event.target,
        removes=deletes_running(event.config),
        follows=table is not None and is_on(table.get("keep_dirlinks")),
        log=inlet.log,
    )


def _has_more(event: Event) -> bool:
    """Whether the directory on the target has entries that the source's has not: there is no event for them."""
    if event.config.get("delete") is not True:
        return False
    try:
        return not set(os.listdir(event.target_path)) <= set(os.listdir(event.source_path))
    except OSError:
        return False  # gone meanwhile, and that has its own event


def _put_right(event: Event, *, was_refused: bool) -> None:
    """A step failed. Mostly the file has gone meanwhile, which has its own event; else the source decides."""
    inlet = event.inlet
    if event.etype == etypes.MOVE:
        inlet.create(event.destination.raw_path)
        inlet.split_behind(event)
    if not was_refused and not _is_wrong(event):
        return
    if not len(inlet.get_events(lambda waiting: waiting.etype == etypes.FULL)):
        inlet.full_event()


def _is_wrong(event: Event) -> bool:
    """Whether nothing but a full run puts it right."""
    if event.etype in (etypes.MOVE, etypes.DELETE):
        return False
    wanted, there = file_kind(event.source_pathname), file_kind(event.target_pathname)
    if wanted is None:
        return False
    if there is not None and stat.S_ISDIR(wanted) and stat.S_ISDIR(there):
        return _has_more(event)  # it was there already; what is in it has events of its own
    return True
