"""Pages 1 to 4: what is wrong on the command line or in a config, told and exited with; nothing is started."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from differential.world import Case

if TYPE_CHECKING:
    from collections.abc import Callable

CASES: list[Case] = []


def at(number: int) -> Callable[[str], str]:
    """The original's message with the place in the user's file, where it names none or one of its own."""
    place = f"@/config.lua:{number}: "

    def change(text: str) -> str:
        head = "Error: error preparing @/config.lua: "
        return text.replace(head, head + place).replace("INTERNAL: ", "")

    return change


def placed(number: int) -> Callable[[str], str]:
    """The original's last line, which has no place, with that of the sync."""

    def change(text: str) -> str:
        return re.sub(r"Error: (?=Cannot (access|open) |Unknown filter )", f"Error: @/config.lua:{number}: ", text)

    return change


PLACE = "page 1.2: the message points into the user's file"
HELP = re.compile(r"(Version: .*\n)?\nUSAGE:\n  runs a config file:\n[^$]*OPTIONS:\n(  -.*\n)+[^$]*")


def line(name: str, *args: str, **more: Any) -> None:
    """A case of the command line alone."""
    CASES.append(Case(f"cli-{name}", None, args=args, **more))


def bad(name: str, config: str, **more: Any) -> None:
    """A config that must not start."""
    CASES.append(Case(f"error-{name}", config, **more))


line("nothing", why="2.3.1: more options", ours={"out": HELP})
TWICE: dict[str, Any] = {
    "why": "the original says `option` twice",
    "ours": {"err": lambda text: text.replace("unknown option command line option", "unknown command line option")},
}
line("unknown-option", "-nosuch", **TWICE)
line("unknown-option-two-dashes", "--nosuch", **TWICE)
line("short-option", "-h", **TWICE)
line("dash-alone", "-", **TWICE)
line("log-needs-argument", "-log")
line("rsync-needs-two", "-rsync", "a")
line("rsyncssh-needs-three", "-rsyncssh", "a", "b")
line("direct-needs-two", "-direct", "a")
line("pidfile-needs-one", "-pidfile")
line("bad-category", "-log", "bad")
line("invented-category", "-log", "Bad", "nofile")
line("two-configs", "a", "b")
line("syncs-and-config", "-rsync", "@SRC@", "@TRG@", "x")
line("no-config-file", "nofile")
line("config-is-directory", "@SRC@")
line("help", "-help", why="2.3.1: more options", ours={"out": HELP})
line("version", "-version", why="2.3.1: our own version", ours={"out": re.compile(r"Version: \d+\.\d+\.\d+.*\n")})
line(
    "version-two-dashes",
    "--version",
    why="2.3.1: our own version",
    ours={"out": re.compile(r"Version: \d+\.\d+\.\d+.*\n")},
)
line("source-missing", "-nodaemon", "-rsync", "@BOX@/nope", "@TRG@")
line(
    "delay-not-a-number",
    "-nodaemon",
    "-delay",
    "x",
    "-rsync",
    "@SRC@",
    "@TRG@",
    why=PLACE,
    ours={"err": re.compile(r"Error: .*delay must be a number.*\n")},
)
line(
    "monitor-list",
    "-monitor",
    why="page 6, beyond: more monitors",
    ours={"out": re.compile(r"This Lsyncd supports these monitors:\n   inotify\n(   \w+\n)*\n")},
)
line(
    "monitor-unknown",
    "-nodaemon",
    "-monitor",
    "nix",
    "-rsync",
    "@SRC@",
    "@TRG@",
    why=PLACE,
    ours={"err": 'Error: event monitor "nix" unknown.\n'},
)
line(
    "script",
    "-script",
    "@BOX@/s.lua",
    files={"s.lua": "print('here')"},
    why="2.3.1: not in 2.2.3",
    ours={"out": "here\n", "err": "Error: Nothing to watch!\n"},
)
line(
    "runner",
    "-runner",
    "@BOX@/r.lua",
    files={"r.lua": "print('here')"},
    why="page 1.1: there is no such part here",
    ours={"err": re.compile(r"Error: .*-runner.*\n")},
)

# ---- Lua's own errors (1.2)
bad("syntax", "settings{\n nodaemon = = 1\n}")
bad("runtime", "\nlocal x = nil\nx.y = 1\n")
bad(
    "binary-chunk",
    "\x1bLua junk",
    bare=True,
    why="no binary chunks: they could crash Lua",
    ours={"err": re.compile(r"Error: error loading @/config\.lua: .*binary chunk.*\n")},
)
bad("nul-and-junk", "\x00\xff\x01", bare=True)
bad("raised-table", "error({1})")
bad("raised-nil", "error()")
bad("raised-number", "error(3)")
bad("raised-object", "error(setmetatable({}, {__tostring = function() return 'obj' end}))")
bad("raised-level-0", "error('mine', 0)")
bad("raised-level-2", "\nlocal function f()\n error('mine', 2)\nend\nf()")
bad("recursion", "local function r() return 1 + r() end\nr()")
bad("dofile", "\ndofile('@BOX@/inc.lua')\n", files={"inc.lua": "\n\nsync{ default.rsync, target='@TRG@' }"})
bad(
    "require-missing",
    "\nrequire('nosuchmodule')\n",
    cut=[(r"\n\tno (file|field).*", ""), (r"^\tno (file|field).*\n?", "")],
)

# ---- what stands in a table without a name, functions that are none (2.3)
for name, config, message in (
    ("list-action-in-quotes", "sync{ 'default.rsync', @@ }", 'Parameter "1" unknown. .*without quotes.*'),
    ("list-word", "sync{ default.rsync, 'word', @@ }", 'Parameter "1" unknown. .*NAME.*'),
    ("list-flags-of-rsync", "sync{ default.rsync, @@, rsync={ '-ltus' } }", 'Parameter "rsync.1" unknown. .*_extra.*'),
    (
        "list-flags-of-ssh",
        "sync{ default.rsyncssh, @@, host='h', targetdir='x', ssh={ '-p 2' } }",
        'Parameter "ssh.1".*',
    ),
):
    bad(
        name,
        config.replace("@@", "source='@SRC@', target='@TRG@'").replace("target='@TRG@', host", "host"),
        why="ours says how it is meant",
        ours={"err": re.compile(r"Error: error preparing @/config\.lua: @/config\.lua:1: " + message + "\n")},
    )
for name, keys, message in (
    ("init-in-quotes", "init='x'", "init must be a function or false, not "),
    ("collect-true", "collect=true", "collect must be a function or false, not true"),
):
    bad(
        name,
        f"sync{{ default.rsync, source='@SRC@', target='@TRG@', {keys} }}",
        why="the original says so after its startup, with a backtrace into itself",
        ours={
            "err": re.compile(rf"Error: error preparing @/config\.lua: @/config\.lua:1: {message}.*\n"),
            "out": "",
            "calls": "",
        },
    )

# ---- settings (2.2)
bad(
    "settings-number",
    "\nsettings(3)",
    why=PLACE,
    ours={"err": re.compile(r"Error: error preparing @/config\.lua: @/config\.lua:2: settings.*table.*number\n")},
)
bad("settings-unknown", "\nsettings{\n nope = 1 }")
bad("settings-unknown-word", "\nsettings{ 'inist' }\n")
bad("settings-number-word", "\nsettings{ 3 }\n")
bad(
    "settings-equals",
    "settings = { nodaemon = true }",
    bare=True,
    why="page 6 row 14",
    ours={"err": re.compile(r"Warn: settings = .*obsolete.*\nError: Nothing to watch!\n")},
)
bad(
    "settings-index",
    "settings.nodaemon = true",
    bare=True,
    why="page 6 row 14",
    ours={"err": re.compile(r"Warn: settings = .*obsolete.*\nError: Nothing to watch!\n")},
)
bad("settings-get", "settings{ insist = true }\nprint(settings('insist'), settings('nope'))")
bad("settings-word", "settings{ 'insist' }\nprint(settings('insist'))")
bad("settings-nil-value", "settings{ log = all }")
bad("nothing-to-watch", "settings{ nodaemon = true }")
bad("inotify-mode", "settings{ inotifyMode = 'Foo' }\nsync{ default.rsync, source='@SRC@', target='@TRG@' }")
bad(
    "logfacility",
    "settings{ logfacility = 'nix' }\nsync{ default.rsync, source='@SRC@', target='@TRG@' }",
    args=("@BOX@/config.lua",),
)
bad(
    "logfile",
    "settings{ logfile = '@BOX@/no/dir' }\nsync{ default.rsync, source='@SRC@', target='@TRG@' }",
    why="page 5.1",
    ours={"out": re.compile("(Normal: --- Startup ---\n)?"), "err": "Cannot open logfile [@/no/dir]!\n"},
)
bad(
    "pidfile",
    "settings{ pidfile = '@BOX@/no/dir' }\nsync{ default.rsync, source='@SRC@', target='@TRG@' }",
    args=("@BOX@/config.lua",),
    why="page 1.4: exit status 255",
    ours={
        "exit": "255",
        "out": re.compile("(Normal: --- Startup, daemonizing ---\n)?"),
        "err": "Error: Cannot create pidfile; '@/no/dir'\n",
    },
)

# ---- sync (2.3)
bad(
    "sync-nothing",
    "\nsync()",
    why=PLACE,
    ours={
        "err": re.compile(
            r"Error: error preparing @/config\.lua: @/config\.lua:2: sync.*table.*(nil|no value|nothing).*\n"
        )
    },
)
bad(
    "sync-number",
    "\nsync(3)",
    why=PLACE,
    ours={"err": re.compile(r"Error: error preparing @/config\.lua: @/config\.lua:2: sync.*table.*(number).*\n")},
)
bad("sync-empty", "\nsync{}")
bad(
    "sync-string",
    "\nsync('x')",
    why=PLACE,
    ours={"err": re.compile(r"Error: error preparing @/config\.lua: @/config\.lua:2: sync.*table.*(string).*\n")},
)
bad("no-source", "\nsync{ default.rsync, target='@TRG@' }")
bad("no-source-in-helper", "local function h(t)\n  return sync(t)\nend\nh{ default.rsync, target='@TRG@' }\n")
bad(
    "source-not-there",
    "\nsync{ default.rsync, source='@BOX@/nope', target='@TRG@' }",
    why=PLACE,
    ours={"err": placed(2)},
)
bad(
    "source-is-file",
    "\nsync{ default.rsync, source='@BOX@/config.lua', target='@TRG@' }",
    why=PLACE,
    ours={"err": placed(2)},
)
bad(
    "source-number",
    "\nsync{ default.rsync, source=3, target='@TRG@' }",
    why="a number is no path",
    ours={"err": re.compile(r"Error: error preparing @/config\.lua: @/config\.lua:2: source must be a string.*\n")},
)
bad("no-target", "\nsync{ default.rsync, source='@SRC@' }")
bad("typo", "\nsync{ default.rsync, source='@SRC@',\n target='@TRG@', targt='y' }", why=PLACE, ours={"err": at(2)})
bad(
    "typo-nested",
    "\nsync{ default.rsync, source='@SRC@',\n target='@TRG@', rsync={ bogus=1 } }",
    why=PLACE,
    ours={"err": at(2)},
)
bad(
    "typo-not-a-table",
    "\nsync{ default.rsync, source='@SRC@',\n target='@TRG@', rsync=3 }",
    why=PLACE,
    ours={"err": at(2)},
)
bad(
    "gauge-false",
    "\nsync{ default.rsync, source='@SRC@',\n target='@TRG@', onCreate=function() end }",
    why=PLACE,
    ours={"err": at(2)},
)
bad("gauge-own", "\nsync{ source='@SRC@', syncid='x' }")
bad(
    "delay-string",
    "\nsync{ default.rsync, source='@SRC@', target='@TRG@', delay='abc' }",
    why=PLACE,
    ours={"err": at(2)},
)
bad(
    "delay-negative",
    "\nsync{ default.rsync, source='@SRC@', target='@TRG@', delay=-1 }",
    why=PLACE,
    ours={"err": at(2)},
)
bad(
    "monitor",
    "\nsync{ default.rsync, source='@SRC@', target='@TRG@', monitor='foo' }",
    why="2.3.1: not in 2.2.3",
    ours={
        "err": re.compile(
            r"Error: (error preparing @/config\.lua: )?@/config\.lua:2: event monitor \"foo\" unknown\.\n"
        )
    },
)
bad(
    "exclude-number",
    "\nsync{ default.rsync, source='@SRC@', target='@TRG@', exclude=3 }",
    why=PLACE,
    ours={"err": at(2)},
)
bad(
    "filter-number", "\nsync{ default.rsync, source='@SRC@', target='@TRG@', filter=3 }", why=PLACE, ours={"err": at(2)}
)
bad(
    "filter-rule",
    "\nsync{ default.rsync, source='@SRC@', target='@TRG@', filter={'bad rule'} }",
    why=PLACE,
    ours={"err": placed(2)},
)
bad(
    "filter-rule-in-file",
    "\nsync{ default.rsync, source='@SRC@', target='@TRG@', filterFrom='@BOX@/f' }",
    files={"f": "# c\n\n+ a\nzzz\n"},
    why=PLACE,
    ours={"err": placed(2)},
)
bad(
    "filterFrom-missing",
    "\nsync{ default.rsync, source='@SRC@', target='@TRG@', filterFrom='@BOX@/nof' }",
    why=PLACE,
    ours={"err": placed(2)},
)
bad(
    "excludeFrom-missing",
    "\nsync{ default.rsync, source='@SRC@', target='@TRG@', excludeFrom='@BOX@/nof' }",
    why=PLACE,
    ours={"err": placed(2)},
)
bad(
    "crontab",
    "\nsync{ default.rsync, source='@SRC@', target='@TRG@', crontab={'bad'} }",
    why="2.3.1: not in 2.2.3",
    ours={"err": re.compile(r"Error: .*Sync: Sync1 - crontab rule 1 is not valid: .*Rule: bad\n")},
)

# ---- the built-in actions' own checks (page 4)
bad(
    "rsync-computed",
    "\nsync{ default.rsync, source='@SRC@', target='@TRG@', rsync={ _computed={} } }",
    why=PLACE,
    ours={"err": at(2)},
)
bad("direct-no-target", "\nsync{ default.direct, source='@SRC@' }")
bad("ssh-no-host", "\nsync{ default.rsyncssh, source='@SRC@', targetdir='@TRG@' }")
bad("ssh-no-targetdir", "\nsync{ default.rsyncssh, source='@SRC@', host='h' }")
bad(
    "ssh-target",
    "\nsync{ default.rsyncssh, source='@SRC@', host='h', targetdir='@TRG@', target='@TRG@' }",
    why=PLACE,
    ours={"err": at(2)},
)
bad("ssh-max-processes", "\nsync{ default.rsyncssh, source='@SRC@', host='h', targetdir='@TRG@', maxProcesses=2 }")
bad(
    "ssh-computed",
    "\nsync{ default.rsyncssh, source='@SRC@', host='h', targetdir='@TRG@', ssh={ _computed={} } }",
    why=PLACE,
    ours={"err": at(2)},
)

# ---- levels of a user's own prepare (2.3)
bad(
    "prepare-own",
    "sync{ default.rsync, source='@SRC@', target='@TRG@', prepare = function(c, l)\n error('mine', l)\n end }",
)
bad(
    "prepare-passed-on",
    "\n\nsync{ default.rsync, source='@SRC@', prepare = function(c, l)\n default.rsync.prepare(c, l + 1)\n end }",
)
bad(
    "prepare-passed-short",
    "\n\nsync{ default.rsync, source='@SRC@', prepare = function(c, l)\n default.rsync.prepare(c, l)\n end }",
    why=PLACE,
    ours={
        "err": re.compile(
            r'Error: error preparing @/config\.lua: @/config\.lua:[34]: default\.rsync needs "target" configured\n'
        )
    },
)
bad("prepare-helper", "local function h(t)\n  return sync(t)\nend\nh{ default.rsync, source='@SRC@' }\n")
