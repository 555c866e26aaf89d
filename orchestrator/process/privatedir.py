"""A directory for sockets that nobody but the daemon's own user can reach."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from typing import TYPE_CHECKING, Final

from orchestrator.ownfiles import temporary_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PREFIX: Final = "lsyncd-"

_PLAIN: Final = re.compile(r"[A-Za-z0-9._/-]+")
"""A path that is one word for every program: no blank, no quote, nothing that ssh replaces."""


def make_private_directory(longest: int, places: Iterable[str] | None = None) -> str | None:
    """A new directory (mode 0700) with a path of at most so many bytes; None: there is no place for one.

    In the first of the places that will do: nobody but root and the own user can put another directory there.
    `places` None: `$XDG_RUNTIME_DIR`, /run (root's), and where temporary files go.
    """
    for place in map(os.path.realpath, _usual_places() if places is None else places):
        if len(place) + len(f"/{PREFIX}12345678") > longest or not _PLAIN.fullmatch(place) or not is_safe(place):
            continue
        try:
            return tempfile.mkdtemp(prefix=PREFIX, dir=place)
        except OSError:
            continue
    return None


def _usual_places() -> Iterator[str]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        yield runtime
    if os.geteuid() == 0:
        yield "/run"
    yield temporary_directory()


def is_safe(path: str) -> bool:
    """Whether nobody else can rename what is in the directory, or one above it."""
    while True:
        try:
            status = os.lstat(path)
        except OSError:
            return False
        is_others = status.st_uid not in (0, os.geteuid())
        is_open = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
        if is_others or is_open or not stat.S_ISDIR(status.st_mode):
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)
