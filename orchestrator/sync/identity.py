"""What the state of a sync's target was made for: with anything else, it says nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.config.model import Config
    from orchestrator.sync.sync import Sync

HARMLESS: Final = frozenset(
    (
        *("_source", "action", "batchSizeLimit", "checkgauge", "collect", "crontab", "delay", "exclude", "excludeFrom"),
        *("exitcodes", "filter", "filterFrom", "full", "init", "maxDelays", "maxDelete", "maxProcesses", "monitor"),
        *("name", "onBatchEnd", "onBatchStart", "prepare", "resume", "rsyncExitCodes", "settle", "source"),
        *("staleAfter", "sshExitCodes", "sshShare", "startupProcesses", "statusInterval", "target", "threads"),
        *("verify", "verifyCommand"),
    )
)
"""Keys that do not change what the target gets, or that another part of the identity stands for."""


def identity_of(sync: Sync) -> dict[str, str]:
    """Of a sync as it is now. The options are hashed, as there may be passwords among them."""
    return {
        "source": f"{sync.source!r} {_directory(sync.source)}",
        "target": f"{sync.inlet.target!r} {_directory(sync.place) if sync.place is not None else ''}",
        "filters": _hash(sync.filters.rules()),
        "options": _hash(_words(sync.config, HARMLESS)),
    }


def _directory(path: bytes) -> str:
    """Which directory it is; "gone": none."""
    try:
        status = os.stat(path)
    except OSError:
        return "gone"
    return f"{status.st_dev}:{status.st_ino}"


def _hash(words: Any) -> str:
    import hashlib  # late: most daemons have no use for it, and it brings OpenSSL along

    digest = hashlib.sha256()
    for word in words:
        data = word if isinstance(word, bytes) else word.encode("utf-8", "surrogateescape")
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()


def _words(config: Config, left_out: frozenset[str] = frozenset()) -> Iterator[str]:
    """All values with their keys, in an order of their own."""
    pairs: list[tuple[Any, Any]] = [(key, value) for key, value in config.items() if key not in left_out]
    if not left_out:
        pairs += config.int_items()
    for key, value in sorted(pairs, key=lambda pair: str(pair[0])):
        yield f"{key}="
        if isinstance(value, type(config)):
            yield "{"
            yield from _words(value)
            yield "}"
        else:
            yield repr(value) if isinstance(value, (str, int, float)) else type(value).__name__
