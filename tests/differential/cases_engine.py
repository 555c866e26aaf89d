"""Pages 1 and 3: from the kernel to delays, combining, scheduling, spawning, collecting; signals and the life cycle."""

# ruff: noqa: E501 - lines of Lua stand as they are

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any

from differential.steps import (
    at_once,
    called,
    chmod,
    config,
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
    from collections.abc import Callable, Sequence

    from differential.world import Box

CASES: list[Case] = []


def live(name: str, text: str | None, *steps: Callable[[Box], object], **more: Any) -> None:
    CASES.append(Case(name, text, steps, **more))


# ---- 3.3, 3.4: what a held Init lets pile up, as -log Delay and the status file tell it
def queue(
    name: str,
    *ops: Callable[[Box], None],
    on_move: str = "true",
    tree: Sequence[str] = ("m", "n", "d/g", "e/"),
    **more: Any,
) -> None:
    live(
        f"combine-{name}",
        f"""settings{{ statusFile="@BOX@/status", statusInterval=0 }}
sync{{ source="@SRC@", target="@TRG@", delay=30, onMove={on_move}, init=function(e) spawn(e, "@BIN@/tool") end,
  action=function(inlet) local e = inlet.getEvent() spawn(e, "@BIN@/tool", e.etype, e.path) end }}""",
        called(1),
        *ops,
        node("zz"),
        status("Create /zz"),
        killed,
        tree=tree,
        plan={"1": "hold"},
        args=logs("Delay"),
        **more,
    )


def absorbed(*lines: str) -> dict[str, Any]:
    """The outcome of a queue case where ours combines as page 3.4 says and the original forgets to."""
    return {"why": "page 6 row 1", "ours": {"out": re.compile(r"[^$]*"), "status 1": _status(*lines)}}


def _status(*lines: str) -> re.Pattern[str]:
    body = "".join(f"{line}\n" for line in ("active Init ", *lines, "block  Create /zz"))
    return re.compile(rf"[^$]*There are {len(lines) + 2} delays\n{re.escape(body)}Filtering:[^$]*")


FREED: Any = {
    "why": "the original forgets that the Init blocks what a delay turns into",
    "ours": {"status 1": lambda text: text.replace("wait   ", "block  ")},
}
queue("create-delete", node("f"), unlink("f"))
queue("create-delete-create", node("f"), unlink("f"), node("f"), **absorbed("block  Create /f"))
# the kernel itself drops an event that is the same as the one before it
queue("modify-modify", write("m"), logged("Delay: Modify: /m"), write("m"), **absorbed("block  Modify /m"))
queue(
    "attrib-attrib", chmod("m", 0o600), logged("Delay: Attrib: /m"), chmod("m", 0o640), **absorbed("block  Attrib /m")
)
queue("modify-attrib", write("m"), chmod("m"))
queue("modify-delete", write("m"), unlink("m"))
queue("directory-twice", mkdir("x"), chmod("x", 0o700))
queue(
    "directory-attrib-attrib",
    chmod("e", 0o700),
    logged("Delay: Attrib: /e"),
    chmod("e", 0o750),
    **absorbed("block  Attrib /e/"),
)
queue("directory-then-inside", chmod("d", 0o700), node("d/x"), chmod("d", 0o755))
queue("inside-then-directory-deleted", unlink("d/g"), rmtree("d"))
queue("move-then-modify", rename("m", "o"), write("o"))
queue("move-then-delete", rename("m", "o"), unlink("o"), **FREED)
queue("move-then-move-on", rename("m", "o"), rename("o", "p"), **FREED)
queue("move-then-attrib-of-origin", rename("m", "o"), node("m"))
queue("move-onto-changed", write("m"), rename("m", "o"))
queue("move-directory-then-inside", rename("d", "f"), write("f/g"))
queue("inside-then-move-directory", write("d/g"), rename("d", "f"))
queue("move-without-onMove", rename("m", "o"), on_move="nil")
queue("move-directory-without-onMove", rename("d", "f"), on_move="nil")
queue("moves-apart", rename("m", "o"), rename("n", "p"))
queue("move-in", rename("../outside", "o"), files={"outside": "x"})
queue("move-out", rename("m", "../outside"))
queue("move-directory-in", rename("../outside", "o"), files={"outside/a": "x"})
queue("swap", rename("m", "t"), rename("n", "m"), rename("t", "n"), **FREED)

# ---- 3.1 from the kernel to events
PRINTS = """sync{ source="@SRC@", target="@TRG@", delay=0, init=false, onMove=true, %s action=function(inlet)
  local o, d = inlet.getEvent()
  log('Normal', o.etype, ' ', o.path, d and ' -> ' or '', d and d.path or '')
  inlet.discardEvent(o)
 end }
"""
live(
    "kernel-new-tree",
    PRINTS % "",
    started(),
    rename("../tree", "t"),
    logged("Create t/b/c/x"),
    node("t/b/c/y"),
    logged("Create t/b/c/y"),
    files={"tree/a": "x", "tree/b/c/x": "x"},
    sort=["out"],
)
live(
    "kernel-tree-gone",
    PRINTS % "",
    started(),
    rmtree("d/b"),
    logged("Delete d/b/"),
    unlink("d/a"),
    logged("Delete d/a"),
    tree=("d/a", "d/b/c/x"),
    sort=["out"],
    hide=("Delay",),
)
live(
    "kernel-symlink",
    PRINTS % "",
    started(),
    lambda box: (box.src / "l").symlink_to("d"),
    logged("Create l"),
    node("d/x"),
    logged("Create d/x"),
    unlink("l"),
    logged("Delete l"),
    tree=("d/",),
)
live(
    "kernel-hard-link",
    PRINTS % "",
    started(),
    lambda box: (box.src / "h").hardlink_to(box.src / "a"),
    logged("Create h"),
    tree=("a",),
)
live(
    "kernel-names",
    PRINTS % "",
    started(),
    node(b"\xff\xfe\x80"),
    logged("Create ..."),
    node("new\nline"),
    logged("Create new"),
    node(" blank "),
    logged("Create  blank"),
    node("-dash"),
    logged("Create -dash"),
    node("[a]*?\\"),
    logged(r"Create \[a\]"),
    node("%s%d"),
    logged("Create %s"),
)
live(
    "kernel-two-syncs",
    PRINTS % "" + (PRINTS % "").replace("@SRC@", "@SRC@/d").replace("'Normal', ", "'Normal', 'second ', "),
    started(),
    node("a"),
    logged("Create a"),
    node("d/b"),
    logged("Create b"),
    logged("Create d/b"),
    rename("a", "d/a"),
    logged("second Create a"),
    logged("Move a -> d/a"),
    rename("d/b", "b"),
    logged("second Delete b"),
    logged("Move d/b -> b"),
    rename("d/a", "d/c"),
    logged("second Move a -> c"),
    logged("Move d/a -> d/c"),
    tree=("d/",),
    sort=["out"],
)
live(
    "kernel-mode-modify",
    "settings{ inotifyMode='Modify' }\n" + PRINTS % "",
    started(),
    at_once(write("a", "y")),  # emptied and written: one event for who reads late
    logged("Modify a"),
    tree=("a",),
)
live(
    "kernel-mode-both",
    "settings{ inotifyMode='CloseWrite or Modify' }\n" + PRINTS % "",
    started(),
    write("a", "y"),
    logged("Modify a"),
    tree=("a",),
    cut=[(r"(Normal: Modify a\n)+", "Normal: Modify a\n")],
)
live(
    "kernel-open-file",
    PRINTS % "",
    started(),
    write("a"),
    logged("Modify a"),
    chmod("a"),
    logged("Attrib a"),
    unlink("a"),
    logged("Delete a"),
    tree=("a",),
)

# ---- 3.2 filters
GAUGED = "sync{ default.rsync, checkgauge={ onMove=true },"


def filtered(name: str, rules: str, names: Sequence[str], watches: int | None = None, **more: Any) -> None:
    """Which of these names make an event; the last one always does. ``watches``: fewer than there are directories."""
    made = [mkdir(n[:-1]) if n.endswith("/") else node(n) for n in names]
    live(
        f"filter-{name}",
        PRINTS.replace("sync{", GAUGED) % (rules + ","),
        started(watches),
        *made,
        node("zz"),
        logged("Create zz"),
        args=logs("Filter"),
        sort=["out"],
        **more,
    )


NAMES = (
    "a",
    "ab",
    "b.txt",
    "c.tmp",
    "x/a",
    "x/ab",
    "x/b.txt",
    "x/c.tmp",
    "x/y/a",
    "x/y/c.tmp",
    "[a]",
    "a.b",
    "axb",
    "dir/",
    "x/dir/",
)
BELOW = ("x/y/", "keep/")
WATCHES = {"/x/*": 2, "x/**": 2, "?": 2, "x*": 2}


def filtered_here(*paths: str) -> dict[str, Callable[[str], str]]:
    """Where rsync leaves these out, lsyncd, while running, does not: it is the one that matches or that looks there."""

    def ours(text: str) -> str:
        lines = set(text.splitlines()) - {f"Normal: Create {path[1:]}" for path in paths}
        return "".join(f"{line}\n" for line in sorted({*lines, *(f'Filter: filtered Create on "{p}"' for p in paths)}))

    return {"out": ours}


def a_class(text: str) -> str:
    """`[a]` is `a` to rsync."""
    swapped = {"/[a]": "/a", "Create a": "Create [a]"}
    lines = {re.sub(r'(?<=on ")/\[a\]|Create a$', lambda match: swapped[match[0]], line) for line in text.splitlines()}
    lines -= {"Normal: Create x/a", "Normal: Create x/y/a"}
    lines |= {'Filter: filtered Create on "/x/a"', 'Filter: filtered Create on "/x/y/a"'}
    return "".join(f"{line}\n" for line in sorted(lines))


BELOW_X = filtered_here("/x/a", "/x/ab", "/x/b.txt", "/x/c.tmp", "/x/dir/")
AS_RSYNC: dict[str, dict[str, Callable[[str], str]]] = {
    "/x/*": BELOW_X,
    "x/**": BELOW_X,
    "**/a": filtered_here("/a"),
    "[a]": {"out": a_class},
}
for number, pattern in enumerate(
    (
        "a",
        "/a",
        "*.txt",
        "/x/*",
        "**/a",
        "x/**",
        "?",
        "/?b",
        "dir/",
        "/dir",
        "[a]",
        "a.b",
        "x*",
        "/x/y/a",
        "y/a",
        "x/**.tmp",
        "**tmp",
        "a*",
        "/",
        "x/*/a",
    )
):
    differs = {"why": "page 6 row 27", "ours": AS_RSYNC[pattern]} if pattern in AS_RSYNC else {}
    filtered(f"exclude-{number}", f"exclude='{pattern}'", NAMES, WATCHES.get(pattern), tree=BELOW, **differs)
filtered("exclude-list", "exclude={ '*.txt', '/x/c.tmp', 'ab' }", NAMES, tree=BELOW)
filtered("rules", "filter={ '+ /x/a', '- a', '- *.tmp' }", NAMES, tree=BELOW)
filtered("rules-string", "filter='- a'", NAMES, tree=BELOW)
filtered("rules-then-excludes", "filter={ '+ /x/ab', '- c.tmp' }, exclude={ 'ab', 'b.txt' }", NAMES, tree=BELOW)
filtered("include-then-all", "filter={ '+ /a', '+ /x/', '+ /x/y/', '+ /x/y/a', '+ /zz', '- *' }", NAMES, 3, tree=BELOW)
filtered(
    "excludeFrom",
    "excludeFrom='@BOX@/list'",
    NAMES,
    tree=BELOW,
    files={"list": "# note\n\n*.txt\n- ab\n+ never\n  /x/a  \n"},
)
filtered(
    "filterFrom", "filterFrom='@BOX@/list'", NAMES, tree=BELOW, files={"list": "# note\n\n+ /x/ab\n- ab\n- *.tmp\n"}
)
filtered(
    "both-from",
    "filterFrom='@BOX@/f', excludeFrom='@BOX@/e', exclude='a'",
    NAMES,
    tree=BELOW,
    files={"f": "- ab\n", "e": "*.txt\n"},
)
live(
    "filter-moves",
    PRINTS.replace("sync{", GAUGED) % "exclude='*.x',",
    started(),
    rename("a", "a.x"),
    logged("Delete a"),
    rename("a.x", "b"),
    logged("Create b"),
    rename("b", "c"),
    logged("Move b -> c"),
    node("q.x"),
    rename("q.x", "r.x"),
    node("zz"),
    logged("Create zz"),
    tree=("a",),
    args=logs("Filter"),
    hide=["Filter"],
)
live(
    "filter-directory-not-watched",
    "settings{ statusFile='@BOX@/status', statusInterval=0 }\n"
    + PRINTS.replace("sync{", GAUGED) % "exclude={ '/no', '*.d/' },",
    started(2),
    node("no/x"),
    node("yes/z.d/x"),
    mkdir("yes/q.d"),
    node("zz"),
    logged("Create zz"),
    status("watching"),
    tree=("no/deep/", "yes/z.d/"),
    args=logs("Filter"),
    why="page 6 row 10",
    ours={"status 1": lambda text: text.replace("  nothing.\n", "From excludes:\n- /no\n- *.d/\n")},
)

# ---- 3.5 scheduling
SPAWNS = """sync{ source="@SRC@", target="@TRG@", delay=%s, maxProcesses=%s, %s init=%s, action=function(inlet)
  local o, d = inlet.getEvent()
  spawn(o, "@BIN@/tool", o.etype, o.path)
 end }
"""


def spawns(delay: str = "0", processes: str = "1", extra: str = "", init: str = "false") -> str:
    return SPAWNS % (delay, processes, extra, init)


def holds(*numbers: int) -> dict[str, str]:
    return {str(number): "hold" for number in numbers}


live(
    "schedule-one-process",
    spawns(),
    started(),
    node("a"),
    called(1),
    node("b"),
    node("c"),
    release(1),
    called(2),
    release(2),
    called(3),
    release(3),
    logged("Finished", 3),
    plan=holds(1, 2, 3),
)
live(
    "schedule-two-processes",
    spawns(processes="2"),
    started(),
    node("a"),
    called(1),
    node("b"),
    called(2),
    node("c"),
    release(2),
    called(3),
    release(1),
    logged("Finished", 2),
    release(3),
    logged("Finished", 3),
    plan=holds(1, 2, 3),
)
live(
    "schedule-global-limit",
    "settings{ maxProcesses=1 }\n"
    + spawns(processes="5")
    + spawns(processes="5").replace('"@BIN@/tool",', '"@BIN@/tool", "second",'),
    started(),
    node("a"),
    called(1),
    release(1),
    called(2),
    release(2),
    logged("Finished", 2),
    plan=holds(1, 2),
    sort=["out"],
    ignore=["calls"],
)
live(
    "schedule-max-delays",
    spawns("30", extra="maxDelays=3,"),
    started(),
    node("a"),
    node("b"),
    node("c"),
    logged("Finished", 1),
)
for limit, extra, before in (
    ("zero", "maxDelays=0,", ""),
    ("negative", "maxDelays=-3,", ""),
    ("zero-in-settings", "", "settings{ maxDelays=0 }\n"),
):
    # every change is one too many: the delay never counts
    live(
        f"schedule-max-delays-{limit}",
        before + spawns("60", extra=extra),
        started(),
        node("a"),
        logged("Finished", 1),
    )
live(
    "schedule-delay-on-command-line",
    spawns("30"),
    started(),
    node("a"),
    logged("Finished"),
    args=("-nodaemon", "-delay", "0", "@BOX@/config.lua"),
)
live("schedule-delay-one-second", spawns("1"), started(), node("a"), node("b"), logged("Finished", 2))
live(
    "schedule-blocked-by-init",
    spawns(init='function(e) spawn(e, "@BIN@/tool", "init") end'),
    called(1),
    node("a"),
    node("b"),
    release(1),
    logged("Finished", 2),
    plan=holds(1),
)
live(
    "schedule-directory-first",
    spawns(processes="3"),
    started(),
    node("d/a"),
    called(1),
    chmod("d", 0o750),
    node("d/b"),
    node("x"),
    called(2),
    release(1),
    called(3),
    release(3),
    called(4),
    logged("Finished", 3),
    release(2),
    logged("Finished", 4),
    plan=holds(1, 2, 3),
    tree=("d/",),
)
live(
    "schedule-onMove",
    spawns(extra="onMove=true,"),
    started(),
    rename("a", "b"),
    logged("Finished Move"),
    rename("d", "e"),
    logged("Finished Move", 2),
    tree=("a", "d/x"),
)

# ---- 3.6 spawning
ACTION = """sync{ source="@SRC@", target="@TRG@", delay=0, init=false, exitcodes={ [0]='ok', [255]='ok', [9]='ok' }, action=function(inlet)
  local e = inlet.getEvent()
  %s
 end }
"""
NO_PATH = "2.3.1: the binary is looked up in PATH"


def spawning(name: str, call: str, *steps: Callable[[Box], None], **more: Any) -> None:
    live(f"spawn-{name}", ACTION % call, started(), node("f"), *(steps or (logged("Finished"),)), **more)


spawning("numbers", "spawn(e, '@BIN@/tool', 1, 2.5, -3, 1e20, '')", args=logs("Exec"))
spawning("tables", "spawn(e, '@BIN@/tool', { 'a', 'b' }, 'c', {}, { 'd', 1 })", args=logs("Exec"))
spawning("nils", "spawn(e, '@BIN@/tool', nil, 'a', nil, 'b')", args=logs("Exec"))
spawning("odd-strings", r"spawn(e, '@BIN@/tool', '', ' ', '\255', 'a\nb', '*', '$x', '\'', '\"')", args=logs("Exec"))
spawning("stdin", r"spawn(e, '@BIN@/tool', '<', 'a\0b\255\n', 'x')", args=logs("Exec"))
spawning("stdin-empty", "spawn(e, '@BIN@/tool', '<', '', 'x')", args=logs("Exec"))
spawning("stdin-number", "spawn(e, '@BIN@/tool', '<', 3, 'x')")
spawning(
    "stdin-large",
    "spawn(e, '@BIN@/tool', '<', string.rep('0123456789abcdef', 20000))",
    cut=[("(0123456789abcdef){20000}", "LARGE")],
)
spawning(
    "stdin-not-read",
    "spawn(e, '@BIN@/tool', '<', string.rep('x', 2000000))",
    plan={"noread": ""},
    only_ours=True,
    why="the original dies of it",
    ours={
        "exit": "143",
        "calls": "tool\n",
        "err": "",
        "out": re.compile(
            r"Normal: --- Startup ---\n(Normal: broken pipe\.\n)?Normal: Finished Create on @/src//f = 0\n(Normal: broken pipe\.\n)?Normal: --- TERM.*\n"
        ),
    },
)
spawning("no-such-binary", "spawn(e, '@BIN@/nosuch', 'x')")
spawning("not-executable", "spawn(e, '@BOX@/config.lua')")
spawning(
    "in-path",
    "spawn(e, 'tool', 'x')",
    why=NO_PATH,
    ours={"err": "", "calls": "tool [x]\n", "out": lambda text: text.replace("= 255", "= 0")},
)
spawning("boolean", "spawn(e, '@BIN@/tool', true)", ends(), ignore=["err"])
spawning(
    "shell",
    "spawnShell(e, '@BIN@/tool \"$1\" \"$2\" $#', 'a b', 'c')",
    args=logs("Exec"),
    why="2.3.1: sh, not /bin/sh",
    ours={"out": lambda text: text.replace("/bin/sh", "sh")},
)
spawning("shell-exit-code", "spawnShell(e, 'exit 9')")
spawning("list", "spawn(inlet.getEvents(), '@BIN@/tool', inlet.getEvents and 'x')")
spawning("output-of-child", "spawn(e, '@BIN@/tool')", plan={"tool": "echo to stdout; echo to stderr >&2"})
spawning(
    "inherits", "spawn(e, '@BIN@/tool')", plan={"tool": "ls /proc/self/fd | wc -l; trap; pwd"}, cut=[(r"^[45]$", "FDS")]
)
live(
    "popen-and-execute-while-running",
    ACTION % "print(io.popen('echo popen'):read('*l'), os.execute('exit 3')) spawn(e, '@BIN@/tool')",
    started(),
    node("f"),
    logged("Finished"),
    only_ours=True,
    why="the original dies of it: negative number of processes!",
    ours={
        "exit": "143",
        "err": "",
        "calls": "tool\n",
        "out": re.compile(r"[^$]*Startup ---\npopen\tnil\texit\t3\nNormal: Finished Create on @/src//f = 0\n[^$]*"),
    },
)

# ---- 3.7 collecting
RSYNC = 'sync{ default.rsync, source="@SRC@", target="@TRG@", delay=1, %s }'
STOPPED = "page 6 row 17"
PARTIAL = "page 6 row 16b"
AGAIN = "page 6 row 17: what no table lists is tried again"


def stopped(name: str = "Sync1", code: int = 1) -> Callable[[str], str]:
    return lambda text: (
        text.replace("Error: Critical exitcode.\n", "") + f"Error: {name} is stopped: exit code {code}\n"
    )


def warned(text: str) -> str:
    return text.replace(
        "Normal: Startup of",
        "Warn: rsync could not transfer everything; one more full run in 1 second\nNormal: Startup of",
    )


for code, word in ((3, "again"), (23, "partial"), (24, "ok"), (1, "die"), (77, "unknown")):
    for insist in ("true", "false"):
        good = word in ("ok", "partial") or (word == "again" and insist == "true")
        wanted: dict[str, Any] = {}
        if word == "partial":
            wanted = {"why": PARTIAL, "ours": {"out": warned}}
        elif word == "die":
            wanted = {"why": STOPPED, "ours": {"err": stopped()}}
        elif word == "unknown" and insist == "true":
            continue
        live(
            f"exit-startup-{word}-{code}-insist-{insist}",
            f"settings{{ insist={insist} }}\n" + RSYNC % "",
            logged("Startup of") if good else ends(),
            plan={"1": f"exit {code}"},
            **wanted,
        )
live(
    "exit-startup-unknown-77-insist-true",
    "settings{ insist=true }\n" + RSYNC % "",
    logged("Startup of .* finished"),
    plan={"1": "exit 77"},
    only_ours=True,
    why=AGAIN,
    ours={
        "exit": "143",
        "calls": re.compile("(rsync .*\n){2}"),
        "err": 'Error: Unknown exitcode "77" on startup of @/src/ -> @/trg/.\n',
    },
)
for code, word in ((3, "again"), (24, "ok")):
    live(
        f"exit-list-{word}-{code}",
        RSYNC % "",
        logged("Startup of"),
        node("f"),
        logged("Finished"),
        plan={"2": f"exit {code}"},
    )
live(
    "exit-list-die-1",
    RSYNC % "",
    logged("Startup of"),
    node("f"),
    ends(),
    plan={"2": "exit 1"},
    why=STOPPED,
    ours={"err": stopped()},
)
live(
    "exit-list-unknown-77",
    RSYNC % "",
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
    plan={"2": "exit 77"},
    only_ours=True,
    why=AGAIN,
    ours={"exit": "143", "calls": re.compile("(rsync .*\n){3}"), "err": 'Error: Unknown exitcode "77" with a list\n'},
)
live(
    "exit-list-partial-23",
    RSYNC % "",
    logged("Startup of"),
    node("f"),
    called(3),
    plan={"2": "echo 'rsync: denied' >&2; exit 23"},
    only_ours=True,
    why=PARTIAL,
    ours={
        "exit": "143",
        "out": re.compile(r"[^$]*Warn: [^$]*"),
        "calls": re.compile(r"rsync .*\n(rsync .*< \[/f<NUL>/\]\n){2,}"),
    },
)
EVENTS = (
    'sync{ source="@SRC@", delay=0, init=false, %s action=function(inlet) spawn(inlet.getEvent(), "@BIN@/tool") end }'
)
CODES = 'exitcodes={ [0]="ok", [3]="again", [1]="die", [23]="ok" },'
for code, word, last in ((3, "again", logged("Finished")), (23, "ok", logged("Finished")), (1, "die", ends())):
    live(f"exit-event-{word}", EVENTS % CODES, started(), node("f"), last, plan={"1": f"exit {code}"})
live(
    "exit-event-unknown",
    EVENTS % CODES,
    started(),
    node("f"),
    logged("Finished"),
    plan={"1": "exit 77"},
    only_ours=True,
    why=AGAIN,
    ours={
        "exit": "143",
        "err": "",
        "calls": "tool\ntool\n",
        "out": re.compile(r'[^$]*Normal: Unknown exitcode "77" with Create on @/src//f = 77\n[^$]*'),
    },
)
live("exit-no-table-0", EVENTS % "", started(), node("f"), logged("Finished"))
live(
    "exit-no-table-1",
    EVENTS % "",
    started(),
    node("f"),
    logged("Finished"),
    plan={"1": "exit 1"},
    only_ours=True,
    why=AGAIN,
    ours={"exit": "143", "err": "Error: Failure with Create on @/src//f = 1\n", "calls": "tool\ntool\n"},
)
live("exit-own-table-startup", RSYNC % "exitcodes={ [7]='ok', [3]='die' },", logged("Startup of"), plan={"1": "exit 7"})
live(
    "exit-own-die-list",
    RSYNC % "exitcodes={ [0]='ok', [3]='die' },",
    logged("Startup of"),
    node("f"),
    ends(),
    plan={"2": "exit 3"},
)
live(
    "exit-killed-list",
    RSYNC % "",
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
    plan={"2": "kill -9 $$"},
    why="page 6 row 3",
    ours={
        "out": re.compile(r"[^$]*Retrying a list after exitcode = 137\n[^$]*Finished a list after exitcode: 0\n[^$]*"),
        "calls": lambda text: text + text.splitlines(keepends=True)[-1],
    },
)
live(
    "exit-again-event-blocks",
    """sync{ source="@SRC@", delay=0, init=false, maxProcesses=2, exitcodes={ [0]="ok", [3]="again" },
 action=function(inlet) local e = inlet.getEvent() spawn(e, "@BIN@/tool", e.path) end }""",
    started(),
    node("d/a"),
    called(1),
    chmod("d", 0o750),
    node("x"),
    logged("Finished", 1),
    release(1),
    logged("Finished", 3),
    tree=("d/",),
    plan={"1": "hold; exit 3"},
)

# ---- 1.5 signals and the end
live("term-idle", EVENTS % "", started(), kill(), ends())
live("int-idle", EVENTS % "", started(), kill(signal.SIGINT), ends())
live(
    "term-while-busy",
    spawns(processes="2"),
    started(),
    node("f"),
    called(1),
    node("g"),
    called(2),
    kill(),
    logged("waiting"),
    release(1),
    logged("Finished", 1),
    release(2),
    ends(),
    plan=holds(1, 2),
)
live(
    "term-twice",
    spawns(),
    started(),
    node("f"),
    called(1),
    kill(),
    logged("waiting"),
    kill(),
    release(1),
    ends(),
    plan=holds(1),
    why="page 1.5: a second TERM changes nothing",
    ours={"out": lambda text: "".join(text.rsplit("Normal: --- TERM signal, fading ---\n", 1))},
)
live(
    "term-starts-nothing-new",
    spawns("0"),
    started(),
    node("a"),
    called(1),
    node("b"),
    kill(),
    logged("waiting"),
    release(1),
    ends(),
    plan=holds(1),
)
live("hup-idle", RSYNC % "", logged("Startup of"), kill(signal.SIGHUP), logged("Startup of", 2))
live(
    "hup-daemon",
    "settings{ logfile='@BOX@/log', pidfile='@BOX@/pid' }\n" + RSYNC % "",
    logged("Startup of"),
    kill(signal.SIGHUP),
    logged("Startup of", 2),
    args=("@BOX@/config.lua",),
    daemon=True,
)
live(
    "hup-new-config",
    RSYNC % "",
    logged("Startup of"),
    config((RSYNC % "").replace("@TRG@", "@TRG@/new")),
    kill(signal.SIGHUP),
    logged("Startup of.*new"),
)
live(
    "hup-while-busy",
    spawns(),
    started(),
    node("f"),
    called(1),
    kill(signal.SIGHUP),
    logged("waiting"),
    release(1),
    logged("--- Startup", 2),
    plan=holds(1),
)
live(
    "hup-implies-insist",
    RSYNC % "",
    logged("Startup of"),
    kill(signal.SIGHUP),
    logged("Startup of", 2),
    plan={"2": "exit 3"},
)
live(
    "hup-broken-config",
    RSYNC % "",
    logged("Startup of"),
    config("nonsense("),
    kill(signal.SIGHUP),
    logged("Error: error loading"),
    node("f"),
    logged("Finished a list"),
    only_ours=True,
    why="page 6 row 9",
    ours={
        "exit": "143",
        "calls": re.compile(r"rsync .*\nrsync .*< \[/f<NUL>/\]\n"),
        "err": re.compile("Error: error loading @/config.lua: .*\n(Error: .*\n)?"),
    },
)
live("insist-setting", "settings{ 'insist' }\n" + RSYNC % "", logged("Startup of"), plan={"1": "exit 255"})
live(
    "insist-option",
    RSYNC % "",
    logged("Startup of"),
    plan={"1": "exit 255"},
    args=("-nodaemon", "-insist", "@BOX@/config.lua"),
)
live(
    "onepass",
    RSYNC % "",
    ends(),
    args=("-nodaemon", "-onepass", "@BOX@/config.lua"),
    only_ours=True,
    why="2.3.1: not in 2.2.3",
    ours={
        "exit": "0",
        "calls": re.compile("rsync .*\n"),
        "out": re.compile(r"[^$]*Startup of @/src/ -> @/trg/ finished\.\n[^$]*"),
    },
)
live(
    "onepass-three-syncs",
    "settings{ onepass=true }\n" + "\n".join((RSYNC % "").replace("@TRG@", f"@TRG@/{n}") for n in "abc"),
    called(3),
    release(2),
    release(3),
    release(1),
    ends(),
    plan=holds(1, 2, 3),
    only_ours=True,
    why="page 6 row 16",
    ours={"exit": "0", "calls": re.compile("(rsync .*\n){3}")},
)
live(
    "onepass-fails",
    RSYNC % "",
    ends(),
    args=("-nodaemon", "-onepass", "@BOX@/config.lua"),
    plan={"1": "exit 1"},
    only_ours=True,
    why="2.3.1: not in 2.2.3",
    ours={"exit": "255", "err": re.compile(r"Error: Failure on startup of @/src/ -> @/trg/\.\n(Error: .*\n)?")},
)
live(
    "command-line-rsync",
    None,
    logged("Startup of"),
    args=("-nodaemon", "-rsync", "@SRC@", "@TRG@"),
    ignore=("calls", "target"),
)  # the original starts the real rsync
live(
    "fade-spawn-ignored",
    """sync{ source="@SRC@", delay=0, init=false, action=function(inlet) spawn(inlet.getEvent(), "@BIN@/tool", "1") end,
 collect=function(a, c) spawn(a.inlet.createBlanketEvent(), "@BIN@/tool", "2") end }""",
    started(),
    node("f"),
    called(1),
    kill(),
    logged("waiting"),
    release(1),
    ends(),
    plan=holds(1),
)
