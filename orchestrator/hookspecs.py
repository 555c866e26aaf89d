"""Every hook that a plugin may implement, with its contract. This file is the list.

Hooks that register something are asked once, at the start. Observers are told, in the loop's
thread: they must not wait. One that raises is named in an Error line and the daemon goes on.
plugins/README.md has an example of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.api import Action, Agent, Inlet, Spawn
    from orchestrator.monitor.base import MonitorKind

hookspec = pluggy.HookspecMarker("orchestrator")


@hookspec
def orchestrator_actions() -> Sequence[Action]:
    """The actions that this plugin brings; each shows as `default.<name>` in Lua and `action = "<name>"` in TOML."""
    raise NotImplementedError


@hookspec
def orchestrator_monitors() -> Sequence[MonitorKind]:
    """The event monitors that this plugin brings; each can be named in `monitor`."""
    raise NotImplementedError


@hookspec
def orchestrator_configured(settings: Mapping[str, object], inlets: Sequence[Inlet]) -> None:
    """A configuration has been loaded and is about to be started; after a HUP once more."""


@hookspec(firstresult=True)
def orchestrator_before_spawn(inlet: Inlet, agent: Agent, spawn: Spawn) -> bool | None:
    """A process is about to be started. `spawn.argv` and `spawn.env` may be changed in place.

    False forbids it: the changes stay waiting and are offered again later. None leaves it to others.
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
    """A process or job has ended and was judged. `duration` in seconds; `stderr`: the end of it, where it was kept."""


@hookspec
def orchestrator_sync_state(inlet: Inlet, state: str) -> None:
    """A sync's state changed: starting, in sync, syncing, retrying, stopped."""


@hookspec
def orchestrator_fading(reason: str) -> None:
    """Nothing is started any more; the daemon ends, or resets, when the last process has."""


@hookspec
def orchestrator_status_written(path: bytes) -> None:
    """The status file has been written."""
