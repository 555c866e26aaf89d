"""A dry run: a config is loaded, and everything that it would do to the world is noted down instead of done.

Loading has to run a Lua config. Its calls that would start a program or change a file are replaced (dry.lua), and so
are the plugins' processes and jobs: they are noted, never started. Handlers are not called.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from orchestrator.clock import MonotonicClock
from orchestrator.config.lua.actions import asked_target
from orchestrator.config.lua.core import Core
from orchestrator.config.lua.loader import Installed, LuaConfig
from orchestrator.config.lua.runtime import DEFAULT_VERSION, to_text
from orchestrator.config.lua.table import TableConfig
from orchestrator.log import Log
from orchestrator.log.plugins import PluginMessages
from orchestrator.logic.alarms import Alarms
from orchestrator.masterloop import Loop
from orchestrator.monitor.monitors import AUTO, DEFAULT
from orchestrator.plugins import make_manager
from orchestrator.process.dry import DryProcesses
from orchestrator.process.sshshare import SshConnections
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host, RunOptions
from orchestrator.sync.pathlist import lists_not_made

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.clock import Clock
    from orchestrator.config.settings import Settings
    from orchestrator.masterloop import LoopLike
    from orchestrator.process.child import Child
    from orchestrator.process.dry import Started
    from orchestrator.process.processes import Processes
    from orchestrator.process.tunnel import Tunnel
    from orchestrator.sync.sync import Sync
    from orchestrator.sync.target import Target


CHAIN = 3
"""The most processes that follow one another: onBatchStart, the transfer, onBatchEnd."""


class Note(NamedTuple):
    """One act of a config while it is loaded. `place`: FILE:LINE.

    `kind`: run, popen, kill, write, remove, rename, load, call change the world, or may; the result of a read may be
    another on another day or machine; later is an act that is due when the daemon runs.
    """

    kind: str
    text: str
    place: str

    @property
    def changes_world(self) -> bool:
        return self.kind not in ("read", "later")


@dataclass
class Noted:
    """A process that would have been started; or `job`, work of a plugin's own; or `call`, a function of the user's."""

    child: Child | None = None
    stdin: bytes | None = None
    job: str | None = None
    call: str | None = None


class NotedProcesses(DryProcesses):
    """`noted`: the processes and jobs that would have been started, and the calls of functions of the user's."""

    noted: list[Noted]

    def __init__(self, loop: LoopLike, log: Log, clock: Clock) -> None:
        super().__init__(loop, log, clock)
        self.noted = []

    def note(self, started: Started) -> None:
        super().note(started)
        child, job = started.child, started.job
        is_own_work = job is not None and not child.argv
        self.noted.append(Noted(child, started.stdin, (job.__doc__ or type(job).__name__) if is_own_work else None))

    def take(self) -> list[Noted]:
        """The notes since the last call. Each ends with exit code 0, and may start more."""
        taken: list[Noted] = []
        for _ in range(CHAIN):
            noted, self.noted = self.noted, []
            all_started, self.started = self.started, []
            for started in all_started:
                self.end(started, 0)
            taken += noted
        self.noted.clear()
        self.started.clear()
        return taken


class StillClock(MonotonicClock):
    """Durations are none: how long a plugin takes here says more of this machine's load than of the plugin."""

    @staticmethod
    def now() -> float:
        """See Clock."""
        return 0.0


class DryLog(Log):
    """Prints nothing while `is_quiet`, and remembers the warnings and errors of that time."""

    def __init__(self) -> None:
        super().__init__()
        self.is_quiet = False
        self._kept: list[tuple[str, str]] = []

    def __call__(self, category: str, *parts: Any) -> None:
        if not self.is_quiet:
            super().__call__(category, *parts)
        elif category in ("Warn", "Error"):
            self._kept.append((category, "".join(map(_shown, parts))))

    def take(self) -> list[tuple[str, str]]:
        """Category and text of each message that was kept since the last call."""
        kept, self._kept = self._kept, []
        return kept


class DryTunnel:
    """A tunnel that is taken to be up; what its ports will be is not known yet."""

    is_up = True

    def __init__(self, tunnel: Tunnel) -> None:
        self.options = tunnel.options
        self.name = tunnel.name

    def through(self, arguments: Iterable[bytes], names: Sequence[bytes]) -> list[bytes]:
        return list(arguments)


class NotedSsh(SshConnections):
    """Opens no connection, and makes no place for sockets. `logins`: those that would be shared, each with its host and
    the seconds that it would stay open unused."""

    def __init__(self, processes: Processes, clock: Clock, log: Log) -> None:
        super().__init__(processes, clock, Alarms(), Alarms(), log)
        self.logins: list[tuple[str, float]] = []

    def share(self, command: Sequence[str], host: str, idle: float) -> None:
        self.logins.append((host, idle))

    def take(self) -> list[tuple[str, float]]:
        """The logins since the last call, each once."""
        taken, self.logins = list(dict.fromkeys(self.logins)), []
        return taken


class DryCore(Core):
    """The engine's side of Lua's functions. Public methods are exported, as the base class's are."""

    _config: DryConfig

    def runs_for_real(self) -> bool:
        return self._config.for_real

    def note(self, kind: bytes, text: bytes, place: bytes) -> None:
        self._config.notes.append(Note(to_text(kind), to_text(text), to_text(place)))

    def note_call(self, name: bytes, place: bytes) -> None:
        noted = cast("NotedProcesses", self._host.processes).noted
        noted.append(Noted(call=f"the function {to_text(name)} ({to_text(place)}) would be called"))

    def popen_start(self, command: bytes, mode: bytes) -> tuple[int | None, bytes | None, bytes | None]:
        return super().popen_start(command, mode) if self._config.for_real else (0, b"/dev/null", None)

    def popen_opened(self, number: int) -> None:
        if self._config.for_real:
            super().popen_opened(number)

    def popen_wait(self, number: int) -> tuple[bytes, int]:
        return super().popen_wait(number) if self._config.for_real else (b"exit", 0)

    def real_source(self, path: bytes, place: bytes, insist: Any = None) -> bytes:
        if self._config.elsewhere and not os.path.isdir(path):
            return os.path.abspath(path).rstrip(b"/") + b"/"
        return super().real_source(path, place, insist)


class DryConfig(LuaConfig):
    """`for_real`: everything that the config does while it is loaded is done. `elsewhere`: it is for another machine,
    whose sources and files of patterns need not be here.

    `notes`: what it has done so far, or would have. `missing`: of files that are not here, a line each. `action_of`:
    the action that acts for a sync, by its number; `target_of`: what that says of its target. `tunnels`: the options
    of each, complete.
    """

    core_type = DryCore

    def __init__(self, *arguments: Any, for_real: bool, elsewhere: bool) -> None:
        self.for_real = for_real
        self.elsewhere = elsewhere
        self.notes: list[Note] = []
        self.missing: list[str] = []
        self.tunnels: list[TableConfig] = []
        self.action_of: dict[int, str | None] = {}
        self.target_of: dict[int, Target | None] = {}
        super().__init__(*arguments)
        self.run_own_file(os.path.join(os.path.dirname(os.path.abspath(__file__)), "dry.lua"))

    def add_sync(
        self, number: int, table: Any, action_name: str | None, writer_name: str | None, *arguments: Any
    ) -> None:
        self.action_of[number] = action_name
        left_out: dict[bytes, Any] = {}
        for key in (b"excludeFrom", b"filterFrom") if self.elsewhere else ():
            path = table[key]
            if isinstance(path, bytes) and not os.path.exists(path):
                self.missing.append(f"{to_text(key)} {to_text(path)} is not here: its patterns are not known.")
                left_out[key] = path
                table[key] = None
        super().add_sync(number, table, action_name, writer_name, *arguments)
        config = TableConfig(self.lua, table)
        self.target_of[number] = asked_target(self.actions[writer_name], config) if writer_name is not None else None
        for key, path in left_out.items():
            table[key] = path

    def add_tunnel(self, table: Any) -> bool:
        self.tunnels.append(TableConfig(self.lua, table))
        return super().add_tunnel(table)

    def effective_config(self, sync: Sync) -> TableConfig:
        """A sync's config when all is inherited: plain values, a word for each function and for its tunnel."""
        return TableConfig(self.lua, self.lua.call(self._shared[b"effective_config"], sync.number))

    def run_toml(self, path: str) -> None:
        """Run a file in TOML, whatever its name."""
        self._run_toml(path)

    def lock(self) -> None:
        super().lock()
        self.lua.call(self._shared[b"replace_handlers"])


class DryRun:
    """A config file loaded. Use it in a `with`: `load` raises OrchestratorError where it does not load."""

    def __init__(self, path: str, lua: str | None = None, *, for_real: bool = False, elsewhere: bool = False) -> None:
        self.path = os.path.abspath(path)
        self.log = DryLog()
        self._open = ExitStack()
        plugin_messages = PluginMessages(self.log)
        self._open.callback(plugin_messages.disconnect)
        plugin_messages.connect()
        self.manager = make_manager()
        plugin_messages.connect()
        self.monitors = {AUTO, DEFAULT, *self.manager.monitors()}
        self.settings: Settings
        self._open.enter_context(lists_not_made())
        self._loop = Loop()
        self._open.callback(self._loop.close)
        clock = StillClock()
        self.processes = NotedProcesses(self._loop, self.log, clock)
        self._open.callback(self.processes.close)
        self.ssh = NotedSsh(self.processes, clock, self.log)
        self.host = Host(clock, self.log, self.processes, Hooks(None, self.log), shared_ssh=[self.ssh])
        try:
            installed = Installed(
                self.manager.actions(), self.monitors, self.manager.problem_by_name(), self.manager.settings()
            )
            self.config = DryConfig(
                self.host, self._loop, installed, {}, lua or DEFAULT_VERSION, for_real=for_real, elsewhere=elsewhere
            )
        except BaseException:
            self._open.close()
            raise
        self._open.callback(self.config.close)

    def __enter__(self) -> DryRun:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def notes(self) -> list[Note]:
        """Everything that the config has done so far, or would have, while it was loaded."""
        return self.config.notes

    def load(self, *, is_toml: bool = False) -> None:
        """Run the config, in the language that its name says, or in TOML. Raises OrchestratorError."""
        (self.config.run_toml if is_toml else self.config.run_file)(self.path)
        self.settings = self.config.finish()
        self.host.run.begin(RunOptions(max_delete=self.settings.delete_limit, ssh_share=self.settings.ssh_share or 0.0))
        self.processes.noted.clear()  # what lsyncd.exec would start is among the notes
        for sync in self.config.syncs:
            if sync.transfers.tunnel is not None:
                sync.transfers.tunnel = cast("Tunnel", DryTunnel(sync.transfers.tunnel))


def _shown(part: Any) -> str:
    return to_text(part) if isinstance(part, bytes) else str(part)
