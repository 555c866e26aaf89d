"""The config keys of `default.native` (spec 4.5), and what makes a target fit."""

from __future__ import annotations

import os
from typing import Final

from orchestrator.api import SELECTION, Config, ConfigError, Option, Options

OPTIONS: Final[Options] = {
    "target": Option((str,), None, "the directory to keep equal; neither empty nor the root directory"),
    **SELECTION,
    "hardLinks": Option((bool,), True, "what is one file with several names is one on the target, too"),
    "xattrs": Option((bool,), True, "carry extended attributes over"),
    "threads": Option((int,), None, "threads that walk and copy at most, for this sync; two for each processor"),
}


def checked_target(config: Config) -> str:
    """The target, absolute and with a trailing slash. ConfigError where mirroring to it would do harm."""
    target = config.get("target")
    if target is None:
        raise ConfigError('default.native needs "target" configured')
    if not isinstance(target, str) or not target.strip():
        raise ConfigError("default.native: the target must not be empty")
    if ":" in target.split("/")[0]:
        raise ConfigError(f'default.native: the target "{target}" names a host; native works on local trees only')
    path = os.path.abspath(os.fsencode(target))
    real = os.path.realpath(path)
    if real == b"/":
        raise ConfigError("default.native: the target must not be the root directory")
    source = config.get("source")
    if isinstance(source, str) and source:
        inner = os.path.realpath(os.fsencode(source))
        if inner == real:
            raise ConfigError("default.native: source and target are the same directory")
        if inner.startswith(real + b"/"):
            raise ConfigError("default.native: the source lies inside the target")
    return os.fsdecode(path.rstrip(b"/") + b"/")


def checked_threads(config: Config) -> int | None:
    """None: as many as there are for all syncs."""
    threads = config.get("threads")
    if threads is None:
        return None
    if isinstance(threads, bool) or not isinstance(threads, (int, float)) or threads < 1:
        raise ConfigError('default.native: "threads" must be a number, 1 or more')
    return int(threads)
