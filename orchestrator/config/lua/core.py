"""What our Lua files call on: the engine's side of spec 2, one exported function each.

The Lua files decide what a user sees and where an error points; here is what needs the engine.
Lua gets engine objects (events, lists) as opaque values that only come back here.
"""

from __future__ import annotations

import os
import shlex
import signal
import stat
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator import LSYNCD_VERSION
from orchestrator.config.lua.door import guarded
from orchestrator.config.lua.keys import key_of, with_key
from orchestrator.config.lua.popen import Popens
from orchestrator.config.lua.runtime import Lua, LuaUserError, to_bytes, to_text
from orchestrator.config.lua.table import TableConfig, to_lua
from orchestrator.config.numbers import number
from orchestrator.config.settings import SETTINGS, checked_setting
from orchestrator.config.types import nearest
from orchestrator.errors import ConfigError, Terminated
from orchestrator.logic.event import INIT, MOVE
from orchestrator.logic.layer3 import VARIABLES, Template, translate
from orchestrator.logic.verdict import RSYNC_EXIT_CODES, SSH_EXIT_CODES
from orchestrator.sync.batch import batch_template
from orchestrator.sync.inlet import EventList
from orchestrator.sync.outcome import Collected
from orchestrator.sync.spawn import nothing
from orchestrator.sync.variables import VALUES, variable_value

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from orchestrator.config.lua.endings import Endings
    from orchestrator.config.model import OwnSettings
    from orchestrator.sync.host import Host
    from orchestrator.sync.inlet import Agent, Event, Inlet
    from orchestrator.sync.sync import Sync

EVENT_FIELDS: dict[str, Callable[[Event], Any]] = {
    "etype": lambda event: to_bytes(event.etype),
    "status": lambda event: to_bytes(event.status),
    "isdir": lambda event: event.is_dir,
    "isList": lambda event: False,
    "move": lambda event: to_bytes(event.half) if event.half else None,
    "name": lambda event: event.name or None,
    "basename": lambda event: event.basename or None,
    **VALUES,
}
"""The table of spec 2.5, but `config` and `inlet`, which are Lua's own."""

FIELDS_BY_NAME = {to_bytes(name): read for name, read in EVENT_FIELDS.items()}


class ConfigLike(Protocol):
    """What Lua's functions ask of the configuration that is being loaded, or runs."""

    @property
    def actions(self) -> Mapping[str, Any]: ...

    @property
    def command_line(self) -> Mapping[str, Any]: ...

    @property
    def endings(self) -> Endings: ...

    @property
    def host(self) -> Host: ...

    @property
    def look_at_rights(self) -> Callable[[str], None]: ...

    @property
    def monitors(self) -> Collection[str]: ...

    @property
    def plugins(self) -> Mapping[str, OwnSettings]: ...

    @property
    def problems(self) -> Mapping[str, str]: ...

    @property
    def syncs_by_number(self) -> Mapping[int, Sync]: ...

    def next_number(self) -> int: ...

    def add_sync(
        self, number: int, table: Any, action_name: str | None, writer_name: str | None, own_die_codes: frozenset[int],
        tunnel: int | None = None,
    ) -> None: ...  # fmt: skip

    def add_tunnel(self, table: Any) -> bool: ...

    def call(self, name: str, *args: Any) -> Any: ...

    def add_alarm(self, when: float, func: Any) -> None: ...

    def observe(self, fd: int, ready: Any, writey: Any) -> None: ...

    def nonobserve(self, fd: int) -> None: ...


class Core:
    """The functions of one configuration. Public methods are exported under their names."""

    def __init__(self, config: ConfigLike, lua: Lua) -> None:
        self._config = config
        self._lua = lua
        self._host = config.host
        self._templates: list[Template] = []
        self._popens = Popens()

    def exported(self) -> Any:
        table = self._lua.table()
        for name in dir(type(self)):
            if not name.startswith("_") and name != "exported":
                table[to_bytes(name)] = self._lua.export(guarded(name, getattr(self, name)))
        return table

    # ---- values -------------------------------------------------------------------------------

    def now(self) -> float:
        return self._host.clock.now()

    def multiarch(self) -> bytes:
        """The directory below /usr/lib that Debian has for this machine, with a slash; empty elsewhere."""
        name = getattr(sys.implementation, "_multiarch", "")  # what sysconfig has, which takes long to load
        return to_bytes(f"{name}/") if name else b""

    def trusts_directory(self) -> bool:
        """Whether modules of Lua may be taken from the current directory: for root, if nobody else can write there."""
        if os.geteuid() != 0:
            return True
        try:
            status = os.stat(".")
        except OSError:
            return False
        return status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def version(self) -> bytes:
        return to_bytes(LSYNCD_VERSION)

    def exit_codes(self, name: bytes) -> Any:
        return to_lua(self._lua, RSYNC_EXIT_CODES if name == b"rsync" else SSH_EXIT_CODES)

    def is_setting(self, key: Any) -> bool:
        return isinstance(key, bytes) and to_text(key) in SETTINGS

    def setting_problem(self, key: bytes, value: Any) -> bytes | None:
        """Why a setting cannot have this value; None: it can."""
        if key == b"plugins" and self._lua.is_table(value):
            return self._problem_with_plugins(TableConfig(self._lua, value))
        try:
            checked_setting(to_text(key), to_text(value) if isinstance(value, bytes) else value)
        except ConfigError as error:
            return to_bytes(str(error))
        return None

    def _problem_with_plugins(self, plugins: TableConfig) -> bytes | None:
        from orchestrator.config.pluginsettings import problem_with_plugins  # late: few configs have any

        problem = problem_with_plugins(plugins, self._config.plugins, self._config.problems)
        return None if problem is None else to_bytes(f"{'.'.join(('settings.plugins', *problem[0]))}: {problem[1]}")

    def number(self, key: bytes, value: Any) -> tuple[Any, ...]:
        """The number, or nil and what is wrong with it. One of Lua's whole numbers stays one."""
        name = to_text(key)
        try:
            result = number(name, to_text(value) if isinstance(value, bytes) else value)
        except ValueError as error:
            said = str(error).partition(", not ")[0] if name == "delay" else str(error)  # lsyncd's own words
            return None, to_bytes(f"{name} {said}")
        return (value,) if isinstance(value, int) else (result,)

    def command_line(self, key: bytes) -> Any:
        return to_lua(self._lua, self._config.command_line.get(to_text(key)))

    # ---- log and life -------------------------------------------------------------------------

    def log(self, category: bytes, text: bytes) -> None:
        self._host.log(to_text(category), text)

    def shows(self, category: bytes) -> bool:
        return self._host.log.shows(to_text(category))

    def fail(self, message: bytes) -> None:
        raise ConfigError(to_text(message))

    def terminate(self, code: float) -> None:
        raise Terminated(int(code) & 0xFF)

    def configure(self, command: bytes, value: Any = None) -> None:
        """lsyncd's own Lua part sets its C part up with this; a config has no use for it."""

    def look_at_rights(self, path: bytes) -> None:
        self._config.look_at_rights(to_text(path))

    # ---- making syncs -------------------------------------------------------------------------

    def next_sync(self) -> int:
        return self._config.next_number()

    def real_source(self, path: bytes, place: bytes, insist: Any = None) -> bytes:
        """The directory, all links resolved, with a slash at its end. `place`: FILE:LINE of the sync.

        `insist`: one that is not there, or not yet, will be waited for.
        """
        refused = ConfigError(f"{_at(place)}Cannot access source directory: {to_text(path)}{_home_hint(path)}")
        try:
            real = os.path.realpath(path, strict=True)
        except OSError as error:
            if insist and isinstance(error, FileNotFoundError):
                return os.path.realpath(path).rstrip(b"/") + b"/"
            self._host.log("Error", b"failure getting absolute path of [", path, b"]")
            raise refused from None
        if not os.path.isdir(real):
            self._host.log("Error", b"cannot get absolute path of dir '", path, b"': is not a directory")
            raise refused
        return real.rstrip(b"/") + b"/"

    def has_monitor(self, name: Any) -> bool:
        return name is None or (isinstance(name, bytes) and to_text(name) in self._config.monitors)

    def add_sync(
        self, place: bytes, number: int, table: Any, action: Any, writer: Any, own_die_codes: Any,
        tunnel: int | None = None,
    ) -> None:  # fmt: skip
        codes = frozenset(code for code in own_die_codes if isinstance(code, int))
        name, writer = (to_text(value) if value else None for value in (action, writer))
        try:
            self._config.add_sync(number, table, name, writer, codes, tunnel)
        except ConfigError as error:
            raise ConfigError(f"{_at(place)}{error}") from None

    def no_action(self, name: bytes) -> bytes:
        """Why there is no `default.NAME`."""
        wanted, config = to_text(name), self._config
        reason = f": {config.problems[wanted]}" if wanted in config.problems else "."
        close = nearest(wanted, config.actions)
        if wanted not in config.problems and close is not None:
            reason = f"; did you mean default.{close}?"
        return to_bytes(f"there is no default.{wanted}{reason}")

    def next_tunnel(self) -> int:
        return len(self._host.tunnels) + 1

    def add_tunnel(self, table: Any) -> bool:
        """False: there is one with this name already."""
        return self._config.add_tunnel(table)

    def layer3(self, string: bytes, name: bytes) -> int:
        template = translate(string)
        self._show(template, string)
        self._templates.append(template)
        return len(self._templates) - 1

    def show_batch_command(self, name: bytes, string: bytes) -> None:
        """For `-log FWrite`: what becomes of the string, which is translated when it is needed."""
        self._show(batch_template(to_text(name), string), string)

    def _show(self, template: Template, string: bytes) -> None:
        if self._host.log.shows("FWrite"):
            shown = b" ".join(b"[%b]" % word for word in template.argv(lambda variable: b"^" + variable.encode()))
            self._host.log("FWrite", b'translated "', string.strip(), b'" to \n', shown)

    # ---- events -------------------------------------------------------------------------------

    def sync_of(self, agent: Agent) -> int:
        return agent.inlet.number

    def is_init(self, event: Event) -> bool:
        return event.delay.etype == INIT

    def event_field(self, event: Event, field: Any) -> tuple[bool, Any]:
        read = FIELDS_BY_NAME.get(field)
        return (False, None) if read is None else (True, read(event))

    def key_of(self, agent: Agent) -> bytes:
        return key_of(agent)

    def is_list(self, agent: Agent) -> bool:
        return isinstance(agent, EventList)

    def keys_of(self, agent: Agent) -> Any:
        """The keys of an agent's events, both ends of a Move included."""
        events = agent if isinstance(agent, EventList) else (agent,)
        keys = [key_of(end) for event in events for end in ((event, event.destination) if event.half else (event,))]
        return self._lua.table(keys)

    def list_paths(self, events: EventList) -> tuple[Any, Any, Any]:
        delays, table = events.delays, self._lua.table
        return (
            table(to_bytes(delay.etype) for delay in delays),
            table(delay.path for delay in delays),
            # false where there is none: a list with gaps has no length
            table(delay.path2 if delay.path2 is not None else False for delay in delays),
        )

    def list_size(self, events: EventList) -> int:
        return len(events)

    def list_event(self, events: EventList, place: int) -> tuple[Any, ...]:
        return with_key(events.inlet.event(events.delays[place - 1]))

    # ---- inlets -------------------------------------------------------------------------------

    def get_event(self, number: int) -> tuple[Any, ...]:
        event = self._inlet(number).get_event()
        if event is None or event.etype != MOVE:
            return with_key(event)
        return (*with_key(event), *with_key(event.destination))

    def get_events(self, number: int, test: Any) -> EventList:
        if test is None:
            return self._inlet(number).get_events()
        return self._inlet(number).get_events(lambda event: _selected(test(self._lua.once(event), key_of(event))))

    def discard(self, number: int, event: Event) -> None:
        self._inlet(number).discard(event)

    def add_exclude(self, number: int, pattern: bytes) -> None:
        self._inlet(number).add_exclude(pattern)

    def remove_exclude(self, number: int, pattern: bytes) -> None:
        if pattern not in self._inlet(number).excludes():
            self._host.log("Normal", b'Removing not excluded exclude "', pattern, b'"')
        self._inlet(number).rm_exclude(pattern)

    def append_filter(self, number: int, line: bytes) -> None:
        try:
            self._inlet(number).append_filter(line)
        except ValueError:
            raise LuaUserError(f'Unknown filter rule: "{to_text(line)}"', 2) from None

    def excludes(self, number: int) -> Any:
        return self._lua.table(self._inlet(number).excludes())

    def filters(self, number: int) -> Any:
        return self._lua.table(self._inlet(number).rule_lines())

    def has_filters(self, number: int) -> bool:
        inlet = self._inlet(number)
        return bool(inlet.filter_lines() or inlet.excludes())

    def blanket_event(self, number: int) -> tuple[Any, ...]:
        return with_key(self._inlet(number).blanket_event())

    def full_event(self, number: int, path: bytes | None = None) -> tuple[Any, ...]:
        return with_key(self._inlet(number).full_event())

    def sync_name(self, number: int) -> bytes:
        return to_bytes(self._inlet(number).name)

    def substitutions(self, number: int, event: Event) -> Any:
        return to_lua(self._lua, {name: value(event) for name, value in SUBSTITUTIONS.items()})

    # ---- processes ----------------------------------------------------------------------------

    def spawn(self, agent: Agent, binary: bytes, stdin: bytes | None, args: Any) -> bytes | None:
        return self._started(agent, [binary, *_items(args)], stdin)

    def spawn_layer3(self, number: int, event: Event, event2: Event | None = None) -> bytes | None:
        template = self._templates[number]

        def value(variable: str) -> bytes:
            return variable_value(variable, event, event2)

        self._host.log("Normal", template.message(b"Event " + to_bytes(event.etype), value))
        return self._started(event, template.argv(value), None)

    def _started(self, agent: Agent, argv: list[bytes], stdin: bytes | None) -> bytes | None:
        over = partial(self._config.call, "over", key_of(agent)) if isinstance(agent, EventList) else nothing
        try:
            agent.inlet.spawn(agent, argv, stdin, over)
        except ValueError as error:
            over()
            return to_bytes(str(error))
        return None

    def default_collect(self, agent: Agent, exit_code: float) -> bytes:
        config = self._config
        outcome = config.endings.outcome(agent, int(exit_code))
        judgement = config.syncs_by_number[agent.inlet.number].judge.judge(outcome)
        config.endings.note(agent, Collected(judgement.verdict, judgement=judgement))
        return to_bytes(judgement.verdict)

    def exec(self, binary: bytes, args: Any) -> int:
        """`lsyncd.exec`: a process that nobody hears of again; its pid."""
        return self._host.processes.spawn([binary, *_items(args)], on_exit=lambda child, code: None).pid

    def kill(self, pid: float, signum: float | None = None) -> bool:
        try:
            os.kill(int(pid), int(signum if signum is not None else signal.SIGTERM))
        except (OSError, OverflowError):
            return False
        return True

    def process_info(self) -> tuple[int, int | None]:
        return len(self._host.processes), self._host.run.options.max_processes

    def popen_start(self, command: bytes, mode: bytes) -> tuple[int | None, bytes | None, bytes | None]:
        return self._popens.start(command, mode)

    def popen_opened(self, number: int) -> None:
        self._popens.opened(number)

    def popen_wait(self, number: int) -> tuple[bytes, int]:
        return self._popens.wait(number)

    # ---- the world ----------------------------------------------------------------------------

    def alarm(self, when: float, func: Any) -> None:
        self._config.add_alarm(when, func)

    def observe_fd(self, fd: float, ready: Any, writey: Any) -> None:
        self._config.observe(int(fd), ready, writey)

    def nonobserve_fd(self, fd: float) -> None:
        self._config.nonobserve(int(fd))

    def readdir(self, path: bytes) -> Any:
        try:
            with os.scandir(path) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:
            self._host.log("Error", b"cannot open dir [", path, b"].")
            return None
        table = self._lua.table()
        for name, is_dir in found:
            table[name] = is_dir
        return table

    def realdir(self, path: bytes) -> bytes | None:
        try:
            real = os.path.realpath(path, strict=True)
        except OSError:
            self._host.log("Error", b"failure getting absolute path of [", path, b"]")
            return None
        return real.rstrip(b"/") + b"/" if os.path.isdir(real) else None

    def file_size(self, path: bytes) -> int | None:
        try:
            return os.stat(path).st_size
        except OSError:
            return None

    def free_port(self) -> int:
        import socket

        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port: int = sock.getsockname()[1]
            return port

    def split_quoted(self, text: bytes) -> Any:
        try:
            words = shlex.split(to_text(text))
        except ValueError as error:
            raise LuaUserError(f"cannot split [{to_text(text)}]: {error}", 2) from None
        return to_lua(self._lua, words)

    def split_command(self, text: bytes) -> tuple[Any, ...]:
        """The words, or nil and what is wrong."""
        try:
            return (to_lua(self._lua, shlex.split(to_text(text))),)
        except ValueError as error:
            return None, to_bytes(str(error))

    def ticks_per_second(self) -> int:
        return os.sysconf("SC_CLK_TCK")

    def _inlet(self, number: int) -> Inlet:
        sync = self._config.syncs_by_number.get(number)
        if sync is None:
            raise LuaUserError("the inlet cannot be used before its sync is made", 2)
        return sync.inlet


def _at(place: bytes) -> str:
    """`FILE:LINE: `; nothing for a sync of the command line, which is before the user's eyes."""
    return "" if place.startswith(b"-") else f"{to_text(place)}: "


def _home_hint(path: bytes) -> str:
    return " (~ stands for a home directory in a shell only: write it out)" if path.startswith(b"~") else ""


def _substitution(variable: str) -> Callable[[Event], bytes]:
    return lambda event: variable_value(variable, event, event.destination if event.half else None)


SUBSTITUTIONS = {variable: _substitution(variable) for variable in VARIABLES}
"""What getSubstitutionData gives."""


def _selected(answer: Any) -> Any:
    return "break" if answer == b"break" else answer not in (None, False)


def _items(table: Any) -> Iterator[bytes]:
    return (table[place] for place in range(1, len(table) + 1))
