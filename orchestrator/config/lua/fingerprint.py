"""What a sync is, beyond its Lua table: its rules, the files that its options name, its name (see fingerprint.lua)."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, Final

from orchestrator.config.model import Config
from orchestrator.logic.sameness import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.sync.sync import Sync

LARGEST: Final = 1 << 20
"""Bytes of a file that is read; of a larger one inode, size and time count."""

LONGEST: Final = 4096
"""Characters of a text that may name a file."""

_PLACES: Final = frozenset({"source", "_source", "target"})
"""Keys whose values name no file; they may lie on a file system that does not answer."""


def fingerprint_of(sync: Sync, text: bytes, *, has_functions: bool, shares: Iterable[tuple[int, int]]) -> Fingerprint:
    """`text`: what fingerprint.lua gives of a sync; `has_functions`, `shares`: see Fingerprint."""
    tunnel = sync.transfers.tunnel
    whole: list[Any] = [
        text, sync.name, sync.source, sync.way, sync.filters.rules(), sync.filters.excludes(), sync.endpoint,
        sorted(vars(sync.options).items(), key=lambda item: item[0]), None if tunnel is None else tunnel.options,
        list(_contents(sync.config)),
    ]  # fmt: skip
    said = repr(whole).encode("utf-8", "surrogateescape")
    return Fingerprint(hash(said), len(said), has_functions, frozenset(shares))


def _contents(config: Config) -> Iterator[tuple[str, object]]:
    """The files that a config names, as a value or behind an equals sign, with what is in them. Programs do not count:
    each transfer runs what is there."""
    for name in sorted(set(_texts(config))):
        try:
            status = os.stat(name)
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o111:
                continue
            identity = status.st_ino, status.st_size, status.st_mtime_ns
            yield name, identity if status.st_size > LARGEST else _read(name)
        except (OSError, ValueError):
            continue


def _read(name: str) -> bytes:
    with open(name, "rb") as file:
        return file.read(LARGEST)


def _texts(config: Config) -> Iterator[str]:
    values = [value for key, value in config.items() if key not in _PLACES] + config.list()
    for value in values:
        if isinstance(value, Config):
            yield from _texts(value)
        elif isinstance(value, str) and len(value) <= LONGEST:
            yield value
            if "=" in value:
                yield value.partition("=")[2]
