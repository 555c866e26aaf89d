"""Nothing a case does may harm the machine: two walls between a daemon under test and the files of others.

The first is the mount name space of ``orchestrator.testing``: all is read-only but the sandbox. The second holds
where name spaces are not to be had: no daemon starts whose config or arguments name a target outside the sandbox.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from orchestrator.testing.confine import confinement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["UnsafeCase", "check_targets", "confinement"]

TARGET = re.compile(r"""\btarget(?:dir)?\s*=\s*(?:"([^"]*)"|'([^']*)'|\[\[(.*?)\]\])""", re.S)


class UnsafeCase(Exception):
    """A case names a target outside its sandbox."""


def check_targets(root: Path, config: str, args: Sequence[str]) -> None:
    """Raise :class:`UnsafeCase` where a target lies outside of ``root`` (remote ones go to a stub ssh only)."""
    targets = [next(group for group in match if group is not None) for match in _targets(config)]
    for option, count, place in (("rsync", 2, 2), ("direct", 2, 2), ("rsyncssh", 3, 3)):
        for index, arg in enumerate(args):
            if arg.lstrip("-") == option and arg.startswith("-") and len(args) > index + count:
                targets.append(args[index + place])
    for target in targets:
        path = os.path.normpath(os.path.join(root, target))
        if not target or not f"{path}/".startswith(f"{root}/"):
            raise UnsafeCase(f"target {target!r} is outside of the sandbox")


def _targets(config: str) -> list[tuple[str | None, ...]]:
    return [match.groups() for match in TARGET.finditer(config)]
