"""The command for one change between two local trees (spec 4.4).

It looks at what lies there now, since names lead astray: a link on the target would make `cp`
write, and `rm` with a trailing slash delete, outside the tree; `cp` would wait for ever at a FIFO.
"""

from __future__ import annotations

import os
import stat

from orchestrator.api import Event, etypes

MOVE = 'mv -T -- "$1" "$2"'
"""`-T`: a directory takes the place of an empty one, it never lands inside it (spec 6 row 24)."""

MOVE_OR_REMOVE = MOVE + ' || { rm -rf -- "$1"; exit 1; }'


def command(event: Event, removes: bool) -> list[str | bytes] | None:
    """What brings this one change to the target; None: nothing. `removes`: deletions are carried over."""
    if not event.pathname:
        return None  # the root of the tree itself: never to be removed or replaced
    if event.etype in (etypes.CREATE, etypes.MODIFY):
        return _make_directory(event) if event.is_dir else _copy(event)
    if event.etype == etypes.DELETE and removes:
        return ["rm", "-rf", "--", _itself(event)]
    if event.etype == etypes.MOVE:
        script = MOVE_OR_REMOVE if removes else MOVE
        return ["sh", "-c", script, "sh", _itself(event), _itself(event.destination)]
    return None


def _make_directory(event: Event) -> list[str | bytes] | None:
    return ["mkdir", "--", event.target_path] if event.etype == etypes.CREATE else None


def _copy(event: Event) -> list[str | bytes]:
    kind = file_kind(event.source_path)
    options: list[str | bytes] = ["-p"]
    if kind is not None and not stat.S_ISREG(kind):
        options = ["-pRP"]
    if is_link(event.target_path):
        options.append("--remove-destination")
    return ["cp", *options, "--", event.source_path, event.target_pathdir]


def _itself(event: Event) -> bytes:
    """The path on the target, which must not mean what a link there points to."""
    return event.target_pathname if is_link(event.target_pathname) else event.target_path


def file_kind(path: bytes) -> int | None:
    """The file's type bits, of a link its own; None where there is nothing."""
    try:
        return stat.S_IFMT(os.lstat(path).st_mode)
    except OSError:
        return None


def is_link(path: bytes) -> bool:
    kind = file_kind(path)
    return kind is not None and stat.S_ISLNK(kind)
