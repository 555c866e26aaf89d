"""The settings of plugins, `settings { plugins = { NAME = { … } } }`: the same rules for both config languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.config.anchor import anchor_paths
from orchestrator.config.model import Config, DictConfig, Option
from orchestrator.config.types import fits_in_lua, kinds, like, lua_kind
from orchestrator.errors import ConfigError
from orchestrator.logic.secrets import declare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.config.model import Options, OwnSettings

Problem = tuple[tuple[str, ...], str]
"""The keys below `settings.plugins`, and what is wrong there."""


def problem_with_plugins(
    plugins: Config, known: Mapping[str, OwnSettings], problems: Mapping[str, str]
) -> Problem | None:
    """The first thing that is wrong with the settings of any plugin. `problems`: why a plugin could not be loaded.

    Secret values are masked in the log from now on.
    """
    if plugins.int_items():
        return (), "must be a table of plugins by their names, not a list"
    for name, own in sorted(plugins.items()):
        try:
            found = _problem_with(name, own, known, problems)
        except RecursionError:
            found = (name,), "is nested too deeply, or contains itself"
        if found is not None:
            return found
    return None


def _problem_with(name: str, own: Any, known: Mapping[str, OwnSettings], problems: Mapping[str, str]) -> Problem | None:
    if name in problems:
        return (name,), problems[name]
    if name not in known:
        names = ", ".join(sorted(known)) or "none"
        return (name,), f'there is no plugin "{name}" that has settings; there are: {names}'
    if not isinstance(own, Config):
        return (name,), f"must be a table, not {lua_kind(own)}"
    options = known[name].options
    for path, message in _problems(own, options, (name,)):
        return path, message
    values = plain(own, options)
    _declare_secrets(values, options)
    try:
        known[name].check(completed(values, options, is_anchored=False))
    except ConfigError as error:
        return (name,), str(error)
    return None


def _problems(config: Config, options: Options, path: tuple[str, ...]) -> Iterator[Problem]:
    for number, _ in config.int_items():
        yield path, f"has a value without a key, number {number}"
    for key, value in sorted(config.items()):
        option = options.get(key)
        if option is None:
            yield (*path, key), f"unknown key{like(key, options)}"
        elif isinstance(option, Option):
            if option.types and not fits_in_lua(value, option.types):
                yield (*path, key), f"must be {kinds(option.types)}, not {lua_kind(value)}"
        elif not isinstance(value, Config):
            yield (*path, key), f"must be a table, not {lua_kind(value)}"
        else:
            yield from _problems(value, option, (*path, key))


def plain(config: Config, options: Options) -> dict[str, Any]:
    """Checked settings as plain Python values."""
    return {key: _plain_value(value, options[key]) for key, value in sorted(config.items())}


def _plain_value(value: Any, option: Option | Options) -> Any:
    if not isinstance(option, Option):
        return plain(value, option)
    if isinstance(value, Config):
        return _plain_table(value, is_list=list in option.types and not value.items())
    if isinstance(value, float) and int in option.types and float not in option.types:
        return int(value)
    return value


def _plain_table(table: Config, *, is_list: bool) -> Any:
    if is_list:
        return [_plain_item(item) for item in table.list()]
    return {key: _plain_item(item) for key, item in (*sorted(table.items()), *table.int_items())}


def _plain_item(item: Any) -> Any:
    return _plain_table(item, is_list=not item.items()) if isinstance(item, Config) else item


def completed(values: Mapping[str, Any], options: Options, *, is_anchored: bool) -> dict[str, Any]:
    """All keys of a plugin, those that are not set with their defaults. `is_anchored`: relative paths count from the
    working directory (see anchor_paths)."""
    result: dict[str, Any] = dict(values)
    for key, option in options.items():
        if not isinstance(option, Option):
            result[key] = completed(values.get(key, {}), option, is_anchored=is_anchored)
        elif key not in values:
            result[key] = option.default
    if is_anchored:
        config = DictConfig(result)
        anchor_paths(config, options)
        result = {**result, **{key: item for key, item in config.items() if isinstance(item, str)}}
    return result


def _declare_secrets(values: Mapping[str, Any], options: Options) -> None:
    for key, value in values.items():
        option = options[key]
        if not isinstance(option, Option):
            _declare_secrets(value, option)
        elif option.secret:
            for text in _texts_in(value):
                declare(text)


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value if isinstance(value, list) else value.values():
            yield from _texts_in(item)
