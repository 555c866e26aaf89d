"""The config keys of `default.command` (spec 4.5), and what they make up together: a plan."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from orchestrator.api import (
    VARIABLES,
    Config,
    ConfigError,
    Option,
    Options,
    Template,
    etypes,
    to_bytes,
    translate,
    translate_words,
)

EVENTS: Final = {
    "create": etypes.CREATE,
    "modify": etypes.MODIFY,
    "attrib": etypes.ATTRIB,
    "delete": etypes.DELETE,
    "move": etypes.MOVE,
}

_ONE: Final = Option((list, str, bool), None, "instead of `command`; false: nothing is run")

OPTIONS: Final[Options] = {
    "target": Option((str,), None, "what `^target` stands for; may be anything"),
    "command": Option((list, str), None, "what is run: a program and its arguments, or a string as in layer 3"),
    "per": Option((str,), "batch", "`batch`: run once for all that changed, or `event`: for each change"),
    "paths": Option(
        (str,), "stdin", "how a batch's paths are handed over: on `stdin`, as `arguments`, in a `file` (`^pathsFile`)"
    ),
    "each": Option((str,), "^path", "what is handed over of each change of a batch"),
    "separator": Option((str,), "nul", "what follows each path on stdin and in a file: `nul` or `newline`"),
    "events": dict.fromkeys(EVENTS, _ONE),
    "startupCommand": Option((list, str), None, "run at startup; none: the startup does nothing"),
    "verifyCommand": Option(
        (list, str), None, "compares source and target: status 0 equal, 1 different, each line of stdout `KIND PATH`"
    ),
    "fullCommand": Option((list, str), None, "run for any other full run (crontab, lost events); none: as at startup"),
}

OF_SYNC: Final = ("name", "source", "target")
OF_BATCH: Final = (*OF_SYNC, "count", "paths", "pathsFile")
OF_EVENT: Final = (*VARIABLES, "name", "etype")
OF_EACH: Final = (*VARIABLES, "etype")
"""Variables of startup and full runs, of a batch's command, of a command for one event, of `each`."""

SEPARATORS: Final = {"nul": b"\0", "newline": b"\n"}


class Plan(NamedTuple):
    """What a sync's config asks for. `events`: None where nothing is to be run for a kind of change."""

    per_event: bool
    command: Template | None
    events: dict[str, Template | None]
    startup: Template | None
    full: Template | None
    verify: Template | None
    paths: str
    each: Template
    separator: bytes


def plan_of(config: Config) -> Plan:
    """The plan of a config. Raises ConfigError with one clear line."""
    per = _one_of(config, "per", ("batch", "event"))
    paths = _one_of(config, "paths", ("stdin", "arguments", "file"))
    separator = SEPARATORS[_one_of(config, "separator", tuple(SEPARATORS))]
    per_event = per == "event"
    command = _command(config, "command", OF_EVENT if per_event else OF_BATCH)
    events = _events(config, command)
    startup = _command(config, "startupCommand", OF_SYNC)
    plan = Plan(
        per_event=per_event,
        command=command,
        events=events,
        startup=startup,
        full=_command(config, "fullCommand", OF_SYNC) or startup,
        verify=_command(config, "verifyCommand", OF_SYNC),
        paths=paths,
        # a list of one word, so that no shell and no leading slash means anything
        each=translate_words([to_bytes(_text(config, "each"))], OF_EACH),
        separator=separator,
    )
    _check(plan, config)
    return plan


def _check(plan: Plan, config: Config) -> None:
    given = any(isinstance(config.get("events", None), Config) and config.get("events").get(key) for key in EVENTS)
    if plan.per_event:
        if plan.command is None and not given:
            raise ConfigError('default.command needs "command" configured, or "events"')
        return
    if given:
        raise ConfigError('default.command: "events" needs per = "event"')
    if plan.command is None:
        raise ConfigError('default.command needs "command" configured')
    has_file = "pathsFile" in plan.command.variables()
    if plan.paths == "file" and not has_file:
        raise ConfigError('default.command: paths = "file" needs ^pathsFile in the command')
    if plan.paths != "file" and has_file:
        raise ConfigError('default.command: ^pathsFile in the command needs paths = "file"')
    if plan.paths == "arguments" and plan.command.is_shell:
        raise ConfigError(
            'default.command: paths = "arguments" needs a list; for a shell: { "sh", "-c", "…", "sh", "^paths" }'
        )
    if "paths" in plan.command.variables():
        if plan.paths != "arguments":
            raise ConfigError('default.command: ^paths in the command needs paths = "arguments"')
        if any("paths" in _names(word) and not is_paths(word) for word in plan.command.arguments):
            raise ConfigError("default.command: ^paths must stand alone, as an argument of its own")


def _names(word: tuple[bytes, ...]) -> set[str]:
    return {name.decode() for name in word[1::2]}


def is_paths(word: tuple[bytes, ...]) -> bool:
    """Whether a word of a template stands for all paths of a batch."""
    return word == (b"", b"paths", b"")


def _events(config: Config, command: Template | None) -> dict[str, Template | None]:
    table = config.get("events")
    found: dict[str, Template | None] = dict.fromkeys(EVENTS.values(), command)
    if isinstance(table, Config):
        for key, etype in EVENTS.items():
            value = table.get(key)
            if value is False:
                found[etype] = None
            elif value is not None:
                found[etype] = _command(table, key, OF_EVENT, "events.")
    return found


def _one_of(config: Config, key: str, values: tuple[str, ...]) -> str:
    value = _text(config, key)
    if value not in values:
        names = " or ".join(f'"{one}"' for one in values)
        raise ConfigError(f'default.command: "{key}" must be {names}, not "{value}"')
    return value


def _text(config: Config, key: str) -> str:
    value = config.get(key)
    if not isinstance(value, str):
        raise ConfigError(f'default.command: "{key}" must be a string')
    return value


def _command(config: Config, key: str, variables: tuple[str, ...], prefix: str = "") -> Template | None:
    """A command, translated: a string as in layer 3, a list as it is. None where there is none."""
    value = config.get(key)
    if value is None:
        return None
    if isinstance(value, str) and value.strip():
        return translate(to_bytes(value), variables)
    words = value.list() if isinstance(value, Config) else []
    if not words or not all(_is_word(word) for word in words):
        raise ConfigError(f'default.command: "{prefix}{key}" must be a string, or a list of strings, and not empty')
    return translate_words([to_bytes(str(word)) for word in words], variables)


def _is_word(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)
