"""A Lua config: runs the user's files, makes syncs of them, and calls their functions later on."""

from __future__ import annotations

import os
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from orchestrator.config.lua.actions import (
    ActionCalls,
    add_action,
    asked_endpoint,
    asked_resumable,
    asked_target,
    asked_undivided,
    can_verify,
)
from orchestrator.config.lua.calls import SyncCalls
from orchestrator.config.lua.core import Core
from orchestrator.config.lua.fingerprint import fingerprint_of
from orchestrator.config.lua.parts import crontab_of, filters_of, marker_of, resumes, tunnel_options
from orchestrator.config.lua.runtime import DEFAULT_VERSION, OWN, Lua, LuaFailure, to_bytes, to_text
from orchestrator.config.lua.table import TableConfig, to_lua
from orchestrator.config.lua.usercode import UserCode
from orchestrator.config.numbers import seconds_or_never
from orchestrator.config.settings import Settings, make_settings
from orchestrator.errors import ConfigError
from orchestrator.sync.nesting import nesting_of, warnings_of_links
from orchestrator.sync.sync import Definition, Options, Sync
from orchestrator.sync.targetwatch import TargetWatch

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Collection, Mapping

    from orchestrator.api import Action
    from orchestrator.config.model import OwnSettings
    from orchestrator.masterloop import LoopLike
    from orchestrator.sync.host import Host

FILES = (
    "compat.lua",
    "popen.lua",
    "old.lua",
    "queue.lua",
    "timestamp.lua",
    "inherit.lua",
    "settings.lua",
    "event.lua",
    "functions.lua",
    "tunnel.lua",
    "types.lua",
    "sync.lua",
    "default.lua",
)
"""Our own Lua files, in the order in which they are run."""


_serials = count()
"""Of all configs: what functions of one share is nothing that those of another could share."""


class Installed(NamedTuple):
    """The actions of the plugins by name, and the names of all monitors; `problems`: why a plugin is not loaded, by its
    name. `plugins`: the settings of each plugin that has any."""

    actions: Mapping[str, Action]
    monitors: Collection[str]
    problems: Mapping[str, str] = MappingProxyType({})
    plugins: Mapping[str, OwnSettings] = MappingProxyType({})


class LuaConfig:
    """One Lua state with all that was configured in it. A reload makes another one."""

    core_type: ClassVar[type[Core]] = Core

    look_at_rights: Callable[[str], None] = staticmethod(lambda path: None)
    """Asked of each file that is a part of the config, before it is read. Raises ConfigError."""

    on_include: Callable[[str], None] = staticmethod(lambda path: None)
    """Called with each file that a TOML config includes, before it is read. May raise ConfigError."""

    def __init__(
        self,
        host: Host,
        loop: LoopLike,
        installed: Installed,
        command_line: Mapping[str, Any],
        version: str = DEFAULT_VERSION,
        waiting_end: Callable[[], signal.Signals | None] = lambda: None,
    ) -> None:
        """`waiting_end`: see Watchdog."""
        self.host = host
        self.monitors = frozenset(installed.monitors)
        self.command_line = command_line
        self.syncs: list[Sync] = []
        self.syncs_by_number: dict[int, Sync] = {}
        self.actions = actions = installed.actions
        self.problems = installed.problems
        self.plugins = installed.plugins
        self._loop = loop
        self._observed: dict[int, None] = {}
        self._numbers = 0
        self._local_targets: set[int] = set()  # numbers of syncs
        self._names: set[str] = set()
        self.lua = Lua(version)
        self._code = UserCode(self.lua, host.clock, host.log, waiting_end)
        self.endings = self._code.endings
        self._is_locked = False
        self._is_closed = False
        self._has_alarms = False
        self._early: list[tuple[float, Any]] | None = []  # alarms; None: it is at work
        self._shared = self.lua.table()
        self._run_own_files()
        self._code.know(self._shared[b"calls"])
        self._options = {action.name: action.options for action in actions.values()}
        self._action_calls = {
            to_bytes(action.name): ActionCalls(action, host.log, host.clock.now) for action in actions.values()
        }
        for calls in self._action_calls.values():
            add_action(self._code, calls, self.syncs_by_number, self.leaves_its_directory, self._shared[b"add_action"])
        self.run_own_file("fingerprint.lua")  # it notes what there is before the user's files

    # ---- loading ------------------------------------------------------------------------------

    def run_file(self, path: str) -> None:
        """Run a user's file, `-script` or config, Lua or (by its ending) TOML. Raises ConfigError."""
        self._shared[b"file"] = to_bytes(path)
        self._code.watchdog.begins()
        try:
            if path.endswith(".toml"):
                self._run_toml(path)
            else:
                self.lua.run_file(path)
        finally:
            self._code.watchdog.ends()

    def _run_toml(self, path: str) -> None:
        from orchestrator.config import toml  # most configs are Lua: this import takes 10 ms

        document = toml.read(path, self._options, self.problems, self.plugins, self.on_include)
        globals_ = self.lua.globals
        for values, place in document.settings:
            self._call_user_function(globals_[b"settings"], values, place)
        tunnels: dict[str, Any] = {}
        for values, place in document.tunnels:
            made = self._call_user_function(globals_[b"tunnel"], values, place)
            tunnels[str(values.get("name", f"Tunnel{len(tunnels) + 1}"))] = made
        for sync in document.syncs:
            table = to_lua(self.lua, sync.values)
            if sync.action is not None:
                table[1] = globals_[b"default"][to_bytes(sync.action)]
            tunnel = sync.values.get("tunnel")
            if isinstance(tunnel, dict):  # one of its own
                table[b"tunnel"] = self._call_user_function(globals_[b"tunnel"], tunnel, sync.place)
            elif tunnel is not None:
                if tunnel not in tunnels:
                    raise ConfigError(f'{sync.place}: there is no [[tunnel]] with the name "{tunnel}"')
                table[b"tunnel"] = tunnels[tunnel]
            self._call_user_function(globals_[b"sync"], table, sync.place)

    def _call_user_function(self, function: Any, values: Any, place: str) -> Any:
        """Call settings, tunnel or sync as a Lua config would; errors point to `place`, FILE:LINE."""
        self._shared[b"place"] = to_bytes(place)
        try:
            return self.lua.call(function, values if self.lua.is_table(values) else to_lua(self.lua, values))
        except LuaFailure as failure:
            raise ConfigError(failure.message if place in failure.message else f"{place}: {failure.message}") from None
        finally:
            self._shared[b"place"] = None

    def finish(self) -> Settings:
        """All files are loaded: the settings in force. Raises ConfigError."""
        self._call_own("adopt_settings")
        settings = make_settings({**self.own_settings(), **self.command_line})
        if self.plugins:
            from orchestrator.config.pluginsettings import completed  # late: few plugins have settings

            settings.plugins = {
                name: completed(settings.plugins.get(name, {}), own.options, is_anchored=self.leaves_its_directory())
                for name, own in self.plugins.items()
            }
        return settings

    def anchor_targets(self) -> None:
        """The daemon will work in another directory: relative targets on this machine count from the one it is in now.

        Of a sync whose target nobody knows, a handler's, it is one if there is such a directory.
        """
        for sync in self.syncs:
            target = sync.config.get("target")
            if not isinstance(target, str) or not target or target.startswith("/"):
                continue
            if sync.number in self._local_targets or (":" not in target and os.path.isdir(target)):
                slash = "/" if target.endswith("/") else ""
                sync.config.set("target", os.path.abspath(target).rstrip("/") + slash)

    def leaves_its_directory(self) -> bool:
        """Whether the daemon will work in another directory, as far as the settings up to now say."""
        return not {**self.own_settings(), **self.command_line}.get("nodaemon")

    def own_settings(self) -> dict[str, Any]:
        """The settings as the config has them."""
        settings = {
            to_text(key): to_text(value) if isinstance(value, bytes) else value
            for key, value in self._shared[b"settings"].items()
        }
        if "plugins" in settings:
            from orchestrator.config.pluginsettings import plain

            tables = TableConfig(self.lua, settings["plugins"]).items()
            settings["plugins"] = {name: plain(own, self.plugins[name].options) for name, own in tables}
        return settings

    def lock(self) -> None:
        """The daemon starts: layer 3 is translated, then no global may be made any more (spec 1.2, 2.8)."""
        if self._is_locked:
            return
        self._is_locked = True
        self._take_fingerprints()
        self._call_own("translate_layer3")
        self._call_own("lock_globals")

    def _call_own(self, name: str) -> None:
        """Call a function of ours that works on what the config has made. Raises ConfigError where that breaks it."""
        try:
            self.lua.call(self._shared[to_bytes(name)])
        except LuaFailure as failure:
            raise ConfigError(f"error preparing the config: {failure.message}") from None

    def add_command_line_sync(self, action: str, values: Mapping[str, Any]) -> None:
        """A sync of `-rsync`, `-rsyncssh` or `-direct`."""
        table = to_lua(self.lua, values)
        table[1] = self.lua.globals[b"default"][to_bytes(action)]
        if table[1] is None:
            reason = self.problems.get(action, "its plugin is not installed")
            raise ConfigError(f"there is no action '{action}': {reason}")
        self._call_user_function(self.lua.globals[b"sync"], table, f"-{action}")

    def own_config(self, sync: Sync) -> tuple[str | None, TableConfig]:
        """What the user himself wrote of a sync: the name of the action it builds on, and his keys."""
        table, action = self.lua.call(self._shared[b"own_config"], sync.number)
        return (to_text(action) if action else None), TableConfig(self.lua, table)

    def place_of(self, sync: Sync) -> str:
        """FILE:LINE where a sync was made."""
        return to_text(self._shared[b"place_of"][sync.number])

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def add_tunnel(self, table: Any) -> bool:
        """Called by tunnel{…} when its options are complete. False: there is one with that name already."""
        return self.host.add_tunnel(tunnel_options(TableConfig(self.lua, table)))

    def add_sync(
        self, number: int, table: Any, action_name: str | None, writer_name: str | None, own_die_codes: frozenset[int],
        tunnel: int | None = None,
    ) -> None:  # fmt: skip
        """Called by sync{…} when its config is complete.

        `action_name`: of the plugin's action that acts for it. `writer_name`: of the one that at least does its
        startup, and so knows its target. `tunnel`: the number of the one it names.
        """
        config = TableConfig(self.lua, table)
        action = self.actions[action_name] if action_name is not None else None
        name = str(config.get("name", f"Sync{number}"))
        if name in self._names:
            raise ConfigError(f'there are two syncs with the name "{name}"; give each its own.')
        self._names.add(name)
        options = Options(
            delay=float(config.get("delay", 0)),
            max_delays=float(config.get("maxDelays", 1000)),
            max_processes=float(config.get("maxProcesses", 1)),
            sets=action is not None and action.sets,
            mirrors_source=action is not None and action.mirrors_source,
            on_move=bool(config.get("onMove")),
            chains_moves=action is not None and action.chains_moves,
            own_die_codes=own_die_codes,
            monitor=config.get("monitor"),
            settle=float(config.get("settle", 0)),
            stale_after=seconds_or_never(config.get("staleAfter")),
            has_max_delete=action is not None and "maxDelete" in action.options,
        )
        plugin_of = self.lua.call(self._shared[b"plugin_of"], table)
        if action is not None and "startupProcesses" in action.options:
            is_own = action_name is not None and plugin_of(b"init") == to_bytes(action_name)
            options.startup_processes = self._startup_processes(name, config, action if is_own else None)
        for key in ("excludeFrom", "filterFrom"):
            if isinstance(config.get(key), str):
                self.look_at_rights(config.get(key))
        source = table[b"source"]
        filters = filters_of(config)
        target = asked_target(self.actions[writer_name], config) if writer_name is not None else None
        if target is not None and target.directory is not None:
            target = target._replace(directory=os.path.abspath(target.directory))
            self._local_targets.add(number)
        marker = marker_of(config, target)
        if marker:
            filters.exclude_first(b"/" + marker)
        nesting = nesting_of(source, target, filters) if target is not None else None
        if nesting is not None:
            self.host.log("Warn", f"{name}: {nesting.warning}")
            if nesting.left_out is not None:
                filters.exclude_first(nesting.left_out)
        definition = Definition(number, name, source, config, filters, options)
        calls = SyncCalls(self._code, self.syncs_by_number, number, table, self._action_calls, plugin_of)
        sync = Sync(self.host, definition, calls)
        sync.way = os.path.join(os.getcwdb(), table[b"_source"])
        for warning in warnings_of_links(sync.way, target):
            self.host.log("Warn", f"{name}: {warning}")
        if writer_name is not None:
            sync.guard_source()
        if target is not None and (target.directory is not None or marker):
            sync.look_after(TargetWatch(target, marker))
        if action is not None and action.sets and resumes(config):
            sync.resumable = asked_resumable(action, config)
        sync.action_name = action_name or writer_name or ""
        sync.place = target.directory if target is not None else None
        if config.get("crontab") is not None:
            sync.crontab = crontab_of(name, config.get("crontab"))
        if config.get("verify") is not None:
            if action is None or not can_verify(action):
                raise ConfigError(f'{name}: "verify": nobody can compare source and target of this kind of sync.')
            sync.verify_times = crontab_of(name, config.get("verify"), "verify")
        through = self.host.tunnels[tunnel - 1] if tunnel is not None else None
        if through is not None:
            sync.go_through(through)
        endpoint = asked_endpoint(action, config) if action is not None else None
        if endpoint is not None:
            # the same name at the other end of another tunnel is another host
            sync.endpoint = endpoint if through is None else f"{endpoint} through {through.name}"
        self.syncs.append(sync)
        self.syncs_by_number[number] = sync

    def _startup_processes(self, name: str, config: TableConfig, action: Action | None) -> int:
        """How many processes a sync's startup is shared out to. `action`: whose startup it is; None: the config's."""
        wanted = int(config.get("startupProcesses") or 1)
        if wanted < 2 or config.get("init") in (None, False):
            return 1
        reason = "it has an init of its own" if action is None else asked_undivided(action, config)
        if reason is not None:
            self.host.log("Warn", f"{name}: the startup is one run, whatever startupProcesses says: {reason}.")
        return wanted if reason is None else 1

    # ---- running ------------------------------------------------------------------------------

    def call(self, name: str, *args: Any) -> Any:
        """See UserCode.call."""
        return self._code.call(name, *args)

    def _take_fingerprints(self) -> None:
        """Note what each sync is, before any of its functions runs: a reload compares that."""

        serial = next(_serials)

        def take(number: int, text: bytes | bool, has_functions: bool, reached: Any) -> None:
            sync = self.syncs_by_number.get(number)
            if sync is not None and isinstance(text, bytes):
                shares = [(serial, place) for place in reached.values()]
                sync.fingerprint = fingerprint_of(sync, text, has_functions=has_functions, shares=shares)

        try:
            self.lua.call(self._shared[b"fingerprints"], self.lua.export(take))
        except LuaFailure:
            pass  # without one a sync counts as changed

    def move_in(self, kept: Sync, same: Sync, before: LuaConfig) -> None:
        """`kept` goes on with the tables of `same`, a sync of this config; those of `before` can go. For a sync without
        functions of the user's."""
        del before.syncs_by_number[kept.number]
        kept.move_into(same)
        self.syncs_by_number[same.number] = kept
        self.syncs[self.syncs.index(same)] = kept

    def leave_out(self, same: Sync) -> None:
        """Another config has a sync that goes on in the place of this one."""
        del self.syncs_by_number[same.number]
        self.syncs.remove(same)

    @property
    def has_callbacks(self) -> bool:
        """Whether functions of the user's are called that belong to no sync: at a time, or for a descriptor."""
        return self._has_alarms or bool(self._observed)

    def begin(self) -> None:
        """It is put to work: only now the functions that it wants to be called at a time are."""
        early, self._early = self._early, None
        for when, func in early or ():
            self.add_alarm(when, func)

    def add_alarm(self, when: float, func: Any) -> None:
        """Call a function of the user's at a time of the monotonic clock, unless the config is closed by then."""
        self._has_alarms = True
        if self._early is not None:
            self._early.append((when, func))
        else:
            self.host.alarms.add(when, lambda: None if self._is_closed else self.call("alarm", func))

    def observe(self, fd: int, ready: Any, writey: Any) -> None:
        """Serve a descriptor of the user's from the loop."""
        for add, remove, func in (
            (self._loop.add_reader, self._loop.remove_reader, ready),
            (self._loop.add_writer, self._loop.remove_writer, writey),
        ):
            if func is None:
                remove(fd)
            else:
                add(fd, lambda func=func: self.call("ready", func, fd))  # type: ignore[misc]
        self._observed[fd] = None

    def nonobserve(self, fd: int) -> None:
        """Stop serving a descriptor, and close it."""
        if self._observed.pop(fd, self) is self:
            return
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        try:
            os.close(fd)
        except OSError:
            pass

    def close(self) -> None:
        """Let go of everything, at the end of the daemon or when another config has taken its place."""
        self._is_closed = True
        for fd in list(self._observed):
            self.nonobserve(fd)

    # ---- within -------------------------------------------------------------------------------

    def _run_own_files(self) -> None:
        self._core = self.core_type(self, self.lua).exported()
        for name in FILES:
            self.run_own_file(name)

    def run_own_file(self, name: str) -> None:
        """Run a file of ours, of this directory or of another: it is given the engine's functions, and what our files
        share."""
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), "rb") as file:
            chunk = self.lua.compile(file.read(), OWN + os.path.basename(name))
        self.lua.call(chunk, self._core, self._shared)

    def be_strict(self, look_at_rights: Callable[[str], None]) -> None:
        """From now on `look_at_rights(path)` is asked of what the config runs or reads patterns from."""
        self.look_at_rights = look_at_rights
        self.run_own_file("strict.lua")
