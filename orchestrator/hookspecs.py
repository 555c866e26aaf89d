"""Every hook that a plugin may implement, with its contract. This file is the list.

Hooks that register something are called once, at the start. Observers are called in the loop's
thread: they must not wait. One that raises is named in an Error line and the daemon goes on.
plugins/README.md has an example of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.api import (
        Action,
        Agent,
        Difference,
        Inlet,
        MonitorKind,
        ObservedTransfer,
        Options,
        Spawn,
        Verified,
    )

hookspec = pluggy.HookspecMarker("orchestrator")


@hookspec
def orchestrator_actions() -> Sequence[Action]:
    """The actions that this plugin brings; each shows as `default.<name>` in Lua and `action = "<name>"` in TOML.

    Called once, when the plugin is registered. An action whose name is taken is refused, and the plugin with it.
    """
    raise NotImplementedError


@hookspec
def orchestrator_monitors() -> Sequence[MonitorKind]:
    """The event monitors that this plugin brings; each can be named in `monitor`.

    Called once, when the plugin is registered.
    """
    raise NotImplementedError


@hookspec
def orchestrator_settings() -> Options:
    """The settings that this plugin has for itself: key → `Option`, as an Action's `options`.

    Called once, when the plugin is registered. They are set by `settings { plugins = { NAME = { … } } }`, in TOML by
    `[settings.plugins.NAME]`; NAME is that of the entry point. Unknown keys and wrong types are errors of the config.
    """
    raise NotImplementedError


@hookspec
def orchestrator_check_settings(values: Mapping[str, object]) -> None:
    """The plugin's own settings, those that are not set with their defaults, while a configuration is being loaded.

    Called where the configuration sets any of them. Raise ConfigError with one clear line for values that will not do:
    the daemon does not start, or keeps the old configuration. Nothing may be done with them before they come once more
    in `orchestrator_configured`.
    """


@hookspec
def orchestrator_configured(settings: Mapping[str, object], inlets: Sequence[Inlet]) -> None:
    """A configuration has been loaded and is about to be started; after a HUP once more.

    `settings` by their names (configs/README.md); `settings["plugins"][NAME]` are those of plugin NAME, all keys that
    it has declared. One inlet for each sync, in their order.
    Nothing has been watched or started yet. Both are to be read, not changed.
    """


@hookspec(firstresult=True)
def orchestrator_before_spawn(inlet: Inlet, agent: Agent, spawn: Spawn) -> bool | None:
    """A process is about to be started for `agent`, an event or a list of them. It is not called for jobs in threads.

    `spawn.argv` (list of bytes, looked up in PATH) and `spawn.env` may be changed, `spawn.env = {…}`
    replaces the environment. False forbids the process: the sync is `held`, and the hook is asked again
    each second, with the arguments as they were made. None leaves it to the others; the first True or False decides.
    """


@hookspec
def orchestrator_after_collect(
    inlet: Inlet,
    agent: Agent,
    paths: Sequence[bytes],
    exit_code: int,
    verdict: str,
    duration: float,
    stderr: bytes,
) -> None:
    """A process or job has ended and was judged; what becomes of its changes follows at once.

    `paths`: what it was for, with leading slashes, both ends of a Move; for a startup or full run
    the one empty path. `exit_code` is 128 + signal for one that was killed, 255 for one that could not be started.
    `verdict`: ok, partial (not all arrived, what did not is tried again by itself), again, die. `duration` in
    seconds. `stderr`: the end of it, for actions that work on sets of paths, else empty.
    """


@hookspec
def orchestrator_transfer_started(inlet: Inlet, transfer: ObservedTransfer) -> None:
    """A transfer has begun: a process or a job of a thread runs for it, or a command or check that comes before it.

    `transfer` is the same object at the end; what is only known then is empty still.
    """


@hookspec
def orchestrator_transfer_ended(inlet: Inlet, transfer: ObservedTransfer) -> None:
    """A transfer is over: `transfer.verdict` says how, what becomes of its changes follows at once.

    One that was never started, as what stands before it failed at once, has an end only.
    """


@hookspec
def orchestrator_full_run_ended(inlet: Inlet, is_startup: bool, verdict: str) -> None:
    """The startup (all its parts, if it was made in parts) or a later full run has gone well, maybe but for some paths.

    `verdict`: `ok`, or `partial` where some paths did not arrive and are tried again. One that fails as a whole is
    tried again: see `orchestrator_transfer_ended`.
    """


@hookspec
def orchestrator_retry_ended(inlet: Inlet, paths: Sequence[bytes], is_done: bool) -> None:
    """Paths that had failed by themselves, and were tried again apart from all others, are not tried any more.

    `paths`: with leading slashes. `is_done`: they have arrived; else they were given up, as they are gone by now.
    """


@hookspec
def orchestrator_verified(inlet: Inlet, result: Verified, differences: Sequence[Difference]) -> None:
    """Source and target of a sync have been compared, or could not be: `result.error` says why.

    `differences`: those that are known one by one, with their paths and kinds; `result.differences` counts all.
    """


@hookspec
def orchestrator_sync_state(inlet: Inlet, state: str) -> None:
    """A sync's state changed: starting, in sync, syncing, held, retrying, paused, suspended, left alone,
    stopped.

    `paused`: an administrator has paused it; `suspended`: its source or target is gone; `left alone`: its source
    changes faster than anybody can follow.

    Called once a turn of the loop at most: a state that lasted shorter is not seen.
    """


@hookspec
def orchestrator_fading(reason: str) -> None:
    """Nothing is started any more; the daemon ends when the last process has.

    `reason`: what is logged (a signal's name within it). `reset`: the syncs that there are start nothing any more, and
    others take their places, each when the transfers of those before it have ended.
    """


@hookspec
def orchestrator_status_written(path: bytes) -> None:
    """The status file has been written and is in its place, at most once per `statusInterval`."""
