"""What a sync's or tunnel's table says, as the engine wants it: filters, crontab, the options of a tunnel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from orchestrator.config.lua.runtime import to_bytes, to_text
from orchestrator.config.lua.table import TableConfig
from orchestrator.errors import ConfigError
from orchestrator.logic.filters import Filters, read_exclude_lines, read_filter_lines
from orchestrator.logic.tunnel import TunnelOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.sync.crontab import Crontab
    from orchestrator.sync.target import Target


def crontab_of(name: str, rules: Any, key: str = "crontab") -> Crontab:
    # imported late: the libraries cost time at each start, and few configs need them
    from orchestrator.sync.crontab import Crontab

    return Crontab(name, rules.list() if isinstance(rules, TableConfig) else [rules], key)


def tunnel_options(table: TableConfig) -> TunnelOptions:
    """What tunnel.lua has checked and completed."""
    return TunnelOptions(
        name=table.get("name"),
        command=_words(table.get("command")),
        mode=table.get("mode"),
        parallel=table.get("parallel"),
        retry_delay=table.get("retryDelay"),
        ready_delay=table.get("readyDelay"),
        check_command=_words(table.get("checkCommand")),
        check_exit_codes=frozenset(table.get("checkExitCodes").list()),
        check_max_failed=table.get("checkMaxFailed"),
        localhost=to_bytes(table.get("localhost")),
    )


def _words(command: TableConfig | None) -> tuple[bytes, ...]:
    return () if command is None else tuple(map(to_bytes, command.list()))


def filters_of(config: TableConfig) -> Filters:
    """The rules of a sync (spec 3.2). Raises ConfigError for a bad rule or a file that can't be read."""
    filters = Filters()
    for line in [*_patterns(config, "filter"), *_from_file(config, "filterFrom", "filter", read_filter_lines)]:
        try:
            filters.append_filter(line)
        except ValueError:
            raise ConfigError(f'Unknown filter rule: "{to_text(line)}"') from None
    for pattern in [*_patterns(config, "exclude"), *_from_file(config, "excludeFrom", "exclude", read_exclude_lines)]:
        filters.add_exclude(pattern)
    return filters


def resumes(config: TableConfig) -> bool:
    """`resume`. Raises ConfigError where it is neither true nor false: nobody would know what is meant."""
    value = config.get("resume")
    if value is not None and not isinstance(value, bool):
        raise ConfigError('"resume" must be true or false.')
    return value is not False


def marker_of(config: TableConfig, target: Target | None) -> bytes:
    """`targetMarker`, empty where there is none. Raises ConfigError where it could not be looked for, or be kept."""
    marker = config.get("targetMarker")
    if marker is None:
        return b""
    if not isinstance(marker, str) or not re.fullmatch(r"[\w.@%+=~-][\w.@%+=~ -]*", marker) or marker in (".", ".."):
        raise ConfigError('"targetMarker" must be the name of a file in the target, of letters, digits and . _ - only.')
    if target is None or (target.directory is None and target.ask is None):
        raise ConfigError('"targetMarker": this action does not tell where its target is, so nobody can look there.')
    if target.deletes_excluded:
        raise ConfigError('"targetMarker" does not go with rsync.delete_excluded, which would delete it.')
    return to_bytes(marker)


def _patterns(config: TableConfig, key: str) -> list[bytes]:
    value = config.get(key)
    if value is None:
        return []
    return [to_bytes(str(item)) for item in (value.list() if isinstance(value, TableConfig) else [value])]


def _from_file(config: TableConfig, key: str, what: str, read: Callable[[bytes], list[bytes]]) -> list[bytes]:
    path = config.get(key)
    if path is None:
        return []
    try:
        with open(to_bytes(str(path)), "rb") as file:
            return read(file.read())
    except OSError as error:
        raise ConfigError(f'Cannot open {what} file "{path}": {path}: {error.strerror}') from None
