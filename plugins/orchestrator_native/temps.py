"""Temporary names on the target: never in the way, and known as ours after a crash."""

from __future__ import annotations

import itertools
import os
import re

TOKEN = os.urandom(5).hex()
"""This process."""

_numbers = itertools.count()
_OURS = re.compile(r"\..*\.lsyncd-([0-9a-f]{10})[0-9a-f]{6}", re.DOTALL)

KEPT = 100
"""Bytes of the real name that are kept: with the rest far below 255, and below the 143 of eCryptfs."""


def temp_name(name: str) -> str:
    """`.name.lsyncd-XXXXXXXXXXXXXXXX`."""
    raw = os.fsencode(name)
    short = name if len(raw) <= KEPT else os.fsdecode(raw[:KEPT])
    return f".{short}.lsyncd-{TOKEN}{next(_numbers) & 0xFFFFFF:06x}"


def is_ours(name: str) -> bool:
    """A temporary name, be it of this process or another: never to be mirrored on. The source may be a target too."""
    return _OURS.fullmatch(name) is not None


def is_leftover(name: str) -> bool:
    """A temporary name that another, now dead, process of ours gave."""
    match = _OURS.fullmatch(name)
    return match is not None and match[1] != TOKEN


def is_in_use(name: str) -> bool:
    """A temporary name of this process: some thread is just filling it."""
    match = _OURS.fullmatch(name)
    return match is not None and match[1] == TOKEN
