"""The rsyncssh action: rsync for all but moves, which the target does by itself (spec 4.3).

A move that can't be done there goes by rsync, as a Delete and a Create: how it is done, moves.py; whether, hosts.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.api import (
    AGAIN,
    OK,
    SHORT,
    Agent,
    Collected,
    Config,
    ConfigError,
    Event,
    Inlet,
    Outcome,
    Verdict,
    Wording,
    classify,
    endpoint_of,
    etypes,
    exit_codes_of,
    of_paths,
    to_bytes,
)
from orchestrator_rsync.api import (
    RsyncAction,
    check_share,
    computed_of,
    destination,
    may_share,
    prepare_rsync,
    rsync_table,
    spawn_changes,
    with_slash,
)
from orchestrator_rsyncssh import times
from orchestrator_rsyncssh.hosts import NO_CONNECTION, NOT_BY_SSH, MoveHost, Way
from orchestrator_rsyncssh.moves import FAILED, LINK, PROBE, Move, remote, script, single, single_probe
from orchestrator_rsyncssh.options import OPTIONS
from orchestrator_rsyncssh.ssh import command, extras, host_for_rsync, remote_shell, settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SIGNALLED = 128


class RsyncSsh(RsyncAction):
    name = "rsyncssh"
    mirrors_source = True
    sets = True
    chains_moves = True
    options = OPTIONS
    defaults: ClassVar[Mapping[str, Any]] = {"delay": 15, "maxProcesses": 1, "onMove": True}
    wording: ClassVar[Wording] = SHORT

    def __init__(self) -> None:
        super().__init__()
        self._hosts: dict[tuple[str, ...], MoveHost] = {}

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
        check_share(config)
        if isinstance(ssh, Config):
            ssh.set("_computed", [*settings(ssh), *extras(ssh)])
        shell = remote_shell(config)
        if shell is not None:
            table = config.get("rsync")
            table.set("_computed", [*computed_of(table), "--rsh=" + shell])
        config.set("targetdir", with_slash(config.get("targetdir")))
        config.set("target", f"{host_for_rsync(config.get('host'))}:{config.get('targetdir')}")
        self._hosts.pop(_login(config), None)  # with a config that is loaded anew it is probed anew

    def endpoint(self, config: Config) -> str | None:
        return endpoint_of(str(config.get("target")), " ".join(command(config)))

    def action(self, inlet: Inlet) -> None:
        event = inlet.get_event()
        if event is None:
            return
        if event.etype == etypes.MOVE and self._move(inlet, event):
            return
        spawn_changes(inlet, self.runs.of(inlet), _up_to_the_next_move)

    def collect(self, outcome: Outcome) -> Verdict | Collected | None:
        agent, inlet = outcome.agent, outcome.agent.inlet
        if outcome.lost_connection and (_is_probe(agent) or _is_move(agent)):
            inlet.wake()
            return AGAIN
        if self.runs.has_answered(outcome):
            return OK
        if _is_probe(agent):
            return self._probed(outcome)
        if _is_move(agent):
            return self._moved(outcome)
        if isinstance(agent, Event):
            inlet.split_moves()
        collected = self.runs.collect(outcome, self.exit_codes(agent))
        self._host(inlet).rsync_ended(outcome.exit_code != NO_CONNECTION)
        return collected

    def exit_codes(self, agent: Agent) -> Mapping[int, Verdict] | None:
        key = "sshExitCodes" if _is_probe(agent) or _is_move(agent) else "rsyncExitCodes"
        return exit_codes_of(agent.config, key)

    # ---- moves --------------------------------------------------------------------------------

    def _host(self, inlet: Inlet) -> MoveHost:
        return self._hosts.setdefault(_login(inlet.config), MoveHost())

    def _move(self, inlet: Inlet, first: Event) -> bool:
        """Hand the Moves at the head of the queue over. False: there are none any more, rsync brings them over."""
        host = self._host(inlet)
        if host.way in (Way.UNKNOWN, Way.MAYBE_SINGLE):
            _probe(inlet, host)
        elif host.way is Way.SCRIPT:
            _by_script(inlet, first, host)
        elif host.way is Way.SINGLE:
            return _by_itself(inlet, first)
        else:
            inlet.split_moves()
            return False
        return True

    def _probed(self, outcome: Outcome) -> Verdict | None:
        inlet, exit_code = outcome.agent.inlet, outcome.exit_code
        inlet.wake()  # the Moves that waited for it
        host = self._host(inlet)
        if exit_code == NO_CONNECTION or exit_code > SIGNALLED:
            event = inlet.get_event()
            if host.is_to_be_tried_by_rsync() and event is not None and event.etype == etypes.MOVE:
                inlet.split(event)
            self._warn(inlet, NOT_BY_SSH if host.way is Way.NONE else None)
            return None  # the common rule, which tries again
        self._warn(inlet, host.probed(exit_code, outcome.stderr))
        return OK

    def _moved(self, outcome: Outcome) -> Verdict | None:
        agent, exit_code = outcome.agent, outcome.exit_code
        inlet, host = agent.inlet, self._host(agent.inlet)
        if exit_code > SIGNALLED or classify(exit_code, self.exit_codes(agent)) is not None:
            return None
        if host.way is Way.SCRIPT and exit_code != FAILED:
            host.forget()
        if LINK in outcome.stderr:
            inlet.log("Warn", "A symlink on the target is in the way of a move, and was not followed.")
        for event in _events(agent):
            inlet.log(
                "Normal", "Could not move ", event.path, " on the target: ", exit_code,
                ". Transferring ", event.destination.path,
            )  # fmt: skip
            inlet.split(event)
        return OK

    def _warn(self, inlet: Inlet, news: str | None) -> None:
        if news is not None:
            inlet.log("Warn", str(inlet.config.get("host")), " ", news)


def _up_to_the_next_move(event: Event) -> bool | str:
    return "break" if event.etype == etypes.MOVE else of_paths(event)


def _moves_in_a_row(event: Event) -> bool | str:
    """Those that wait for another are not done in one call with it: after an ssh that broke off in the midst of
    them nobody could tell which were done, and to swap two files once more is to swap them back."""
    return event.status == etypes.WAIT if event.etype == etypes.MOVE else "break"


def _probe(inlet: Inlet, host: MoveHost) -> None:
    nothing = inlet.get_events(lambda event: "break")
    if host.way is Way.UNKNOWN:
        _spawn(inlet, nothing, ["sh"], PROBE)
    else:
        _spawn(inlet, nothing, single_probe(_targetdir(inlet), host.name))


def _by_script(inlet: Inlet, first: Event, host: MoveHost) -> None:
    """All at the head of the queue in one ssh; one alone is an event of its own, as in lsyncd."""
    events = inlet.get_events(_moves_in_a_row)
    moves = [_move_of(event) for event in events]
    kept = times.of_parents(inlet.source, moves) if times.are_kept(rsync_table(inlet.config)) else []
    _announce(inlet, events)
    agent = first if len(moves) == 1 else events
    _spawn(inlet, agent, ["sh"], script(_targetdir(inlet), moves, host.mv, kept))


def _by_itself(inlet: Inlet, first: Event) -> bool:
    """The first one alone. False: it is none any more."""
    argv = single(_targetdir(inlet), _move_of(first))
    if argv is None:
        inlet.split(first)
        return False
    _announce(inlet, [first])
    _spawn(inlet, first, argv)
    return True


def _announce(inlet: Inlet, events: Iterable[Event]) -> None:
    for line in inlet.log_lines([b"Moving %b -> %b" % (event.path, event.destination.path) for event in events]):
        inlet.log("Normal", line)


def _move_of(event: Event) -> Move:
    return Move(event.pathname, event.destination.pathname)


def _spawn(inlet: Inlet, agent: Agent, argv: Sequence[str | bytes], stdin: bytes | None = None) -> None:
    """Run a command over there."""
    ssh, host = command(inlet.config), destination(str(inlet.config.get("host")))
    connection = inlet.shared_ssh(ssh, host) if may_share(ssh) else None
    options = () if connection is None else connection.options
    inlet.spawn(agent, remote([*ssh, *options], host, argv), stdin, through=connection)


def _login(config: Config) -> tuple[str, ...]:
    return (*command(config), destination(str(config.get("host"))))


def _targetdir(inlet: Inlet) -> bytes:
    return to_bytes(str(inlet.config.get("targetdir")))


def _is_move(agent: Agent) -> bool:
    return bool(agent.delays) and agent.delays[0].etype == etypes.MOVE


def _is_probe(agent: Agent) -> bool:
    """A probe of a host serves no change of its own."""
    return not agent.delays


def _events(agent: Agent) -> list[Event]:
    return [agent] if isinstance(agent, Event) else list(agent)
