"""Pages 1 to 4: what is wrong on the command line or in a config, told and exited with; nothing is started."""

from __future__ import annotations

from differential.world import Case

CASES: list[Case] = []


def line(name: str, *args: str, **more: object) -> None:
    """A case of the command line alone."""
    CASES.append(Case(f"cli-{name}", None, args=args, **more))  # type: ignore[arg-type]


def bad(name: str, config: str, **more: object) -> None:
    """A config that must not start."""
    CASES.append(Case(f"error-{name}", config, **more))  # type: ignore[arg-type]


line("nothing")
line("unknown-option", "-nosuch")
line("unknown-option-two-dashes", "--nosuch")
line("short-option", "-h")
line("dash-alone", "-")
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
line("help", "-help")
line("version", "-version")
line("version-two-dashes", "--version")
line("source-missing", "-nodaemon", "-rsync", "@BOX@/nope", "@TRG@")
line("delay-not-a-number", "-nodaemon", "-delay", "x", "-rsync", "@SRC@", "@TRG@")
line("monitor-list", "-monitor")
line("monitor-unknown", "-nodaemon", "-monitor", "nix", "-rsync", "@SRC@", "@TRG@")
line("script", "-script", "@BOX@/s.lua", files={"s.lua": "print('here')"})
line("runner", "-runner", "@BOX@/r.lua", files={"r.lua": "print('here')"})

# ---- Lua's own errors (1.2)
bad("syntax", "settings{\n nodaemon = = 1\n}")
bad("runtime", "\nlocal x = nil\nx.y = 1\n")
bad("binary-chunk", "\x1bLua junk", bare=True)
bad("nul-and-junk", "\x00\xff\x01", bare=True)
bad("raised-table", "error({1})")
bad("raised-nil", "error()")
bad("raised-number", "error(3)")
bad("raised-object", "error(setmetatable({}, {__tostring = function() return 'obj' end}))")
bad("raised-level-0", "error('mine', 0)")
bad("raised-level-2", "\nlocal function f()\n error('mine', 2)\nend\nf()")
bad("recursion", "local function r() return 1 + r() end\nr()")
bad("dofile", "\ndofile('@BOX@/inc.lua')\n", files={"inc.lua": "\n\nsync{ default.rsync, target='@TRG@' }"})
bad("require-missing", "\nrequire('nosuchmodule')\n", cut=[(r"\n\tno (file|field).*", ""), (r"^\tno (file|field).*\n?", "")])

# ---- settings (2.2)
bad("settings-number", "\nsettings(3)")
bad("settings-unknown", "\nsettings{\n nope = 1 }")
bad("settings-unknown-word", "\nsettings{ 'inist' }\n")
bad("settings-number-word", "\nsettings{ 3 }\n")
bad("settings-equals", "settings = { nodaemon = true }", bare=True)
bad("settings-index", "settings.nodaemon = true", bare=True)
bad("settings-get", "settings{ insist = true }\nprint(settings('insist'), settings('nope'))")
bad("settings-word", "settings{ 'insist' }\nprint(settings('insist'))")
bad("settings-nil-value", "settings{ log = all }")
bad("nothing-to-watch", "settings{ nodaemon = true }")
bad("inotify-mode", "settings{ inotifyMode = 'Foo' }\nsync{ default.rsync, source='@SRC@', target='@TRG@' }")
bad("logfacility", "settings{ logfacility = 'nix' }\nsync{ default.rsync, source='@SRC@', target='@TRG@' }",
    args=("@BOX@/config.lua",))
bad("logfile", "settings{ logfile = '@BOX@/no/dir' }\nsync{ default.rsync, source='@SRC@', target='@TRG@' }")
bad("pidfile", "settings{ pidfile = '@BOX@/no/dir' }\nsync{ default.rsync, source='@SRC@', target='@TRG@' }",
    args=("@BOX@/config.lua",))

# ---- sync (2.3)
bad("sync-nothing", "\nsync()")
bad("sync-number", "\nsync(3)")
bad("sync-empty", "\nsync{}")
bad("sync-string", "\nsync('x')")
bad("no-source", "\nsync{ default.rsync, target='@TRG@' }")
bad("no-source-in-helper", "local function h(t)\n  return sync(t)\nend\nh{ default.rsync, target='@TRG@' }\n")
bad("source-not-there", "\nsync{ default.rsync, source='@BOX@/nope', target='@TRG@' }")
bad("source-is-file", "\nsync{ default.rsync, source='@BOX@/config.lua', target='@TRG@' }")
bad("source-number", "\nsync{ default.rsync, source=3, target='@TRG@' }")
bad("no-target", "\nsync{ default.rsync, source='@SRC@' }")
bad("typo", "\nsync{ default.rsync, source='@SRC@',\n target='@TRG@', targt='y' }")
bad("typo-nested", "\nsync{ default.rsync, source='@SRC@',\n target='@TRG@', rsync={ bogus=1 } }")
bad("typo-not-a-table", "\nsync{ default.rsync, source='@SRC@',\n target='@TRG@', rsync=3 }")
bad("gauge-false", "\nsync{ default.rsync, source='@SRC@',\n target='@TRG@', onCreate=function() end }")
bad("gauge-own", "\nsync{ source='@SRC@', syncid='x' }")
bad("delay-string", "\nsync{ default.rsync, source='@SRC@', target='@TRG@', delay='abc' }")
bad("delay-negative", "\nsync{ default.rsync, source='@SRC@', target='@TRG@', delay=-1 }")
bad("monitor", "\nsync{ default.rsync, source='@SRC@', target='@TRG@', monitor='foo' }")
bad("exclude-number", "\nsync{ default.rsync, source='@SRC@', target='@TRG@', exclude=3 }")
bad("filter-number", "\nsync{ default.rsync, source='@SRC@', target='@TRG@', filter=3 }")
bad("filter-rule", "\nsync{ default.rsync, source='@SRC@', target='@TRG@', filter={'bad rule'} }")
bad("filter-rule-in-file", "\nsync{ default.rsync, source='@SRC@', target='@TRG@', filterFrom='@BOX@/f' }",
    files={"f": "# c\n\n+ a\nzzz\n"})
bad("filterFrom-missing", "\nsync{ default.rsync, source='@SRC@', target='@TRG@', filterFrom='@BOX@/nof' }")
bad("excludeFrom-missing", "\nsync{ default.rsync, source='@SRC@', target='@TRG@', excludeFrom='@BOX@/nof' }")
bad("crontab", "\nsync{ default.rsync, source='@SRC@', target='@TRG@', crontab={'bad'} }")

# ---- the built-in actions' own checks (page 4)
bad("rsync-computed", "\nsync{ default.rsync, source='@SRC@', target='@TRG@', rsync={ _computed={} } }")
bad("direct-no-target", "\nsync{ default.direct, source='@SRC@' }")
bad("ssh-no-host", "\nsync{ default.rsyncssh, source='@SRC@', targetdir='@TRG@' }")
bad("ssh-no-targetdir", "\nsync{ default.rsyncssh, source='@SRC@', host='h' }")
bad("ssh-target", "\nsync{ default.rsyncssh, source='@SRC@', host='h', targetdir='@TRG@', target='@TRG@' }")
bad("ssh-max-processes", "\nsync{ default.rsyncssh, source='@SRC@', host='h', targetdir='@TRG@', maxProcesses=2 }")
bad("ssh-computed", "\nsync{ default.rsyncssh, source='@SRC@', host='h', targetdir='@TRG@', ssh={ _computed={} } }")

# ---- levels of a user's own prepare (2.3)
bad("prepare-own", "sync{ default.rsync, source='@SRC@', target='@TRG@', prepare = function(c, l)\n error('mine', l)\n end }")
bad("prepare-passed-on", "\n\nsync{ default.rsync, source='@SRC@', prepare = function(c, l)\n default.rsync.prepare(c, l + 1)\n end }")
bad("prepare-passed-short", "\n\nsync{ default.rsync, source='@SRC@', prepare = function(c, l)\n default.rsync.prepare(c, l)\n end }")
bad("prepare-helper", "local function h(t)\n  return sync(t)\nend\nh{ default.rsync, source='@SRC@' }\n")
