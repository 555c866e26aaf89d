"""What runs below a process."""

from __future__ import annotations

from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Its children, each followed by its own; zombies too. Not the shell of ours that ends them should a daemon be
    killed: it lives as long as the daemon."""
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                if not is_lifeline(child):
                    found += [int(child), *descendants(int(child))]
    except OSError:  # ended meanwhile
        pass
    return found


def is_lifeline(pid: str) -> bool:
    """Whether it is what orchestrator/lifeline.py starts."""
    try:
        return b"\0what-ends-with\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def has_ended(pid: int) -> bool:
    """A zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
