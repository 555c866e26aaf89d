"""What the variables of layer 3 stand for (spec 2.7), for one event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.sync.inlet import Event

VALUES: Final[Mapping[str, Callable[[Event], bytes]]] = {
    "path": lambda event: event.path,
    "pathname": lambda event: event.pathname,
    "pathdir": lambda event: event.pathdir,
    "source": lambda event: event.source,
    "sourcePath": lambda event: event.source_path,
    "sourcePathname": lambda event: event.source_pathname,
    "sourcePathdir": lambda event: event.source_pathdir,
    "target": lambda event: event.target,
    "targetPath": lambda event: event.target_path,
    "targetPathname": lambda event: event.target_pathname,
    "targetPathdir": lambda event: event.target_pathdir,
}


def variable_value(variable: str, event: Event, event2: Event | None = None) -> bytes:
    """The value of a layer-3 variable; `event2` is the destination of a Move."""
    end, _, name = variable.rpartition(".")
    return VALUES[name](event2 if end == "d" and event2 is not None else event)
