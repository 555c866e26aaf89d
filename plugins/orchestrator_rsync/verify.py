"""Where the target differs from the source: rsync itself is asked, by dry runs of a full run (Action.verify).

A second look at few paths is a run with a filter list of them alone, at many it is another run over everything. rsync
calls an entry new when another type of entry has its name: those that it still does with --existing are of another
type.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Final

from orchestrator.api import MISSING, TYPE, Compared, Difference, to_text
from orchestrator_rsync.arguments import CVS_RULES, DELETE, deletes_at_startup, full_run, rsync_options
from orchestrator_rsync.batches import with_backups
from orchestrator_rsync.deletions import COUNTED, asking
from orchestrator_rsync.filterlist import ChangedPath, filterlist
from orchestrator_rsync.itemized import Itemized

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from orchestrator.api import Inlet, Verifier
    from orchestrator_rsync.arguments import RsyncOptions

    Found = Callable[[Difference], None]

FEW: Final = 1000
"""Paths that are looked at by a list. rsync compares each name that it reads with each entry of it."""

SHOWN: Final = 300
"""Bytes of rsync's stderr in an error."""

_TIMES: Final = frozenset({"times", "archive"})
_NO_TIMES: Final = frozenset({"no-times", "no-t"})
_LISTED: Final = ("--force", "--from0", "--include-from=-", "--exclude=*")

_COMPARED_ALL: Final = frozenset({0, 24})
"""24: files that were gone when rsync came to them."""


def verifier(
    inlet: Inlet, paths: Sequence[bytes] | None, now: float, how: Sequence[bytes] = (), *, quick: bool
) -> Verifier:
    """The comparison of a sync's trees, or of these paths. `now`: seconds since 1970; `how`: more options. Raises
    CannotVerify."""
    comparison = _Comparison(inlet, rsync_options(inlet.config), now, how, quick=quick)
    return comparison.everything if paths is None else partial(comparison.some, list(paths))


class _Comparison:
    """Made in the loop's thread, which the config belongs to; its methods are for a job's."""

    def __init__(
        self, inlet: Inlet, options: RsyncOptions, now: float, how: Sequence[bytes] = (), *, quick: bool
    ) -> None:
        self._read_program = inlet.read_program
        self._source = inlet.source
        self._quick = quick
        filters = inlet.rule_lines() if inlet.filter_lines() else []
        run = full_run(inlet.config, inlet.source, inlet.target, inlet.excludes(), filters)
        self._stdin = run.stdin
        self._whole = inlet.through_tunnel(with_backups(inlet, run.argv, now))
        rules = CVS_RULES if "cvs-exclude" in options.names else ()
        deletes = DELETE if deletes_at_startup(inlet.config) else ()
        lead = [options.binary, *options.words, "-r", *rules, *deletes, *_LISTED]
        self._listed = inlet.through_tunnel(with_backups(inlet, [*lead, *run.argv[-2:]], now))
        has_times = bool(options.names & _TIMES) and options.names.isdisjoint(_NO_TIMES)
        by_times = quick and has_times
        self._how = [*how] if by_times else [*how, b"--size-only" if quick else b"--checksum"]

    def everything(self, stop: threading.Event, found: Found) -> Compared:
        """Compare the whole trees."""
        return self._ask(self._whole, self._stdin, self._how, stop, found)

    def some(self, paths: Sequence[bytes], stop: threading.Event, found: Found) -> Compared:
        """Compare these paths, without what is below them."""
        wanted = frozenset(paths)
        missing: list[bytes] = []

        def take(difference: Difference) -> None:
            if difference.path in wanted and difference.kind == MISSING:
                missing.append(difference.path)
            elif difference.path in wanted:
                found(difference)

        compared = self._ask_of(paths, self._how, stop, take)
        types: set[bytes] = set()
        if missing and not stop.is_set():
            self._ask_of(missing, [*self._how, b"--existing"], stop, lambda difference: types.add(difference.path))
        for path in missing:
            found(Difference(path, TYPE if path in types else MISSING))
        return compared

    def _ask_of(self, paths: Sequence[bytes], how: Sequence[bytes], stop: threading.Event, found: Found) -> Compared:
        if len(paths) > FEW:
            return self._ask(self._whole, self._stdin, how, stop, found)
        # a directory that is in the way of a file, or that the target alone has, goes with what is in it
        entries = filterlist(
            ChangedPath(path, whole=not path.endswith(b"/") or not os.path.lexists(self._source + path[1:]))
            for path in paths
        )
        return self._ask(self._listed, b"\0".join(entries), how, stop, found)

    def _ask(
        self, argv: Sequence[bytes], stdin: bytes | None, how: Sequence[bytes], stop: threading.Event, found: Found
    ) -> Compared:
        itemized = Itemized(found, by_checksum=not self._quick)
        words = asking(argv, (*how, *itemized.arguments()))
        try:
            code, stderr = self._read_program(words, stdin, None, stop, itemized.feed)
        except (OSError, ValueError) as error:
            return Compared(error=f"{to_text(argv[0])}: {getattr(error, 'strerror', None) or error}")
        if code in _COMPARED_ALL:
            return Compared(itemized.in_source)
        said = stderr.strip()[-SHOWN:].decode("utf-8", "backslashreplace")
        could = "could not compare everything" if code in COUNTED else "failed"
        return Compared(itemized.in_source, f"rsync {could} (exit code {code}){': ' + said if said else ''}")
