"""The states of all syncs of one configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.mounttable import read_mounts
from orchestrator.state.keeper import Keeper
from orchestrator.state.paused import PausedSyncs
from orchestrator.state.place import Unusable, open_place
from orchestrator.state.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.logic.mounts import Mounts
    from orchestrator.masterloop import LoopLike
    from orchestrator.state.keeper import Source

PATIENCE: Final = 10.0
"""Seconds that the end waits for what is to be written."""

TRUSTED: Final = frozenset(
    ("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "reiserfs", "tmpfs", "xfs", "zfs")
)
"""File systems whose inodes keep their numbers, and whose ctimes come from the clock of this machine."""


class States:
    """Raises Unusable."""

    def __init__(self, directory: str, loop: LoopLike, warn: Callable[[str], None]) -> None:
        self.directory = directory
        self._place = open_place(directory)
        self._loop = loop
        self._warn = warn
        self._writer = Writer()
        try:
            self.paused = PausedSyncs(self._place, self._writer, loop.soon_threadsafe)
        except OSError as error:
            raise Unusable(error.strerror or str(error)) from None

    def of(self, name: str, source: Callable[[], Source]) -> Keeper:
        """That of a sync. `source()`: what is to be walked, as it is at that time."""

        def report(problem: str) -> None:
            self._loop.soon_threadsafe(lambda: self._warn(problem))

        return Keeper(self._place, name, source, self._writer, self._loop.soon_threadsafe, report)

    def untrusted(self, source: bytes) -> str:
        """See `untrusted_file_system`."""
        return untrusted_file_system(source)

    def close(self) -> None:
        """All keepers are closed: wait until that is done."""
        self._writer.close(PATIENCE)


def untrusted_file_system(source: bytes, mounts: Mounts | None = None) -> str:
    """The type of a file system, at or below a directory, whose times and inodes prove nothing; "": all do. `mounts`
    None: those of this process."""
    mounts = mounts or read_mounts()
    at = mounts.mount_of(source.rstrip(b"/") or b"/")
    if at is None:
        return "unknown"
    return next((mount.kind for mount in (at, *mounts.within(source)) if mount.kind not in TRUSTED), "")
