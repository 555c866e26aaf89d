"""What a config has done around each transfer: onBatchStart and onBatchEnd as commands (spec 6 "Beyond").

A command is a string of layer 3 with variables of its own. It runs like any transfer: started here, its end
comes through the loop. The list of paths goes into a file that only we can read, removed when it has ended.
"""

from __future__ import annotations

import contextlib
import functools
import os
from typing import TYPE_CHECKING, Final

from orchestrator.logic.layer3 import Template, translate, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from orchestrator.process.spawn import Child
    from orchestrator.sync.event import Agent
    from orchestrator.sync.sync import Sync

BATCH_START: Final = "onBatchStart"
BATCH_END: Final = "onBatchEnd"

PATHS_FILE: Final = "pathsFile"

VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    BATCH_START: (PATHS_FILE, "count", "name", "source", "target"),
    BATCH_END: (PATHS_FILE, "count", "name", "source", "target", "exitcode", "seconds", "verdict"),
}
"""What `^name` may name in each of the two."""


def batch_paths(agent: Agent) -> list[bytes]:
    """The paths of a transfer, with leading slashes, both ends of a Move; none for a startup or full run."""
    paths = (path for delay in agent.delays for path in (delay.path, delay.path2))
    return [path for path in paths if path]


_PREFIX: Final = "lsyncd-paths-%d-"
"""Of a list's name, with the pid of who made it."""


@functools.lru_cache(maxsize=256)
def batch_template(kind: str, command: bytes) -> Template:
    """A command of the kind onBatchStart or onBatchEnd, translated."""
    return translate(command, VARIABLES[kind])


def write_list(paths: Iterable[bytes], separator: bytes = b"\0") -> bytes:
    """A new file, readable for us alone, with the paths, a separator after each. Raises OSError."""
    import tempfile

    fd, name = tempfile.mkstemp(prefix=_PREFIX % os.getpid())
    try:
        with open(fd, "wb") as file:
            file.writelines(path + separator for path in paths)
    except BaseException:
        os.unlink(name)
        raise
    return os.fsencode(name)


def remove_list(path: bytes) -> None:
    """Remove a file that `write_list` made; it may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove_lists_of(pid: int) -> None:
    """Remove what a daemon with this pid, killed by now, has left of its lists."""
    import tempfile

    directory = tempfile.gettempdir()
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            if name.startswith(_PREFIX % pid) and os.lstat(os.path.join(directory, name)).st_uid == os.geteuid():
                remove_list(os.fsencode(os.path.join(directory, name)))


def run_command(
    sync: Sync,
    kind: str,
    command: bytes,
    agent: Agent,
    on_exit: Callable[[Child, int], None],
    **more: bytes,
) -> Child:
    """Start the command for a transfer; `more`: what only onBatchEnd knows.

    Raises OSError where the list of paths can't be written.
    """
    template = batch_template(kind, command)
    paths = batch_paths(agent)
    values = {"count": b"%d" % len(paths), "name": os.fsencode(sync.name), **more}
    values |= {"source": sync.source, "target": sync.inlet.target}
    listed = write_list(paths) if PATHS_FILE in template.variables() else None
    if listed is not None:
        values[PATHS_FILE] = listed
    value = values_of(values)

    def ended(child: Child, exit_code: int) -> None:
        if listed is not None:
            remove_list(listed)
        on_exit(child, exit_code)

    sync.host.log("Normal", template.message(b"%b of %b" % (kind.encode(), values["name"]), value))
    return sync.host.processes.spawn(template.argv(value), on_exit=ended)
