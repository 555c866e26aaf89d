"""The sandbox one case runs in: source, target, stub programs, one daemon; and what came out of it.

Knows nothing of the table and does not judge: :func:`run` takes a case and a command and gives an outcome, a dictionary
of texts in which everything that may differ from run to run (times, sandbox paths, addresses) is cut.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from differential.commands import ENVIRONMENT, REPOSITORY
from differential.confine import UnsafeCase, check_targets, confinement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from re import Pattern

    Outcome = dict[str, str]

DEADLINE = float(os.environ.get("DIFFERENTIAL_DEADLINE", "40"))  # seconds one step may take
POLL = 0.01  # seconds between two looks at a condition
STUB = Path(__file__).with_name("stub.sh")

# In front of the first line of every config, so that line numbers stay: no case ever starts the real rsync or ssh.
PRELUDE = (
    'default.rsync.rsync.binary = "@BIN@/rsync" default.direct.rsync.binary = "@BIN@/rsync" '
    'default.rsyncssh.ssh.binary = "@BIN@/ssh" '
)


class StepFailed(Exception):
    """A condition of a step was not met in time."""


def logs(*categories: str) -> tuple[str, ...]:
    """The command line of a case that shows these categories, too."""
    return ("-nodaemon", *(part for c in categories for part in ("-log", c)), "@BOX@/config.lua")


@dataclass(frozen=True)
class Case:
    """One row of the table.

    ``config`` is Lua with the places ``@BOX@`` (sandbox), ``@SRC@``, ``@TRG@``, ``@BIN@`` (stub programs) filled in;
    None runs without a config file. ``tree`` exists in the source before the start (a trailing slash makes a
    directory), ``files`` in the sandbox. ``plan`` maps a stub's name, or the number of a call, to shell text the stub
    runs after recording. ``why`` names the reason of a wanted difference and ``ours`` what must come out instead:
    for a field of the outcome its text, a pattern of it, or a function of the oracle's text.
    """

    name: str
    config: str | None
    steps: Sequence[Callable[[Box], object]] = ()
    args: Sequence[str] = ("-nodaemon", "@BOX@/config.lua")
    tree: Sequence[str] = ()
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    stubs: Sequence[str] = ("rsync", "ssh", "tool")
    plan: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False  # without the prelude: for configs that start nothing
    daemon: bool = False  # detaches; learn its pid from the pid file named pid
    cut: Sequence[tuple[str, str]] = ()  # further (pattern, replacement), for every text
    sort: Sequence[str] = ()  # fields whose order is a race: compared as sorted lines
    hide: Sequence[str] = ()  # log categories that steps wait for but nobody compares
    ignore: Sequence[str] = ()  # fields not compared
    only_ours: bool = False  # the oracle cannot be asked: too dangerous, or it has no such thing
    unsafe: bool = False  # names a target outside the sandbox on purpose: only ours, only where confined
    why: str = ""
    ours: Mapping[str, str | Pattern[str] | Callable[[str], str]] = field(default_factory=dict)


class Box:
    """A sandbox with a running daemon in it; the steps of a case act on it."""

    def __init__(self, root: Path, case: Case, command: Sequence[str]) -> None:
        self.root = root
        self.case = case
        self.command = command
        self.src = root / "src"
        self.trg = root / "trg"
        self.bin = root / "bin"
        self.kept: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.daemon_pid: int | None = None

    # ---- making it

    def fill(self, text: str) -> str:
        for place, path in (("BOX", self.root), ("SRC", self.src), ("TRG", self.trg), ("BIN", self.bin)):
            text = text.replace(f"@{place}@", str(path))
        return text

    def build(self) -> None:
        for directory in (self.src, self.trg, self.bin / "calls", self.bin / "plan"):
            directory.mkdir(parents=True)
        for name in self.case.stubs:
            shutil.copy(STUB, self.bin / name)
            (self.bin / name).chmod(0o755)
        for name, text in self.case.plan.items():
            (self.bin / "plan" / name).write_text(self.fill(text))
            if re.search(r"\bhold\b", text):
                os.mkfifo(self.bin / "plan" / f"gate.{name}")
        for entry in self.case.tree:
            self.make(entry)
        for name, content in self.case.files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else self.fill(content).encode())
        if self.case.config is not None:
            self.write_config(self.case.config)

    def write_config(self, text: str) -> None:
        prelude = "" if self.case.bare else PRELUDE
        (self.root / "config.lua").write_bytes(self.fill(prelude + text).encode("utf-8", "surrogateescape"))

    def make(self, entry: str) -> None:
        path = self.src / entry
        if entry.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")

    def start(self) -> None:
        """Start the daemon, behind both walls of :mod:`differential.confine`."""
        args = [self.fill(arg) for arg in self.case.args]
        wall = confinement()
        if not self.case.unsafe:
            texts = [self.case.config or "", *(t for t in self.case.files.values() if isinstance(t, str))]
            check_targets(self.root, self.fill("\n".join(texts)), args)
        elif wall is None:
            raise UnsafeCase("cannot be run where there are no mount name spaces")
        environment = dict(ENVIRONMENT)
        environment["PATH"] = f"{self.bin}:{environment['PATH']}"
        environment["PYTHONPATH"] = f"{REPOSITORY}:{REPOSITORY / 'plugins'}"
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        environment["TZ"] = "UTC"
        with (self.root / "out").open("ab") as out, (self.root / "err").open("ab") as err:
            self.process = subprocess.Popen(
                [*(() if wall is None else (*wall, str(self.root))), *self.command, *args],
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        if self.case.daemon:
            self.learn_pid()

    def learn_pid(self) -> None:
        """The parent has left; the daemon writes its pid file a moment later."""
        assert self.process is not None
        deadline = time.monotonic() + DEADLINE
        if self.process.wait(DEADLINE) == 0:
            while not self.text("pid").endswith("\n"):
                if time.monotonic() > deadline:
                    raise StepFailed("timeout waiting for the pid file")
                time.sleep(POLL)
            self.daemon_pid = int(self.text("pid"))

    # ---- looking at it

    def text(self, name: str) -> str:
        try:
            return (self.root / name).read_bytes().decode("utf-8", "backslashreplace")
        except FileNotFoundError:
            return ""

    def log_text(self) -> str:
        return self.text("log") if self.case.daemon else self.text("out") + self.text("err")

    def watches(self) -> int:
        """How many inotify watches the daemon has."""
        count = 0
        for path in Path(f"/proc/{self.pid()}/fdinfo").glob("*"):
            try:
                count += path.read_text().count("inotify wd:")
            except OSError:
                pass
        return count

    def calls(self) -> list[tuple[list[bytes], bytes]]:
        """The finished records of stub calls, in order of their start: arguments, stdin."""
        records = []
        for number in sorted(int(path.stem) for path in (self.bin / "calls").glob("*.done")):
            stem = self.bin / "calls" / str(number)
            stdin = stem.with_suffix(".stdin")
            argv = stem.with_suffix(".argv").read_bytes().split(b"\0")[:-1]
            records.append((argv, stdin.read_bytes() if stdin.exists() else b""))
        return records

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            if self.ended() and not condition():
                raise StepFailed(f"the daemon has ended while waiting for {what}")
            if time.monotonic() > deadline:
                raise StepFailed(f"timeout waiting for {what}")
            time.sleep(POLL)

    def ended(self) -> bool:
        """Whether the daemon is no more (one that detached is init's child: it may be a zombie for a moment)."""
        if self.daemon_pid is not None:
            return self.state() in ("Z", "")
        return self.process is None or self.process.poll() is not None

    def state(self) -> str:
        """The daemon's state as the kernel names it (proc(5): R, S, T, Z …); empty where there is no such process."""
        try:
            return Path(f"/proc/{self.pid()}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return ""

    def pid(self) -> int:
        assert self.process is not None
        return self.daemon_pid or self.process.pid

    # ---- ending it

    def finish(self) -> int:
        """End the daemon as an administrator would, unless the case expects it to end by itself; its exit status."""
        assert self.process is not None
        if self.case.steps and not self.ended():
            os.kill(self.pid(), signal.SIGTERM)
        # the original now and then loses a signal that comes while it does not wait
        once_more = time.monotonic() + 3.0
        deadline = time.monotonic() + DEADLINE
        while not self.ended():
            if self.case.steps and time.monotonic() > once_more and "signal" not in self.log_text():
                os.kill(self.pid(), signal.SIGTERM)
                once_more = deadline
            if time.monotonic() > deadline:
                raise StepFailed("timeout waiting for the end of the daemon")
            time.sleep(POLL)
        return self.process.wait()

    def destroy(self) -> None:
        """Kill what is left of the sessions this box started, by their ids."""
        if self.process is None:
            return
        for session in (self.process.pid, self.daemon_pid):
            if session is not None:
                try:
                    os.killpg(session, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
        self.process.wait()


TIME = re.compile(r"^\d\d:\d\d:\d\d (?=\w+: )", re.M)
CTIME = re.compile(r"\b[A-Z][a-z][a-z] [A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d \d{4}\b")
ENTRY = re.compile(r"^\d\d:\d\d:\d\d (\w+): ", re.M)
# what ours says on a machine that has more to do
BUSY = re.compile(r"^.*Warn: .* took [\d.]+ s in which nothing else went on: it must not wait\.\n", re.M)
# what 2.2.3 says of its own inside, in categories that are compared
INSIDE = re.compile(
    r"^(Filter: toLuaPattern .*|Exec: one-sweeped pipe|kernels clocks_per_sec=.*"
    r"|Delay: collected an? (event|list)|Delay: Finish of .*|Delay: Finished list .*)\n",
    re.M,
)
SHORT_FLAGS = re.compile(r"(?<=\[)-([A-Za-z46]{2,})(?=\])")
WATCHES = re.compile(r"(?:^  \d+: @.*\n?)+", re.M)


def _sort_watches(match: re.Match[str]) -> str:
    """The original finds directories in the order of a Lua table, and does not number anew when some are gone."""
    return "".join(sorted(f"  N: {line.partition(': ')[2]}\n" for line in match[0].splitlines()))


def hide(text: str, categories: Sequence[str]) -> str:
    """Without the log entries (and their further lines) of these categories."""
    if not categories:
        return text
    bounds = [0, *(match.start() for match in ENTRY.finditer(text)), len(text)]
    parts = [text[a:b] for a, b in itertools.pairwise(bounds)]
    return "".join(p for p in parts if not ((m := ENTRY.match(p)) and m[1] in categories))


def show(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace").replace("\0", "<NUL>")


def tree(root: Path) -> str:
    lines = []
    for directory, names, files in os.walk(os.fsencode(root)):
        lines += [show(os.path.relpath(os.path.join(directory, n), os.fsencode(root))) + "/\n" for n in names]
        lines += [show(os.path.relpath(os.path.join(directory, n), os.fsencode(root))) + "\n" for n in files]
    return "".join(sorted(lines))


def normal(box: Box, text: str) -> str:
    text = text.replace(str(box.root), "@")
    text = CTIME.sub("DATE", TIME.sub("", text))
    text = re.sub(r"\b0x[0-9a-f]{6,}", "0xADDRESS", text)
    text = re.sub(r"\(Timestamp: [\d.]+\)", "(Timestamp)", text)
    text = INSIDE.sub("", text)
    text = BUSY.sub("", text)
    text = WATCHES.sub(_sort_watches, text)
    # frames inside of either program are its own affair; those of the user's files must be told
    text = re.sub(r"^Error: Backtrace \d+ :(?!@|\[C\]).*\n", "", text, flags=re.M)
    text = re.sub(r"^Error: Backtrace \d+ :\[C\]:-1\n", "", text, flags=re.M)
    text = re.sub(r"^Error: Backtrace \d+ :", "Error: Backtrace :", text, flags=re.M)
    text = re.sub(r"(/build/\S*/lsyncd|\b(?<![@/])[a-z_]+)\.lua:\d+: ", "INTERNAL: ", text)
    # the original walks a Lua table: the order of the short flags changes from run to run
    text = SHORT_FLAGS.sub(lambda match: "-" + "".join(sorted(match[1])), text)
    for pattern, replacement in box.case.cut:
        text = re.sub(pattern, replacement, text, flags=re.M)
    return text


def outcome(box: Box, status: int | None) -> Outcome:
    calls = ""
    for argv, stdin in box.calls():
        calls += " ".join([show(argv[0]), *(f"[{show(a)}]" for a in argv[1:])])
        calls += f" < [{show(stdin)}]\n" if stdin else "\n"
    texts = {
        "exit": str(status),
        "out": hide(box.text("out"), box.case.hide),
        "err": box.text("err"),
        "log": box.text("log"),
        "calls": calls,
        "target": tree(box.trg),
        **box.kept,
    }
    result = {name: normal(box, text) for name, text in texts.items()}
    for name in box.case.sort:
        result[name] = "".join(sorted(result[name].splitlines(keepends=True)))
    return result


def run(case: Case, command: Sequence[str], root: Path) -> Outcome:
    """Run one case; the outcome has the field ``trouble`` where a step was not met."""
    box = Box(root, case, command)
    box.build()
    trouble = ""
    status: int | None = None
    try:
        box.start()
        for step in case.steps:
            step(box)
        status = box.finish()
    except StepFailed as error:
        trouble = str(error)
    finally:
        box.destroy()
    result = outcome(box, status)
    if trouble:
        result["trouble"] = trouble
    return result
