"""What runs in a worker thread: csync2 processes one after the other, while the database is ours.

A batch is checked (`-c`: csync2 compares the given paths with its database and notes what has to go
where) and then delivered (`-u`: to each host what is noted for it). The check gets the changed paths only;
the delivery gets none: csync2 compares every path it is given with every noted one, 20,000 with 20,000,
and knows them by their %prefix% names there, so that none would match. What is noted from earlier, for a
host that was down, goes along.

csync2 locks its database itself, but a second one just waits and then gives up ("Database backend is
exceedingly busy"), so no two are started on one database here.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.api import argument_room, argument_size, etypes
from orchestrator_csync2.report import Place, Report
from orchestrator_csync2.scratch import Scratch
from orchestrator_rsync.looks import Looks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from orchestrator.api import Inlet
    from orchestrator_csync2.options import Settings

STOPPED = 128 + 15
"""Exit code of a job that was told to stop: as if SIGTERM had ended it."""

NOT_EXECUTED = 255
INCOMPLETE = 1
"""csync2's own exit code where anything went wrong."""

_POLL = 0.2
"""Seconds between two looks at `stop`; only while a csync2 runs or another one is waited for."""

_GRACE = 5.0
"""Seconds that csync2 has, between TERM and KILL, to let go of its database."""

_SOON = 2.0
"""Seconds, beside `delay`, after which a change that waits was not made during the last run."""

_LINE = 1 << 16
"""Bytes. Longer lines are cut: csync2 prints nothing of that length that we need."""

_ATTENTION = " not taken, needs attention (a conflict: csync2 -f PATH on the host that shall win):\n\t"
_IGNORED = b"WARNING: Parameter will be ignored: "


class Batch(NamedTuple):
    """Absolute paths to be checked: `trees` with all that is (or was) below them, `paths` by themselves."""

    trees: list[bytes]
    paths: list[bytes]


def batch_of(changes: Iterable[tuple[str, bytes]], source: bytes) -> Batch:
    """What csync2 has to look at for these changes (type, path below the source with leading slash).

    A new, vanished or moved path goes with all that is below it: csync2 forgets what was in a deleted
    directory only that way. Of a tree, nothing below it is given once more.
    """
    trees: dict[bytes, None] = {}
    paths: dict[bytes, None] = {}
    for etype, path in changes:
        alone = etype in (etypes.ATTRIB, etypes.MODIFY)
        (paths if alone else trees)[path.rstrip(b"/")] = None
    root = source.rstrip(b"/")
    covered = frozenset(trees)
    return Batch(
        [root + path or b"/" for path in trees if not _is_below(path, covered)],
        [root + path or b"/" for path in paths if path not in covered and not _is_below(path, covered)],
    )


def parents_of(batch: Batch, source: bytes) -> list[bytes]:
    """Every directory from the source down to the batch's paths, each before what is in it."""
    root = source.rstrip(b"/")
    parents = {root or b"/"}
    for path in batch.trees + batch.paths:
        parents.update(root + parent for parent in _parents(path[len(root) :]) if parent)
    return sorted(parents)


def _parents(path: bytes) -> Iterator[bytes]:
    end = path.rfind(b"/")
    while end >= 0:
        yield path[:end]
        end = path.rfind(b"/", 0, end)


def _is_below(path: bytes, trees: frozenset[bytes]) -> bool:
    return any(parent in trees for parent in _parents(path))


def argument_lists(paths: Sequence[bytes], room: int) -> Iterator[list[bytes]]:
    """Cut into lists that take at most `room` bytes of the kernel's limit each (one path at least)."""
    some: list[bytes] = []
    size = 0
    for path in paths:
        cost = argument_size(path)
        if some and size + cost > room:
            yield some
            some, size = [], 0
        some.append(path)
        size += cost
    if some:
        yield some


class Memory:
    """What one sync's jobs leave for the next.

    What has been told of undelivered changes, so that each is told once; the names that could be taken
    for scratch files; and when csync2 looked at files: it knows one by its size and the second of its mtime,
    and does not see that it was written once more in that second.

    `is_doubtful`: a csync2 did not get to the end of comparing files: it was killed, or one was gone when it came
    to it. It may have noted that it knows a file, but not that the file has to go anywhere, or the other way round.
    """

    def __init__(self) -> None:
        self.scratch = Scratch()
        self.looks = Looks()
        self.is_doubtful = False
        self.refused: dict[Place, bytes] = {}
        self.unreachable: set[bytes] = set()
        self.gave_up: tuple[bytes, ...] = ()


class Job:
    """One sync's work of one time: called in a worker thread, ends with an exit code.

    `is_noted` says afterwards that csync2's database knows of all changes that the job was for, so
    that only their delivery is left; `is_clean`, that nothing at all is left; `was_idle`, that there was
    nothing to do at all.
    """

    def __init__(self, settings: Settings, inlet: Inlet, lock: threading.Lock, memory: Memory) -> None:
        self.is_noted = False
        self.is_clean = False
        self.was_idle = False
        self._settings = settings
        self._inlet = inlet
        self._log = inlet.log
        self._lock = lock
        self._memory = memory
        self._environment = {**os.environ, **settings.environment}
        self._stop = threading.Event()

    def __call__(self, stop: threading.Event) -> int:
        self._stop = stop
        while not self._lock.acquire(timeout=_POLL):
            if stop.is_set():
                return STOPPED
        try:
            return self._work()
        finally:
            self._lock.release()

    def _work(self) -> int:
        raise NotImplementedError

    def _deliver(self, *mode: str) -> tuple[int, Report]:
        """Run csync2 in a mode that transfers, and tell what is new about what it could not deliver."""
        return self._explain(*self._run_report(*mode))

    def _explain(self, code: int, report: Report) -> tuple[int, Report]:
        """Tell what is new about what csync2 could not deliver, with the reasons; what is known after that."""
        if code not in (0, INCOMPLETE):
            return code, report
        if not self._settings.dry_run and any(place not in self._memory.refused for place in report.refused):
            # Once more, for the reasons: only at this depth csync2 passes on what the host answered. It
            # tells the key as well then, so nothing of it is logged as it is.
            reasons = Report()
            again = self._run(("-u", "-v", "-v", "-v"), reasons.feed)
            if again in (0, INCOMPLETE) and reasons.finished:
                code, report = again, reasons
        self._tell(report)
        return code, report

    def _run_report(self, *mode: str) -> tuple[int, Report]:
        report = Report(self._memory.scratch.note)

        def read(line: bytes) -> None:
            report.feed(line)
            if self._settings.verbose or (self._settings.dry_run and line[:1] in b"?!"):
                self._log("Normal", "csync2: ", line)

        return self._run((*mode, *(["-d"] if self._settings.dry_run else []), "-v"), read), report

    def _learn_names(self) -> None:
        """Once for each sync, have csync2 list what it knows: see scratch.py. 2 is an empty database."""
        scratch = self._memory.scratch
        if not scratch.is_complete:
            scratch.is_complete = self._run(("-L",), scratch.note) in (0, 2)

    def _end(self, code: int, report: Report) -> int:
        """The job's exit code: csync2's, but it says 0 as well where something is left (see report.py)."""
        self.is_clean = report.is_clean
        return code or (0 if report.is_clean or self._settings.dry_run else INCOMPLETE)

    def _check(self, option: str, paths: list[bytes]) -> int:
        """Have csync2 compare these paths with its database, in as many runs as they need."""
        said: list[bytes] = []

        def read(line: bytes) -> None:
            if self._settings.verbose:
                self._log("Normal", "csync2: ", line)
            said.append(line)
            del said[:-5]

        room = argument_room((*self._settings.command, option.encode(), b"-v"))
        for some in argument_lists(paths, room):
            code = self._run((option, *(["-v"] if self._settings.verbose else []), *some), read)
            if code != 0:
                self._gave_up(said)
                return code
        return 0

    def _tell(self, report: Report) -> None:
        memory = self._memory
        name = f"csync2 {self._settings.syncid}: "
        if not report.finished:
            self._gave_up(report.tail)
            return
        memory.gave_up = ()
        for line in report.unread:
            self._log("Warn", name, line)
        for host in sorted(report.unreachable - memory.unreachable):
            self._log("Warn", name, "no connection to ", host, ": what it has to get is kept and tried again.")
        for host in sorted(memory.unreachable - report.unreachable):
            self._log("Normal", name, host, " answers again.")
        new = {place: reason for place, reason in report.refused.items() if place not in memory.refused}
        if new:
            lines = sorted(
                report.real_path(place.path) + b" on " + place.host + (b": " + reason if reason else b"")
                for place, reason in new.items()
            )
            self._log("Warn", name, len(lines), _ATTENTION, b"\n\t".join(lines))
        if report.is_clean and (memory.refused or memory.unreachable):
            self._log("Normal", name, "everything has been delivered.")
        # Of a host that is down nothing is heard: what it refused before stays refused.
        still = {place: reason for place, reason in memory.refused.items() if place.host in report.unreachable}
        memory.refused = {**still, **report.refused}
        memory.unreachable = set(report.unreachable)

    def _gave_up(self, said: Iterable[bytes]) -> None:
        words = tuple(line for line in said if line.strip())
        if words and words != self._memory.gave_up:
            self._log("Warn", f"csync2 {self._settings.syncid}: ", b"\n".join(words))
        self._memory.gave_up = words

    def _run(self, arguments: Sequence[str | bytes], read: Callable[[bytes], None]) -> int:
        """One csync2 from start to end: its lines go to `read`. The exit code; 128 + signal if killed."""
        if self._stop.is_set():
            return STOPPED
        command = [*self._settings.command, *(os.fsencode(argument) for argument in arguments)]
        if self._inlet.shows("Exec"):
            self._log("Exec", command[0], *(b" [" + argument + b"]" for argument in command[1:]))
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        except OSError as error:
            self._log("Error", "Failed executing [ ", command[0], " ]!", f" ({error.strerror})")
            return NOT_EXECUTED
        with process:
            try:
                self._read(process, read)
                code = self._wait(process)
            except BaseException:
                process.kill()
                raise
        return 128 - code if code < 0 else code

    def _read(self, process: subprocess.Popen[bytes], read: Callable[[bytes], None]) -> None:
        """Pass on line after line until the output is closed, or the job is told to stop."""
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        rest = b""
        while not self._stop.is_set():
            if not poll.poll(_POLL * 1000):
                # An action of csync2's that goes into the background keeps the pipe: its end is not ours.
                if process.poll() is not None:
                    break
                continue
            data = os.read(descriptor, _LINE)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                read(line)
            rest = rest[:_LINE]
        if rest:
            read(rest)

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        kill_at = None
        while True:
            try:
                return process.wait(_POLL)
            except subprocess.TimeoutExpired:
                if not self._stop.is_set():
                    continue
            if kill_at is None:
                process.terminate()
                kill_at = time.monotonic() + _GRACE
            elif time.monotonic() > kill_at:
                process.kill()


class Everything(Job):
    """Check and update all that csync2's configuration names."""

    def _work(self) -> int:
        self._check_source()
        looked = self._memory.looks.begin()
        code, report = self._deliver("-x", "-r")
        looked()
        if report.finished and self._memory.is_doubtful:
            source = self._inlet.source.rstrip(b"/") or b"/"
            code = self._check("-mr", [source])
            if code == 0:
                code, report = self._deliver("-u")
        # what changed meanwhile comes with the next batch: until then the doubt stays
        self._memory.is_doubtful |= not report.finished
        self.is_noted = report.finished
        if report.finished:
            self._learn_names()
        return self._end(code, report)

    def _check_source(self) -> None:
        """Tell the user where csync2 will silently do nothing: it is only meant to know what it includes."""
        source = self._inlet.source.rstrip(b"/")
        said: list[bytes] = []
        if source and self._run(("-c", source), said.append) == 0 and _IGNORED + source in said:
            name = f"csync2_{self._settings.syncid}.cfg"
            self._log("Warn", f"csync2 {self._settings.syncid}: {name} does not include ", source, " on this host.")


class Changes(Job):
    """Check what changed, then update what csync2 has noted."""

    def __init__(
        self,
        settings: Settings,
        inlet: Inlet,
        lock: threading.Lock,
        memory: Memory,
        changes: Sequence[tuple[str, bytes]],
    ) -> None:
        super().__init__(settings, inlet, lock, memory)
        self._changes = changes

    def _work(self) -> int:
        self._learn_names()
        source = self._inlet.source
        root = source.rstrip(b"/")
        changes = [change for change in self._changes if not self._memory.scratch.is_scratch(root + change[1])]
        if not changes:
            self.was_idle = True
            return 0
        if self._inlet.shows("Normal"):
            head = b"\t" + self._settings.syncid.encode() + b":" + root
            self._log("Normal", "Processing syncing list:\n", b"\n".join(head + path for _, path in changes))
        batch = batch_of(changes, source)
        hidden = [root + path.rstrip(b"/") for etype, path in changes if self._may_hide(etype, root + path)]
        looked = self._memory.looks.begin()
        code = self._check("-cr", batch.trees) or self._check("-c", batch.paths) or self._check("-m", hidden)
        if code == 0 and self._memory.is_doubtful:
            code = self._check("-mr", batch.trees) or self._check("-m", batch.paths)
        looked()
        self._memory.is_doubtful = code != 0
        if code != 0:
            return code
        self.is_noted = True
        code, report = self._run_report("-u")
        if report.missing_parent:
            # A host lacks a directory on the way, and csync2 does not know it here either, as after `init = false`.
            code = self._check("-c", parents_of(batch, source))
            if code != 0:
                return code
            code, report = self._run_report("-u")
        return self._end(*self._explain(code, report))

    def _may_hide(self, etype: str, path: bytes) -> bool:
        """Whether csync2 may take what is here for something that it has delivered, or not know what it has.

        What is gone between the check and the delivery is not delivered, but it stays noted as known, until a check
        finds it gone. Something like it that comes before that, as directories and links all are, is no news.
        The other way round, what is delivered and gone while csync2 is at work may not be known any more.
        """
        looks = self._memory.looks
        if etype == etypes.DELETE:
            return looks.was_within(float(self._inlet.config.get("delay") or 0) + _SOON)
        return looks.has_seen(path) if etype == etypes.CREATE else path[-1:] != b"/" and looks.hide(etype, path)


class Leftovers(Job):
    """Try once more to deliver what csync2 has noted."""

    def _work(self) -> int:
        self.is_noted = True
        return self._end(*self._deliver("-u"))
