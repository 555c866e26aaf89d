"""Our daemon in the foreground, in a directory of the test's own, from which it can't get out.

It is the one that plugin authors get; here it runs from the checkout, and where the machine has no mount name
spaces, a config that names a target outside of the test's directory is not started at all.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from orchestrator.testing import daemon as shipped
from orchestrator.testing.confine import confined, confinement
from orchestrator.testing.daemon import DEADLINE, TERMINATED, wait_until
from tests.differential.confine import UnsafeCase

__all__ = ["DEADLINE", "ROOT", "TERMINATED", "Daemon", "UnsafeCase", "check_targets", "confined", "wait_until"]

ROOT = Path(__file__).resolve().parents[2]

COMMENT = re.compile(r"^\s*(?:--|#).*$", re.M)
TARGET = re.compile(r"\btarget(?:dir)?\s*=(?!=)\s*(.*)")

HARMLESS = (
    "demo ..",
    'os.getenv( "TARGETDIR" )',
    # the test's own rsync daemon (tests/kit/rsyncd.py), which is confined itself
    '"rsync://^localhost:^localport/',
    '"rsync://127.0.0.1:',
    # of a stub that transfers nothing (tests/e2e/test_secrets.py)
    '"rsync://u:hunter2@127.0.0.1/m"',
)
"""How the targets of examples and tests begin, beside those in the box."""


def check_targets(box: Path, text: str) -> None:
    """Raise UnsafeCase where a config's target neither lies in the box nor is below `demo`, which the test sets."""
    for expression in TARGET.findall(COMMENT.sub("", text)):
        if not expression.startswith((*HARMLESS, f'"{box}/')):
            raise UnsafeCase(f"target {expression} may be outside of the sandbox")


class Daemon(shipped.Daemon):
    """The checkout's own daemon (see orchestrator.testing.daemon)."""

    def python_path(self) -> list[str]:
        return [str(ROOT), str(ROOT / "plugins")]

    def command(self) -> list[str]:
        return self._hurried or super().command()

    def hurry(self, rate: float) -> Daemon:
        """To be called before it is started: its clock goes `rate` times as fast."""
        self._hurried = [sys.executable, "-m", "tests.kit.hurried", f"{rate:g}"]
        return self

    _hurried: list[str] | None = None

    def check_config(self, text: str) -> None:
        if confinement() is None:
            check_targets(self.box, text)

    def __enter__(self) -> Daemon:
        super().__enter__()
        return self
