"""Nothing a case does may harm the machine: two walls between a daemon under test and the files of others.

The first is the mount name space of ``confine.sh``: all is read-only but the sandbox. The second holds where name
spaces are not to be had: no daemon starts whose config or arguments name a target outside the sandbox.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPT = Path(__file__).with_name("confine.sh")
TARGET = re.compile(r"""\btarget(?:dir)?\s*=\s*(?:"([^"]*)"|'([^']*)'|\[\[(.*?)\]\])""", re.S)


class UnsafeCase(Exception):
    """A case names a target outside its sandbox."""


@functools.cache
def confinement() -> tuple[str, ...] | None:
    """The command that runs ``BOX COMMAND…`` confined; None where the machine does not allow it."""
    for flags in (["-m"],) if os.geteuid() == 0 else (["-r", "-m"],):
        command = ("unshare", *flags, "sh", str(SCRIPT))
        with tempfile.TemporaryDirectory() as box:
            try:
                if subprocess.run([*command, box, "true"], capture_output=True, check=False).returncode == 0:
                    return command
            except FileNotFoundError:
                pass
    return None


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
