"""The table of commands. How to add one: see the package."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from orchestrator import __version__
from orchestrator.logic.secrets import mask
from orchestrator.logic.syncnames import MOST_PATTERNS, TooManyPatterns, UnknownSync, chosen
from orchestrator.logic.text import text_of
from orchestrator.requests import steering
from orchestrator.requests.protocol import (
    COUNT,
    FLAG,
    ONLY_BY_NAME,
    SECONDS,
    TEXT,
    TEXTS,
    TOPICS,
    Code,
    Kind,
    RequestError,
    Right,
    check_arguments,
)
from orchestrator.requests.verifying import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.requests.call import Call
    from orchestrator.requests.desk import Desk
    from orchestrator.sync.sync import Sync

PATHS: Final = 50
"""Changes that wait, of which the detail has so many unless another number is asked for."""

MOST_PATHS: Final = 1000
"""As many as it has at most: an answer is kept in memory until it has been read."""

SHOWN_NAMES: Final = 20
"""Names of syncs that an error lists."""


class Command(NamedTuple):
    """`meet` gives the result, or None where it answers later. `arguments`: of which kind each is that it takes;
    `syncs` (those meant; left out: all) and `sync` (one) are looked up for it."""

    meet: Callable[[Call], Mapping[str, Any] | None]
    right: Right
    arguments: Mapping[str, Kind]


def _status(call: Call) -> dict[str, Any]:
    return {"daemon": daemon_status(call.desk), "syncs": [sync.status() for sync in call.syncs]}


def _detail(call: Call) -> dict[str, Any]:
    (sync,) = call.syncs
    now, limit = call.desk.now, min(call.arguments.get("limit", PATHS), MOST_PATHS)
    paths = [
        {
            "etype": delay.etype,
            "path": text_of(delay.path),
            "path2": None if delay.path2 is None else text_of(delay.path2),
            "age": max(0.0, now - delay.since),
            "status": delay.status,
        }
        for delay in itertools.islice(sync.queue, limit)
    ]
    return {"sync": sync.status(), "paths": paths, "recent": sync.recent()}


def _subscribe(call: Call) -> dict[str, Any]:
    topics = frozenset(call.arguments.get("topics", TOPICS - ONLY_BY_NAME))
    unknown = sorted(topics - TOPICS)
    if unknown:
        there_are = ", ".join(sorted(TOPICS))
        raise RequestError(Code.BAD_REQUEST, f'there is no topic "{unknown[0][:100]}"; there are: {there_are}')
    call.subscriptions.add(call.client, topics, call.arguments.get("syncs"), names_of(call.desk.runner.syncs))
    return {}


def _unsubscribe(call: Call) -> dict[str, Any]:
    call.subscriptions.remove(call.client)
    return {}


COMMANDS: Final[dict[str, Command]] = {
    "status": Command(_status, Right.READ, {"syncs": TEXTS}),
    "detail": Command(_detail, Right.READ, {"sync": TEXT, "limit": COUNT}),
    "subscribe": Command(_subscribe, Right.READ, {"syncs": TEXTS, "topics": TEXTS}),
    "unsubscribe": Command(_unsubscribe, Right.READ, {}),
    "pause": Command(steering.pause, Right.STEER, {"syncs": TEXTS}),
    "resume": Command(steering.unpause, Right.STEER, {"syncs": TEXTS}),
    "run": Command(steering.run, Right.STEER, {"syncs": TEXTS}),
    "flush": Command(steering.flush, Right.STEER, {"syncs": TEXTS, "wait": SECONDS}),
    "retry": Command(steering.retry, Right.STEER, {"syncs": TEXTS}),
    "log": Command(steering.log, Right.STEER, {"on": TEXTS, "off": TEXTS}),
    "reload": Command(steering.reload, Right.STEER, {}),
    "verify": Command(verify, Right.STEER, {"syncs": TEXTS, "quick": FLAG, "repair": FLAG}),
}


def find(name: Any, right: Right, *, is_ending: bool) -> Command:
    """The command of that name, for a client that has this right. Raises RequestError."""
    command = COMMANDS.get(name) if isinstance(name, str) else None
    if command is None:
        if not isinstance(name, str):
            raise RequestError(Code.BAD_REQUEST, 'a request has a text as "command"')
        raise RequestError(
            Code.UNKNOWN_COMMAND, f'there is no command "{name[:100]}"; there are: {", ".join(COMMANDS)}'
        )
    if command.right > right:
        raise RequestError(Code.DENIED, f"only root and the user that the daemon runs as may {name}")
    if is_ending and command.right is Right.STEER:
        raise RequestError(Code.ENDING, "the daemon is about to end")
    return command


def prepare(command: Command, arguments: Mapping[str, Any], syncs: Sequence[Sync]) -> tuple[dict[str, Any], list[Sync]]:
    """The checked arguments, and the syncs that they mean. Raises RequestError."""
    checked = check_arguments(arguments, command.arguments)
    if "syncs" in command.arguments:
        return checked, syncs_named(checked.get("syncs"), syncs)
    if "sync" not in command.arguments:
        return checked, []
    if "sync" not in checked:
        raise RequestError(Code.BAD_REQUEST, 'the argument "sync" is missing')
    meant = syncs_named([checked["sync"]], syncs)
    if len(meant) > 1:
        raise RequestError(Code.BAD_REQUEST, f'"{checked["sync"][:100]}" means {len(meant)} syncs, not one')
    return checked, meant


def names_of(syncs: Sequence[Sync]) -> list[str]:
    """The names as clients get to know them."""
    return [mask(sync.name) for sync in syncs]


def syncs_named(words: Sequence[str] | None, syncs: Sequence[Sync]) -> list[Sync]:
    """The syncs that a client means; None: all. Raises RequestError."""
    if words is None:
        return list(syncs)
    names = names_of(syncs)
    try:
        return [syncs[place] for place in chosen(words, names)]
    except TooManyPatterns:
        raise RequestError(Code.BAD_REQUEST, f"of the syncs {MOST_PATTERNS} at most may be patterns") from None
    except UnknownSync as error:
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        there_are = ", ".join(names[:SHOWN_NAMES]) + more
        raise RequestError(
            Code.UNKNOWN_SYNC, f'no sync is called "{error.word[:100]}"; there are: {there_are}'
        ) from None


def daemon_status(desk: Desk) -> dict[str, Any]:
    """The fields of the daemon as a whole."""
    runner = desk.runner
    host = runner.host
    watches, polled = runner.count_watches()
    return {
        "pid": os.getpid(),
        "version": __version__,
        "time": desk.time,
        "started": desk.started,
        "config": desk.config,
        "processes": len(host.processes),
        "max_processes": host.run.options.max_processes,
        "watches": watches,
        "polled": polled,
        "overflows": runner.overflows,
        "state": desk.state.value,
        "reloads": desk.reloads,
        "ssh": [report._asdict() for connections in host.shared_ssh for report in connections.report()],
        "tunnels": runner.tunnel_status(),
        "log": desk.log.shown(),
    }
