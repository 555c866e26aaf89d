"""Events and event lists: what an action sees of delays (spec 2.5).

An Event is a view: it keeps nothing of its own, so two for the same delay say the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.logic.event import MOVE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.config.model import Config
    from orchestrator.logic.delay import Delay
    from orchestrator.sync.inlet import Inlet


class Event:
    """One change, or one end of a Move (`half`: 'Fr' the origin, 'To' the destination)."""

    __slots__ = ("delay", "half", "inlet")
    is_list = False

    def __init__(self, inlet: Inlet, delay: Delay, half: str | None = None) -> None:
        self.inlet = inlet
        self.delay = delay
        self.half = half

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and other.delay is self.delay and other.half == self.half

    def __hash__(self) -> int:
        return hash((id(self.delay), self.half))

    @property
    def delays(self) -> list[Delay]:
        return [self.delay]

    @property
    def destination(self) -> Event:
        """The other end of a Move."""
        return Event(self.inlet, self.delay, "To")

    @property
    def etype(self) -> str:
        return self.delay.etype

    @property
    def status(self) -> str:
        return self.delay.status

    @property
    def config(self) -> Config:
        return self.inlet.config

    @property
    def raw_path(self) -> bytes:
        """The path with its leading slash, as in log lines and lists: `/d/f`, `/d/e/`."""
        path2 = self.delay.path2
        return path2 if self.half == "To" and path2 is not None else self.delay.path

    @property
    def path(self) -> bytes:
        """`d/f`, `d/e/`."""
        return self.raw_path[1:]

    @property
    def pathname(self) -> bytes:
        """`d/f`, `d/e`: without a directory's slash."""
        return self.path.removesuffix(b"/")

    @property
    def pathdir(self) -> bytes:
        """`d/`, or nothing at the top: where the file or directory lies."""
        pathname = self.pathname
        return pathname[: pathname.rfind(b"/") + 1]

    @property
    def name(self) -> bytes:
        """`f`, `e/`."""
        return self.path[len(self.pathdir) :]

    @property
    def basename(self) -> bytes:
        """`f`, `e`."""
        return self.name.removesuffix(b"/")

    @property
    def is_dir(self) -> bool:
        return self.raw_path.endswith(b"/")

    @property
    def source(self) -> bytes:
        """The sync's source, absolute, with a trailing slash."""
        return self.inlet.source

    @property
    def source_path(self) -> bytes:
        """`/src//d/f`; the double slash is lsyncd's, and people match on it."""
        return self.source + self.raw_path

    @property
    def source_pathname(self) -> bytes:
        return self.source_path.removesuffix(b"/") if self.raw_path else self.source

    @property
    def source_pathdir(self) -> bytes:
        return self.source + b"/" + self.pathdir if self.raw_path else self.source

    @property
    def target(self) -> bytes:
        return self.inlet.target

    @property
    def target_path(self) -> bytes:
        """`/trg/d/f` for the target `/trg`, `/trg//d/f` for `/trg/`, as lsyncd does."""
        return self.target + self.raw_path

    @property
    def target_pathname(self) -> bytes:
        return self.target_path.removesuffix(b"/") if self.raw_path else self.target

    @property
    def target_pathdir(self) -> bytes:
        return self.target + b"/" + self.pathdir if self.raw_path else self.target


class EventList:
    """Several changes that one spawn serves, in the order of the queue."""

    __slots__ = ("delays", "inlet")
    is_list = True

    def __init__(self, inlet: Inlet, delays: list[Delay]) -> None:
        self.inlet = inlet
        self.delays = delays

    def __len__(self) -> int:
        return len(self.delays)

    def __iter__(self) -> Iterator[Event]:
        """One event for each change; of a Move its origin."""
        return (Event(self.inlet, delay, "Fr" if delay.etype == MOVE else None) for delay in self.delays)

    @property
    def config(self) -> Config:
        return self.inlet.config

    def paths(self) -> list[bytes]:
        """Every path with its leading slash; a Move gives both of its ends."""
        paths: list[bytes] = []
        for delay in self.delays:
            paths.append(delay.path)
            if delay.path2 is not None:
                paths.append(delay.path2)
        return paths


Agent = Event | EventList
"""What a spawn serves: the owner of a child."""
