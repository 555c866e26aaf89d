"""The knowledge that one sync's runs leave for the next ones."""

from __future__ import annotations

from orchestrator_native.links import Links
from orchestrator_native.missing import Missing
from orchestrator_native.newer import Newer
from orchestrator_native.proofs import Proofs


class Memory:
    """The knowledge of one sync; a loss costs time, nothing else."""

    def __init__(self) -> None:
        self.links = Links()
        self.proofs = Proofs()
        self.newer = Newer()
        self.missing = Missing()
        self.granularity: int | None = None
        """Nanoseconds that times of the target's file system are multiples of."""
        self.source: tuple[int, int] | None = None
        """Device and inode of the source's directory."""
        self.target: tuple[int, int] | None = None
