"""Which two programs are compared."""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
from pathlib import Path

ORACLE = "/usr/bin/lsyncd"
RELEASE = "2.2.3"
REPOSITORY = Path(__file__).parents[2]

# Read once: daemons are started by many threads, and pytest notes in it which test runs.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "LUA_", "PYTHONWARN"))
}
"""What every daemon under comparison finds in its environment, and what is added to it."""


@functools.cache
def oracle() -> list[str] | None:
    """The real lsyncd; None where it is not installed, or another release than the table was made for."""
    try:
        told = subprocess.run([ORACLE, "-version"], capture_output=True, check=False, timeout=30).stdout
    except OSError:
        return None
    return [ORACLE] if told == f"Version: {RELEASE}\n".encode() else None


def ours() -> list[str]:
    """Our daemon: ``LSYNCD_OURS``, or the console script beside the interpreter, or the module."""
    named = os.environ.get("LSYNCD_OURS")
    if named:
        return shlex.split(named)
    script = Path(sys.executable).with_name("lsyncd")
    if os.access(script, os.X_OK):
        return [str(script)]
    return [sys.executable, "-m", "orchestrator.cli"]
