"""A Lua config without a daemon: what its text makes of syncs and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.config.lua.loader import Installed, LuaConfig
from orchestrator.log import Log
from orchestrator.masterloop import Loop
from orchestrator.plugins import make_manager
from orchestrator.process.processes import Processes
from orchestrator.sync.hooks import Hooks
from orchestrator.sync.host import Host
from tests.kit.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from orchestrator.api import Action, OwnSettings


class World:
    """A loop, a host and the installed actions; `load` runs a config text in a directory of its own."""

    def __init__(self, directory: Path, actions: Iterable[Action] = ()) -> None:
        self.directory = directory
        self.plugins: dict[str, OwnSettings] = {}
        self.problems: dict[str, str] = {}
        (directory / "src").mkdir(exist_ok=True)
        (directory / "trg").mkdir(exist_ok=True)
        self.clock = FakeClock()
        self.loop = Loop()
        self.log = Log(self.clock)
        self.host = Host(self.clock, self.log, Processes(self.loop, self.log, self.clock), Hooks(None, self.log))
        self.actions = {**make_manager().actions(), **{action.name: action for action in actions}}
        self.file = directory / "lsyncd.conf.lua"

    def installed(self) -> Installed:
        return Installed(self.actions, ["inotify"], self.problems, self.plugins)

    def load(self, text: str, command_line: dict[str, Any] | None = None, version: str = "5.3") -> LuaConfig:
        self.file.write_text(text.replace("SRC", f"{self.directory}/src").replace("TRG", f"{self.directory}/trg"))
        config = LuaConfig(self.host, self.loop, self.installed(), command_line or {}, version)
        config.run_file(str(self.file))
        return config

    def load_toml(self, text: str | bytes) -> LuaConfig:
        path = self.directory / "lsyncd.toml"
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text.replace("SRC", f"{self.directory}/src").replace("TRG", f"{self.directory}/trg"))
        config = LuaConfig(self.host, self.loop, self.installed(), {})
        config.run_file(str(path))
        return config

    def close(self) -> None:
        self.loop.close()
