"""A delay: one pending change of one sync (spec 3)."""

from __future__ import annotations

from orchestrator.logic.event import WAIT


class Delay:
    """One pending change.

    `path` and `path2` (destination of a Move) are bytes relative to the source with a leading
    slash; a directory's ends with a slash. `alarm` is in seconds of the monotonic clock; so is `since`: when the oldest
    of the changes happened that it stands for. `seq` is the place in the queue. Invariants, kept by Queue alone: status
    is `block` exactly while `blocker` is set; `blocks` lists those whose blocker this is; `active` delays belong to a
    process.
    """

    __slots__ = ("alarm", "blocker", "blocks", "etype", "path", "path2", "seq", "since", "status")

    def __init__(
        self, seq: int, etype: str, alarm: float, path: bytes, path2: bytes | None = None, since: float | None = None
    ) -> None:
        """`since` None: the same as `alarm`."""
        self.seq = seq
        self.etype = etype
        self.alarm = alarm
        self.since = alarm if since is None else since
        self.path = path
        self.path2 = path2
        self.status: str = WAIT
        self.blocker: Delay | None = None
        self.blocks: list[Delay] | None = None

    def __repr__(self) -> str:
        to = f" -> {self.path2!r}" if self.path2 is not None else ""
        return f"<Delay {self.seq} {self.status} {self.etype} {self.path!r}{to}>"
