"""Whether others could change files that the daemon runs: its config, and what that loads (`-strict`)."""

from __future__ import annotations

import os
import stat
from typing import Final

LINKS: Final = 40
"""Symlinks on the way to a file at most, as for the kernel (path_resolution(7))."""


def why_not_trusted(path: str, user: int) -> str | None:
    """Why others than root and `user` could change the file under a path: the place on the way to it, links included,
    and what is wrong with that. None: they could not, or there is no file."""
    trusted = (0, user)
    here, parts, links = "/", _parts(os.path.abspath(path)), 0
    while True:
        try:
            status = os.lstat(here)
        except OSError:
            return None  # reading it fails, too
        reason = _reason(here, status, trusted)
        if reason is not None:
            return reason
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > LINKS:
                return f"{here} is one of more than {LINKS} links"
            target = os.readlink(here)
            here = "/" if target.startswith("/") else os.path.dirname(here)
            parts += _parts(target)
        if not parts:
            return None
        part = parts.pop()
        here = os.path.dirname(here) if part == ".." else os.path.join(here, part)


def _parts(path: str) -> list[str]:
    """The names on the way, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _reason(path: str, status: os.stat_result, trusted: tuple[int, int]) -> str | None:
    if status.st_uid not in trusted:
        return f"{path} belongs to {_name(status.st_uid)}"
    if stat.S_ISLNK(status.st_mode) or not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return None
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return None  # as /tmp: what is in it can be replaced by its owner only, who is looked at next
    return f"{path} may be written by others than its owner"


def _name(uid: int) -> str:
    import pwd  # late: only a problem needs it

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
