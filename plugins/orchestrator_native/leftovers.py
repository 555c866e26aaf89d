"""Temporary files that a killed daemon has left on the target, where a restart looks at what changed alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orchestrator.api import opened
from orchestrator_native.temps import is_leftover

if TYPE_CHECKING:
    from collections.abc import Iterable


def remove_leftovers(target: bytes, paths: Iterable[bytes]) -> None:
    """Remove those beside these paths (leading slash). A run over everything does so everywhere."""
    target = target.rstrip(b"/") + b"/"
    for directory in {path[1 : path.rstrip(b"/").rfind(b"/") + 1] for path in paths}:
        try:
            with opened(target + directory, (target,)) as way:
                for name in os.listdir(way):
                    if is_leftover(os.fsdecode(name)):
                        os.unlink(way + name)
        except OSError:
            continue  # it never came so far, or is not ours to remove
