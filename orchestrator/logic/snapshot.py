"""How directories look, and what is different from how they looked before.

Differences are Create, Modify, Attrib and Delete; a rename is a Delete and a Create.
"""

from __future__ import annotations

from typing import NamedTuple

from orchestrator.logic.change import Change, Found

Signature = tuple[int, int]
"""Of a file: what changes with its content, and what changes with its attributes."""


class Directory(NamedTuple):
    """`entries`: names, of directories with a slash at the end. `attributes` of the directory itself."""

    device: int
    changed: int
    attributes: tuple[int, int, int]
    entries: dict[bytes, Signature]


Snapshot = dict[bytes, Directory]
"""All wanted directories of a tree by path, each with a slash at the end."""


def below(snapshot: Snapshot, path: bytes) -> Snapshot:
    """The part of a snapshot at and below a directory."""
    found = {}
    stack = [path]
    while stack:
        at = stack.pop()
        directory = snapshot.get(at)
        if directory is not None:
            found[at] = directory
            stack += [at + name for name in directory.entries if name.endswith(b"/")]
    return found


def differences(path: bytes, before: Directory | None, now: Directory, *, is_reported: bool) -> list[Change]:
    """The differences of a directory; `before` is None for one that is new.

    `is_reported`: the directory itself need not be reported: it is a source, or reported with the one that it is in.
    """
    if before is None:
        names = now.entries or ([] if is_reported else [b""])
        return [Found("Create", path + name) for name in names]
    # of another file system nothing can be said to be gone: one was unmounted
    gone = before.entries.keys() - now.entries.keys() if before.device == now.device else set()
    changes = [Change("Delete", path + name) for name in before.entries if name in gone]
    for name, signature in now.entries.items():
        old = before.entries.get(name)
        if old is None:
            changes.append(Change("Create", path + name))
        elif old != signature and not name.endswith(b"/"):
            changes.append(Change("Modify" if old[0] != signature[0] else "Attrib", path + name))
    # It may be another one of that name by now. A new entry may be gone before it is transferred, so it does not
    # bring the directory along for sure.
    is_other = before.attributes != now.attributes or before.changed != now.changed
    if is_reported and before.attributes == now.attributes:
        # a source is the same, and what comes and goes in it moves its ctime as well
        is_other = is_other and not changes
    if is_other:
        changes.append(Change("Attrib", path))
    return changes
