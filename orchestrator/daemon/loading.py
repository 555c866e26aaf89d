"""Reads the configuration that a command line asks for."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.config.lua.loader import Installed, LuaConfig
from orchestrator.config.lua.runtime import DEFAULT_VERSION
from orchestrator.config.settings import STALE_AFTER
from orchestrator.daemon.rights import why_not_trusted
from orchestrator.errors import ConfigError, UsageError
from orchestrator.sync.host import RunOptions

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator

    from orchestrator.commandline import CommandLine
    from orchestrator.config.settings import Settings
    from orchestrator.masterloop import LoopLike
    from orchestrator.sync.host import Host


class Loaded(NamedTuple):
    """A configuration, ready to be put to work."""

    config: LuaConfig
    settings: Settings
    options: RunOptions


def _anchor(settings: Settings) -> None:
    """Make the paths of files that the daemon writes later absolute: they count from where it was started."""
    for key in ("status_file", "control_socket", "state_dir"):
        path = getattr(settings, key)
        if path:  # neither unset nor switched off
            setattr(settings, key, os.path.abspath(path))


@contextmanager
def _working_in(directory: str) -> Iterator[None]:
    try:
        was = os.getcwd()
        if was == directory:
            was = ""
        else:
            os.chdir(directory)
    except OSError:  # it is gone: nothing can count from there
        was = ""
    try:
        yield
    finally:
        if was:
            os.chdir(was)


def _may_be_written(path: str) -> bool:
    """Whether others than the owner may change a file, or which files a directory has."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False  # reading it fails, too
    is_shared = stat.S_ISDIR(mode) and mode & stat.S_ISVTX  # as /tmp
    return bool(mode & (stat.S_IWGRP | stat.S_IWOTH)) and not is_shared


class Loading:
    """Done at the start, and again for each reload.

    `directory`: where the daemon was started; relative paths count from there, also once it works in /.
    `unhandled_end`: see Signals.
    """

    def __init__(
        self, line: CommandLine, directory: str, loop: LoopLike, make_host: Callable[[], Host], installed: Installed,
        unhandled_end: Callable[[], signal.Signals | None],
    ) -> None:  # fmt: skip
        files = [*line.scripts, *([line.config] if line.config is not None else [])]
        self._files = [os.path.abspath(file) for file in files]
        self._line = line
        self._directory = directory
        self._loop = loop
        self._make_host = make_host
        self._installed = installed
        self._unhandled_end = unhandled_end

    def load(self, *, insists: bool = False) -> Loaded:
        """`insists`: a startup that fails is tried again, whatever the settings say. Raises OrchestratorError."""
        host = self._make_host()
        config = LuaConfig(
            host,
            self._loop,
            self._installed,
            self._line.settings,
            self._line.lua or DEFAULT_VERSION,
            self._unhandled_end,
        )
        try:
            with _working_in(self._directory):
                return self._load(config, host, insists=insists)
        except BaseException:
            config.close()
            raise

    def _load(self, config: LuaConfig, host: Host, *, insists: bool) -> Loaded:
        if self._line.is_strict and os.geteuid() == 0:
            config.be_strict(self._refuse_untrusted)
        warned: set[str] = set()
        config.on_include = lambda path: self._look_at_rights(path, host, warned, is_included=True)
        for file in self._files:
            self._look_at_rights(file, host, warned)
            config.run_file(file)
        for action, values in self._line.syncs:
            config.add_command_line_sync(action, values)
        settings = config.finish()
        if not settings.nodaemon:
            _anchor(settings)
            config.anchor_targets()
        if not config.syncs:
            raise UsageError("Nothing to watch!")
        options = RunOptions(
            max_processes=settings.max_processes,
            insist=settings.insist or insists,
            onepass=settings.onepass,
            transfer_timeout=settings.transfer_timeout,
            max_delete=settings.delete_limit,
            max_startups=settings.max_startups,
            stale_after=STALE_AFTER if settings.stale_after is None else settings.stale_after or 0.0,
            log_sync=settings.log_sync,
            has_short_lists=settings.log_paths == "short",
            ssh_share=settings.ssh_share or 0.0,
        )
        return Loaded(config, settings, options)

    def _look_at_rights(self, path: str, host: Host, warned: set[str], *, is_included: bool = False) -> None:
        """A config is a program: whoever may write it can do what the daemon can. So can whoever may write into the
        directory of an included file, as files are included by patterns. `warned`: paths that a Warn line has named.
        """
        if os.geteuid() != 0:
            return
        if self._line.is_strict:
            self._refuse_untrusted(path)
            return
        for place in (os.path.dirname(path), path) if is_included else (path,):
            if place not in warned and _may_be_written(place):
                warned.add(place)
                host.log(
                    "Warn",
                    f"{place} may be written by others than its owner, and runs as root; chmod go-w would repair that.",
                )

    def _refuse_untrusted(self, path: str) -> None:
        """Of any file that is run or read as a part of the config, with `-strict`."""
        reason = why_not_trusted(path, os.geteuid())
        if reason is None:
            return
        is_itself = reason.startswith(f"{os.path.abspath(path)} ")
        what = "and" if is_itself else f"and is on the way to {path}, which"
        raise ConfigError(f"{reason}, {what} runs as root; -strict refuses that.")
