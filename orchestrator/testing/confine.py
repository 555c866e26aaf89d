"""A wall between a daemon under test and everybody's files: a mount name space where only one directory is writable."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from pathlib import Path

SCRIPT = Path(__file__).with_name("confine.sh")


@functools.cache
def confinement() -> tuple[str, ...] | None:
    """The command that runs `BOX COMMAND…` confined; None where the machine does not allow it."""
    for flags in (["-m"],) if os.geteuid() == 0 else (["-r", "-m"],):
        command = ("unshare", *flags, "sh", str(SCRIPT))
        with tempfile.TemporaryDirectory() as box:
            try:
                if subprocess.run([*command, box, "true"], capture_output=True, check=False).returncode == 0:
                    return command
            except FileNotFoundError:
                pass
    return None


def confined(box: Path, *command: str) -> list[str]:
    """The command, kept in the box where the machine can do that."""
    wall = confinement()
    return [*wall, str(box), *command] if wall else list(command)
