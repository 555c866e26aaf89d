"""Page 2: what a config file sees, used as config files use it."""

# ruff: noqa: E501, UP031 - lines of Lua stand as they are

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from differential.steps import called, chmod, ends, logged, mkdir, node, release, rename, rmtree, started, unlink, write
from differential.world import Case, logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from differential.world import Box

CASES: list[Case] = []


def load(name: str, config: str, **more: Any) -> None:
    """A config that prints while it is loaded, and then has nothing to watch."""
    CASES.append(Case(f"load-{name}", config, **more))


def live(name: str, config: str, *steps: Callable[[Box], None], **more: Any) -> None:
    """A config that runs."""
    CASES.append(Case(f"lua-{name}", config, steps, **more))


def layer1(body: str, extra: str = "") -> str:
    """A sync without startup and delay; ``body`` begins in line 3 of the config."""
    return (
        f'sync{{ source="@SRC@", target="@TRG@", delay=0, init=false, {extra}\n action=function(inlet)\n{body}\n end }}'
    )


def fails(name: str, body: str, extra: str = "", **more: Any) -> None:
    """An action that raises an error at its first event."""
    live(f"fails-{name}", layer1(body, extra), started(), node("f"), ends(), **more)


V231 = "2.3.1: "
PLACE = "page 1.2: the message points into the user's file"

LEFT = "Warn: Sync1: %s waiting: it is asked again, first after a second, then each minute at least.\n"

# ---- 2.1 functions
load("types", "print(type(default), type(sync), type(settings), type(now()), type(spawn), type(default.rsync.action))")
load("version", "print(lsyncd_version)", why=V231 + "our own version", ours={"out": re.compile(r"\d+\.\d+\.\d+\n")})
load(
    "now-arithmetic",
    """
local a = now()
local b = a + 1.5
print(string.format('%.1f', b - a), a < b, a <= a, a == a, b == a, a - 1 < a, type(b), type(b - a), type(a - 1))
print(type(a.seconds))
""",
    why=V231 + "not in 2.2.3",
    ours={"out": lambda text: text + "number\n", "err": "Error: Nothing to watch!\n"},
)
load(
    "now-add-two",
    "\nprint(1)\nprint(now() + now())\nprint(2)",
    why=PLACE,
    ours={"err": "Error: error preparing @/config.lua: @/config.lua:3: Cannot add two timestamps!\n"},
)
load(
    "log-values",
    """
log('Normal', 'a', nil, true, false, 3, 1.5, 10/2, 1e100, -0.1, {}, now(), '')
log('Error', 'e') log('Warn', 'w') log('Mine', 'm') log('Normal') log('Normal', 'two\\nlines')
""",
)
load("log-mine", "log('Mine', 'shown') log('Other', 'not shown')", args=logs("Mine"))
load("log-scarce", "log('Normal', 'n') log('Warn', 'w') log('Error', 'e') log('Mine', 'm')", args=logs("scarce"))
load(
    "log-no-category",
    "\nlog()",
    why="in our own words",
    ours={"err": re.compile(r"Error: error preparing @/config\.lua: @/config\.lua:2: .*log.*\n")},
)
load(
    "log-nil-category",
    "\nlog(nil)",
    why="in our own words",
    ours={"err": re.compile(r"Error: error preparing @/config\.lua: @/config\.lua:2: .*log.*\n")},
)
load(
    "log-function",
    "\nlog('Normal', print)",
    why="the original dies of it",
    ours={"err": "Normal: (Function)\nError: Nothing to watch!\n"},
)
load(
    "readdir",
    """
local t, k = readdir("@SRC@"), {}
for n, v in pairs(t) do k[#k + 1] = n .. "=" .. tostring(v) end
table.sort(k)
print(table.concat(k, ","))
print(readdir("@BOX@/nope") == nil)
""",
    tree=("a", "d/", ".h"),
)
load(
    "queue",
    """
local q = Queue.new()
for _, v in ipairs{'a', 'b', 'c', 'd'} do q:push(v) end
print(q:size(), q:first(), q:last(), q[1], q[2])
for i, v in q:qpairs() do print(i, v) end
q:remove(2)
for i, v in q:qpairsReverse() do print(i, v) end
print(q:size())
q:inject('z')
for i, v in q:qpairs() do print(i, v) end
print(q:size())
""",
    why=V231 + "inject is not in 2.2.3",
    ours={"out": re.compile(r"4\ta[^$]*\n3\n\d\tz\n\d\ta\n\d\tc\n\d\td\n4\n"), "err": "Error: Nothing to watch!\n"},
)
load(
    "queue-replace",
    """
local q = Queue.new()
q:push('a') q:push('b')
q:replace(1, 'x')
print(q[1], q[2], q:size())
q:remove(1) q:remove(2)
print(q:size(), q:first())
""",
)
load("terminate", "print('before') io.stdout:flush() terminate(6)")
load("os-exit", "os.exit(7)")
load(
    "standard-library",
    """
print(type(io.popen), type(os.execute), type(os.getenv), type(require), type(dofile), type(loadfile), type(package.path))
print(io.popen('echo popen'):read('*a'), os.execute('exit 3'))
print(os.getenv('NOSUCH'), string.format('%5.2f|%s', 1.234, 'x'), #'\\255\\0')
print(select('#', table.unpack{1, 2, 3}), type(debug.getinfo(1)), utf8 and utf8.len('é'))
""",
)
load(
    "output-in-order",
    "print('one') io.write('two\\n') io.stdout:write('three\\n') io.stderr:write('err\\n') os.execute('echo four') print('five')",
)
load(
    "require",
    "package.path = '@BOX@/?.lua;' .. package.path\nprint(require('mymod').x, dofile('@BOX@/inc.lua'), loadfile('@BOX@/inc.lua')())",
    files={"mymod.lua": "return { x = 'from mymod' }", "inc.lua": "return 'included'"},
)
load(
    "lua-5.1-names",
    "print(unpack{1, 2}, loadstring('return 3')(), table.getn{1, 2}, table.maxn{1, 2, 3}, math.pow(2, 3))",
    why="page 6 row 14",
    ours={"out": "1\t3\t2\t3\t8.0\n", "err": "Error: Nothing to watch!\n"},
)
load(
    "string-starts",
    "print(string.starts('abc', 'ab'), string.ends('abc', 'bc'), string.ends('abc', 'x'), table.contains({1, 2}, 2))",
    why=V231 + "not in 2.2.3",
    ours={"out": "true\ttrue\tfalse\ttrue\n", "err": "Error: Nothing to watch!\n"},
)
load(
    "splitQuotedString",
    "print(table.concat(lsyncd.splitQuotedString([[a 'b c' \"d e\" f]]), '|'))",
    why=V231 + "lsyncd is hidden in 2.2.3",
    ours={"out": re.compile(r"a\|.*b c.*\|.*d e.*\|f\n"), "err": "Error: Nothing to watch!\n"},
)
load(
    "substitudeCommands",
    "print(substitudeCommands('x ^path y', { path = 'P' }), table.concat(substitudeCommands({ '^path', 'q' }, { path = 'P' }), '|'))",
    why=V231 + "not in 2.2.3",
    ours={"out": "x P y\tP|q\n", "err": "Error: Nothing to watch!\n"},
)

# ---- 2.2 settings that only 2.3.1 knows
load(
    "settings-2.3",
    "settings{ delay = 3, maxDelays = 5, onepass = false }\nprint(settings('delay'))",
    why=V231 + "not in 2.2.3",
    ours={"out": "3\n", "err": "Error: Nothing to watch!\n"},
)
load(
    "settings-all",
    """
settings{ nodaemon = true, statusFile = '@BOX@/s', statusInterval = 3, logfacility = 'daemon', logident = 'x', insist = true,
  inotifyMode = 'CloseWrite', maxProcesses = 7 }
settings{ 'nodaemon', statusInterval = 4 }
print(settings('statusInterval'), settings('maxProcesses'), settings('insist'), settings('logident'), settings('inotifyMode'))
""",
)

# ---- 2.3 inheritance
SHOW = """
local function keys(t, indent)
  local names = {}
  for k in pairs(t) do if k ~= 'checkgauge' then names[#names + 1] = tostring(k) end end
  table.sort(names)
  for _, k in ipairs(names) do
    local v = t[k]
    if v == nil then v = t[tonumber(k)] end
    if type(v) == 'table' then print(indent .. k .. ':') keys(v, indent .. '  ')
    elseif type(v) == 'function' then print(indent .. k .. ' function')
    else print(indent .. k .. ' ' .. tostring(v)) end
  end
end
"""
SEEN = "prepare = function(c, level) keys(c, ' ') end"
STOP = "\nos.exit(0)"
load(
    "inherit-parents",
    SHOW
    + """
local a = { x = 1, t = { p = 1, q = 1 }, list = { 'one' } }
local b = { a, x = 2, y = 2, t = { q = 2, r = 2 } }
sync{ b, source = '@SRC@', z = 3, t = { s = 3 }, %s }"""
    % SEEN
    + STOP,
)
load(
    "inherit-merge-false",
    SHOW
    + """
local a = { t = { _merge = false, p = 1 }, u = { _merge = false, p = 1 } }
sync{ a, source = '@SRC@', t = { s = 3 }, %s }"""
    % SEEN
    + STOP,
)
load(
    "inherit-merge-keys",
    SHOW
    + """
local a = { _merge = { x = true, t = true }, x = 1, y = 1, t = { p = 1 } }
sync{ a, source = '@SRC@', %s }"""
    % SEEN
    + STOP,
)
load(
    "inherit-verbatim",
    SHOW
    + """
local a = { v = { _verbatim = true, [0] = 'zero', [7] = 'seven', 'one' }, exitcodes = { [0] = 'ok', [5] = 'again' } }
sync{ a, source = '@SRC@', exitcodes = { [9] = 'die' }, %s }"""
    % SEEN
    + STOP,
)
load("inherit-numbers", SHOW + "sync{ 'word', 3, { 'deep' }, source = '@SRC@', %s }" % SEEN + STOP)
load("inherit-false", SHOW + "sync{ { init = true, x = 'x' }, source = '@SRC@', init = false, %s }" % SEEN + STOP)
load(
    "inherit-default-rsync",
    SHOW + "sync{ default.rsync, source = '@SRC@', target = '@TRG@', rsync = { archive = true }, %s }" % SEEN + STOP,
    cut=[(r"^ +(batchSizeLimit|checkgauge|full|crontab|onepass|tunnel).*\n", "")],
)
load(
    "inherit-two-parents",
    SHOW
    + """
local one, two = { x = 'one', t = { a = 'one' } }, { x = 'two', y = 'two', t = { a = 'two', b = 'two' } }
sync{ one, two, source = '@SRC@', %s }"""
    % SEEN
    + STOP,
)
load(
    "inherit-copies",
    """
local shared = { t = { n = 0 } }
local function p(c) c.t.n = c.t.n + 1 print(c.t.n) end
sync{ shared, source = '@SRC@', prepare = p } sync{ shared, source = '@SRC@', prepare = p } print(shared.t.n)"""
    + STOP,
)
load(
    "prepare-computed",
    """
sync{ default.rsync, source = '@SRC@', target = '@TRG@', rsync = { archive = true, compress = true, bwlimit = 5, _extra = { '--x', '-y' } },
  prepare = function(c, level)
    default.rsync.prepare(c, level + 1)
    local letters = {}
    for letter in c.rsync._computed[1]:gmatch('%a') do letters[#letters + 1] = letter end
    table.sort(letters)
    print(table.concat(letters), table.concat(c.rsync._computed, ' ', 2), c.target, c.source, c._source)
  end }"""
    + STOP,
)
load(
    "prepare-custom-keys",
    """
sync{ default.rsync, source = '@SRC@', target = '@TRG@', syncid = 'mine', prepare = function(c, l) print(c.syncid, c.source == '@SRC@', c.target) end }"""
    + STOP,
)
load(
    "checkgauge-extended",
    """
sync{ source = '@SRC@', syncid = 'x', nested = { a = 1 }, checkgauge = { syncid = true, nested = { a = true } }, prepare = default.prepare }
print('accepted')"""
    + STOP,
)
load(
    "checkgauge-rsync-extended",
    """
sync{ default.rsync, source = '@SRC@', target = '@TRG@', syncid = 'x', checkgauge = { syncid = true } }
print('accepted')"""
    + STOP,
)
load(
    "sync-returns-inlet",
    """
local inlet = sync{ source = '@SRC@/../src', target = '@TRG@' }
print(type(inlet), inlet.getConfig().source, inlet.getConfig()._source, inlet.getConfig().target)"""
    + STOP,
)
load(
    "source-symlink",
    """
os.execute('ln -s src @BOX@/link')
print(sync{ source = '@BOX@/link/', target = '@TRG@' }.getConfig().source)
print(sync{ source = 'src', target = '@TRG@' }.getConfig().source)"""
    + STOP,
)

# ---- 2.4 inlets, 2.5 events
FIELDS = """
local names = { 'etype', 'status', 'isdir', 'isList', 'name', 'basename', 'path', 'pathname', 'pathdir', 'source', 'sourcePath',
  'sourcePathname', 'sourcePathdir', 'target', 'targetPath', 'targetPathname', 'targetPathdir', 'move' }
function show(e) for _, k in ipairs(names) do print(k, e[k]) end print('shown', type(e), type(e.config), type(e.inlet)) end
"""
live(
    "event-fields",
    FIELDS + layer1("local e = inlet.getEvent() show(e) inlet.discardEvent(e)", "onMove=true,"),
    started(),
    node("d/f"),
    logged("shown", 1),
    node("g.x"),
    logged("shown", 2),
    mkdir("d/e"),
    logged("shown", 3),
    unlink("d/f"),
    logged("shown", 4),
    chmod("g.x"),
    logged("shown", 5),
    write("w"),
    logged("shown", 6),
    tree=("d/", "w"),
)
live(
    "event-identity",
    layer1("""
local e, l = inlet.getEvent(), inlet.getEvents()
print(e == inlet.getEvent(), e.inlet == inlet, e.config == inlet.getConfig(), l.config == e.config, e.isList, l.isList, type(l))
inlet.discardEvent(e)"""),
    started(),
    node("f"),
    logged("table"),
)
live(
    "event-move",
    FIELDS
    + layer1(
        """
local o, d = inlet.getEvent()
show(o) show(d)
inlet.discardEvent(o)""",
        "onMove=true,",
    ),
    started(),
    rename("a", "d/b"),
    logged("shown", 2),
    tree=("a", "d/"),
)
live(
    "event-move-dir",
    FIELDS
    + layer1(
        """
local o, d = inlet.getEvent()
print(o.path, d.path, o.isdir, d.isdir, o.targetPath, d.targetPathdir, o.move, d.move) print(o.status)
inlet.discardEvent(o)""",
        "onMove=true,",
    ),
    started(),
    rename("d/", "e/"),
    logged("wait"),
    tree=("d/",),
)
live(
    "event-init",
    FIELDS + 'sync{ source="@SRC@", target="@TRG@", init=function(e) show(e) e.inlet.discardEvent(e) end }',
    logged("shown"),
)
live(
    "event-write-field",
    layer1("local e = inlet.getEvent() inlet.discardEvent(e) e.nope = 1 print('wrote')"),
    started(),
    node("f"),
    logged("wrote"),
)
live(
    "event-write-known-fields",
    layer1(
        """
local e = inlet.getEvent()
e.config, e.inlet, e.etype, e.status, e.isdir, e.isList, e.target = 1, 2, "Mine", "mine", 3, 4, "/elsewhere/"
e.path, e[1] = "p", "one"
print(e == inlet.getEvent(), inlet.getEvent().config, e.inlet, e.etype, e.status, e.isdir, e.isList, e.path, e[1], e.sourcePath)
spawn(e, "@BIN@/tool", e.path, e.target)""",
        """collect=function(agent, code)
 print("collected", agent.config, agent.inlet, agent.etype, agent.status, agent.isList, agent.target, agent[1], agent.pathname)
end,""",
    ),
    started(),
    node("f"),
    logged("collected"),
)
live(
    "list-write-field",
    layer1(
        """
local l = inlet.getEvents()
l.mine, l.config, l.size, l[1] = "marked", "c", function() return 99 end, "one"
print(l.mine, l.config, l.size(), l[1], l.isList)
spawn(l, "@BIN@/tool", l.mine)""",
        """collect=function(agent, code)
 print("collected", agent.mine, agent.config, agent.size(), agent[1], agent.isList, agent.getPaths()[1])
end,""",
    ),
    started(),
    node("f"),
    logged("collected"),
)
live(
    "inlet-write-field",
    """local inlet
inlet = sync{ source="@SRC@", target="@TRG@", delay=0, init=false, action=function(i)
 i.runs = i.runs + 1
 local b = i.ask()
 b.pathname, b.mine = "x", "marked"
 print(i == inlet, i.runs, b.pathname, b.mine, b.etype)
 spawn(b, "@BIN@/tool", b.pathname) i.discardEvent(i.getEvent()) end,
 collect=function(b) print("collected", b.mine, b.pathname, b.inlet.runs) end }
inlet.runs = 0 inlet.ask = inlet.createBlanketEvent""",
    started(),
    node("f"),
    logged("collected"),
)
live(
    "discard-active",
    layer1("local e = inlet.getEvent() spawn(e, '/bin/true') inlet.discardEvent(e)"),
    started(),
    node("f"),
    logged("Finished"),
)
live(
    "excludes-of-inlet",
    """
local inlet = sync{ default.rsync, source="@SRC@", target="@TRG@", delay=0, init=false, exclude={ '*.a', '/b' }, filter={ '- /c', '+ d' },
  action=function(inlet) local e = inlet.getEvent() print('event', e.path) inlet.discardEvent(e) end }
print(table.concat(inlet.getExcludes(), '|'))
print(inlet.hasFilters(), table.concat(inlet.getFilters(), '|'))
inlet.addExclude('*.n') inlet.addExclude('gone') inlet.rmExclude('gone')
local e = inlet.getExcludes() table.sort(e) print(table.concat(e, '|'))
""",
    started(),
    node("x.a"),
    node("x.n"),
    node("gone"),
    logged("event"),
    args=logs("Filter"),
    cut=[(r"/b\|\*\.a", "*.a|/b"), (r"- /b\|- \*\.a", "- *.a|- /b")],
)
live(
    "excludes-at-run-time",
    layer1("""
local e = inlet.getEvent()
print('event', e.path)
if e.path == 'one' then inlet.addExclude('*.x') elseif e.path == 'two' then inlet.rmExclude('*.x') end
inlet.discardEvent(e)"""),
    started(),
    node("one"),
    logged("event", 1),
    node("a.x"),
    node("two"),
    logged("event", 2),
    node("b.x"),
    logged("event", 3),
)
live(
    "getEvents-all",
    layer1(
        """
local l = inlet.getEvents()
local p = l.getPaths()
print(#p, table.concat(p, '|'))
spawn(l, '@BIN@/tool')""",
        "onMove=true,",
    ).replace("init=false", "init=function(e) spawn(e, '@BIN@/tool') end"),
    called(1),
    node("a"),
    node("d/b"),
    rename("m", "n"),
    unlink("o"),
    release(1),
    logged("Finished a list"),
    tree=("d/", "m", "o"),
    plan={"1": "hold"},
)
live(
    "getEvents-mutator",
    layer1(
        """
local l = inlet.getEvents()
local p = l.getPaths(function(etype, path, path2) return etype .. path, path2 and ('to' .. path2) end)
print(#p, table.concat(p, '|'))
spawn(l, '@BIN@/tool', '<', table.concat(p, '\\n'))""",
        "onMove=true,",
    ).replace("init=false", "init=function(e) spawn(e, '@BIN@/tool') end"),
    called(1),
    node("a"),
    rename("m", "n"),
    mkdir("q"),
    rmtree("d"),
    release(1),
    logged("Finished a list"),
    tree=("d/", "m"),
    plan={"1": "hold"},
)
for word, test in (
    ("true", "return true"),
    ("some", "return e.path ~= 'b'"),
    ("nil", "if e.path ~= 'b' then return true end"),
    ("break", "if e.path == 'b' then return 'break' end return true"),
    ("break-first", "return 'break'"),
):
    live(
        f"getEvents-test-{word}",
        layer1(f"""
local l = inlet.getEvents(function(e) {test} end)
local p = l.getPaths()
print('list', #p, table.concat(p, '|'))
if #p == 0 then os.exit(3) end
spawn(l, '@BIN@/tool')""").replace("init=false", "init=function(e) spawn(e, '@BIN@/tool') end"),
        called(1),
        node("a"),
        node("b"),
        node("c"),
        release(1),
        *([logged("Finished a list")] if word == "true" else [ends()]),
        plan={"1": "hold"},
    )
live(
    "getEvents-blocked",
    layer1("""
local l = inlet.getEvents(function(e) return e.path ~= 'd/' end)
local p = l.getPaths()
print('list', #p, table.concat(p, '|'))
spawn(#p > 0 and l or inlet.getEvents(), '@BIN@/tool')""").replace(
        "init=false", "init=function(e) spawn(e, '@BIN@/tool') end"
    ),
    called(1),
    node("d/x"),
    chmod("d", 0o750),
    node("d/y"),
    node("z"),
    release(1),
    logged("Finished a list", 2),
    tree=("d/",),
    plan={"1": "hold"},
)
live(
    "list-size",
    layer1("""
local l = inlet.getEvents()
print('size', l.size and l.size(), l.getList and #l.getList())
inlet.discardEvent(inlet.getEvent())"""),
    started(),
    node("f"),
    logged("size|Error"),
    why=V231 + "not in 2.2.3",
    ours={
        "out": "Normal: --- Startup ---\nsize\t1\t1\nNormal: --- TERM signal, fading ---\n",
        "err": "",
        "exit": "143",
    },
)
live(
    "blanket",
    """sync{ source="@SRC@", target="@TRG@", delay=0, init=function(e)
  local b = e.inlet.createBlanketEvent()
  print(b.etype, b.path, b.sourcePath, b.isdir, b.status)
  spawn(b, '@BIN@/tool', 'blanket')
  e.inlet.discardEvent(e)
 end, action=function(inlet) local e = inlet.getEvent() spawn(e, '@BIN@/tool', e.etype, e.path) end }""",
    called(1),
    node("f"),
    release(1),
    logged("Finished Create"),
    plan={"1": "hold"},
)
live(
    "init-of-2.0",
    """sync{ source="@SRC@", target="@TRG@", delay=0, init=function(inlet)
  local config = inlet.getConfig()
  local event = inlet.createBlanketEvent()
  spawn(event, '@BIN@/tool', config.target)
 end, action=function(inlet) local e = inlet.getEvent() spawn(e, '@BIN@/tool', e.etype, e.path) end,
 collect=function(agent, code) log('Normal', 'collected ', agent.etype, ' ', code) end }""",
    called(1),
    node("f"),
    release(1),
    logged("collected Create"),
    plan={"1": "hold"},
    only_ours=True,
    why="page 6 row 14",
    ours={
        "out": "Normal: --- Startup ---\nNormal: collected Blanket 0\nNormal: collected Create 0\nNormal: --- TERM signal, fading ---\n",
        "err": "",
        "calls": "tool [@/trg]\ntool [Create] [f]\n",
    },
)

live(
    "init-left-waiting",
    """local asked = 0
sync{ source="@SRC@", target="@TRG@", delay=0, init=function(e)
  asked = asked + 1
  if asked == 2 then spawn(e, '@BIN@/tool', 'init') end
 end, action=function(inlet) local e = inlet.getEvent() spawn(e, '@BIN@/tool', e.etype, e.path) end }""",
    logged("Startup of .* finished"),
    started(),
    node("f"),
    logged("Finished Create"),
    why="the original asks without a pause",
    ours={"out": lambda text: text.replace("Normal: Startup", LEFT % "init left the startup" + "Normal: Startup")},
)
live(
    "action-left-waiting",
    layer1("""asked = (asked or 0) + 1
  if asked == 2 then spawn(inlet.getEvent(), '@BIN@/tool', 'action') end""").replace("sync{", "asked = 0 sync{"),
    started(),
    node("f"),
    logged("Finished Create"),
    why="the original asks without a pause",
    ours={"out": lambda text: text.replace("Normal: Finished", LEFT % "action left Create /f" + "Normal: Finished")},
)

# ---- 2.6 layers 1 and 2
LAYER2 = """sync{ source="@SRC@", target="@TRG@", delay=0,
 onStartup=function(e) print("startup", e.etype, e.path) end,
 onCreate=function(e) print("create", e.path, e.isdir) end, onModify=function(e) print("modify", e.path) end,
 onDelete=function(e) print("delete", e.path, e.isdir) end, onAttrib=function(e) print("attrib", e.path) end, %s }"""
ON_MOVE = 'onMove=function(o, d) print("move", o.path, d.path, o.etype, d.etype) end'
live(
    "layer-2",
    LAYER2 % ON_MOVE,
    logged("startup"),
    node("f"),
    logged("create\tf"),
    write("a"),
    logged("modify\ta"),
    chmod("a"),
    logged("attrib\ta"),
    rename("a", "b"),
    logged("move"),
    rename("b", "../b"),
    logged("delete\tb"),
    rename("../b", "c"),
    logged("create\tc"),
    mkdir("d"),
    logged("create\td"),
    rename("d", "e"),
    logged("move\td"),
    rmtree("e"),
    logged("delete\te"),
    unlink("c"),
    logged("delete\tc"),
    tree=("a",),
)
live(
    "layer-2-no-move",
    LAYER2 % "",
    logged("startup"),
    rename("a", "b"),
    logged("create\tb"),
    rename("d", "e"),
    logged("create\te"),
    tree=("a", "d/x"),
)
live(
    "layer-2-spawns",
    """sync{ source="@SRC@", target="@TRG@", delay=0,
 onStartup=function(e) spawn(e, "@BIN@/tool", "startup", e.source, e.target) end,
 onCreate=function(e) spawn(e, "@BIN@/tool", "create", e.path) end }""",
    logged("Startup of"),
    node("f"),
    logged("Finished Create"),
    unlink("f"),
    write("g"),
    logged("Finished Create", 2),
)
live(
    "layer-2-no-startup",
    """sync{ source="@SRC@", target="@TRG@", delay=0, init=false,
 onStartup=function(e) print("startup") end, onCreate=function(e) print("create", e.path) end }""",
    started(),
    node("f"),
    logged("create"),
)
live(
    "layer-1-collect",
    layer1(
        "local e = inlet.getEvent() spawn(e, '@BIN@/tool', e.path)",
        "collect=function(a, c) log('Normal', 'mine ', a.etype, ' ', a.isList, ' ', c) if c == 3 then return 'again' end end,",
    ),
    started(),
    node("f"),
    logged("mine Create .*0$"),
    node("g"),
    logged("mine", 3),
    plan={"1": "exit 3"},
)
live(
    "layer-1-collect-calls-default",
    layer1(
        "spawn(inlet.getEvents(), '@BIN@/tool')",
        "collect=function(a, c) print('mine', a.isList, c) return default.collect(a, 0) end,",
    ),
    started(),
    node("f"),
    logged("Finished a list"),
    plan={"1": "exit 7"},
)
live(
    "layer-1-collect-die",
    layer1("spawn(inlet.getEvents(), '@BIN@/tool')", "collect=function(a, c) return 'die' end,"),
    started(),
    node("f"),
    ends(),
)
live(
    "layer-1-collect-garbage",
    layer1("spawn(inlet.getEvents(), '@BIN@/tool')", "collect=function(a, c) print('garbage') return 'garbage' end,"),
    started(),
    node("f"),
    logged("garbage"),
    node("g"),
    logged("garbage", 2),
)
live(
    "override-init",
    """sync{ default.rsync, source="@SRC@", target="@TRG@", delay=1, init=function(e)
 log('Normal', 'own init') return default.rsync.init(e) end }""",
    logged("Startup of"),
)
live(
    "override-init-default-init",
    """sync{ default.rsync, source="@SRC@", target="@TRG@", delay=1, init=function(e)
 return default.init(e) end }""",
    started(),
    node("f"),
    logged("Finished a list"),
)
live(
    "override-action",
    """sync{ default.rsync, source="@SRC@", target="@TRG@", delay=1, action=function(inlet)
 log('Normal', 'own action') return default.rsync.action(inlet) end }""",
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
)
live(
    "override-collect",
    """sync{ default.rsync, source="@SRC@", target="@TRG@", delay=1, collect=function(a, c)
 log('Normal', 'own ', a.isList, ' ', c) return default.collect(a, c) end }""",
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
)
live(
    "override-computed-in-action",
    """sync{ default.rsync, source="@SRC@", target="@TRG@", delay=0, rsync={ archive=true, _extra={'--mine'} },
 action=function(inlet)
   local e = inlet.getEvent()
   local c = e.config
   spawn(e, c.rsync.binary, c.rsync._computed, '-r', c.source, c.target)
 end }""",
    logged("Startup of"),
    node("f"),
    logged("Finished Create"),
)
live(
    "own-action-table",
    """
local base = { default.rsync, checkgauge = { colour = true } }
base.action = function(inlet) local e = inlet.getEvents() spawn(e, '@BIN@/tool', inlet.getConfig().colour, e.getPaths()) end
local mid = { base, colour = 'red', delay = 0 }
sync{ mid, source="@SRC@", target="@TRG@" }""",
    logged("Startup of"),
    node("f"),
    logged("Finished a list"),
)
live(
    "onMove-true-layer-1",
    layer1(
        """
local e, d = inlet.getEvent()
spawn(e, '@BIN@/tool', e.etype, e.path, d and d.path)""",
        "onMove=true,",
    ),
    started(),
    rename("a", "b"),
    logged("Finished Move"),
    tree=("a",),
)
live(
    "onMove-missing-layer-1",
    layer1("local e, d = inlet.getEvent() spawn(e, '@BIN@/tool', e.etype, e.path, d and d.path)"),
    started(),
    rename("a", "b"),
    logged("Finished Create"),
    tree=("a",),
)
live(
    "not-handled",
    'sync{ source="@SRC@", target="@TRG@", delay=0, onModify=function(e) print("modify", e.path) end }',
    started(),
    node("f"),
    write("w"),
    logged("modify"),
    tree=("w",),
)

# ---- 2.7 layer 3
live(
    "layer-3-binary",
    """sync{ source="@SRC@", target="@TRG@", delay=0, onStartup="@BIN@/tool startup ^source ^target",
 onCreate="  @BIN@/tool create ^path \\"quoted ^pathname\\" ^pathdir ^sourcePathdir", onDelete="@BIN@/tool delete ^path^pathname ^nope ^targetPathdir; true",
 onModify="@BIN@/tool ^targetPath ^targetPathname ^sourcePathname ^sourcePath ^target ^source" }""",
    logged("Startup of"),
    node("d/f"),
    logged("Finished Create"),
    unlink("d/f"),
    logged("Finished Delete"),
    write("w x"),
    logged("Finished Modify"),
    tree=("d/", "w x"),
    args=logs("Exec"),
)
live(
    "layer-3-shell",
    """sync{ source="@SRC@", target="@TRG@", delay=0, onStartup=[[
   if [ "$(ls -A ^source)" ]; then @BIN@/tool -r ^source* ^target; fi
 ]], onCreate="^@BIN@/tool create ^path ^pathname ^pathdir", onDelete="tool ^sourcePath ^targetPath && tool second ^path",
 onModify="tool ^path; tool ^path ^nope" }""",
    logged("Startup of"),
    node("d/f"),
    logged("Finished Create"),
    unlink("d/f"),
    logged("Finished Delete"),
    write("w x"),
    logged("Finished Modify"),
    tree=("d/", "w x"),
)
live(
    "layer-3-fwrite",
    """sync{ source="@SRC@", target="@TRG@", delay=0, init=false, onCreate="  tool ^path  ", onDelete="/bin/true ^path" }""",
    started(),
    args=logs("FWrite"),
    only_ours=True,
    why="page 2.7: what is shown has our own form",
    ours={"out": re.compile(r'(?s).*FWrite: translated "tool \^path" to.*FWrite: translated "/bin/true \^path" to.*')},
)
live(
    "layer-3-move",
    """sync{ source="@SRC@", target="@TRG@", delay=0,
 onMove="tool ^o.path ^d.path ^o.targetPathname ^d.sourcePathdir ^path ^source ^o.pathname ^d.targetPath" }""",
    started(),
    rename("a b", "c d"),
    logged("Finished Move"),
    tree=("a b",),
)
live(
    "layer-3-injection",
    """sync{ source="@SRC@", target="@TRG@", delay=0, init=false, onCreate="tool ^path ^targetPathname" }""",
    started(),
    node("$(touch hacked)"),
    logged("Finished", 1),
    node("a;b 'c' \"d\" `e`"),
    logged("Finished", 2),
    node("-rf"),
    logged("Finished", 3),
    node("new\nline"),
    logged("Finished", 4),
    node("^path"),
    logged("Finished", 5),
    node("]]..x..[["),
    logged("Finished", 6),
    node("é"),
    logged("Finished", 7),
    node(b"\xff\xfe"),
    logged("Finished", 8),
)
live(
    "layer-3-blank",
    """sync{ source="@SRC@", target="@TRG@", delay=0, init=false, onCreate="   " }""",
    started(),
    node("f"),
    logged("Finished"),
)
live(
    "layer-3-several-lines",
    """sync{ source="@SRC@", target="@TRG@", delay=0, init=false, onCreate=[[
  for i in 1 2; do
    tool $i ^path
  done
 ]] }""",
    started(),
    node("f"),
    logged("Finished"),
    why="the original loses a newline after a variable in the log line",
    ours={"out": lambda text: text.replace("$i f  done", "$i f\n  done")},
)
live(
    "layer-3-exit-code",
    """sync{ source="@SRC@", target="@TRG@", delay=0, init=false, exitcodes={ [0]="ok", [3]="again" },
 onCreate="@BIN@/tool ^path" }""",
    started(),
    node("f"),
    logged("Finished"),
    plan={"1": "exit 3"},
)

# ---- 2.8 globals
live(
    "globals-allowed",
    layer1("_ = 1 __x = 2 print(_, __x) inlet.discardEvent(inlet.getEvent())", ""),
    started(),
    node("f"),
    logged("1\t2"),
)
live(
    "globals-declared-on-load",
    "counter = 0\n" + layer1("counter = counter + 1 print('count', counter) inlet.discardEvent(inlet.getEvent())"),
    started(),
    node("f"),
    logged("count", 1),
    node("g"),
    logged("count", 2),
)
fails("global-read", "  print(nope)")
fails("global-write", "  nope = 1")
fails("global-underscore-read", "  print(_y)")

# ---- 2.9 errors while running
fails("index-nil", "  local x = nil\n  x.y = 1")
live("fails-nested", "local function deep()\n error('boom')\nend\n" + layer1("  deep()"), started(), node("f"), ends())
live(
    "fails-file",
    "local deep = dofile('@BOX@/inc.lua')\n" + layer1("  deep()"),
    started(),
    node("f"),
    ends(),
    files={"inc.lua": "\nreturn function()\n error('boom')\nend"},
)
fails("assert", "  assert(false, 'asserted')")
fails("level-0", "  error('plain', 0)")
fails("table", "  error({1})")
fails("nil", "  error()")
fails(
    "recursion",
    "  local function r() return 1 + r() end\n  r()",
    only_ours=True,
    why="the original takes minutes to print its backtrace",
    ours={
        "exit": "255",
        "err": re.compile(
            r"Error: in Lua: @/config\.lua:3: stack overflow[^\n]*\n(Error: Backtrace :@/config\.lua:\d\n){1,99}"
        ),
    },
)
live(
    "fails-in-collect",
    """sync{ source="@SRC@", delay=0, init=false, collect=function(a, c)
 error("in collect")
 end, action=function(inlet) spawn(inlet.getEvent(), "/bin/true") end }""",
    started(),
    node("f"),
    ends(),
)
live("fails-in-init", 'sync{ source="@SRC@", delay=0, init=function(e)\n error("in init")\n end }', ends())
live(
    "fails-in-alarm",
    'sync{ source="@SRC@", delay=0, init=false }\nalarm(now() + 0.1, function()\n error("in alarm")\nend)',
    ends(),
)
live(
    "fails-in-test",
    layer1("  inlet.getEvents(function(e)\n   error('in test')\n  end)"),
    started(),
    node("f"),
    ends(),
    why="a test is called through the engine: the frames inside it are not told, its place is",
    ours={"err": lambda text: text.replace("Error: Backtrace :@/config.lua:4\n", "")},
)
live(
    "fails-in-mutator",
    layer1("  inlet.getEvents().getPaths(function(e)\n   error('in mutator')\n  end)"),
    started(),
    node("f"),
    ends(),
)
live(
    "fails-layer-2",
    'sync{ source="@SRC@", delay=0, onCreate=function(e)\n error("in onCreate")\n end }',
    started(),
    node("f"),
    ends(),
)
fails("event-field", "  local e = inlet.getEvent()\n  print(e.nope)")
fails("inlet-function", "  inlet.nope()")
fails("list-function", "  local l = inlet.getEvents()\n  l.nope()")
fails("sync-while-running", "  sync{ source='@SRC@' }")
fails("settings-unknown-while-running", "  settings{ nope = 1 }")
fails("spawn-nil", "  spawn(nil, '/bin/true')")
fails("spawn-number", "  spawn(3, '/bin/true')")
fails("spawn-table", "  spawn({}, '/bin/true')")
fails("spawn-binary-number", "  spawn(inlet.getEvent(), 3)")
fails("spawn-binary-nil", "  spawn(inlet.getEvent(), nil)")
fails("spawn-twice", "  local e = inlet.getEvent() spawn(e, '/bin/true')\n  spawn(e, '/bin/true')")
fails("spawn-list-twice", "  local l = inlet.getEvents() spawn(l, '/bin/true')\n  spawn(l, '/bin/true')")
fails("terminate", "  print('bye') terminate(5)")
fails("os-exit", "  os.exit(7)")
fails("discard-nil", "  inlet.discardEvent(nil)", ignore=["err"])

live(
    "handler-number",
    "\nsync{ source='@SRC@', delay=0, init=false, onCreate=3, onDelete=function(e) print('delete') end }",
    started(),
    node("f"),
    unlink("f"),
    logged("delete"),
)

# ---- alarms, observed descriptors
live(
    "alarms",
    """sync{ source="@SRC@", init=false, delay=0 }
alarm(now() + 0.3, function(t, x) print("third", type(t), x) end, "X")
alarm(now() + 0.1, function(t, x) print("first", type(t), x) end)
alarm(now() + 0.2, function(t, x) print("second") alarm(t + 0.3, function() print("last") end) end)""",
    started(),
    logged("last"),
)
live(
    "observefd",
    """sync{ source="@SRC@", init=false, delay=0 }
observefd(0, function(fd) print("ready", fd == 0) os.exit(4) end, nil)""",
    ends(),
)

# ---- what only 2.3.1 has of page 2
ONLY_231 = "2.3.1: not in 2.2.3"


def newer(name: str, config: str, out: str, **more: Any) -> None:
    """A config that prints while it is loaded, by means that 2.2.3 has not."""
    load(
        name,
        config,
        only_ours=True,
        why=ONLY_231,
        ours={"out": re.compile(out), "err": "Error: Nothing to watch!\n"},
        **more,
    )


newer("dump", "dump({ a = 1, b = { c = { d = { e = 1 } } } })", r"(?s)(?=.*\ba = 1\n)(?=.*\bc = ).*")
newer(
    "lsyncd-get_file_size",
    "print(lsyncd.get_file_size('@BOX@/five'), lsyncd.get_file_size('@BOX@/nope'))",
    r"5\tnil\n",
    files={"five": "12345"},
)
newer(
    "lsyncd-get_free_port", "print(math.type(lsyncd.get_free_port()), lsyncd.get_free_port() > 0)", r"integer\ttrue\n"
)
newer("lsyncd-get_process_info", "print(lsyncd.get_process_info())", r"0\t.*\n")
newer(
    "lsyncd-realdir",
    "print(lsyncd.realdir('@BOX@/src/../src'), lsyncd.readdir('@SRC@').a)",
    r"@/src/?\tfalse\n",
    tree=("a",),
)
newer("lsyncd-now", "print(type(lsyncd.now()), lsyncd.now() <= now())", r"userdata\ttrue\n")
newer(
    "lsyncd-names",
    """
for _, name in ipairs{ 'log', 'now', 'terminate', 'readdir', 'realdir', 'exec', 'kill', 'get_free_port', 'get_file_size', 'get_process_info',
  'splitQuotedString', 'jiffies_from_seconds', 'observe_fd', 'nonobserve_fd', 'configure', 'stackdump' } do
  if type(lsyncd[name]) ~= 'function' then print(name, type(lsyncd[name])) end
end""",
    "",
)
newer(
    "nothing-of-python",
    """
for name, value in pairs(_G) do if name:lower():find('python') or type(value) == 'userdata' then print(name) end end
print(python, type(package.loaded.python))""",
    "nil\tnil\n",
)
live(
    "full-event",
    """local inlet = sync{ default.rsync, source="@SRC@", target="@TRG@", delay=0, init=false }
alarm(now() + 0.1, function() inlet.createFullEvent('/') end)""",
    logged("Finished"),
    only_ours=True,
    why=ONLY_231,
    ours={
        "exit": "143",
        "err": "",
        "calls": re.compile(r"rsync \[--delete\] \[--ignore-errors\] \[-lst\] \[-r\] \[@/src/\] \[@/trg/\]\n"),
        "out": re.compile(r"[^$]*Normal: recursive full rsync: @/src/ -> @/trg/\n[^$]*"),
    },
)
live(
    "layer-1-full",
    layer1(
        "local e = inlet.getEvent() inlet.discardEvent(e) if e.path == 'f' then inlet.createFullEvent('/') end",
        "full=function(e) print('full', e.etype) spawn(e, '@BIN@/tool', 'full') end,",
    ),
    started(),
    node("f"),
    logged("Finished"),
    only_ours=True,
    why=ONLY_231,
    ours={"exit": "143", "err": "", "calls": "tool [full]\n", "out": re.compile(r"[^$]*full\tFull\n[^$]*")},
)
live(
    "getSourcePaths",
    layer1("local l = inlet.getEvents() print('paths', l.getSourcePaths(',')) spawn(l, '@BIN@/tool')"),
    started(),
    node("f"),
    logged("Finished"),
    only_ours=True,
    why="page 2.5: documented, but missing",
    ours={"exit": "143", "out": re.compile(r"[^$]*paths\t.*@/src//?f[^$]*")},
)
live(
    "getSubstitutionData",
    layer1(
        "local e = inlet.getEvent() local d = inlet.getSubstitutionData(e, { mine = 'M' }) print('data', d.mine, type(d)) inlet.discardEvent(e)"
    ),
    started(),
    node("f"),
    logged("data"),
    only_ours=True,
    why=ONLY_231,
    ours={"exit": "143", "out": re.compile(r"[^$]*data\tM\ttable\n[^$]*")},
)
live(
    "observefd-pipe",
    """local pipe
sync{ source="@SRC@", init=false, delay=0 }
observefd(0, function(fd) nonobservefd(fd) print("closed", fd == 0) alarm(now() + 0.1, function() print("still here") end) end, nil)""",
    logged("still here"),
    only_ours=True,
    why="the original dies of it",
    ours={"exit": "143", "err": "", "out": re.compile(r"[^$]*closed\ttrue\nstill here\n[^$]*")},
)
live(
    "observefd-write",
    """sync{ source="@SRC@", init=false, delay=0 }
observefd(1, nil, function(fd) print("writey", fd == 1) os.exit(4) end)""",
    ends(),
    only_ours=True,
    why=ONLY_231,
    ours={"exit": "4", "out": re.compile(r"[^$]*writey\ttrue\n")},
)

# ---- the same event asked for in several ways, and what is left of it
live(
    "event-status",
    layer1(
        "local e = inlet.getEvent() print(e.status) spawn(e, '@BIN@/tool') print('then', e.status)",
        "maxProcesses=2,",
    ),
    started(),
    node("f"),
    logged("Finished"),
)
live(
    "event-after-discard",
    layer1("local e = inlet.getEvent() inlet.discardEvent(e) print('after', e.etype, e.path)"),
    started(),
    node("f"),
    logged("after"),
)
live(
    "events-one-by-one",
    layer1(
        """
for i = 1, 3 do
  local e = inlet.getEvent()
  if e then spawn(e, '@BIN@/tool', e.path) end
end""",
        "maxProcesses=3,",
    ).replace("init=false", "init=function(e) spawn(e, '@BIN@/tool') end"),
    called(1),
    node("a"),
    node("b"),
    node("c"),
    release(1),
    logged("Finished", 3),
    plan={"1": "hold"},
    sort=["out", "calls"],
)
live(
    "getEvents-empty",
    layer1(
        "local e = inlet.getEvent() inlet.discardEvent(e) local l = inlet.getEvents() print('empty', #l.getPaths())"
    ),
    started(),
    node("f"),
    logged("empty"),
)
live(
    "collect-spawns-again",
    layer1(
        "local e = inlet.getEvent() spawn(e, '@BIN@/tool', e.path)",
        """collect=function(a, c)
  print('collected', a.etype, a.path, a.status, c)
  if a.etype == 'Create' then local b = a.inlet.createBlanketEvent() spawn(b, '@BIN@/tool', 'post') end
 end,""",
    ),
    started(),
    node("f"),
    logged("collected", 2),
)
live(
    "collect-list-agent",
    layer1(
        "spawn(inlet.getEvents(), '@BIN@/tool')",
        """collect=function(a, c)
  print('collected', a.isList, a.config.target, table.concat(a.getPaths(), '|'), c)
 end,""",
    ),
    started(),
    node("f"),
    logged("collected"),
)
live(
    "custom-field-on-agent",
    layer1(
        "local e = inlet.getEvent() e.mine = 'M' spawn(e, '@BIN@/tool')",
        """collect=function(a, c)
  print('mine', rawget(a, 'mine'), a.mine)
 end,""",
    ),
    started(),
    node("f"),
    logged("^mine"),
)
live(
    "settings-while-running",
    layer1("print('delay', settings('statusInterval'), settings('insist')) inlet.discardEvent(inlet.getEvent())")
    + "\nsettings{ insist=true, statusInterval=3 }",
    started(),
    node("f"),
    logged("^delay"),
)
live(
    "upvalues-and-helpers",
    """local seen = {}
local function note(e) seen[#seen + 1] = e.path return #seen end
"""
    + layer1("local e = inlet.getEvent() print('seen', note(e), table.concat(seen, ',')) inlet.discardEvent(e)"),
    started(),
    node("a"),
    logged("seen", 1),
    node("b"),
    logged("seen", 2),
)
live(
    "style-of-2.0",
    """settings = { statusFile = "@BOX@/status", nodaemon = true, }
settings.insist = true
sync{ default.rsync, source="@SRC@", target="@TRG@" }""",
    logged("Startup of"),
    only_ours=True,
    why="page 6 row 14",
    plan={"1": "exit 3"},
    args=("-delay", "1", "@BOX@/config.lua"),
    ours={
        "exit": "143",
        "err": re.compile("Warn: settings = .*obsolete.*\n"),
        "calls": re.compile("(rsync .*\n){2}"),
        "out": re.compile(r"[^$]*Retrying startup of[^$]*finished\.\n[^$]*"),
    },
)

# ---- wrong types in callbacks: one clear line, the user's place in it
WRONG = "a clear message with the user's place"


def wrong(name: str, body: str, message: str, extra: str = "") -> None:
    fails(
        f"wrong-{name}",
        body,
        extra,
        only_ours=True,
        why=WRONG,
        ours={
            "exit": "255",
            "err": re.compile(
                rf"Error: in Lua: @/config\.lua:\d+: {message}.*\n(Error: Backtrace :@/config\.lua:\d+\n)*"
            ),
        },
    )


wrong("exclude-number", "  inlet.addExclude({})", ".*")
wrong("getEvents-number", "  inlet.getEvents(3)", ".*")
wrong("getPaths-number", "  inlet.getEvents().getPaths(3)", ".*")
wrong("mutator-table", "  inlet.getEvents().getPaths(function() return {} end)", ".*")
wrong("alarm-string", "  alarm('x', print)", ".*")
wrong("alarm-no-function", "  alarm(now(), 3)", ".*")
fails(
    "terminate-string",
    "  terminate('x')",
    only_ours=True,
    why="page 2.1: it ends the daemon",
    ours={"exit": "255", "calls": ""},
)
wrong("discard-string", "  inlet.discardEvent('x')", ".*")
wrong("appendFilter-bad", "  inlet.appendFilter('nonsense')", ".*")

live(
    "event-none-left",
    layer1("local e = inlet.getEvent() inlet.discardEvent(e) print('next', (inlet.getEvent()))"),
    started(),
    node("f"),
    logged("next"),
    only_ours=True,
    why="the original dies of it",
    ours={"exit": "143", "err": "", "out": re.compile(r"[^$]*next\tnil\n[^$]*")},
)
live(
    "getEvents-mutator-nil",
    layer1("""
local l = inlet.getEvents()
local p = l.getPaths(function(etype, path) if path ~= '/b' then return path end end)
print('paths', #p, table.concat(p, '|'))
spawn(l, '@BIN@/tool')""").replace("init=false", "init=function(e) spawn(e, '@BIN@/tool') end"),
    called(1),
    node("a"),
    node("b"),
    node("c"),
    release(1),
    logged("Finished a list"),
    plan={"1": "hold"},
    why="the original leaves a hole in the list",
    ours={"out": lambda text: text.replace("paths\t1\t/a\n", "paths\t2\t/a|/c\n")},
)
