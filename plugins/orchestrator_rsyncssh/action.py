"""The rsyncssh action: rsync for all but moves, which the target does by itself (spec 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.api import (
    OK,
    SHORT,
    Action,
    Agent,
    Config,
    ConfigError,
    Event,
    Inlet,
    Target,
    Verdict,
    Wording,
    classify,
    endpoint_of,
    etypes,
    exit_codes_of,
)
from orchestrator_rsync.action import prepare_rsync
from orchestrator_rsync.arguments import computed_of, deletes_running, target_of, with_slash
from orchestrator_rsync.batches import is_of_a_path, spawn_changes, spawn_full
from orchestrator_rsync.lane import Lanes
from orchestrator_rsyncssh.options import OPTIONS
from orchestrator_rsyncssh.ssh import Move, command, extras, move_many, move_one, remote_shell, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class RsyncSsh(Action):
    name = "rsyncssh"
    sets = True
    options = OPTIONS
    checks_types = False
    defaults: ClassVar[Mapping[str, Any]] = {"delay": 15, "maxProcesses": 1, "onMove": True}
    wording: ClassVar[Wording] = SHORT

    def __init__(self) -> None:
        self._lanes = Lanes()

    def prepare(self, config: Config) -> None:
        for key in ("host", "targetdir"):
            value = config.get(key)
            if not isinstance(value, str) or not value:
                raise ConfigError(f'default.rsyncssh needs "{key}" configured')
        if config.get("maxProcesses") != 1:
            raise ConfigError("default.rsyncssh must have maxProcesses set to 1.")
        ssh = config.get("ssh")
        if isinstance(ssh, Config) and ssh.get("_computed") is not None:
            raise ConfigError("please do not use the internal rsync._computed parameter")
        prepare_rsync(config)
        own = ssh if isinstance(ssh, Config) else None
        arguments = [*settings(own), *extras(own)]
        if isinstance(ssh, Config):
            ssh.set("_computed", arguments)
        if arguments:
            table = config.get("rsync")
            table.set("_computed", [*computed_of(table), "--rsh=" + remote_shell(arguments)])
        config.set("targetdir", with_slash(config.get("targetdir")))
        config.set("target", f"{config.get('host')}:{config.get('targetdir')}")

    def endpoint(self, config: Config) -> str | None:
        return endpoint_of(str(config.get("target")), " ".join(command(config)))

    def target(self, config: Config) -> Target | None:
        return target_of(config)

    def init(self, event: Event) -> None:
        spawn_full(event, self._lanes.of(event.inlet))

    def full(self, event: Event) -> None:
        spawn_full(event, self._lanes.of(event.inlet))

    def action(self, inlet: Inlet) -> None:
        event = inlet.get_event()
        if event is None:
            return
        if event.etype == etypes.MOVE:
            _move(inlet, event)
        else:
            spawn_changes(inlet, self._lanes.of(inlet), _up_to_the_next_move)

    def collect(self, agent: Agent, exit_code: int) -> Verdict | None:
        codes = self.exit_codes(agent)
        if not _is_move(agent):
            if isinstance(agent, Event):
                agent.inlet.split_moves()
            self._lanes.collect(agent, exit_code, codes)
            return None
        if classify(exit_code, codes) is not None:
            return None
        for event in _events(agent):
            inlet = event.inlet
            inlet.log(
                "Normal", "Could not move ", event.path, " on the target: ", exit_code,
                ". Transferring ", event.destination.path,
            )  # fmt: skip
            inlet.create(event.destination.raw_path)
        return OK

    def exit_codes(self, agent: Agent) -> Mapping[int, Verdict] | None:
        return exit_codes_of(agent.config, "sshExitCodes" if _is_move(agent) else "rsyncExitCodes")


def _up_to_the_next_move(event: Event) -> bool | str:
    return "break" if event.etype == etypes.MOVE else is_of_a_path(event)


def _moves_in_a_row() -> Callable[[Event], bool | str]:
    return lambda event: True if event.etype == etypes.MOVE else "break"


def _move(inlet: Inlet, first: Event) -> None:
    """Hand all Moves at the head of the queue over; one alone looks as it does in lsyncd."""
    config, host = inlet.config, str(inlet.config.get("host"))
    removes = deletes_running(config)
    events = inlet.get_events(_moves_in_a_row())
    moves = [(event, Move(_remote(event), _remote(event.destination))) for event in events]
    for event, _ in moves:
        inlet.log("Normal", "Moving ", event.path, " -> ", event.destination.path)
    if len(moves) == 1:
        inlet.spawn(first, move_one(config, host, moves[0][1], removes))
    else:
        argv, script = move_many(config, host, [move for _, move in moves], removes)
        inlet.spawn(events, argv, script)


def _remote(event: Event) -> bytes:
    directory: str = event.config.get("targetdir")
    return directory.encode("utf-8", "surrogateescape") + event.pathname


def _is_move(agent: Agent) -> bool:
    return bool(agent.delays) and agent.delays[0].etype == etypes.MOVE


def _events(agent: Agent) -> list[Event]:
    return [agent] if isinstance(agent, Event) else list(agent)
