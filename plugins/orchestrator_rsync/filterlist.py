"""From the paths that changed to the list by which rsync transfers these and nothing else (spec 4.2).

rsync runs over the whole tree with `--include-from=- --exclude=*`: an entry is the path itself,
anchored by its leading slash, and it is reached only where every directory above it is an entry
too. `PATH/***` lets all below a deleted directory go. Nothing in the list may match more than what
changed: rsync would delete the rest on the target.

rsync(1) takes a backslash for an escape only in a pattern that holds a wildcard (`*`, `?`, `[`);
elsewhere it stands for itself. Seen from there, lsyncd's own escaping loses names with `]` or
with a backslash beside a wildcard.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from orchestrator_rsync.patterns import below, settled

if TYPE_CHECKING:
    from collections.abc import Iterable

_WILD = re.compile(rb"[*?\[]")
_SPECIAL = re.compile(rb"[\\*?\[]")

EVERYTHING_BELOW = b"***"

_TEMPORARY_NAME = 246
"""Bytes that rsync takes of a name for its temporary file (receiver.c: get_tmpname)."""

_HIGH = bytes(range(0x80, 0x100))


class ChangedPath(NamedTuple):
    """A path with its leading slash, a directory's with a trailing one; `whole`: with all below it.

    A path that is no directory for us may be one for rsync: a link that it follows.
    """

    path: bytes
    whole: bool = False

    @property
    def directory(self) -> bytes:
        """The path as a directory's."""
        return self.path if self.path.endswith(b"/") else self.path + b"/"


def filterlist(changes: Iterable[ChangedPath]) -> list[bytes]:
    """The entries in order, none twice: each path, then its parents up to `/`. Linear in their number."""
    entries: dict[bytes, None] = {}
    add, is_wild = entries.setdefault, _WILD.search
    for change in changes:
        path = change.path
        # `/***` would be all there is: the root is an entry, but never whole.
        if change.whole and path != b"/":
            add(escape_always(change.directory) + EVERYTHING_BELOW)
        # A path that is here already came with its parents.
        while (entry := escape_always(path) if is_wild(path) else path) not in entries:
            add(entry)
            if path == b"/":
                break
            path = path[: path.rfind(b"/", 0, -1) + 1]
    return list(entries)


def temporaries(paths: Iterable[bytes]) -> list[bytes]:
    """Patterns of what an rsync that was killed has left beside these files: `.NAME.XXXXXX`, the name cut to fit."""
    found: dict[bytes, None] = {}
    for path in paths:
        place = path.rfind(b"/") + 1
        if lead := temporary_lead(path[place:]):
            found[escape_always(path[:place] + lead) + b"[a-zA-Z0-9]" * 6] = None
    return list(found)


def deleting_nothing_but(patterns: Iterable[bytes], entries: Iterable[bytes]) -> list[bytes]:
    """The list as rules (rsync(1), FILTER RULES) for a run with --delete that deletes only what the patterns match."""
    rules = [entry if entry[:2] in (b"+ ", b"- ") else b"+ " + entry for entry in entries]
    return [*(b"R " + pattern for pattern in patterns), b"P *", *rules]


def temporary_lead(name: bytes) -> bytes:
    """How the name of rsync's temporary file for this one begins, all but the six letters; empty: it has none."""
    whole = name.removeprefix(b".")
    kept = whole[:_TEMPORARY_NAME]
    if len(whole) > len(kept) and whole[len(kept)] & 0x80:
        kept = kept.rstrip(_HIGH)  # rsync leaves no half of a character
    return b"." + kept + b"." if kept else b""


def guarded(changes: Iterable[ChangedPath], rules: Iterable[bytes]) -> list[bytes]:
    """The list where a directory went and something is excluded: excluded files on the target stay.

    `rules` (`+ PATTERN`, `- PATTERN`) come first, as at startup. An include rule would reach all over the tree,
    so it is cut down to what it says of the deleted directories; as it then no longer shields what changed from the
    excludes behind it, the changed paths themselves come before the rules.
    """
    changes = list(changes)
    rules = list(rules)
    entries = filterlist(changes)
    if not any(rule.startswith(b"+") for rule in rules):
        return [*rules, *entries]
    exact = [entry for entry in entries if not entry.endswith(b"/" + EVERYTHING_BELOW)]
    whole = [entry for entry in entries if entry.endswith(b"/" + EVERYTHING_BELOW)]
    tops = _topmost(change.directory for change in changes if change.whole and change.path != b"/")
    return [*exact, *_narrowed(rules, tops), *whole]


def _narrowed(rules: Iterable[bytes], tops: list[bytes]) -> list[bytes]:
    narrowed: dict[bytes, None] = {}
    for rule in rules:
        if rule.startswith(b"+"):
            for top in tops:
                lead = escape_always(top)
                narrowed.update((b"+ " + settled(lead + rest), None) for rest in below(rule[2:], top))
        else:
            narrowed[rule] = None
    return list(narrowed)


def _topmost(paths: Iterable[bytes]) -> list[bytes]:
    """Those directories that lie below no other one of them."""
    tops: list[bytes] = []
    for path in sorted(set(paths)):
        if not tops or not path.startswith(tops[-1]):
            tops.append(path)
    return tops


def escape(path: bytes) -> bytes:
    """The pattern that matches this path and no other."""
    return escape_always(path) if _WILD.search(path) else path


def escape_always(path: bytes) -> bytes:
    """The path as the literal part of a pattern that has a wildcard elsewhere."""
    return _SPECIAL.sub(rb"\\\g<0>", path)
