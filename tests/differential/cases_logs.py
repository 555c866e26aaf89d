"""Page 5 and 1.3, 1.4: log places and categories, the status file, the daemon and its pid file; Debian's examples."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from differential.steps import (
    called,
    chmod,
    ends,
    kill,
    killed,
    logged,
    mkdir,
    node,
    release,
    rename,
    rmtree,
    started,
    status,
    unlink,
    write,
)
from differential.world import Case, logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from differential.world import Box

CASES: list[Case] = []


def live(name: str, text: str | None, *steps: Callable[[Box], object], **more: Any) -> None:
    CASES.append(Case(name, text, steps, **more))


RSYNC = 'sync{ default.rsync, source="@SRC@", target="@TRG@", delay=0, %s }'
EVENTS = """sync{ source="@SRC@", target="@TRG@", delay=0, init=false, onMove=true, action=function(inlet)
  local o, d = inlet.getEvent()
  spawn(o, "@BIN@/tool", o.etype, o.path)
 end }
"""

# ---- 5.1 categories
for category in ("Exec", "Delay", "Function", "Inotify", "Alarm", "Statusfile", "Masterloop", "Call", "Debug", "Info"):
    # which steps of the original's inside are told is not part of the contract, but for Exec and Delay
    same = category in ("Exec", "Delay", "Debug", "Info")
    live(
        f"log-{category}",
        RSYNC % "",
        logged("Startup of"),
        node("f"),
        logged("Finished a list"),
        args=logs(category),
        hide=() if same else (category,),
        # ours: there is no place for one in the sandbox, where /run cannot be written
        cut=((r"(?m)^.*Debug: no control socket: .*\n", ""),) if category == "Debug" else (),
        ignore=() if same else ("err",),
    )
live(
    "log-scarce",
    RSYNC % "" + "\nlog('Normal', 'n') log('Warn', 'w') log('Error', 'e')",
    called(1),
    node("f"),
    called(2),
    args=logs("scarce"),
)
live(
    "log-all",
    EVENTS,
    started(),
    node("f"),
    logged("Finished"),
    args=logs("all"),
    hide=("Function", "Inotify", "Alarm", "Statusfile", "Masterloop", "Call", "Debug", "Delay", "Queue"),
    ignore=("err",),
)
live("log-two-categories", EVENTS, started(), node("f"), logged("Finished"), args=logs("Exec", "Delay"))
live(
    "log-own-category",
    EVENTS.replace("local o", "log('Mine', 'shown') log('Other', 'hidden') local o"),
    started(),
    node("f"),
    logged("Finished"),
    args=logs("Mine"),
)
live(
    "log-values-while-running",
    EVENTS.replace("local o", "log('Normal', 'a', nil, true, 3, 1.5, {}, now(), '\\nb') local o"),
    started(),
    node("f"),
    logged("Finished"),
)
live(
    "log-streams",
    EVENTS.replace("local o", "log('Warn', 'w') log('Error', 'e') log('Normal', 'n') local o"),
    started(),
    node("f"),
    logged("Finished"),
)
live(
    "log-delay-operations",
    EVENTS,
    started(),
    node("f"),
    logged("Finished", 1),
    unlink("f"),
    logged("Finished", 2),
    rename("m", "n"),
    logged("Finished", 3),
    mkdir("e"),
    logged("Finished", 4),
    chmod("d", 0o700),
    logged("Finished", 5),
    rmtree("d"),
    logged("Finished", 6),
    tree=("m", "d/"),
    args=logs("Delay"),
)
live(
    "log-new-directory",
    EVENTS.replace("maxProcesses", "maxProcesses"),
    started(),
    rename("../tree", "t"),
    logged("Finished", 4),
    files={"tree/a/b/c": "x"},
    args=logs("Delay"),
)
live(
    "log-exec-list",
    RSYNC % "exclude={ 'a' },",
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
    args=logs("Exec"),
)

# ---- 5.1 places
live(
    "logfile",
    "settings{ logfile='@BOX@/log' }\n" + RSYNC % "" + "\nlog('Normal', 'early')",
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
    plan={"2": "echo to stdout; echo to stderr >&2"},
)
live(
    "logfile-option", RSYNC % "", logged("Startup of"), args=("-nodaemon", "-logfile", "@BOX@/log", "@BOX@/config.lua")
)
live(
    "logfile-beats-config",
    "settings{ logfile='@BOX@/other' }\n" + RSYNC % "",
    logged("Startup of"),
    args=("-nodaemon", "-logfile", "@BOX@/log", "@BOX@/config.lua"),
)
live(
    "logfile-appended",
    "settings{ logfile='@BOX@/log' }\n" + RSYNC % "",
    logged("Startup of"),
    files={"log": "was here\n"},
)
live(
    "logfile-rotated",
    "settings{ logfile='@BOX@/log' }\n" + EVENTS,
    started(),
    node("f"),
    logged("Finished", 1),
    lambda box: (box.root / "log").rename(box.root / "log.1"),
    node("g"),
    logged("Finished Create on .*/g ="),
)
live(
    "logfile-errors",
    "settings{ logfile='@BOX@/log' }\n" + EVENTS.replace("local o", "log('Error', 'e') local o"),
    started(),
    node("f"),
    logged("Finished"),
)

# ---- 1.3, 1.4 daemon
DAEMON = "settings{ logfile='@BOX@/log', pidfile='@BOX@/pid' }\n"
ARGS = ("@BOX@/config.lua",)
live("daemon", DAEMON + RSYNC % "", logged("Startup of"), node("f"), logged("Finished a list"), args=ARGS, daemon=True)
live(
    "daemon-output-of-children",
    DAEMON + EVENTS,
    started(),
    node("f"),
    logged("Finished"),
    args=ARGS,
    daemon=True,
    plan={"1": "echo to stdout; echo to stderr >&2; pwd"},
)
live(
    "daemon-pidfile-removed",
    DAEMON + EVENTS,
    started(),
    kill(),
    ends(),
    lambda box: box.kept.update(pid=str((box.root / "pid").exists())),
    args=ARGS,
    daemon=True,
)
live(
    "daemon-pidfile-text",
    DAEMON + EVENTS,
    started(),
    lambda box: box.kept.update(pid=str(box.text("pid") == f"{box.daemon_pid}\n")),
    args=ARGS,
    daemon=True,
)
live(
    "daemon-options",
    EVENTS,
    started(),
    node("f"),
    logged("Finished"),
    args=("-logfile", "@BOX@/log", "-pidfile", "@BOX@/pid", "@BOX@/config.lua"),
    daemon=True,
)


def named(box: Box) -> None:
    """By which names others find the daemon: pgrep, pidof; pgrep -f, check_procs -a, monit's matching."""
    process = Path(f"/proc/{box.pid()}")
    called, *words = process.joinpath("cmdline").read_text().rstrip("\0").split("\0")
    box.kept.update(
        comm=process.joinpath("comm").read_text(), called=str(called == box.command[0]), cmdline=" ".join(words)
    )


live(
    "daemon-name",
    DAEMON + EVENTS,
    started(),
    named,
    args=ARGS,
    daemon=True,
)
live(
    "daemon-standard-streams",
    DAEMON + EVENTS,
    started(),
    node("f"),
    logged("Finished"),
    args=ARGS,
    daemon=True,
    plan={"1": "readlink /proc/self/fd/0"},
)
live("foreground-name", EVENTS, started(), named)
live("foreground-directory", EVENTS, started(), node("f"), logged("Finished"), plan={"1": "pwd"})
live(
    "foreground-pidfile-impossible",
    "settings{ pidfile='@BOX@/no/dir' }\n" + EVENTS,
    started(),
    node("f"),
    logged("Finished"),
    why="page 6 row 23: it would be written",
    ours={
        "out": lambda text: text.replace(
            "--- Startup ---\n",
            "--- Startup ---\nWarn: Cannot create pidfile; '@/no/dir': No such file or directory;"
            " going on without one.\n",
        )
    },
)
live(
    "foreground-pidfile",
    "settings{ pidfile='@BOX@/pid' }\n" + EVENTS,
    started(),
    node("f"),
    logged("Finished"),
    lambda box: box.kept.update(pid=str(box.text("pid") == f"{box.pid()}\n")),
    why="page 6 row 23",
    ours={"pid": "True"},
)

# ---- 5.3 status file
STATUS = "settings{ statusFile='@BOX@/status', statusInterval=%s }\n"
HELD = """sync{ source="@SRC@", target="@TRG@", delay=0, onMove=true, init=function(e) spawn(e, "@BIN@/tool") end,
  action=function(inlet) local e = inlet.getEvent() spawn(e, "@BIN@/tool", e.path) end }"""
live(
    "status-empty",
    STATUS % 0 + RSYNC % "",
    logged("Startup of"),
    status("0 delays.*watching"),
    tree=("a", "d/e/", "f/"),
)
live("status-init", STATUS % 0 + HELD, called(1), status("active Init"), killed, plan={"1": "hold"})
live(
    "status-states",
    STATUS % 0 + HELD,
    called(1),
    release(1),
    node("d/x"),
    called(2),
    chmod("d", 0o700),
    node("y"),
    rename("m", "n"),
    status("Move"),
    killed,
    plan={"1": "hold", "2": "hold"},
    tree=("d/", "m"),
)
live(
    "status-waiting",
    STATUS % 0 + EVENTS.replace("delay=0", "delay=60"),
    started(),
    node("a"),
    rename("m", "n"),
    rmtree("d"),
    chmod("q"),
    node("z"),
    status("Create /z"),
    killed,
    tree=("m", "d/", "q"),
)
live(
    "status-filters",
    STATUS % 0 + RSYNC % "filter={ '+ /keep**', '- /drop**' },",
    logged("Startup of"),
    status("0 delays.*watching"),
)
live(
    "status-excludes",
    STATUS % 0 + RSYNC % "exclude={ '*.x' },",
    logged("Startup of"),
    status("0 delays.*watching"),
    why="page 6 row 10",
    ours={"status 1": lambda text: text.replace("  nothing.\n", "From excludes:\n- *.x\n")},
)
live(
    "status-both",
    STATUS % 0 + RSYNC % "filter='- /f', exclude='*.x',",
    logged("Startup of"),
    status("0 delays.*watching"),
    why="page 6 row 10",
    ours={"status 1": lambda text: text.replace("- /f\n", "- /f\nFrom excludes:\n- *.x\n")},
)
live(
    "status-two-syncs",
    STATUS % 0 + "\n".join(EVENTS.replace("@SRC@", f"@SRC@/{n}") for n in "ab"),
    started(3),
    node("a/x"),
    logged("Finished"),
    status("0 delays.*0 delays.*watching"),
    tree=("a/", "b/c/"),
)
live(
    "status-directories-change",
    STATUS % 0 + EVENTS,
    started(),
    mkdir("n"),
    logged("Finished", 1),
    rmtree("d"),
    logged("Finished", 2),
    status("There are 0 delays(?!.*/d/).*src/n/"),
    tree=("d/e/",),
)
live(
    "status-odd-names",
    STATUS % 0 + EVENTS.replace("delay=0", "delay=60"),
    started(),
    node("a b"),
    node(b"\xff"),
    node("new\nline"),
    node("zz"),
    status("Create /zz"),
    killed,
    why="a name cannot pass for a line of its own",
    ours={"status 1": lambda text: text.replace("new\nline", "new\\x0aline")},
)
live("status-interval", STATUS % 1 + EVENTS, started(), node("f"), logged("Finished"), status("0 delays"))
live(
    "status-cannot-open",
    "settings{ statusFile='@BOX@/no/status', statusInterval=0 }\n" + EVENTS,
    started(),
    node("f"),
    logged("Finished"),
    cut=[(r'(Error: Cannot open status file "@/no/status".*\n)+', "Error: Cannot open status file\n")],
)

# ---- Debian's examples, read from where its package puts them, with paths and programs of the sandbox
EXAMPLES = Path("/usr/share/doc/lsyncd/examples")


def example(name: str, replace: dict[str, str], *steps: Callable[[Box], None], variant: str = "", **more: Any) -> None:
    for path in (EXAMPLES / f"{name}.lua", EXAMPLES / f"{name}.lua.gz"):
        if path.exists():
            data = path.read_bytes()
            text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
            for old, new in replace.items():
                assert old in text, f"{path} has no {old!r}"
                text = text.replace(old, new)
            live(f"example-{name}{variant}", text, *steps, **more)


DELAY_0 = ("-nodaemon", "-delay", "0", "@BOX@/config.lua")
example(
    "lecho",
    {"/path/to/trg/": "@TRG@/"},
    logged("finished"),
    node("f"),
    logged("Finished", 1),
    chmod("f"),
    logged("Finished", 2),
    rename("f", "g"),
    logged("Finished", 3),
    unlink("g"),
    logged("Finished", 4),
    write("w"),
    logged("Finished", 5),
    tree=("w",),
    args=DELAY_0,
)
example(
    "lbash",
    {"/tmp/lsyncd.log": "@BOX@/log", "/tmp/lsyncd.stat": "@BOX@/status", "/path/to/trg/": "@TRG@/"},
    logged("finished"),
    only_ours=True,
    why="spec 2.2: lsyncd 2.0's statusIntervall runs; 2.2.3 refuses its own example",
    ours={"err": "Warn: statusIntervall is obsolete since lsyncd 2.1: write statusInterval.\n"},
)
BASH = {
    "/tmp/lsyncd.log": "@BOX@/log",
    "/tmp/lsyncd.stat": "@BOX@/status",
    "/path/to/trg/": "@TRG@/",
    "statusIntervall": "statusInterval",
}
example(
    "lbash",
    BASH,
    logged("finished"),
    write("w", "new"),
    logged("Finished", 1),
    mkdir("d"),
    logged("Finished", 2),
    rename("w", "d/it's"),
    logged("Finished", 3),
    unlink("d/it's"),
    logged("Finished", 4),
    rmtree("d"),
    logged("Finished", 5),
    tree=("w", "sub/x"),
    variant="-corrected",
)
example("lbash", BASH, logged("finished"), files={"trg/old": "x"}, variant="-empty-source")
example(
    "lrsync",
    {"/tmp/lsyncd.stat": "@BOX@/status"},
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
    status("0 delays"),
    tree=("d/",),
    args=DELAY_0,
)
example("lrsyncssh", {}, logged("Startup of"), node("f"), logged("Finished"), args=DELAY_0)
example(
    "lpostcmd",
    {"/path/to/src": "@SRC@", "/path/to/trg": "@TRG@", "/usr/bin/ssh": "@BIN@/ssh"},
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
    called(3),
    args=DELAY_0,
    tree=("d/",),
)
example(
    "lftp",
    {"/usr/bin/lftp": "@BIN@/tool"},
    logged("Startup of"),
    called(1),
    node("[f]*"),
    logged("Finished", 1),
    mkdir("d"),
    logged("Finished", 2),
    rmtree("d"),
    logged("Finished", 3),
    rename("m", "o"),
    logged("Finished", 4),
    tree=("m",),
    args=DELAY_0,
)
example(
    "lgforce",
    {
        "/path/to/share": "@SRC@",
        "/bin/chgrp": "@BIN@/tool",
        "/bin/chmod": "@BIN@/tool",
        "xargs chmod": "xargs @BIN@/tool",
    },
    logged("finished"),
    write("w"),
    logged("Finished", 1),
    tree=("w",),
    args=DELAY_0,
    ignore=["err"],
)
example(
    "limagemagic",
    {"magicdir": "src"},
    ends(),
    cut=[("(collapse|subdirs)", "KEY")],
    why="spec 2.2: of a key of lsyncd 2.0 that is gone the error says what to do",
    ours={"err": re.compile(r'.*config.lua:118: Parameter "KEY" unknown\. (Since lsyncd 2\.1|\( if this).*\n')},
)
example(
    "limagemagic",
    {
        'source="magicdir", subdirs=false': 'source="src"',
        "collapse = function()\n\t\treturn 3\n\tend,": "",
        "/usr/bin/convert": "@BIN@/tool",
    },
    started(),
    write("p.jpg"),
    called(2),
    logged("Removing not excluded"),
    mkdir("d"),
    node("x.txt"),
    logged("not doing"),
    tree=("p.jpg",),
    variant="-corrected",
    sort=["calls"],
)
example(
    "ls3",
    {"/my/dir": "@SRC@", "/usr/local/bin/aws": "@BIN@/tool"},
    called(1),
    node("f"),
    called(2),
    unlink("f"),
    called(3),
    rename("m", "n"),
    called(5),
    mkdir("d"),
    chmod("n"),
    logged("ignored"),
    tree=("m",),
    args=DELAY_0,
    sort=["calls"],
)
example(
    "lalarm",
    {
        "/usr/local/etc/": "@SRC@",
        "now() + 5": "now() + 0.1",
        "timestamp + 5": "timestamp + 0.1",
        "/bin/echo": "@BIN@/tool",
    },
    called(2),
    only_ours=True,
    why="page 6 row 14",
    ours={
        "exit": "143",
        "calls": re.compile(r"(tool \[Beep\]\n)+"),
        "err": re.compile(r"Warn: .*\n"),
        "out": re.compile(r"Normal: --- Startup ---\n[^$]*Normal: Beep\n[^$]*"),
    },
)
