"""Which two programs are compared."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

ORACLE = "/usr/bin/lsyncd"
REPOSITORY = Path(__file__).parents[2]


def oracle() -> list[str] | None:
    """The real lsyncd; None where it is not installed."""
    return [ORACLE] if os.access(ORACLE, os.X_OK) else None


def ours() -> list[str]:
    """Our daemon: ``LSYNCD_OURS``, or the console script beside the interpreter, or the module."""
    named = os.environ.get("LSYNCD_OURS")
    if named:
        return shlex.split(named)
    script = Path(sys.executable).with_name("lsyncd")
    if os.access(script, os.X_OK):
        return [str(script)]
    return [sys.executable, "-m", "orchestrator.cli"]
