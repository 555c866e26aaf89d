"""The recorded states of syncs (setting `stateDir`), looked at from outside."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def is_recorded(states: Path) -> bool:
    """Whether the state of the only sync is complete, after a full run."""
    try:
        (name,) = states.glob("*.db")
        with contextlib.closing(sqlite3.connect(f"file:{name}?mode=ro", uri=True)) as db:
            return db.execute("SELECT value FROM about WHERE key = 'full'").fetchall() == [("done",)]
    except (ValueError, sqlite3.Error):
        return False
