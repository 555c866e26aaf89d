"""What runs below a process."""

from __future__ import annotations

from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Its children, each followed by its own; zombies too."""
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    except OSError:  # ended meanwhile
        pass
    return found


def has_ended(pid: int) -> bool:
    """A zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
